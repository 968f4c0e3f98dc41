//! The values of the API as its document describes them: ids, names, times and kinds.
//!
//! Their rules are those of the domain. Where JSON Schema cannot say a rule (a length in bytes, one emoji), a
//! `format` of ours names it.

use domain::conversation::MessageKind;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Any text but U+0000.
const NO_NUL: &str = r"^[^\x00]*$";
/// Any text without control characters.
const NO_CONTROL: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn between(min: usize, max: usize) -> ObjectBuilder {
    text()
        .min_length(Some(min))
        .max_length(Some(max))
        .pattern(Some(NO_NUL))
}

/// An id of the outside: at most so many bytes of UTF-8.
fn opaque(format: &str, max: usize) -> ObjectBuilder {
    text()
        .min_length(Some(1))
        .max_length(Some(max))
        .pattern(Some(NO_CONTROL))
        .format(Some(SchemaFormat::Custom(format.to_owned())))
}

fn one_of(names: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(names))
}

fn patterned(pattern: &str, example: &str) -> ObjectBuilder {
    text().pattern(Some(pattern)).examples([example])
}

fn url(max: usize, scheme: &str) -> ObjectBuilder {
    text()
        .max_length(Some(max))
        .pattern(Some(format!(
            r"^{scheme}://[^/\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$"
        )))
        .format(Some(SchemaFormat::Custom("url".to_owned())))
        .examples(["https://example.org/picture.png"])
}

macro_rules! value {
    ($(#[doc = $doc:literal])+ $name:ident, $schema:expr) => {
        $(#[doc = $doc])+
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),+).trim();
                $schema.description(Some(description)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

value! {
    /// A conversation: a ULID in its one spelling.
    ConversationId, patterned("^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "01JD3V2Q8Y6W4K9TZ0M5XB7CRA")
}
value! {
    /// A message: the id of its conversation, and its ordinal in base 32.
    MessageId, patterned(
        "^[0-7][0-9A-HJKMNP-TV-Z]{25}(?:[1-9A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{0,11}|[1-7][0-9A-HJKMNP-TV-Z]{12})$",
        "01JD3V2Q8Y6W4K9TZ0M5XB7CRA1"
    )
}
value! {
    /// A user, as the identity provider names it: 1 to 128 bytes of UTF-8 without control characters.
    UserId, opaque("user-id", 128).examples(["ann"])
}
value! {
    /// A user whose id has no comma.
    ListedUserId, opaque("user-id", 128).pattern(Some(r"^[^,\x00-\x1f\x7f-\x9f]*$")).examples(["ann"])
}
value! {
    /// What a client calls its own command: 1 to 128 bytes of UTF-8 without control characters.
    ClientId, opaque("client-id", 128).examples(["8e03978e-40d5-43e8-9f9d-2a3b4d0a1c77"])
}
value! {
    /// What a client calls its own command: 1 to 128 bytes of UTF-8 without control characters. In a header only
    /// ASCII is one.
    IdempotencyKey, patterned("^[!-~](?:[ -~]{0,126}[!-~])?$", "8e03978e-40d5-43e8-9f9d-2a3b4d0a1c77")
}
value! {
    /// A time: RFC 3339 in UTC with milliseconds.
    Time, patterned(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$", "2026-11-20T08:15:30.250Z")
        .format(Some(SchemaFormat::Custom("date-time".to_owned())))
}
value! {
    /// A time in the future: RFC 3339.
    FutureTime, text()
        .format(Some(SchemaFormat::Custom("date-time".to_owned())))
        .examples(["2030-01-31T12:00:00Z"])
}
value! {
    /// A place in the log: `epoch-shard-sequence`.
    Position, patterned("^[0-7][0-9A-HJKMNP-TV-Z]{25}-[0-9]{1,3}-[0-9]{1,19}$", "01JD3V2Q8Y6W4K9TZ0M5XB7CRA-0-42")
}
value! {
    /// An `X-Position` of an earlier answer.
    EarlierPosition, text()
        .format(Some(SchemaFormat::Custom("position".to_owned())))
        .examples(["01JD3V2Q8Y6W4K9TZ0M5XB7CRA-0-42"])
}
value! {
    /// A place in a list, out of the answer before: opaque.
    Cursor, text().format(Some(SchemaFormat::Custom("cursor".to_owned()))).min_length(Some(1))
}
value! {
    /// Direct or group.
    Kind, one_of(["DIRECT", "GROUP"])
}
value! {
    /// What a member of a group may do.
    Role, one_of(["ADMIN", "MODERATOR", "MEMBER"])
}
value! {
    /// Whether a user is let in: who is ACTIVE.
    Status, one_of(["ACTIVE", "INACTIVE", "BLOCKED"])
}
value! {
    /// A file that was uploaded: a ULID.
    AttachmentId, patterned("^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "01JD3V2Q8Y6W4K9TZ0M5XB7CRB")
}
value! {
    /// A device that is notified.
    SubscriptionId, patterned("^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "01JD3V2Q8Y6W4K9TZ0M5XB7CRC")
}
value! {
    /// Where a file is fetched: a URL, or a path of this node with a signature that ends.
    FileUrl, text().min_length(Some(1)).max_length(Some(3_000))
}
value! {
    /// Bytes in base64url.
    Base64, patterned("^[A-Za-z0-9_-]+=*$", "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM")
}
value! {
    /// The type of a message.
    MessageType, one_of(MessageKind::ALL.map(MessageKind::as_str))
}
value! {
    /// The text of a message: 1 to 10,000 Unicode scalar values, U+0000 not among them.
    Content, between(1, 10_000).examples(["Hello!"])
}
value! {
    /// What a group is called.
    GroupName, between(1, 500).examples(["Garden"])
}
value! {
    /// What a group is about.
    Description, between(0, 5_000).examples(["Who waters what, and when"])
}
value! {
    /// A picture: an `http` or `https` URL.
    Avatar, url(1_000, "https?")
}
value! {
    /// An `https` URL.
    SecureUrl, url(2_000, "https")
}
value! {
    /// A media type.
    MediaType, text()
        .min_length(Some(3))
        .max_length(Some(255))
        .pattern(Some("^[A-Za-z0-9.+_-]+/[A-Za-z0-9.+_-]+$"))
        .examples(["image/png"])
}
value! {
    /// What a file is called.
    FileName, between(1, 500).examples(["tomatoes.png"])
}
value! {
    /// What a person is called.
    DisplayName, between(1, 200).examples(["Nguyễn Thị Ann"])
}
value! {
    /// What something is called elsewhere.
    Identifier, between(1, 200).examples(["wave"])
}
value! {
    /// A few words, a telephone number or an address of e-mail.
    ShortText, between(1, 300).examples(["+84 24 0000 0000"])
}
value! {
    /// Where a place is, in words.
    Address, between(1, 1_000).examples(["1 Phố Tràng Tiền, Hà Nội"])
}
value! {
    /// One emoji (a single grapheme cluster), or a name of 1 to 32 letters, digits, `_`, `+` and `-`, with or
    /// without colons.
    Emoji, text()
        .min_length(Some(1))
        .format(Some(SchemaFormat::Custom("emoji".to_owned())))
        .examples(["👍"])
}
value! {
    /// A user: text, or a whole number, as in the reference.
    UserIdIn, OneOfBuilder::new()
        .item(UserId::schema())
        .item(
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Integer))
                .minimum(Some(i64::MIN))
                .maximum(Some(u64::MAX)),
        )
}
