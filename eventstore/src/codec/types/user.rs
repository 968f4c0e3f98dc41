//! The events of a user: from each to its type's name and shape, and back.

use domain::push::PushTarget;
use domain::user::{Event, Profile, UploadFacts};
use domain::{MessageId, Private, UserId};

use super::{ReadEventError, Shape, Written, clear};
use crate::codec::shapes::{
    AttachmentRemovedV1, AttachmentUploadedV1, ConversationMutedV1, FileNameV1, MessageHiddenV1,
    OfConversationV1, ProfileUpdatedV1, ProfileV1, PushSubscribedV1, PushTargetV1, PushUnsubscribedV1,
    StatusChangedV1,
};

/// How the names of these types begin.
pub(super) const PREFIX: &str = "chat.user.";

const PROFILE_UPDATED: &str = "chat.user.profile_updated.v1";
const ARCHIVED: &str = "chat.user.conversation_archived.v1";
const UNARCHIVED: &str = "chat.user.conversation_unarchived.v1";
const MUTED: &str = "chat.user.conversation_muted.v1";
const UNMUTED: &str = "chat.user.conversation_unmuted.v1";
const HIDDEN: &str = "chat.user.message_hidden.v1";
const PROFILE_CHANGED: &str = "chat.user.profile_changed.v1";
const STATUS_CHANGED: &str = "chat.user.status_changed.v1";
const PUSH_SUBSCRIBED: &str = "chat.user.push_subscribed.v1";
const PUSH_UNSUBSCRIBED: &str = "chat.user.push_unsubscribed.v1";
const ATTACHMENT_UPLOADED: &str = "chat.user.attachment_uploaded.v1";
const ATTACHMENT_REMOVED: &str = "chat.user.attachment_removed.v1";

pub(super) fn write(event: &Event) -> Written {
    let about = |event_type, conversation: &_| {
        clear(
            event_type,
            &OfConversationV1 {
                conversation: *conversation,
            },
        )
    };
    match event {
        Event::ProfileUpdated { user, profile } => write_profile(PROFILE_UPDATED, user, profile),
        Event::ProfileChanged { user, profile } => write_profile(PROFILE_CHANGED, user, profile),
        Event::StatusChanged(status) => clear(STATUS_CHANGED, &StatusChangedV1 { status: *status }),
        Event::Archived(conversation) => about(ARCHIVED, conversation),
        Event::Unarchived(conversation) => about(UNARCHIVED, conversation),
        Event::Muted { conversation, until } => clear(
            MUTED,
            &ConversationMutedV1 {
                conversation: *conversation,
                until: *until,
            },
        ),
        Event::Unmuted(conversation) => about(UNMUTED, conversation),
        Event::Hidden(message) => clear(
            HIDDEN,
            &MessageHiddenV1 {
                conversation: message.conversation,
                ordinal: message.ordinal,
            },
        ),
        Event::PushSubscribed {
            user,
            subscription,
            target,
        } => {
            let body = target.readable().cloned().map(|target| PushTargetV1 {
                endpoint: target.endpoint,
                p256dh: target.p256dh,
                auth: target.auth,
            });
            let data = PushSubscribedV1 {
                user: user.clone(),
                subscription: *subscription,
            };
            clear(PUSH_SUBSCRIBED, &data).sealing(user, body.as_ref())
        }
        Event::PushUnsubscribed(subscription) => clear(
            PUSH_UNSUBSCRIBED,
            &PushUnsubscribedV1 {
                subscription: *subscription,
            },
        ),
        Event::AttachmentUploaded(facts) => write_uploaded(facts),
        Event::AttachmentRemoved(attachment) => clear(
            ATTACHMENT_REMOVED,
            &AttachmentRemovedV1 {
                attachment: *attachment,
            },
        ),
    }
}

fn write_profile(event_type: &'static str, user: &UserId, profile: &Private<Profile>) -> Written {
    let body = profile.readable().cloned().map(|p| ProfileV1 {
        name: p.name,
        avatar: p.avatar,
    });
    clear(event_type, &ProfileUpdatedV1 { user: user.clone() }).sealing(user, body.as_ref())
}

fn read_profile(shape: &Shape<'_>) -> Result<(UserId, Private<Profile>), ReadEventError> {
    let data: ProfileUpdatedV1 = shape.data()?;
    let profile = shape.body(|body: ProfileV1| Profile {
        name: body.name,
        avatar: body.avatar,
    })?;
    Ok((data.user, profile))
}

fn write_uploaded(facts: &UploadFacts) -> Written {
    let data = AttachmentUploadedV1 {
        user: facts.user.clone(),
        attachment: facts.id,
        kind: facts.kind,
        size: facts.size,
        mime_type: facts.mime_type.clone(),
        has_thumbnail: facts.has_thumbnail,
        width: facts.width,
        height: facts.height,
        duration_ms: facts.duration_ms,
    };
    let name = facts.file_name.readable().cloned();
    let body = name.map(|file_name| FileNameV1 { file_name });
    clear(ATTACHMENT_UPLOADED, &data).sealing(&facts.user, body.as_ref())
}

/// Reads an event of a user in its current version.
pub(super) fn read(event_type: &str, shape: &Shape<'_>) -> Result<Event, ReadEventError> {
    let about = || Ok(shape.data::<OfConversationV1>()?.conversation);
    Ok(match event_type {
        PROFILE_UPDATED => {
            let (user, profile) = read_profile(shape)?;
            Event::ProfileUpdated { user, profile }
        }
        PROFILE_CHANGED => {
            let (user, profile) = read_profile(shape)?;
            Event::ProfileChanged { user, profile }
        }
        STATUS_CHANGED => Event::StatusChanged(shape.data::<StatusChangedV1>()?.status),
        ARCHIVED => Event::Archived(about()?),
        UNARCHIVED => Event::Unarchived(about()?),
        MUTED => {
            let data: ConversationMutedV1 = shape.data()?;
            Event::Muted {
                conversation: data.conversation,
                until: data.until,
            }
        }
        UNMUTED => Event::Unmuted(about()?),
        HIDDEN => {
            let data: MessageHiddenV1 = shape.data()?;
            Event::Hidden(MessageId {
                conversation: data.conversation,
                ordinal: data.ordinal,
            })
        }
        PUSH_SUBSCRIBED => {
            let data: PushSubscribedV1 = shape.data()?;
            let target = shape.body(|body: PushTargetV1| PushTarget {
                endpoint: body.endpoint,
                p256dh: body.p256dh,
                auth: body.auth,
            })?;
            Event::PushSubscribed {
                user: data.user,
                subscription: data.subscription,
                target,
            }
        }
        PUSH_UNSUBSCRIBED => Event::PushUnsubscribed(shape.data::<PushUnsubscribedV1>()?.subscription),
        ATTACHMENT_UPLOADED => {
            let data: AttachmentUploadedV1 = shape.data()?;
            Event::AttachmentUploaded(UploadFacts {
                id: data.attachment,
                user: data.user,
                kind: data.kind,
                size: data.size,
                mime_type: data.mime_type,
                has_thumbnail: data.has_thumbnail,
                width: data.width,
                height: data.height,
                duration_ms: data.duration_ms,
                file_name: shape.body(|body: FileNameV1| body.file_name)?,
            })
        }
        ATTACHMENT_REMOVED => {
            let data: AttachmentRemovedV1 = shape.data()?;
            Event::AttachmentRemoved(data.attachment)
        }
        unknown => return Err(ReadEventError::UnknownType(unknown.to_owned())),
    })
}
