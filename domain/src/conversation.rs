//! A conversation: who is in it, and the messages they send.
//!
//! The state is what the rules need and no more, so a conversation of a million messages is as small as
//! one of ten: what the rules need to know of a single message comes with the command, as [`Facts`]. Read
//! marks live beside it, in [`reads`]: they are recorded without contending for the conversation's stream.
//!
//! What happens in a conversation is in `events`, the rules of membership in `members`, those of messages in
//! [`messages`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::permission::{Permission, Role};
use crate::values::{Content, Emoji};
use crate::{Ordinal, UserId};

pub mod body;
mod events;
mod import;
mod members;
pub mod messages;
pub mod reads;

#[cfg(test)]
mod tests;

pub use body::{Body, MessageKind};
pub use events::{Edit, Event, GroupInfo, InfoChange, InfoField, Message, Reaction};
pub use import::ImportedLine;
pub use messages::Facts;

/// The most members that one command may name. A larger group is filled by several commands.
pub const MAX_MEMBERS_AT_ONCE: usize = 10_000;

/// What the rules need to know of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    kind: Option<Kind>,
    owner: Option<UserId>,
    /// The active members. Shared, because a state is cloned far more often than members change.
    members: Arc<BTreeMap<UserId, Member>>,
    /// How many times someone joined: the standing of the next one.
    joins: u64,
    last_ordinal: u64,
    last_imported_line: Option<u64>,
}

/// Direct or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// Two users, for ever the same two.
    Direct,
    /// Any number of members, with roles and an owner.
    Group,
}

/// An active member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What the member may do.
    pub role: Role,
    /// Rank by time of joining: lower has been here longer.
    pub standing: u64,
}

/// What someone wants of a conversation.
#[derive(Clone, Debug)]
pub enum Command {
    /// Open the direct conversation with someone.
    CreateDirect {
        /// The other one.
        with: UserId,
    },
    /// Found a group; the actor becomes its owner and an ADMIN.
    CreateGroup {
        /// The first members beside the founder.
        members: Vec<UserId>,
        /// What the group is called.
        about: GroupInfo,
    },
    /// Add users to a group; those who are members already stay as they are.
    AddMembers {
        /// Whom to add.
        members: Vec<UserId>,
        /// The role they get.
        role: Role,
    },
    /// Change what a group is called; what is not named stays as it is.
    ChangeInfo(InfoChange),
    /// Remove a member from a group.
    RemoveMember {
        /// Whom.
        member: UserId,
    },
    /// Give a member of a group another role.
    ChangeRole {
        /// To whom.
        member: UserId,
        /// Which.
        role: Role,
    },
    /// Leave the group.
    Leave,
    /// Send a message.
    SendMessage {
        /// Its type.
        kind: MessageKind,
        /// What it says.
        body: Body,
        /// The message it answers.
        reply_to: Option<Ordinal>,
    },
    /// Write the text of one's own message anew.
    EditMessage {
        /// Which.
        message: Ordinal,
        /// The new text.
        content: Content,
        /// For how long after it was sent a message may be edited, in milliseconds; `None` is for ever.
        within: Option<u64>,
    },
    /// Delete a message for everyone.
    DeleteMessage {
        /// Which.
        message: Ordinal,
    },
    /// React to a message, or take the same reaction back.
    ToggleReaction {
        /// To which.
        message: Ordinal,
        /// With what.
        emoji: Emoji,
    },
    /// Take a reaction back, if it is there.
    RemoveReaction {
        /// From which message.
        message: Ordinal,
        /// Which.
        emoji: Emoji,
    },
    /// Take in messages of another system. Lines at or below the last one taken in are passed over, so
    /// a repeat changes nothing. A sender who is not a member becomes one.
    Import {
        /// What the group is called; counts on the first import only.
        about: GroupInfo,
        /// The messages, by rising line.
        lines: Vec<ImportedLine>,
    },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no such conversation for this user: it does not exist, or the user is not a member.
    /// Which of the two is nobody's business.
    #[error("the conversation does not exist")]
    NotFound,
    /// The member's role does not allow it.
    #[error("this needs another role in the conversation")]
    Forbidden,
    /// There is a conversation already where one should be created.
    #[error("the conversation exists already")]
    Exists,
    /// A direct conversation with oneself.
    #[error("a direct conversation needs someone else")]
    DirectWithSelf,
    /// The members of a direct conversation never change.
    #[error("the members of a direct conversation never change")]
    DirectMembersFixed,
    /// More members at once than [`MAX_MEMBERS_AT_ONCE`].
    #[error("at most {MAX_MEMBERS_AT_ONCE} members can be named at once")]
    TooManyMembers,
    /// The command is about someone who is not a member.
    #[error("the user is not a member of the conversation")]
    NotAMember(UserId),
    /// A direct conversation is called after the other one.
    #[error("a direct conversation has no name of its own")]
    DirectWithoutInfo,
    /// There is no such message here.
    #[error("there is no message {0} in the conversation")]
    NoSuchMessage(Ordinal),
    /// The message does not say what its type says.
    #[error(transparent)]
    WrongBody(#[from] body::BodyError),
    /// The message was deleted for everyone.
    #[error("the message was deleted")]
    Deleted,
    /// The message is someone else's.
    #[error("the message is someone else's")]
    NotTheAuthor,
    /// Only texts are edited.
    #[error("only a text can be edited")]
    NotAText,
    /// It was sent too long ago.
    #[error("the message was sent too long ago to be edited")]
    EditWindowOver,
    /// More reactions of one user to one message than [`messages::MAX_REACTIONS`].
    #[error("at most {} different reactions to a message", messages::MAX_REACTIONS)]
    TooManyReactions,
    /// The command needs someone who sends it.
    #[error("the command needs a user who sends it")]
    NoActor,
}

impl Conversation {
    /// The active member with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for everyone else.
    pub fn member(&self, user: &UserId) -> Result<&Member, Error> {
        self.members.get(user).ok_or(Error::NotFound)
    }

