//! The events of files that were uploaded, by the names of their golden files.

use domain::AttachmentId;
use domain::conversation::body::File;
use domain::user::UploadFacts;

use super::*;

pub(super) fn uploaded() -> UploadFacts {
    UploadFacts {
        id: AttachmentId::from_bytes([6; 16]),
        user: user("bob"),
        kind: AttachmentKind::Video,
        size: 2_048,
        mime_type: MediaType::parse("video/mp4").unwrap(),
        has_thumbnail: false,
        width: Some(640),
        height: Some(480),
        duration_ms: Some(1_500),
        file_name: Private::Readable(FileName::parse("Ann.mp4").unwrap()),
    }
}

pub(super) fn catalogue() -> Vec<(&'static str, Event)> {
    vec![
        (
            "message.sent.uploads.v3",
            Event::Conversation(Happened::MessageSent(Message {
                ordinal: ordinal(5),
                sender: user("bob"),
                kind: MessageKind::Video,
                body: Private::Readable(Body {
                    content: Some(Content::parse("chào").unwrap()),
                    attachments: vec![File::Uploaded(uploaded().readable().unwrap()), picture().into()],
                    card: None,
                    client_id: None,
                }),
                reply_to: None,
                sent_at: Timestamp::from_millis(1_100_000_000_000),
                imported_line: None,
            })),
        ),
        (
            "user.attachment_uploaded.v1",
            Event::User(UserEvent::AttachmentUploaded(uploaded())),
        ),
        (
            "user.attachment_removed.v1",
            Event::User(UserEvent::AttachmentRemoved(uploaded().id)),
        ),
    ]
}
