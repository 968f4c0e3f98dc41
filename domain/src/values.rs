//! Validated values: a value of one of these types has passed its rule.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use unicode_properties::emoji::{EmojiStatus, UnicodeEmoji};
use unicode_segmentation::UnicodeSegmentation;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time this many milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds after the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

/// The number of a message in its conversation: contiguous, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ordinal(NonZeroU64);

impl Ordinal {
    /// The ordinal with this number; `None` for 0.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The ordinal that follows `last`, where 0 means that there is no message yet.
    #[must_use]
    pub const fn after(last: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(last))
    }

    /// The number, 1 or more.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that a person wrote. It is sealed in the log under that person's key, and once the key is
/// gone, it is [`Private::Erased`] for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Private<T> {
    /// The key exists: this is what was written.
    Readable(T),
    /// The key is gone.
    Erased,
}

impl<T> Private<T> {
    /// What was written, if it can still be read.
    pub const fn readable(&self) -> Option<&T> {
        match self {
            Self::Readable(value) => Some(value),
            Self::Erased => None,
        }
    }
}

/// Why a text is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Fewer characters than allowed.
    #[error("{what} must have at least {min} {}", characters(*.min))]
    TooShort {
        /// What was being parsed.
        what: &'static str,
        /// The fewest Unicode scalar values it must have.
        min: usize,
    },
    /// More characters than allowed.
    #[error("{what} must have at most {max} characters")]
    TooLong {
        /// What was being parsed.
        what: &'static str,
        /// The most Unicode scalar values it may have.
        max: usize,
    },
    /// U+0000, which no database text and no client can be trusted with.
    #[error("{what} must not contain the character U+0000")]
    Nul {
        /// What was being parsed.
        what: &'static str,
    },
    /// Neither one emoji nor a name.
    #[error("{what} must be one emoji, or a name of 1 to {MAX_EMOJI_NAME} letters, digits, '_', '+' and '-'")]
    NotAnEmoji {
        /// What was being parsed.
        what: &'static str,
    },
    /// Not an `https` URL.
    #[error("url must be an https URL")]
    NotSecure,
    /// Not of the form `type/subtype`.
    #[error("mimeType must be a media type such as image/png")]
    NotAMediaType,
    /// Not an `https` or `http` URL, or a path of this server.
    #[error("{what} must be an http or https URL")]
    NotAUrl {
        /// What was being parsed.
        what: &'static str,
    },
}

const fn characters(count: usize) -> &'static str {
    if count == 1 { "character" } else { "characters" }
}

fn check_text(what: &'static str, text: &str, min: usize, max: usize) -> Result<(), ValueError> {
    // Bytes bound scalar values from above, so that most texts are not counted at all.
    if text.len() > max && text.chars().count() > max {
        return Err(ValueError::TooLong { what, max });
    }
    if text.len() < min {
        return Err(ValueError::TooShort { what, min });
    }
    if text.contains('\0') {
        return Err(ValueError::Nul { what });
    }
    Ok(())
}

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal, $max:literal $(, $check:expr)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the value from text of the outside.
            ///
            /// # Errors
            /// [`ValueError`] when the text breaks the value's rule.
            pub fn parse(text: impl Into<String>) -> Result<Self, ValueError> {
                let text = text.into();
                check_text($what, &text, $min, $max)?;
                $( $check(&text)?; )?
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

text_value! {
    /// The text of a message: 1 to 10,000 Unicode scalar values.
    Content, "content", 1, 10_000
}
text_value! {
    /// The name of a group: 1 to 500 Unicode scalar values.
    GroupName, "name", 1, 500
}
text_value! {
    /// The description of a group: at most 5,000 Unicode scalar values.
    Description, "description", 0, 5_000
}
text_value! {
    /// What a person is called: 1 to 200 Unicode scalar values.
    DisplayName, "name", 1, 200
}
text_value! {
    /// Where a picture is: an `http` or `https` URL of at most 1,000 Unicode scalar values.
    Avatar, "avatar", 1, 1_000, check_url
}

text_value! {
    /// What a file is called: 1 to 500 Unicode scalar values.
    FileName, "fileName", 1, 500
}
text_value! {
    /// Where a file is: an `https` URL of at most 2,000 Unicode scalar values.
    SecureUrl, "url", 1, 2_000, check_secure_url
}
text_value! {
    /// A media type, like `image/png`.
    MediaType, "mimeType", 3, 255, check_media_type
}
text_value! {
    /// What something is called elsewhere: 1 to 200 Unicode scalar values.
    Identifier, "id", 1, 200
}
text_value! {
    /// A few words, a telephone number or an address of e-mail: 1 to 300 Unicode scalar values.
    ShortText, "text", 1, 300
}
text_value! {
    /// Where a place is, in words: 1 to 1,000 Unicode scalar values.
    Address, "address", 1, 1_000
}

fn check_secure_url(text: &str) -> Result<(), ValueError> {
    if text.starts_with("https://") && check_url(text).is_ok() {
        Ok(())
    } else {
        Err(ValueError::NotSecure)
    }
}

fn check_media_type(text: &str) -> Result<(), ValueError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_'))
    };
    match text.split_once('/') {
        Some((of, kind)) if is_part(of) && is_part(kind) => Ok(()),
        _ => Err(ValueError::NotAMediaType),
    }
}

