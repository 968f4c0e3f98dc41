//! Files that users uploaded, as their streams hold them. That a file is used in a message is the
//! conversation's matter; that nobody uses it any more is found in the read model.

use crate::conversation::body::{AttachmentKind, Upload};
use crate::values::{FileName, MediaType};
use crate::{AttachmentId, Private, UserId};

/// A file that was uploaded: what was found in its bytes, and what its user called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadFacts {
    /// The file.
    pub id: AttachmentId,
    /// Who uploaded it, and whose words `file_name` holds.
    pub user: UserId,
    /// What it is.
    pub kind: AttachmentKind,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    pub mime_type: MediaType,
    /// Whether there is a small picture of it.
    pub has_thumbnail: bool,
    /// Pixels across.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// How long it plays, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What it is called. Once that is erased, nothing of the file is kept.
    pub file_name: Private<FileName>,
}

impl UploadFacts {
    /// What is recorded of an upload of this user.
    #[must_use]
    pub fn of(upload: &Upload, user: UserId) -> Self {
        Self {
            id: upload.id,
            user,
            kind: upload.kind,
            size: upload.size,
            mime_type: upload.mime_type.clone(),
            has_thumbnail: upload.has_thumbnail,
            width: upload.width,
            height: upload.height,
            duration_ms: upload.duration_ms,
            file_name: Private::Readable(upload.file_name.clone()),
        }
    }

    /// The upload; `None` when its user was erased.
    #[must_use]
    pub fn readable(&self) -> Option<Upload> {
        Some(Upload {
            id: self.id,
            kind: self.kind,
            file_name: self.file_name.readable()?.clone(),
            size: self.size,
            mime_type: self.mime_type.clone(),
            has_thumbnail: self.has_thumbnail,
            width: self.width,
            height: self.height,
            duration_ms: self.duration_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, user};
    use crate::user::{Command, Error, Event, User};

    fn upload() -> Upload {
        Upload {
            id: AttachmentId::from_bytes([7; 16]),
            kind: AttachmentKind::Image,
            file_name: FileName::parse("a.png").unwrap(),
            size: 9,
            mime_type: MediaType::parse("image/png").unwrap(),
            has_thumbnail: true,
            width: Some(3),
            height: Some(4),
            duration_ms: None,
        }
    }

    #[test]
    fn an_upload_is_recorded_as_its_users() {
        let facts = UploadFacts::of(&upload(), user("ann"));
        assert_eq!(facts.readable(), Some(upload()));
        given::<User>([])
            .when("ann", Command::Upload(upload()))
            .then([Event::AttachmentUploaded(facts.clone())]);
        given::<User>([])
            .when_system(Command::Upload(upload()))
            .then_refused(Error::NoActor);
        let erased = UploadFacts {
            file_name: Private::Erased,
            ..facts
        };
        assert_eq!(erased.readable(), None);
    }

    #[test]
    fn an_upload_is_removed_by_whoever_finds_it_unused() {
        given::<User>([])
            .when_system(Command::RemoveAttachment(upload().id))
            .then([Event::AttachmentRemoved(upload().id)]);
    }
}
