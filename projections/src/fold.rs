//! Commits to row changes: a pure function, the same for every store.
//!
//! Any way of cutting the log into batches gives the same rows. Within a batch a row that changes many
//! times is written once.

use std::collections::{BTreeMap, BTreeSet};

use domain::conversation;
use domain::permission::Role;
use domain::{AttachmentId, CommandId, ConversationId, MessageId, TenantId, Timestamp, UserId, user};
use eventstore::envelope::{Commit, Event, Recorded};
use eventstore::subject::Stream;

use crate::attachments::{AttachmentRow, AttachmentUse};
use crate::commands::CommandRow;
use crate::conversations::ConversationRow;
use crate::members::{MemberRow, ReadMoveRow};
use crate::messages::{HiddenRow, MessageRow, ReactionKey, ReactionRow, VersionRow};
use crate::notify::{PushKey, PushRow};
use crate::users::{SettingsKey, SettingsRow, StatusRow, UserRow};

mod attachments;
mod devices;
mod messages;

#[cfg(test)]
mod tests;

use attachments::Attachments;
use devices::Devices;
use messages::Messages;

/// Where and when something happened.
pub(crate) struct At {
    pub(crate) shard: u16,
    pub(crate) sequence: u64,
    pub(crate) time: Timestamp,
}

/// Which rows a fold needs to know before it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Conversations, each with the members of it that are concerned.
    pub conversations: BTreeMap<ConversationId, BTreeSet<UserId>>,
    /// Messages that something became of.
    pub messages: BTreeSet<MessageId>,
    /// How users keep conversations.
    pub settings: BTreeSet<SettingsKey>,
}

/// Those of the rows under [`Keys`] that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Conversations.
    pub conversations: Vec<ConversationRow>,
    /// Members of them.
    pub members: Vec<MemberRow>,
    /// Messages.
    pub messages: Vec<MessageRow>,
    /// How users keep conversations.
    pub settings: Vec<SettingsRow>,
}

/// What a fold changed: each row at most once, each list in the order of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Conversations as they are now.
    pub conversations: Vec<ConversationRow>,
    /// Members who joined or left, as they are now.
    pub members: Vec<MemberRow>,
    /// Members of whom only marks and counts changed, as they are now.
    pub marks: Vec<MemberRow>,
    /// New messages.
    pub messages: Vec<MessageRow>,
    /// Messages that were there and that something became of, as they are now.
    pub changed_messages: Vec<MessageRow>,
    /// Texts that messages had before.
    pub versions: Vec<VersionRow>,
    /// Messages whose versions and reactions are gone, those of this batch included.
    pub purged: Vec<MessageId>,
    /// Reactions that are there now.
    pub reactions: Vec<ReactionRow>,
    /// Reactions that are not there any more.
    pub removed_reactions: Vec<ReactionKey>,
    /// Messages that are hidden from now on.
    pub hidden: Vec<HiddenRow>,
    /// How users keep conversations, as it is now.
    pub settings: Vec<SettingsRow>,
    /// New moves of receipt marks.
    pub read_moves: Vec<ReadMoveRow>,
    /// Users as they are now.
    pub users: Vec<UserRow>,
    /// Whether users are let in now.
    pub statuses: Vec<StatusRow>,
    /// New commands. One that is known already stays as it was first recorded.
    pub commands: Vec<CommandRow>,
    /// Devices that are notified from now on.
    pub push_subscriptions: Vec<PushRow>,
    /// Devices that are not notified any more.
    pub ended_subscriptions: Vec<PushKey>,
    /// Files that were uploaded.
    pub attachments: Vec<AttachmentRow>,
    /// Files that are not kept any more.
    pub removed_attachments: Vec<AttachmentId>,
    /// Files that came with messages. Those of the messages in `purged` are not used there any more.
    pub attachment_uses: Vec<AttachmentUse>,
}

/// A commit that cannot follow from those before it: the log or the read model is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the commit at sequence {sequence} of shard {shard} does not follow from those before: {what}")]
pub struct FoldError {
    /// The shard.
    pub shard: u16,
    /// The commit's sequence.
    pub sequence: u64,
    /// What does not fit.
    pub what: &'static str,
}

/// The rows that folding these commits needs.
#[must_use]
pub fn keys(commits: &[Commit]) -> Keys {
    let mut keys = Keys::default();
    for commit in commits {
        match &commit.stream {
            Stream::Conversation(_, id) | Stream::Reads(_, id) => keys.of_conversation(*id, commit),
            Stream::User(tenant, user) => keys.of_user(tenant, user, commit),
        }
    }
    keys
}

