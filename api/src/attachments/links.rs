//! Signed URLs: who has one may fetch a file until it ends, without a token. That the file may still be had at
//! all is asked each time.

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::conversation::body::{File, Upload};
use domain::{AttachmentId, Timestamp};

use super::blobs::Variant;
use crate::wire::attachment::Attachment;

/// What a signature is of, beside everything else that is ever signed with the same key.
const PURPOSE: &[u8] = b"verbatim attachment v1";

/// Why a URL is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not made here, or was changed.
    #[error("the URL is not one that was given out here")]
    Invalid,
    /// Its time is over.
    #[error("the URL is not valid any more; ask for another one")]
    Over,
}

/// Makes and checks signed URLs, with a key that every node of a deployment has.
#[derive(Clone, Debug)]
pub struct Links {
    key: hmac::Key,
    base: String,
    lifetime: Duration,
}

/// A signed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The URL.
    pub url: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Links {
    /// URLs below this base, which is empty for paths, that are good for so long.
    #[must_use]
    pub fn new(key: &[u8; 32], base: &str, lifetime: Duration) -> Self {
        Self {
            key: hmac::Key::new(HMAC_SHA256, key),
            base: base.trim_end_matches('/').to_owned(),
            lifetime,
        }
    }

    /// The URL of a file. For a while it is the same, so that who has the bytes need not fetch them again.
    #[must_use]
    pub fn to(&self, id: AttachmentId, variant: Variant, now: Timestamp) -> Link {
        let lifetime = self.lifetime.as_secs().max(1);
        let step = (lifetime / 4).max(1);
        let now = u64::try_from(now.as_millis() / 1_000).unwrap_or(0);
        let expires = now - now % step + lifetime;
        let tag = hmac::sign(&self.key, &signed(id, variant, expires));
        let signature = URL_SAFE_NO_PAD.encode(tag);
        let of = match variant {
            Variant::Original => "",
            Variant::Thumbnail => "variant=thumbnail&",
        };
        let base = &self.base;
        Link {
            url: format!("{base}/attachments/{id}?{of}expires={expires}&signature={signature}"),
            expires_at: Timestamp::from_millis(i64::try_from(expires).unwrap_or(0).saturating_mul(1_000)),
        }
    }

    /// Whether a URL is good.
    ///
    /// # Errors
    /// [`LinkError`] when it is not.
    pub fn check(
        &self,
        id: AttachmentId,
        variant: Variant,
        expires: u64,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), LinkError> {
        let tag = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| LinkError::Invalid)?;
        hmac::verify(&self.key, &signed(id, variant, expires), &tag).map_err(|_| LinkError::Invalid)?;
        if i128::from(expires) * 1_000 <= i128::from(now.as_millis()) {
            return Err(LinkError::Over);
        }
        Ok(())
    }

    /// An attachment as it is shown: one that was uploaded with fresh URLs.
    #[must_use]
    pub fn show(&self, file: File, now: Timestamp) -> Attachment {
        match file {
            File::Linked(attachment) => attachment.into(),
            File::Uploaded(upload) => self.show_upload(upload, now),
        }
    }

    /// The same of an upload.
    #[must_use]
    pub fn show_upload(&self, upload: Upload, now: Timestamp) -> Attachment {
        let url = self.to(upload.id, Variant::Original, now).url;
        let thumbnail = upload
            .has_thumbnail
            .then(|| self.to(upload.id, Variant::Thumbnail, now).url);
        Attachment::uploaded(upload, url, thumbnail)
    }
}

/// What is signed. All parts but the first, which is always the same, have one length.
fn signed(id: AttachmentId, variant: Variant, expires: u64) -> Vec<u8> {
    let of = match variant {
        Variant::Original => 0,
        Variant::Thumbnail => 1,
    };
    [PURPOSE, &id.to_bytes(), &[of], &expires.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn links(key: u8) -> Links {
        Links::new(
            &[key; 32],
            "https://chat.example.org/",
            Duration::from_secs(3_600),
        )
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn parts(url: &str) -> (u64, String) {
        let value = |name: &str| {
            let (_, rest) = url.split_once(name).unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        (value("expires=").parse().unwrap(), value("signature="))
    }

    #[test]
    fn a_url_is_good_until_it_ends() {
        let id = AttachmentId::from_bytes([7; 16]);
        let link = links(1).to(id, Variant::Original, at(10 * HOUR));
        let began = format!("https://chat.example.org/attachments/{id}?expires=");
        assert!(link.url.starts_with(&began), "{}", link.url);
        assert_eq!(link.expires_at, at(11 * HOUR));
        let (expires, signature) = parts(&link.url);
        let check = |now| links(1).check(id, Variant::Original, expires, &signature, at(now));
        assert_eq!(check(10 * HOUR), Ok(()));
        assert_eq!(check(11 * HOUR - 1), Ok(()));
        assert_eq!(check(11 * HOUR), Err(LinkError::Over));
        let a_little_later = links(1).to(id, Variant::Original, at(10 * HOUR + HOUR / 5));
        assert_eq!(a_little_later, link, "the same for a while");
        let later = links(1).to(id, Variant::Original, at(10 * HOUR + HOUR / 4));
        assert_ne!(later, link);
    }

    #[test]
    fn what_was_changed_is_not_good() {
        let id = AttachmentId::from_bytes([7; 16]);
        let other = AttachmentId::from_bytes([8; 16]);
        let (expires, signature) = parts(&links(1).to(id, Variant::Thumbnail, at(HOUR)).url);
        let now = at(HOUR);
        let good = links(1).check(id, Variant::Thumbnail, expires, &signature, now);
        assert_eq!(good, Ok(()));
        let cut = &signature[1..];
        for (links, id, variant, expires, signature) in [
            (links(2), id, Variant::Thumbnail, expires, &*signature),
            (links(1), other, Variant::Thumbnail, expires, &*signature),
            (links(1), id, Variant::Original, expires, &*signature),
            (links(1), id, Variant::Thumbnail, expires + 1, &*signature),
            (links(1), id, Variant::Thumbnail, u64::MAX, &*signature),
            (links(1), id, Variant::Thumbnail, expires, cut),
            (links(1), id, Variant::Thumbnail, expires, ""),
            (links(1), id, Variant::Thumbnail, expires, "ü"),
        ] {
            let checked = links.check(id, variant, expires, signature, now);
            assert_eq!(checked, Err(LinkError::Invalid));
        }
    }
}
