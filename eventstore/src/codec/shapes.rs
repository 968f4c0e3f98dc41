//! The shapes of events on disk. A shape that was ever released is never changed: golden files hold
//! every one of them.

use domain::conversation::{Kind, MessageKind};
use domain::permission::Role;
use domain::values::{Avatar, Content, Description, DisplayName, GroupName};
use domain::{ClientId, Ordinal, Timestamp, UserId};
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
