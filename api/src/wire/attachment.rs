//! Files of messages as they are shown.

use domain::AttachmentId;
use domain::conversation::body::{Attachment as Linked, AttachmentKind, Upload};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::{bodies, values};

/// A file of a message, or one that may come with some.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownAttachment)]
pub struct Attachment {
    /// Of one that was uploaded here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = values::AttachmentId, required = false)]
    id: Option<AttachmentId>,
    #[serde(rename = "type")]
    #[schema(value_type = bodies::AttachmentType)]
    kind: AttachmentKind,
    #[schema(value_type = values::FileName)]
    file_name: String,
    #[schema(value_type = values::FileUrl)]
    file_url: String,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    file_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = values::MediaType, required = false)]
    mime_type: Option<String>,
    /// A small picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = values::FileUrl, required = false)]
    thumbnail: Option<String>,
    /// Pixels across.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    width: Option<u32>,
    /// Pixels down.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    height: Option<u32>,
    /// Seconds that it plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duration: Option<f64>,
}

impl Attachment {
    /// A file that was uploaded, at these URLs.
    #[must_use]
    pub fn uploaded(upload: Upload, file_url: String, thumbnail: Option<String>) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a duration needs no more than 53 bits")]
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        Self {
            id: Some(upload.id),
            kind: upload.kind,
            file_name: upload.file_name.into(),
            file_url,
            file_size: Some(upload.size),
            mime_type: Some(upload.mime_type.into()),
            thumbnail,
            width: upload.width,
            height: upload.height,
            duration: upload.duration_ms.map(seconds),
        }
    }
}

impl From<Linked> for Attachment {
    fn from(linked: Linked) -> Self {
        Self {
            id: None,
            kind: linked.kind,
            file_name: linked.file_name.into(),
            file_url: linked.file_url.into(),
            file_size: linked.file_size,
            mime_type: linked.mime_type.map(String::from),
            thumbnail: linked.thumbnail.map(String::from),
            width: linked.width,
            height: linked.height,
            duration: linked.duration,
        }
    }
}
