//! What is in a message beside its text, as the document describes it: the shapes of `domain::conversation::body`,
//! which knows nothing of documents.

use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::values;

/// A file that comes with a message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({
    "type": "IMAGE", "fileName": "tomatoes.png", "fileUrl": "https://files.example.org/tomatoes.png",
    "fileSize": 48_213, "mimeType": "image/png", "width": 1280, "height": 720
}))]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Attachment {
    #[schema(rename = "type")]
    pub kind: AttachmentType,
    #[schema(value_type = values::FileName)]
    pub file_name: String,
    #[schema(value_type = values::SecureUrl)]
    pub file_url: String,
    /// Bytes.
    #[schema(minimum = 1, maximum = 104_857_600)]
    pub file_size: Option<u64>,
    #[schema(value_type = Option<values::MediaType>)]
    pub mime_type: Option<String>,
    /// A small picture of it.
    #[schema(value_type = Option<values::SecureUrl>)]
    pub thumbnail: Option<String>,
    /// Pixels across.
    #[schema(maximum = 4_294_967_295_u64)]
    pub width: Option<u64>,
    /// Pixels down.
    #[schema(maximum = 4_294_967_295_u64)]
    pub height: Option<u64>,
    /// Seconds that it plays, at most a year.
    #[schema(minimum = 0, maximum = 31_622_400)]
    pub duration: Option<f64>,
}

/// A file to send: an upload by its id, or a link to somewhere else.
pub struct Attached;

impl PartialSchema for Attached {
    fn schema() -> RefOr<Schema> {
        let reference = |name| RefOr::Ref(Ref::from_schema_name(name));
        OneOfBuilder::new()
            .item(reference(Uploaded::name()))
            .item(reference(Attachment::name()))
            .into()
    }
}

impl ToSchema for Attached {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Uploaded::name().into(), Uploaded::schema()));
        schemas.push((Attachment::name().into(), Attachment::schema()));
        Uploaded::schemas(schemas);
        Attachment::schemas(schemas);
    }
}

/// One's own upload, not older than a day.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Uploaded {
    #[schema(value_type = values::AttachmentId)]
    pub attachment_id: String,
}

/// What a file is.
#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "described where they are defined")]
pub enum AttachmentType {
    Image,
    Video,
    Audio,
    Document,
}

/// What a message has that is neither text nor file: one of the three at most.
#[derive(ToSchema)]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Cards {
    #[schema(nullable = false)]
    pub sticker: Option<Sticker>,
    #[schema(nullable = false)]
    pub location: Option<Location>,
    #[schema(nullable = false)]
    pub contact: Option<Contact>,
}

/// A sticker, out of a pack that the product knows, or somewhere on the web.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"id": "wave", "packId": "garden"}))]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Sticker {
    #[schema(value_type = values::Identifier)]
    pub id: String,
    #[schema(value_type = Option<values::Identifier>)]
    pub pack_id: Option<String>,
    #[schema(value_type = Option<values::SecureUrl>)]
    pub url: Option<String>,
}

/// A place on earth.
#[derive(ToSchema)]
#[schema(example = json!({"latitude": 21.0285, "longitude": 105.8542, "name": "Hà Nội"}))]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Location {
    /// Degrees north of the equator.
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: f64,
    /// Degrees east of Greenwich.
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: f64,
    #[schema(value_type = Option<values::ShortText>)]
    pub name: Option<String>,
    #[schema(value_type = Option<values::Address>)]
    pub address: Option<String>,
}

/// How somebody can be reached: by at least one of `userId`, `phoneNumbers` and `emails`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"name": "Bob", "userId": "bob"}))]
#[allow(missing_docs, reason = "described where they are defined")]
pub struct Contact {
    #[schema(value_type = values::DisplayName)]
    pub name: String,
    #[schema(value_type = Option<values::UserIdIn>)]
    pub user_id: Option<String>,
    #[schema(required = false, max_items = 10, value_type = Vec<values::ShortText>)]
    pub phone_numbers: Vec<String>,
    #[schema(required = false, max_items = 10, value_type = Vec<values::ShortText>)]
    pub emails: Vec<String>,
}