impl Keys {
    fn of_conversation(&mut self, id: ConversationId, commit: &Commit) {
        use conversation::Event as Happened;
        let members = self.conversations.entry(id).or_default();
        let mut concerned = |user: &UserId| {
            if !members.contains(user) {
                members.insert(user.clone());
            }
        };
        let mut about = |ordinal| {
            self.messages.insert(MessageId {
                conversation: id,
                ordinal,
            });
        };
        for recorded in &commit.events {
            let event = match &recorded.event {
                Event::Conversation(event) => event,
                Event::Read(event) => {
                    concerned(event.member());
                    continue;
                }
                Event::User(_) => continue,
            };
            match event {
                Happened::Created { members, .. } | Happened::MembersAdded { members } => {
                    members.iter().for_each(|(user, _)| concerned(user));
                }
                Happened::MemberLeft { member, .. }
                | Happened::MemberRemoved { member }
                | Happened::RoleChanged { member, .. } => concerned(member),
                Happened::MessageSent(message) => concerned(&message.sender),
                Happened::MessageEdited(edit) => about(edit.message),
                Happened::MessageDeleted { message, .. } => about(*message),
                // Their message changes with nothing but itself.
                Happened::ReactionAdded(_) | Happened::ReactionRemoved(_) | Happened::InfoChanged { .. } => {}
            }
        }
    }

    fn of_user(&mut self, tenant: &TenantId, user: &UserId, commit: &Commit) {
        let events = commit.events.iter().filter_map(|recorded| match &recorded.event {
            Event::User(event) => Some(event),
            Event::Conversation(_) | Event::Read(_) => None,
        });
        for event in events {
            match event {
                user::Event::Archived(conversation)
                | user::Event::Unarchived(conversation)
                | user::Event::Muted { conversation, .. }
                | user::Event::Unmuted(conversation) => {
                    self.settings
                        .insert((tenant.clone(), user.clone(), *conversation));
                }
                user::Event::ProfileUpdated { .. }
                | user::Event::ProfileChanged { .. }
                | user::Event::StatusChanged(_)
                | user::Event::Hidden(_)
                | user::Event::PushSubscribed { .. }
                | user::Event::PushUnsubscribed(_)
                | user::Event::AttachmentUploaded(_)
                | user::Event::AttachmentRemoved(_) => {}
            }
        }
    }
}

/// Folds commits over the rows that [`keys`] asked for. Commands recorded before `commands_since` are
/// not kept.
///
/// # Errors
/// [`FoldError`] for the first commit that does not follow from the rows.
pub fn fold(rows: Rows, commits: Vec<Commit>, commands_since: Timestamp) -> Result<Changes, FoldError> {
    let mut fold = Fold::over(rows);
    for commit in commits {
        let (shard, sequence) = (commit.shard, commit.sequence);
        fold.commit(commit, commands_since).map_err(|what| FoldError {
            shard,
            sequence,
            what,
        })?;
    }
    Ok(fold.changes())
}

#[derive(Default)]
struct Fold {
    conversations: BTreeMap<ConversationId, Entry>,
    messages: Messages,
    read_moves: Vec<ReadMoveRow>,
    users: BTreeMap<(TenantId, UserId), UserRow>,
    statuses: BTreeMap<(TenantId, UserId), StatusRow>,
    /// Each with whether it changed.
    settings: BTreeMap<SettingsKey, (SettingsRow, bool)>,
    hidden: BTreeSet<HiddenRow>,
    commands: BTreeMap<(String, CommandId), CommandRow>,
    devices: Devices,
    attachments: Attachments,
}

/// A conversation with those of its members that are concerned.
#[derive(Default)]
struct Entry {
    row: Option<ConversationRow>,
    is_changed: bool,
    members: BTreeMap<UserId, (MemberRow, Change)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    None,
    Marks,
    Membership,
}

type Folded<T = ()> = Result<T, &'static str>;

impl Fold {
    fn over(rows: Rows) -> Self {
        let mut fold = Self::default();
        for row in rows.conversations {
            let entry = fold.conversations.entry(row.id).or_default();
            entry.row = Some(row);
        }
        for row in rows.members {
            let entry = fold.conversations.entry(row.conversation).or_default();
            entry.members.insert(row.user.clone(), (row, Change::None));
        }
        fold.messages = Messages::over(rows.messages);
        let settings = rows.settings.into_iter();
        fold.settings = settings.map(|row| (row.key.clone(), (row, false))).collect();
        fold
    }

