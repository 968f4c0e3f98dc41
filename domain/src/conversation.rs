//! A conversation: who is in it, and the messages they send.
//!
//! The state is what the rules need and no more, so a conversation of a million messages is as small as
//! one of ten. Read marks live beside it, in [`reads`]: they are recorded without contending for the
//! conversation's stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::permission::{Permission, Role};
use crate::values::{Avatar, Content, Description, GroupName};
use crate::{ClientId, Ordinal, Private, Timestamp, UserId};

mod import;
pub mod reads;

#[cfg(test)]
mod tests;

pub use import::ImportedLine;

/// The most members that one command may name. A larger group is filled by several commands.
pub const MAX_MEMBERS_AT_ONCE: usize = 1_000;

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

/// The type of a message. Only text so far: a type is added together with the shape of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MessageKind {
    /// Plain text.
    Text,
}

impl MessageKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
        }
    }
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
    /// Leave the group.
    Leave,
    /// Send a message.
    SendMessage {
        /// Its text.
        content: Content,
        /// The message it answers.
        reply_to: Option<Ordinal>,
        /// What the client calls this send.
        client_id: Option<ClientId>,
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
    /// A message was sent.
    MessageSent(Message),
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

/// What the sender of a message wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The text.
    pub content: Content,
    /// What the client called this send.
    pub client_id: Option<ClientId>,
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
    /// There is no such message here.
    #[error("there is no message {0} in the conversation")]
    NoSuchMessage(Ordinal),
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

    fn join(&mut self, joining: &[(UserId, Role)]) {
        let members = Arc::make_mut(&mut self.members);
        for (user, role) in joining {
            members.insert(
                user.clone(),
                Member {
                    role: *role,
                    standing: self.joins,
                },
            );
            self.joins += 1;
        }
    }

    /// Who takes over from the owner: the longest-standing ADMIN, then MODERATOR, then MEMBER.
    fn successor(&self, leaving: &UserId) -> Option<UserId> {
        let remaining = self.members.iter().filter(|(user, _)| *user != leaving);
        let (heir, _) = remaining.min_by_key(|(_, m)| (std::cmp::Reverse(m.role), m.standing))?;
        Some(heir.clone())
    }
}

impl Aggregate for Conversation {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(state: &Self, command: &Command, context: &Context) -> Result<Vec<Event>, Error> {
        match command {
            Command::CreateDirect { with } => create_direct(state, with, context),
            Command::CreateGroup { members, about } => create_group(state, members, about, context),
            Command::AddMembers { members, role } => add_members(state, members, *role, context),
            Command::Leave => leave(state, context),
            Command::SendMessage {
                content,
                reply_to,
                client_id,
            } => {
                let sender = state.authorize(context, Permission::Participate)?;
                reply_to.map_or(Ok(()), |answered| state.check_message(answered))?;
                Ok(vec![Event::MessageSent(Message {
                    ordinal: Ordinal::after(state.last_ordinal),
                    sender,
                    kind: MessageKind::Text,
                    body: Private::Readable(Body {
                        content: content.clone(),
                        client_id: client_id.clone(),
                    }),
                    reply_to: *reply_to,
                    sent_at: context.now,
                    imported_line: None,
                })])
            }
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
                Arc::make_mut(&mut state.members).remove(member);
                if state.owner.as_ref() == Some(member) {
                    state.owner.clone_from(new_owner);
                }
            }
            Event::MessageSent(message) => {
                state.last_ordinal = message.ordinal.get();
                state.last_imported_line = message.imported_line.or(state.last_imported_line);
            }
        }
    }
}

fn create_direct(state: &Conversation, with: &UserId, context: &Context) -> Result<Vec<Event>, Error> {
    let founder = context.actor.clone().ok_or(Error::NoActor)?;
    if *with == founder {
        return Err(Error::DirectWithSelf);
    }
    if state.kind.is_some() {
        // The id is made of the two, so what is there is what was wished for.
        state.member(&founder)?;
        return Ok(Vec::new());
    }
    Ok(vec![Event::Created {
        kind: Kind::Direct,
        members: vec![(founder.clone(), Role::Member), (with.clone(), Role::Member)],
        founder,
        owner: None,
        about: None,
    }])
}

fn create_group(
    state: &Conversation,
    members: &[UserId],
    about: &GroupInfo,
    context: &Context,
) -> Result<Vec<Event>, Error> {
    let founder = context.actor.clone().ok_or(Error::NoActor)?;
    if state.kind.is_some() {
        return Err(Error::Exists);
    }
    if members.len() > MAX_MEMBERS_AT_ONCE {
        return Err(Error::TooManyMembers);
    }
    let mut joining = vec![(founder.clone(), Role::Admin)];
    let mut seen = BTreeSet::from([&founder]);
    joining.extend(
        members
            .iter()
            .filter(|m| seen.insert(m))
            .map(|m| (m.clone(), Role::Member)),
    );
    Ok(vec![Event::Created {
        kind: Kind::Group,
        members: joining,
        owner: Some(founder.clone()),
        founder,
        about: Some(Private::Readable(about.clone())),
    }])
}

fn add_members(
    state: &Conversation,
    members: &[UserId],
    role: Role,
    context: &Context,
) -> Result<Vec<Event>, Error> {
    let actor = context.actor.as_ref().ok_or(Error::NoActor)?;
    state.member(actor)?;
    if state.kind == Some(Kind::Direct) {
        return Err(Error::DirectMembersFixed);
    }
    state.authorize(context, Permission::AddMembers)?;
    if role != Role::Member {
        state.authorize(context, Permission::GrantRoles)?;
    }
    if members.len() > MAX_MEMBERS_AT_ONCE {
        return Err(Error::TooManyMembers);
    }
    let mut seen = BTreeSet::new();
    let joining: Vec<_> = members
        .iter()
        .filter(|user| !state.members.contains_key(user) && seen.insert(*user))
        .map(|user| (user.clone(), role))
        .collect();
    Ok(if joining.is_empty() {
        Vec::new()
    } else {
        vec![Event::MembersAdded { members: joining }]
    })
}

fn leave(state: &Conversation, context: &Context) -> Result<Vec<Event>, Error> {
    let member = context.actor.clone().ok_or(Error::NoActor)?;
    state.member(&member)?;
    if state.kind == Some(Kind::Direct) {
        return Err(Error::DirectMembersFixed);
    }
    let hands_over = state.owner.as_ref() == Some(&member);
    let new_owner = if hands_over {
        state.successor(&member)
    } else {
        None
    };
    Ok(vec![Event::MemberLeft { member, new_owner }])
}
