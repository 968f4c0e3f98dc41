//! Histories to fold: commits as a log would hold them, spelled shortly.

use std::collections::HashMap;

use domain::conversation::reads::Event as Read;
use domain::conversation::{Body, Edit, Event as Happened, GroupInfo, Kind, Message, MessageKind, Reaction};
use domain::permission::Role;
use domain::testing::user;
use domain::user::{Event as UserEvent, Profile};
use domain::values::{Avatar, Content, Description, DisplayName, Emoji, GroupName};
use domain::{CommitId, ConversationId, EventId, MessageId, Ordinal, Private, TenantId, Timestamp};
use eventstore::consumer::Checkpoint;
use eventstore::envelope::{CommandTag, Commit, Event, Recorded, Trace};
use eventstore::log::Epoch;
use eventstore::subject::Stream;

use crate::intake::take_in;
use crate::store::ProjectionStore;
use crate::view::{ListCursor, ListFilter, ListRange};

/// The tenant of a history, unless told otherwise.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// The ordinal with this number.
#[must_use]
pub fn ordinal(number: u64) -> Ordinal {
    Ordinal::new(number).unwrap()
}

/// The time of the commit with this sequence in a [`History`].
#[must_use]
pub const fn at(sequence: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + sequence.cast_signed() * 1_000)
}

/// When a store is asked, unless told otherwise: long after everything in a [`History`].
pub const NOW: Timestamp = at(1_000_000);

/// All conversations, a page of so many.
#[must_use]
pub const fn list(limit: u32, after: Option<ListCursor>) -> ListRange<'static> {
    ListRange {
        limit,
        after,
        filter: ListFilter::ALL,
    }
}

/// A shard's commits as they come, each a second after the one before.
#[derive(Clone, Debug)]
pub struct History {
    /// Whose conversations and users the next events are of.
    pub tenant: TenantId,
    /// Where a store that took everything in stands, once [`History::settle`] was called.
    pub checkpoint: Checkpoint,
    /// What was not taken in yet.
    pub pending: Vec<Commit>,
    /// The command that the next commit comes from.
    pub command: Option<CommandTag>,
    /// Whether what people write from now on cannot be read any more.
    pub erased: bool,
    sequence: u64,
    versions: HashMap<Stream, u64>,
    ordinals: HashMap<ConversationId, u64>,
}

impl Default for History {
    fn default() -> Self {
        Self::of(Epoch::draw(), 0)
    }
}

impl History {
    /// Nothing happened yet in this shard of this log.
    #[must_use]
    pub fn of(epoch: Epoch, shard: u16) -> Self {
        Self {
            tenant: tenant(),
            checkpoint: Checkpoint::start(epoch, shard),
            pending: Vec::new(),
            command: None,
            erased: false,
            sequence: 0,
            versions: HashMap::new(),
            ordinals: HashMap::new(),
        }
    }

    /// The sequence of the newest commit.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Lets the store take in what it does not have yet, in one batch.
    pub async fn settle(&mut self, store: &dyn ProjectionStore) {
        let commits = std::mem::take(&mut self.pending);
        let since = Timestamp::from_millis(0);
        self.checkpoint = take_in(store, self.checkpoint, commits, since).await.unwrap();
    }