    fn commit(&mut self, commit: Commit, commands_since: Timestamp) -> Folded {
        let Commit {
            stream,
            events,
            time: at,
            shard,
            sequence,
            ..
        } = commit;
        if at >= commands_since {
            self.remember(&stream, &events, sequence, at);
        }
        match stream {
            Stream::Conversation(tenant, id) => {
                let at = At {
                    shard,
                    sequence,
                    time: at,
                };
                for recorded in events {
                    let Event::Conversation(event) = recorded.event else {
                        return Err(FOREIGN);
                    };
                    self.happened((&tenant, id), event, recorded.version, &at)?;
                }
            }
            Stream::Reads(_, id) => {
                let entry = self.conversations.entry(id).or_default();
                for recorded in events {
                    let Event::Read(event) = recorded.event else {
                        return Err(FOREIGN);
                    };
                    let (member, change) = entry.member(event.member())?;
                    *change = (*change).max(Change::Marks);
                    self.read_moves.extend(member.read(&event, at));
                }
            }
            Stream::User(tenant, id) => {
                for recorded in events {
                    let Event::User(event) = recorded.event else {
                        return Err(FOREIGN);
                    };
                    let at = At {
                        shard,
                        sequence,
                        time: at,
                    };
                    self.of_user((&tenant, &id), event, &at)?;
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, stream: &Stream, events: &[Recorded], sequence: u64, recorded_at: Timestamp) {
        let mut last = None;
        for command in events.iter().filter_map(|recorded| recorded.command) {
            // A command's events lie beside each other.
            if last.replace(command.id) == Some(command.id) {
                continue;
            }
            self.commands
                .entry((stream.subject(), command.id))
                .or_insert_with_key(|(stream, id)| CommandRow {
                    stream: stream.clone(),
                    id: *id,
                    fingerprint: command.fingerprint,
                    sequence,
                    recorded_at,
                });
        }
    }

    fn happened(
        &mut self,
        (tenant, id): (&TenantId, ConversationId),
        event: conversation::Event,
        version: u64,
        at: &At,
    ) -> Folded {
        let entry = self.conversations.entry(id).or_default();
        match event {
            conversation::Event::Created {
                kind,
                owner,
                members,
                about,
                ..
            } => {
                if entry.row.is_some() {
                    return Err("a conversation that exists is created");
                }
                entry.row = Some(ConversationRow::created(
                    (tenant.clone(), id),
                    kind,
                    owner,
                    about,
                    at.time,
                ));
                entry.join(members, at)?;
            }
            conversation::Event::MembersAdded { members } => entry.join(members, at)?,
            conversation::Event::MemberLeft { member, new_owner } => {
                entry.part(&member, at)?;
                entry.row()?.left(&member, new_owner);
            }
            conversation::Event::MemberRemoved { member } => entry.part(&member, at)?,
            conversation::Event::RoleChanged { member, role } => {
                let (member, change) = entry.member(&member)?;
                *change = Change::Membership;
                member.role = role;
            }
            conversation::Event::InfoChanged { fields, change, .. } => {
                entry.row()?.renamed(&fields, change);
            }
            conversation::Event::MessageSent(message) => {
                let (sender, change) = entry.member(&message.sender)?;
                *change = (*change).max(Change::Marks);
                let sender_seq = sender.sent(message.ordinal, at.time);
                entry.row()?.sent(message.ordinal, at.time);
                self.attachments.used(AttachmentUse::all_of(id, &message));
                let row = MessageRow::sent(id, message, sender_seq, version, at.time);
                self.messages.sent(row);
            }
            // What becomes of a message changes no row of its conversation.
            conversation::Event::MessageEdited(edit) => {
                return self.messages.edited(id, edit, version, at.time);
            }
            conversation::Event::MessageDeleted { message, .. } => {
                return self.messages.deleted(id, message, version, at.time);
            }
            conversation::Event::ReactionAdded(reaction) => {
                self.messages.reacted(id, reaction, Some(at.time));
                return Ok(());
            }
            conversation::Event::ReactionRemoved(reaction) => {
                self.messages.reacted(id, reaction, None);
                return Ok(());
            }
        }
        entry.is_changed = true;
        entry.row()?.updated_at = at.time;
        Ok(())
    }

    fn of_user(&mut self, (tenant, id): (&TenantId, &UserId), event: user::Event, at: &At) -> Folded {
        match event {
            user::Event::ProfileUpdated { user, profile } | user::Event::ProfileChanged { user, profile } => {
                if user != *id {
                    return Err("a profile of another user than the stream's");
                }
                let row = UserRow::updated(tenant.clone(), user, profile);
                self.users.insert((tenant.clone(), id.clone()), row);
            }
            user::Event::Archived(conversation) => {
                self.settings((tenant, id), conversation).archived_at = Some(at.time)
            }
            user::Event::Unarchived(conversation) => {
                self.settings((tenant, id), conversation).archived_at = None
            }
            user::Event::Muted { conversation, until } => {
                let row = self.settings((tenant, id), conversation);
                (row.is_muted, row.muted_until) = (true, until);
            }
            user::Event::Unmuted(conversation) => {
                let row = self.settings((tenant, id), conversation);
                (row.is_muted, row.muted_until) = (false, None);
            }
            user::Event::StatusChanged(status) => {
                let row = StatusRow {
                    tenant: tenant.clone(),
                    user: id.clone(),
                    status,
                    shard: at.shard,
                    changed: at.sequence,
                };
                self.statuses.insert((tenant.clone(), id.clone()), row);
            }
            user::Event::Hidden(message) => {
                self.hidden.insert(HiddenRow {
                    tenant: tenant.clone(),
                    user: id.clone(),
                    message,
                });
            }
            event @ (user::Event::PushSubscribed { .. } | user::Event::PushUnsubscribed(_)) => {
                return self.devices.happened((tenant, id), event, at.time);
            }
            user::Event::AttachmentUploaded(facts) => self.attachments.uploaded(tenant, &facts, at.time),
            user::Event::AttachmentRemoved(id) => self.attachments.removed(id),
        }
        Ok(())
    }

    /// How a user keeps a conversation, about to change.
    fn settings(&mut self, (tenant, user): (&TenantId, &UserId), of: ConversationId) -> &mut SettingsRow {
        let entry = self.settings.entry((tenant.clone(), user.clone(), of));
        let (row, is_changed) = entry.or_insert_with_key(|key| (SettingsRow::untouched(key.clone()), false));
        *is_changed = true;
        row
    }

    fn changes(mut self) -> Changes {
        let mut changes = Changes::default();
        for entry in self.conversations.into_values() {
            changes
                .conversations
                .extend(entry.row.filter(|_| entry.is_changed));
            for (member, change) in entry.members.into_values() {
                match change {
                    Change::None => {}
                    Change::Marks => changes.marks.push(member),
                    Change::Membership => changes.members.push(member),
                }
            }
        }
        self.messages.into_changes(&mut changes);
        self.attachments.into_changes(&mut changes);
        self.read_moves
            .sort_by(|a, b| (a.conversation, &a.user, a.ordinal).cmp(&(b.conversation, &b.user, b.ordinal)));
        changes.hidden = self.hidden.into_iter().collect();
        let settings = self.settings.into_values().filter(|(_, is_changed)| *is_changed);
        changes.settings = settings.map(|(row, _)| row).collect();
        changes.read_moves = self.read_moves;
        changes.users = self.users.into_values().collect();
        changes.statuses = self.statuses.into_values().collect();
        changes.commands = self.commands.into_values().collect();
        self.devices.into_changes(&mut changes);
        changes
    }
}

const FOREIGN: &str = "an event of another kind of stream";

impl Entry {
    fn row(&mut self) -> Folded<&mut ConversationRow> {
        self.row.as_mut().ok_or("the conversation was never created")
    }

    fn member(&mut self, user: &UserId) -> Folded<&mut (MemberRow, Change)> {
        self.members.get_mut(user).ok_or("the user was never a member")
    }

    /// Someone is no member any more.
    fn part(&mut self, member: &UserId, at: &At) -> Folded {
        let (leaving, change) = self.member(member)?;
        *change = Change::Membership;
        let was_active = leaving.is_active;
        leaving.left(at.sequence);
        let row = self.row()?;
        row.member_count = row.member_count.saturating_sub(u64::from(was_active));
        Ok(())
    }

    fn join(&mut self, joining: Vec<(UserId, Role)>, at: &At) -> Folded {
        let row = self.row.as_mut().ok_or("the conversation was never created")?;
        for (user, role) in joining {
            let (member, change) = self.members.entry(user).or_insert_with_key(|user| {
                (
                    MemberRow::stranger(row.id, row.tenant.clone(), user.clone(), at.shard),
                    Change::Membership,
                )
            });
            *change = Change::Membership;
            row.member_count += u64::from(!member.is_active);
            member.joined(role, row.next_standing(), row.last_ordinal, at);
        }
        Ok(())
    }
}
