//! Files that were uploaded here, beside those that lie somewhere else.

use serde::{Deserialize, Serialize};

use super::{Attachment, AttachmentKind};
use crate::AttachmentId;
use crate::values::{FileName, MediaType};

/// A file that comes with a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum File {
    /// One that was uploaded. First, for it alone has an id.
    Uploaded(Upload),
    /// One that lies somewhere else.
    Linked(Attachment),
}

impl File {
    /// The file's id, if it was uploaded.
    #[must_use]
    pub const fn uploaded(&self) -> Option<AttachmentId> {
        match self {
            Self::Uploaded(upload) => Some(upload.id),
            Self::Linked(_) => None,
        }
    }
}

impl From<Attachment> for File {
    fn from(attachment: Attachment) -> Self {
        Self::Linked(attachment)
    }
}

/// A file that was uploaded: what it is called, and what was found in its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Upload {
    /// The file.
    pub id: AttachmentId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: AttachmentKind,
    /// What it is called.
    pub file_name: FileName,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    pub mime_type: MediaType,
    /// Whether there is a small picture of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_thumbnail: bool,
    /// Pixels across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// How long it plays, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}