    /// One commit; answers its sequence.
    pub fn commit(&mut self, stream: &Stream, events: Vec<Event>) -> u64 {
        self.sequence += 1;
        let id = u128::from(self.checkpoint.shard) << 96 | u128::from(self.sequence) << 32;
        let command = self.command.take();
        let mut recorded = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let version = self.versions.entry(stream.clone()).or_default();
            *version += 1;
            recorded.push(Recorded {
                id: EventId::from_bytes((id + index as u128).to_be_bytes()),
                version: *version,
                actor: None,
                command,
                trace: Trace::default(),
                event,
            });
        }
        self.pending.push(Commit {
            id: CommitId::from_bytes(id.to_be_bytes()),
            shard: self.checkpoint.shard,
            sequence: self.sequence,
            stream: stream.clone(),
            time: at(self.sequence),
            events: recorded,
        });
        self.sequence
    }

    /// One commit of a conversation; answers its sequence.
    pub fn happened(&mut self, id: ConversationId, events: impl IntoIterator<Item = Happened>) -> u64 {
        let stream = Stream::Conversation(self.tenant.clone(), id);
        self.commit(&stream, events.into_iter().map(Event::Conversation).collect())
    }

    fn private<T>(&self, readable: T) -> Private<T> {
        if self.erased {
            Private::Erased
        } else {
            Private::Readable(readable)
        }
    }

    /// A group of these members, the first of them its owner.
    pub fn group(&mut self, number: u8, members: &[&str]) -> ConversationId {
        let id = ConversationId::from_bytes([number; 16]);
        let role = |index| if index == 0 { Role::Admin } else { Role::Member };
        let about = GroupInfo {
            name: GroupName::parse(format!("group {number}")).unwrap(),
            description: Some(Description::parse("what it is about").unwrap()),
            avatar: Some(Avatar::parse("https://example.org/group.png").unwrap()),
        };
        let created = Happened::Created {
            kind: Kind::Group,
            founder: user(members[0]),
            owner: Some(user(members[0])),
            members: members
                .iter()
                .enumerate()
                .map(|(index, id)| (user(id), role(index)))
                .collect(),
            about: Some(self.private(about)),
        };
        self.happened(id, [created]);
        id
    }

    /// The direct conversation of two.
    pub fn direct(&mut self, one: &str, other: &str) -> ConversationId {
        let id = ConversationId::direct(&self.tenant, &user(one), &user(other));
        let created = Happened::Created {
            kind: Kind::Direct,
            founder: user(one),
            owner: None,
            members: [one, other].map(|id| (user(id), Role::Member)).to_vec(),
            about: None,
        };
        self.happened(id, [created]);
        id
    }

    /// A message; its text names the sender and the ordinal.
    pub fn send(&mut self, id: ConversationId, sender: &str) -> MessageId {
        let message = self.message(id, sender);
        let ordinal = message.ordinal;
        self.happened(id, [Happened::MessageSent(message)]);
        MessageId {
            conversation: id,
            ordinal,
        }
    }

    /// A message of this type, that says this.
    pub fn send_body(
        &mut self,
        id: ConversationId,
        sender: &str,
        kind: MessageKind,
        body: Body,
    ) -> MessageId {
        let message = Message {
            kind,
            body: self.private(body),
            ..self.message(id, sender)
        };
        let ordinal = message.ordinal;
        self.happened(id, [Happened::MessageSent(message)]);
        MessageId {
            conversation: id,
            ordinal,
        }
    }

    /// Messages of these senders in one commit.
    pub fn send_all(&mut self, id: ConversationId, senders: &[&str]) {
        let messages: Vec<_> = senders.iter().map(|sender| self.message(id, sender)).collect();
        self.happened(id, messages.into_iter().map(Happened::MessageSent));
    }

    fn message(&mut self, id: ConversationId, sender: &str) -> Message {
        let last = self.ordinals.entry(id).or_default();
        *last += 1;
        let ordinal = ordinal(*last);
        let content = Content::parse(format!("{sender} says {ordinal}")).unwrap();
        Message {
            ordinal,
            sender: user(sender),
            kind: MessageKind::Text,
            body: self.private(Body::text(content, None)),
            reply_to: Ordinal::new(ordinal.get() - 1),
            sent_at: Timestamp::from_millis(500 + ordinal.get().cast_signed()),
            imported_line: None,
        }
    }

    /// Users join, or join again.
    pub fn join(&mut self, id: ConversationId, members: &[&str]) {
        let members = members.iter().map(|id| (user(id), Role::Member)).collect();
        self.happened(id, [Happened::MembersAdded { members }]);
    }

    /// A member leaves.
    pub fn leave(&mut self, id: ConversationId, member: &str, new_owner: Option<&str>) {
        let left = Happened::MemberLeft {
            member: user(member),
            new_owner: new_owner.map(user),
        };
        self.happened(id, [left]);
    }

    /// A member has read up to here; answers the sequence.
    pub fn read(&mut self, id: ConversationId, member: &str, up_to: u64) -> u64 {
        let read = Read::ReadMarked {
            member: user(member),
            up_to: ordinal(up_to),
        };
        self.commit(&Stream::Reads(self.tenant.clone(), id), vec![Event::Read(read)])
    }

    /// A member marks as unread what is above the mark.
    pub fn unread(&mut self, id: ConversationId, member: &str, mark: u64) {
        let unread = Read::MarkedUnread {
            member: user(member),
            mark,
        };
        self.commit(&Stream::Reads(self.tenant.clone(), id), vec![Event::Read(unread)]);
    }

    /// A user is called so now.
    pub fn profile(&mut self, id: &str, name: &str) {
        let profile = Profile {
            name: DisplayName::parse(name).unwrap(),
            avatar: Some(Avatar::parse(format!("https://example.org/{id}.png")).unwrap()),
        };
        let event = UserEvent::ProfileUpdated {
            user: user(id),
            profile: self.private(profile),
        };
        self.commit(
            &Stream::User(self.tenant.clone(), user(id)),
            vec![Event::User(event)],
        );
    }

    /// The sender writes a message anew; its text is this.
    pub fn edit(&mut self, message: MessageId, sender: &str, text: &str) -> u64 {
        let edit = Edit {
            message: message.ordinal,
            sender: user(sender),
            reply_to: None,
            sent_at: Timestamp::from_millis(0),
            content: self.private(Content::parse(text).unwrap()),
        };
        self.happened(message.conversation, [Happened::MessageEdited(edit)])
    }

    /// A message is deleted for everyone.
    pub fn delete(&mut self, message: MessageId, by: &str) -> u64 {
        let deleted = Happened::MessageDeleted {
            message: message.ordinal,
            by: user(by),
        };
        self.happened(message.conversation, [deleted])
    }

    /// A user reacts.
    pub fn react(&mut self, message: MessageId, id: &str, emoji: &str) -> u64 {
        let reaction = self.reaction(message, id, emoji);
        self.happened(message.conversation, [Happened::ReactionAdded(reaction)])
    }

    /// A user takes a reaction back.
    pub fn unreact(&mut self, message: MessageId, id: &str, emoji: &str) {
        let reaction = self.reaction(message, id, emoji);
        self.happened(message.conversation, [Happened::ReactionRemoved(reaction)]);
    }

    fn reaction(&self, message: MessageId, id: &str, emoji: &str) -> Reaction {
        Reaction {
            message: message.ordinal,
            user: user(id),
            emoji: self.private(Emoji::parse(emoji).unwrap()),
        }
    }

    /// Something that a user does with the own conversations; answers the sequence.
    pub fn keeps(&mut self, id: &str, event: UserEvent) -> u64 {
        let stream = Stream::User(self.tenant.clone(), user(id));
        self.commit(&stream, vec![Event::User(event)])
    }
}
