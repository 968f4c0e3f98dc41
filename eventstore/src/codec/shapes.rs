//! The shapes of events on disk. A shape that was ever released is never changed: golden files hold
//! every one of them.

use domain::conversation::body::{Attachment, AttachmentKind, Card, File};
use domain::conversation::{InfoField, Kind, MessageKind};
use domain::permission::Role;
use domain::push::{PushEndpoint, PushPoint, PushSecret};
use domain::user::Status;
use domain::values::{Avatar, Content, Description, DisplayName, FileName, GroupName, MediaType};
use domain::{AttachmentId, ClientId, ConversationId, Ordinal, PushId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberV1 {
    pub(super) user: UserId,
    pub(super) role: Role,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversationCreatedV1 {
    pub(super) kind: Kind,
    pub(super) founder: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<UserId>,
    pub(super) members: Vec<MemberV1>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupInfoV1 {
    pub(super) name: GroupName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Description>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Avatar>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersAddedV1 {
    pub(super) members: Vec<MemberV1>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MemberLeftV1 {
    pub(super) member: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) new_owner: Option<UserId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRemovedV1 {
    pub(super) member: UserId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChangedV1 {
    pub(super) member: UserId,
    pub(super) role: Role,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InfoChangedV1 {
    pub(super) by: UserId,
    pub(super) fields: Vec<InfoField>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InfoChangeV1 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<GroupName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Description>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Avatar>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageSentV1 {
    pub(super) ordinal: Ordinal,
    pub(super) sender: UserId,
    #[serde(rename = "type")]
    pub(super) kind: MessageKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<Ordinal>,
    pub(super) sent_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) imported_line: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageBodyV1 {
    pub(super) content: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<ClientId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageBodyV2 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attachments: Vec<Attachment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) card: Option<Card>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<ClientId>,
}

/// As the second version, and with files that were uploaded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageBodyV3 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content>,
    pub(super) attachments: Vec<File>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<ClientId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MessageEditedV1 {
    pub(super) ordinal: Ordinal,
    pub(super) sender: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<Ordinal>,
    pub(super) sent_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageTextV1 {
    pub(super) content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageDeletedV1 {
    pub(super) ordinal: Ordinal,
    pub(super) by: UserId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReactionV1 {
    pub(super) ordinal: Ordinal,
    pub(super) user: UserId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmojiV1 {
    pub(super) emoji: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadMarkedV1 {
    pub(super) member: UserId,
    pub(super) up_to: Ordinal,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkedUnreadV1 {
    pub(super) member: UserId,
    pub(super) mark: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileUpdatedV1 {
    pub(super) user: UserId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileV1 {
    pub(super) name: DisplayName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) avatar: Option<Avatar>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfConversationV1 {
    pub(super) conversation: ConversationId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversationMutedV1 {
    pub(super) conversation: ConversationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageHiddenV1 {
    pub(super) conversation: ConversationId,
    pub(super) ordinal: Ordinal,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusChangedV1 {
    pub(super) status: Status,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushSubscribedV1 {
    pub(super) user: UserId,
    pub(super) subscription: PushId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AttachmentUploadedV1 {
    pub(super) user: UserId,
    pub(super) attachment: AttachmentId,
    #[serde(rename = "type")]
    pub(super) kind: AttachmentKind,
    pub(super) size: u64,
    pub(super) mime_type: MediaType,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_thumbnail: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) duration_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FileNameV1 {
    pub(super) file_name: FileName,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushTargetV1 {
    pub(super) endpoint: PushEndpoint,
    pub(super) p256dh: PushPoint,
    pub(super) auth: PushSecret,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushUnsubscribedV1 {
    pub(super) subscription: PushId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttachmentRemovedV1 {
    pub(super) attachment: AttachmentId,
}
