//! What a message says: a text, files, a place, a contact or a sticker.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use crate::values::{Address, Content, DisplayName, FileName, Identifier, MediaType, SecureUrl, ShortText};
use crate::{ClientId, UserId};

mod upload;

pub use upload::{File, Upload};

/// The most attachments of a message.
pub const MAX_ATTACHMENTS: usize = 10;
/// The most bytes of an attachment.
pub const MAX_ATTACHMENT_BYTES: u64 = 100 * 1024 * 1024;
/// The most addresses of each sort of a contact.
pub const MAX_ADDRESSES: usize = 10;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageKind {
    /// A text; files may come with it.
    Text,
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A sound.
    Audio,
    /// Any other file.
    File,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// How somebody can be reached.
    Contact,
}

impl MessageKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::File,
        Self::Sticker,
        Self::Location,
        Self::Contact,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Image => "IMAGE",
            Self::Video => "VIDEO",
            Self::Audio => "AUDIO",
            Self::File => "FILE",
            Self::Sticker => "STICKER",
            Self::Location => "LOCATION",
            Self::Contact => "CONTACT",
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What the sender of a message wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The text; of files what is written under them.
    pub content: Option<Content>,
    /// Files.
    pub attachments: Vec<File>,
    /// What is neither text nor file.
    pub card: Option<Card>,
    /// What the client called this send.
    pub client_id: Option<ClientId>,
}

/// What a body needs to be of its message's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A text without one.
    #[error("content must have at least 1 character")]
    NoText,
    /// Files without one.
    #[error("a message of this type needs an attachment")]
    NoAttachment,
    /// More than [`MAX_ATTACHMENTS`].
    #[error("at most {MAX_ATTACHMENTS} attachments")]
    TooManyAttachments,
    /// A sticker, place or contact without it.
    #[error("a message of this type needs its {0}, and has nothing else")]
    NoCard(&'static str),
    /// Something that another type has.
    #[error("a message of this type has no {0}")]
    Foreign(&'static str),
}

impl Body {
    /// A text and nothing else.
    #[must_use]
    pub fn text(content: Content, client_id: Option<ClientId>) -> Self {
        Self {
            content: Some(content),
            client_id,
            ..Self::default()
        }
    }

    /// Whether it says what a message of this type says.
    ///
    /// # Errors
    /// [`BodyError`] when something is missing or too much.
    pub fn check(&self, kind: MessageKind) -> Result<(), BodyError> {
        if self.attachments.len() > MAX_ATTACHMENTS {
            return Err(BodyError::TooManyAttachments);
        }
        let needed = match kind {
            MessageKind::Text if self.content.is_none() => return Err(BodyError::NoText),
            MessageKind::Text => None,
            MessageKind::Image | MessageKind::Video | MessageKind::Audio | MessageKind::File => {
                if self.attachments.is_empty() {
                    return Err(BodyError::NoAttachment);
                }
                None
            }
            MessageKind::Sticker => Some("sticker"),
            MessageKind::Location => Some("location"),
            MessageKind::Contact => Some("contact"),
        };
        match (needed, self.card.as_ref().map(Card::name)) {
            (Some(needed), Some(given)) if needed == given => {
                if self.content.is_some() || !self.attachments.is_empty() {
                    return Err(BodyError::NoCard(needed));
                }
                Ok(())
            }
            (Some(needed), _) => Err(BodyError::NoCard(needed)),
            (None, Some(given)) => Err(BodyError::Foreign(given)),
            (None, None) => Ok(()),
        }
    }
}

/// A file that comes with a message and lies somewhere else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AttachmentKind,
    /// What it is called.
    pub file_name: FileName,
    /// Where it is.
    pub file_url: SecureUrl,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bytes")]
    pub file_size: Option<u64>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<MediaType>,
    /// A small picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<SecureUrl>,
    /// Pixels across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How long it plays, in seconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "seconds"
    )]
    pub duration: Option<f64>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AttachmentKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A sound.
    Audio,
    /// Anything else.
    Document,
}

/// What is neither text nor file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Card {
    /// A sticker.
    Sticker(Sticker),
    /// A place.
    Location(Location),
    /// How somebody can be reached.
    Contact(Contact),
}

impl Card {
    const fn name(&self) -> &'static str {
        match self {
            Self::Sticker(_) => "sticker",
            Self::Location(_) => "location",
            Self::Contact(_) => "contact",
        }
    }
}

/// A sticker, out of a pack that the product knows, or somewhere on the web.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sticker {
    /// Which one.
    pub id: Identifier,
    /// Of which pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_id: Option<Identifier>,
    /// Where its picture is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<SecureUrl>,
}

/// A place on earth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Degrees north of the equator, from -90 to 90.
    #[serde(deserialize_with = "latitude")]
    pub latitude: f64,
    /// Degrees east of Greenwich, from -180 to 180.
    #[serde(deserialize_with = "longitude")]
    pub longitude: f64,
    /// What the place is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ShortText>,
    /// Where it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// How somebody can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "AnyContact")]
pub struct Contact {
    /// What they are called.
    pub name: DisplayName,
    /// A user of the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Telephone numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phone_numbers: Vec<ShortText>,
    /// Addresses of e-mail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<ShortText>,
}