fn check_url(text: &str) -> Result<(), ValueError> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with('/')
                && !rest.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(())
        }
        _ => Err(ValueError::NotAUrl { what: "avatar" }),
    }
}

/// The longest name of an emoji that a product made itself.
const MAX_EMOJI_NAME: usize = 32;
/// The longest emoji, in bytes: the flags of regions and whole families are below a third of it.
const MAX_EMOJI_BYTES: usize = 100;
/// Asks that the character before it is shown in colour.
const EMOJI_PRESENTATION: char = '\u{fe0f}';
/// Makes a key of the digit before it.
const KEYCAP: char = '\u{20e3}';

/// What people react with: one emoji (a single grapheme cluster), or the name of one that a product made
/// itself, like `party_parrot`, with or without colons around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Emoji(String);

impl Emoji {
    /// Parses a reaction. A symbol that is shown in black unless asked otherwise (`\u{2764}`) becomes the emoji
    /// (`\u{2764}\u{fe0f}`), so that both are the same reaction.
    ///
    /// # Errors
    /// [`ValueError::NotAnEmoji`].
    pub fn parse(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        if is_emoji_name(&text) {
            return Ok(Self(text));
        }
        let error = ValueError::NotAnEmoji { what: "emoji" };
        if text.len() > MAX_EMOJI_BYTES || text.graphemes(true).nth(1).is_some() {
            return Err(error);
        }
        let mut chars = text.chars();
        let (first, second) = (chars.next(), chars.next());
        match (first, second) {
            (Some(first), None) if is_symbol(first) && !is_shown_in_colour(first) => {
                Ok(Self(format!("{text}{EMOJI_PRESENTATION}")))
            }
            (Some(first), None) if is_shown_in_colour(first) => Ok(Self(text)),
            (Some(first), Some(_)) if is_symbol(first) || text.ends_with(KEYCAP) && is_key(first) => {
                Ok(Self(text))
            }
            _ => Err(error),
        }
    }

    /// A reaction as it was recorded: what was one emoji to those who parsed it stays one, whatever emoji
    /// others know.
    #[must_use]
    pub fn recorded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The emoji, or its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Emoji> for String {
    fn from(value: Emoji) -> Self {
        value.0
    }
}

fn is_emoji_name(text: &str) -> bool {
    let name = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    let name = name.unwrap_or(text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    (1..=MAX_EMOJI_NAME).contains(&name.len()) && name.chars().all(is_part)
}

/// Whether an emoji may begin with it. Digits begin keys, and are none by themselves.
fn is_symbol(c: char) -> bool {
    c.is_emoji_char() && !c.is_ascii()
}

fn is_key(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '#' | '*')
}

fn is_shown_in_colour(c: char) -> bool {
    matches!(
        c.emoji_status(),
        EmojiStatus::EmojiPresentation
            | EmojiStatus::EmojiPresentationAndModifierBase
            | EmojiStatus::EmojiPresentationAndEmojiComponent
            | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_scalar_values_not_bytes() {
        assert!(Content::parse("😀".repeat(10_000)).is_ok());
        let error = Content::parse("a".repeat(10_001)).unwrap_err();
        assert_eq!(
            error,
            ValueError::TooLong {
                what: "content",
                max: 10_000
            }
        );
        assert_eq!(
            Content::parse("").unwrap_err(),
            ValueError::TooShort {
                what: "content",
                min: 1
            }
        );
        assert_eq!(
            Content::parse("").unwrap_err().to_string(),
            "content must have at least 1 character"
        );
        assert_eq!(
            Content::parse("a\0b").unwrap_err(),
            ValueError::Nul { what: "content" }
        );
        assert_eq!(Content::parse("a\nb\u{3}").unwrap().as_str(), "a\nb\u{3}");
    }

    #[test]
    fn a_reaction_is_one_emoji_or_a_name() {
        for good in [
            "👍",
            "👍🏽",
            "❤️",
            "👨‍👩‍👧‍👦",
            "🇻🇳",
            "1️⃣",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "+1",
            ":party_parrot:",
            "shipit",
        ] {
            assert_eq!(Emoji::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Emoji::parse("❤").unwrap(), Emoji::parse("❤️").unwrap());
        let long = "a".repeat(33);
        let zalgo = format!("👍{}", "\u{301}".repeat(100));
        for bad in [
            "", "👍👍", "a b", "é", "::", "<b>", "ты", "\u{fe0f}", "\u{200d}", "\0", &long, &zalgo,
        ] {
            assert!(Emoji::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_avatar_is_a_web_address() {
        assert!(Avatar::parse("https://example.org/a.png").is_ok());
        for bad in [
            "javascript:alert(1)",
            "https://",
            "https:///a",
            "https://a b",
            "ftp://a",
        ] {
            assert!(Avatar::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ordinals_start_at_one() {
        assert_eq!(Ordinal::new(0), None);
        assert_eq!(Ordinal::after(0).get(), 1);
        assert_eq!(Ordinal::after(41).to_string(), "42");
    }
}
