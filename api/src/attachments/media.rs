//! What a file is: found in its bytes, never in its name, and within limits, for it may be made to do harm.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use domain::conversation::body::AttachmentKind;
use domain::values::MediaType;

mod film;
mod matroska;
mod mp4;
mod picture;
mod sound;

pub use picture::{MAX_MEMORY, MAX_PIXELS};

/// As many bytes as it takes to tell what a file is.
const HEAD_BYTES: u64 = 8 * 1024;
/// What nothing is known of.
const ANYTHING: &str = "application/octet-stream";

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// A picture that would take too much to decode.
    #[error(
        "the picture is too large: at most {MAX_PIXELS} pixels are decoded, in at most {MAX_MEMORY} bytes"
    )]
    TooLarge,
    /// A picture that begins as one and is none.
    #[error("the picture cannot be decoded")]
    Broken,
}

impl MediaError {
    /// What clients know it by.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "internal",
            Self::TooLarge => "image_too_large",
            Self::Broken => "image_unreadable",
        }
    }
}

/// What was found out about a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it is.
    pub kind: AttachmentKind,
    /// Its media type.
    pub mime_type: MediaType,
    /// How the names of such files end.
    pub extension: &'static str,
    /// Pixels across and down.
    pub size: Option<(u32, u32)>,
    /// How long it plays, in milliseconds.
    pub duration_ms: Option<u64>,
    /// A small picture of it, as JPEG.
    pub thumbnail: Option<Bytes>,
}

impl Found {
    fn plain(kind: AttachmentKind, mime: &str, extension: &'static str) -> Self {
        #[allow(clippy::expect_used, reason = "the names that are told apart are media types")]
        let mime_type = MediaType::parse(mime)
            .or_else(|_| MediaType::parse(ANYTHING))
            .expect("a media type");
        Self {
            kind,
            mime_type,
            extension,
            size: None,
            duration_ms: None,
            thumbnail: None,
        }
    }
}

/// Finds out what a file is. It takes a while, and blocks.
///
/// # Errors
/// [`MediaError`] for a picture that cannot be decoded within the limits. Sounds and films that cannot be
/// understood are taken as they are.
pub fn examine(path: &Path) -> Result<Found, MediaError> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let Some(told) = infer::get(&head) else {
        return Ok(match is_text(&head) {
            true => Found::plain(AttachmentKind::Document, "text/plain", "txt"),
            false => Found::plain(AttachmentKind::Document, ANYTHING, "bin"),
        });
    };
    let (mime, extension) = (told.mime_type(), told.extension());
    let kind = match mime.split('/').next() {
        Some("image") => AttachmentKind::Image,
        Some("video") => AttachmentKind::Video,
        Some("audio") => AttachmentKind::Audio,
        _ => AttachmentKind::Document,
    };
    let mut found = Found::plain(kind, mime, extension);
    match kind {
        AttachmentKind::Image => {
            if let Some(format) = picture::format(mime) {
                let picture = picture::decode(BufReader::new(File::open(path)?), format)?;
                found.size = Some(picture.size);
                found.thumbnail = Some(picture.thumbnail);
            }
        }
        AttachmentKind::Audio => found.duration_ms = sound::duration(path),
        AttachmentKind::Video => {
            let film = film::understand(path, mime)?;
            found.duration_ms = film.duration_ms;
            found.size = film.size;
            if film.is_only_heard() {
                let mime = mime.replacen("video/", "audio/", 1);
                found.kind = AttachmentKind::Audio;
                found.mime_type = MediaType::parse(mime).unwrap_or(found.mime_type);
            }
        }
        AttachmentKind::Document => {}
    }
    Ok(found)
}

/// Whether the beginning of a file is a text: UTF-8 without control characters. A character may be cut in the
/// middle where the head ends.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && head.len() as u64 == HEAD_BYTES => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or("\0")
        }
        Err(_) => return false,
    };
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

#[cfg(test)]
mod tests;