/// A contact that may say too little or too much.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyContact {
    name: DisplayName,
    #[serde(default, deserialize_with = "text_or_number")]
    user_id: Option<UserId>,
    #[serde(default)]
    phone_numbers: Vec<ShortText>,
    #[serde(default)]
    emails: Vec<ShortText>,
}

/// Users may be numbered.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UserId>, D::Error> {
    struct TextOrNumber;

    impl<'de> Visitor<'de> for TextOrNumber {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a user id: a string or a whole number")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }
    }

    let text = deserializer.deserialize_any(TextOrNumber)?;
    text.map(UserId::parse)
        .transpose()
        .map_err(serde::de::Error::custom)
}

impl TryFrom<AnyContact> for Contact {
    type Error = String;

    fn try_from(any: AnyContact) -> Result<Self, String> {
        if any.user_id.is_none() && any.phone_numbers.is_empty() && any.emails.is_empty() {
            return Err("a contact needs a userId, a phone number or an email".to_owned());
        }
        if any.phone_numbers.len() > MAX_ADDRESSES || any.emails.len() > MAX_ADDRESSES {
            return Err(format!(
                "a contact has at most {MAX_ADDRESSES} of phoneNumbers and of emails"
            ));
        }
        Ok(Self {
            name: any.name,
            user_id: any.user_id,
            phone_numbers: any.phone_numbers,
            emails: any.emails,
        })
    }
}

fn within<'de, D: Deserializer<'de>>(deserializer: D, what: &str, bound: f64) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if (-bound..=bound).contains(&number) {
        Ok(number)
    } else {
        let bound = format!("{what} must be a number from -{bound} to {bound}");
        Err(serde::de::Error::custom(bound))
    }
}

fn latitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, "latitude", 90.0)
}

fn longitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, "longitude", 180.0)
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let size = Option::<u64>::deserialize(deserializer)?;
    match size {
        Some(0) => Err("fileSize must be at least 1"),
        Some(size) if size > MAX_ATTACHMENT_BYTES => Err("fileSize must be at most 104857600"),
        size => Ok(size),
    }
    .map_err(serde::de::Error::custom)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    /// A year.
    const MOST: f64 = 366.0 * 24.0 * 60.0 * 60.0;
    let duration = Option::<f64>::deserialize(deserializer)?;
    if duration.is_none_or(|duration| (0.0..=MOST).contains(&duration)) {
        Ok(duration)
    } else {
        Err(serde::de::Error::custom("duration must be seconds from 0 on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment() -> Attachment {
        Attachment {
            kind: AttachmentKind::Image,
            file_name: FileName::parse("a.png").unwrap(),
            file_url: SecureUrl::parse("https://example.org/a.png").unwrap(),
            file_size: Some(1),
            mime_type: Some(MediaType::parse("image/png").unwrap()),
            thumbnail: None,
            width: None,
            height: None,
            duration: None,
        }
    }

    fn card(kind: MessageKind) -> Option<Card> {
        let short = |text| ShortText::parse(text).unwrap();
        match kind {
            MessageKind::Sticker => Some(Card::Sticker(Sticker {
                id: Identifier::parse("wave").unwrap(),
                pack_id: None,
                url: None,
            })),
            MessageKind::Location => Some(Card::Location(Location {
                latitude: 21.0285,
                longitude: 105.8542,
                name: Some(short("Hà Nội")),
                address: None,
            })),
            MessageKind::Contact => Some(Card::Contact(Contact {
                name: DisplayName::parse("Ann").unwrap(),
                user_id: None,
                phone_numbers: vec![short("+84 1")],
                emails: Vec::new(),
            })),
            _ => None,
        }
    }

    #[test]
    fn each_type_has_its_own_body_and_no_other() {
        for kind in MessageKind::ALL {
            assert_eq!(MessageKind::parse(kind.as_str()), Some(kind));
            let content = Some(Content::parse("hi").unwrap());
            let text = Body {
                content: content.clone(),
                ..Body::default()
            };
            let file = Body {
                attachments: vec![attachment().into()],
                ..Body::default()
            };
            let own_card = Body {
                card: card(kind),
                ..Body::default()
            };
            let both = Body {
                content,
                attachments: vec![attachment().into(); MAX_ATTACHMENTS],
                ..Body::default()
            };
            let foreign = Body {
                card: card(MessageKind::Sticker).filter(|_| kind != MessageKind::Sticker),
                ..both.clone()
            };
            let is_card = card(kind).is_some();
            let is_text = kind == MessageKind::Text;
            assert_eq!(text.check(kind).is_ok(), is_text, "{kind:?}");
            assert_eq!(file.check(kind).is_ok(), !is_text && !is_card, "{kind:?}");
            assert_eq!(own_card.check(kind).is_ok(), is_card, "{kind:?}");
            assert_eq!(both.check(kind).is_ok(), !is_card, "{kind:?}");
            assert!(foreign.check(kind).is_err(), "{kind:?}");
            let many = Body {
                attachments: vec![attachment().into(); MAX_ATTACHMENTS + 1],
                ..both
            };
            assert_eq!(many.check(kind), Err(BodyError::TooManyAttachments));
        }
    }
}
