//! What happens in a conversation, and what people write there.

use serde::{Deserialize, Serialize};

use super::{Body, Kind, MessageKind};
use crate::permission::Role;
use crate::values::{Avatar, Content, Description, Emoji, GroupName};
use crate::{Ordinal, Private, Timestamp, UserId};

/// What people wrote about a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its name.
    pub name: GroupName,
    /// What it is about.
    pub description: Option<Description>,
    /// Its picture.
    pub avatar: Option<Avatar>,
}

/// What of a [`GroupInfo`] is to be another: each field that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InfoChange {
    /// Another name.
    pub name: Option<GroupName>,
    /// Another description, or none.
    pub description: Option<Option<Description>>,
    /// Another picture, or none.
    pub avatar: Option<Option<Avatar>>,
}

/// A field of a [`GroupInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InfoField {
    /// Its name.
    Name,
    /// What it is about.
    Description,
    /// Its picture.
    Avatar,
}

impl InfoChange {
    /// The fields that are named.
    #[must_use]
    pub fn fields(&self) -> Vec<InfoField> {
        let named = [
            self.name.as_ref().map(|_| InfoField::Name),
            self.description.as_ref().map(|_| InfoField::Description),
            self.avatar.as_ref().map(|_| InfoField::Avatar),
        ];
        named.into_iter().flatten().collect()
    }
}

/// What happened in a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The conversation exists.
    Created {
        /// Direct or group.
        kind: Kind,
        /// Who founded it and whose words `about` holds.
        founder: UserId,
        /// The owner of a group; a direct conversation has none.
        owner: Option<UserId>,
        /// The first members with their roles, the founder first.
        members: Vec<(UserId, Role)>,
        /// What the group is called; a direct conversation is called after the other one.
        about: Option<Private<GroupInfo>>,
    },
    /// These users are members now, with everything before read.
    MembersAdded {
        /// Who joined, in order.
        members: Vec<(UserId, Role)>,
    },
    /// A member is none any more.
    MemberLeft {
        /// Who left.
        member: UserId,
        /// The new owner, when the owner left and someone remains.
        new_owner: Option<UserId>,
    },
    /// A member was removed by another one.
    MemberRemoved {
        /// Who is none any more.
        member: UserId,
    },
    /// A member has another role.
    RoleChanged {
        /// Who.
        member: UserId,
        /// Which.
        role: Role,
    },
    /// The group is called otherwise.
    InfoChanged {
        /// Whose words `change` holds.
        by: UserId,
        /// The fields that are others now, so that an erased change leaves them empty.
        fields: Vec<InfoField>,
        /// What they are.
        change: Private<InfoChange>,
    },
    /// A message was sent.
    MessageSent(Message),
    /// The text of a message was written anew by its sender.
    MessageEdited(Edit),
    /// A message was deleted for everyone.
    MessageDeleted {
        /// Which.
        message: Ordinal,
        /// By whom.
        by: UserId,
    },
    /// Someone reacted to a message.
    ReactionAdded(Reaction),
    /// Someone took a reaction back.
    ReactionRemoved(Reaction),
}

/// A new text of a message, with what of the message an index or a live frame needs beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The message.
    pub message: Ordinal,
    /// Who sent it, and wrote this.
    pub sender: UserId,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it.
    pub sent_at: Timestamp,
    /// The new text.
    pub content: Private<Content>,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The message.
    pub message: Ordinal,
    /// Who reacted.
    pub user: UserId,
    /// With what.
    pub emoji: Private<Emoji>,
}

/// A message as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its number in the conversation.
    pub ordinal: Ordinal,
    /// Who sent it.
    pub sender: UserId,
    /// Its type.
    pub kind: MessageKind,
    /// What the sender wrote.
    pub body: Private<Body>,
    /// The message it answers.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it; an import keeps the original time.
    pub sent_at: Timestamp,
    /// The line of the source it was imported from.
    pub imported_line: Option<u64>,
}