    /// The active members.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &UserId> {
        self.members.keys()
    }

    /// The ordinal of the newest message; 0 when there is none.
    #[must_use]
    pub const fn last_ordinal(&self) -> u64 {
        self.last_ordinal
    }

    /// The newest line that an import took in.
    #[must_use]
    pub const fn last_imported_line(&self) -> Option<u64> {
        self.last_imported_line
    }

    fn authorize(&self, context: &Context, permission: Permission) -> Result<UserId, Error> {
        let actor = context.actor.clone().ok_or(Error::NoActor)?;
        if self.member(&actor)?.role.allows(permission) {
            Ok(actor)
        } else {
            Err(Error::Forbidden)
        }
    }

    fn check_message(&self, ordinal: Ordinal) -> Result<(), Error> {
        if ordinal.get() <= self.last_ordinal {
            Ok(())
        } else {
            Err(Error::NoSuchMessage(ordinal))
        }
    }
}

impl Aggregate for Conversation {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(state: &Self, command: &Command, context: &Context) -> Result<Vec<Event>, Error> {
        match command {
            Command::CreateDirect { with } => members::create_direct(state, with, context),
            Command::CreateGroup { members, about } => members::create_group(state, members, about, context),
            Command::AddMembers { members, role } => members::add(state, members, *role, context),
            Command::ChangeInfo(change) => members::change_info(state, change, context),
            Command::RemoveMember { member } => members::remove(state, member, context),
            Command::ChangeRole { member, role } => members::change_role(state, member, *role, context),
            Command::Leave => members::leave(state, context),
            Command::SendMessage { kind, body, reply_to } => {
                messages::send(state, *kind, body, *reply_to, context)
            }
            Command::EditMessage {
                message,
                content,
                within,
            } => messages::edit(state, *message, content, *within, context),
            Command::DeleteMessage { message } => messages::delete(state, *message, context),
            Command::ToggleReaction { message, emoji } => messages::toggle(state, *message, emoji, context),
            Command::RemoveReaction { message, emoji } => messages::unreact(state, *message, emoji, context),
            Command::Import { about, lines } => import::decide(state, about, lines),
        }
    }

    fn evolve(state: &mut Self, event: &Event) {
        match event {
            Event::Created {
                kind, owner, members, ..
            } => {
                state.kind = Some(*kind);
                state.owner.clone_from(owner);
                state.join(members);
            }
            Event::MembersAdded { members } => state.join(members),
            Event::MemberLeft { member, new_owner } => {
                state.part(member);
                if state.owner.as_ref() == Some(member) {
                    state.owner.clone_from(new_owner);
                }
            }
            Event::MemberRemoved { member } => state.part(member),
            Event::RoleChanged { member, role } => state.give_role(member, *role),
            Event::MessageSent(message) => {
                state.last_ordinal = message.ordinal.get();
                state.last_imported_line = message.imported_line.or(state.last_imported_line);
            }
            // What the rules need of these comes as facts of their message.
            Event::InfoChanged { .. }
            | Event::MessageEdited(_)
            | Event::MessageDeleted { .. }
            | Event::ReactionAdded(_)
            | Event::ReactionRemoved(_) => {}
        }
    }
}
