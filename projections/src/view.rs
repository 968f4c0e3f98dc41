//! What the queries answer: read models as people see them, in the words of the domain.

use domain::conversation::body::{Card, File};
use domain::conversation::{Kind, MessageKind};
use domain::permission::Role;
use domain::user::Status;
use domain::{ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use eventstore::consumer::Checkpoint;

/// How many members a [`ConversationView`] carries at most.
pub const MEMBERS_IN_VIEW: usize = 20;

/// How much of what it answers a message carries: this many Unicode scalar values.
pub const PREVIEW_CHARACTERS: usize = 200;

/// Where a page of the conversation list begins: after this conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// The activity of the last conversation that was seen.
    pub activity_at: Timestamp,
    /// That conversation.
    pub id: ConversationId,
}

/// Which page of which conversations is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ListRange<'a> {
    /// The most conversations to answer.
    pub limit: u32,
    /// Only those after this place.
    pub after: Option<ListCursor>,
    /// Only those that are so.
    pub filter: &'a ListFilter,
}

/// Which of a user's conversations are asked for: those that are so in each respect that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Direct ones or groups.
    pub kind: Option<Kind>,
    /// Put away or not.
    pub archived: Option<bool>,
    /// Muted or not.
    pub muted: Option<bool>,
    /// With something unread or without.
    pub unread: Option<bool>,
    /// Whose name, or a name of another member of which, contains this; however it is accented.
    pub text: Option<String>,
}

impl ListFilter {
    /// All conversations.
    pub const ALL: &Self = &Self {
        kind: None,
        archived: None,
        muted: None,
        unread: None,
        text: None,
    };
}

/// A page of a user's conversations, newest activity first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationPage {
    /// The conversations.
    pub items: Vec<ConversationView>,
    /// Whether there are more after the last one.
    pub has_more: bool,
}

/// A conversation as one of its active members sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationView {
    /// The conversation.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: Kind,
    /// What a group is called; `None` when erased, and for a direct conversation.
    pub name: Option<String>,
    /// What a group is about; `None` when it has none, when erased, and for a direct conversation.
    pub description: Option<String>,
    /// A group's picture; `None` when it has none, when erased, and for a direct conversation.
    pub avatar: Option<String>,
    /// The owner of a group.
    pub owner: Option<UserId>,
    /// The text of the newest message that is not hidden; `None` when there is none, or it was deleted or erased.
    pub last_message: Option<String>,
    /// When the newest message was sent, as people see it.
    pub last_message_at: Option<Timestamp>,
    /// When the creation was recorded.
    pub created_at: Timestamp,
    /// When the newest event of the conversation was recorded. Read marks are not among them.
    pub updated_at: Timestamp,
    /// When the newest message was recorded, or the creation when there is none: lists sort by it.
    pub activity_at: Timestamp,
    /// The asking user's role.
    pub role: Role,
    /// Whether the asking user has put it away, and nothing has brought it back.
    pub is_archived: bool,
    /// Whether the asking user is not to be notified of it.
    pub is_muted: bool,
    /// When that ends; `None` also when it is not muted.
    pub muted_until: Option<Timestamp>,
    /// How many messages of others are above the asking user's read mark, without the deleted and the hidden.
    pub unread_count: u64,
    /// How many active members there are.
    pub member_count: u64,
    /// The first [`MEMBERS_IN_VIEW`] active members, the longest-standing first.
    pub members: Vec<MemberView>,
    /// The ordinal of the newest message; 0 when there is none.
    pub last_ordinal: u64,
}

impl ConversationView {
    /// The cursor of the page that begins after this conversation.
    #[must_use]
    pub const fn cursor(&self) -> ListCursor {
        ListCursor {
            activity_at: self.activity_at,
            id: self.id,
        }
    }
}

/// A member as the other members see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The member.
    pub user_id: UserId,
    /// What the member may do.
    pub role: Role,
    /// When the member joined, the last time.
    pub joined_at: Timestamp,
    /// When the member last read something new here; sending a message is reading too.
    pub last_read_at: Option<Timestamp>,
    /// Whether the user is a member now.
    pub is_active: bool,
    /// What the user is called; `None` when unknown or erased.
    pub name: Option<String>,
    /// The user's picture; `None` when there is none, or it is erased.
    pub avatar: Option<String>,
}

/// Which messages of a conversation are asked for. Without `before` and `after` the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// The most messages to answer.
    pub limit: u32,
    /// Only messages below this one, the nearest to it.
    pub before: Option<Ordinal>,
    /// Only messages above this one, the nearest to it.
    pub after: Option<Ordinal>,
}

/// A page of messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessagePage {
    /// The messages, oldest first.
    pub items: Vec<MessageView>,
    /// Whether there are more in the direction that was asked for: newer ones with `after`, else older.
    pub has_more: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageView {
    /// Its conversation and ordinal.
    pub id: MessageId,
    /// Who sent it.
    pub sender: UserId,
    /// Its type.
    pub kind: MessageKind,
    /// Its text; `None` when it was deleted or erased.
    pub content: Option<String>,
    /// The message it answers, in the same conversation.
    pub reply_to: Option<Ordinal>,
    /// When it was sent, as people see it.
    pub sent_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When its text was last written anew.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone.
    pub deleted_at: Option<Timestamp>,
    /// Its files.
    pub attachments: Vec<File>,
    /// Its sticker, place or contact.
    pub card: Option<Card>,
    /// What it answers looks like now.
    pub answered: Option<AnsweredView>,
    /// How many reacted with what, the most first.
    pub reactions: Vec<ReactionCount>,
}

/// A message that another one answers, as far as a reader of the answer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredView {
    /// Who sent it.
    pub sender: UserId,
    /// Its type.
    pub kind: MessageKind,
    /// The first [`PREVIEW_CHARACTERS`] of its text; `None` when it was deleted or erased.
    pub content: Option<String>,
    /// Whether it was deleted for everyone.
    pub is_deleted: bool,
}

/// How many reacted to a message with an emoji.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionCount {
    /// The emoji.
    pub emoji: String,
    /// How many.
    pub count: u64,
    /// Whether the asking user is among them.
    pub is_mine: bool,
}

/// A text that a message had, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// 0 is the text that was sent.
    pub number: u64,
    /// The text; `None` when erased.
    pub content: Option<String>,
    /// When it was written, as people see it.
    pub written_at: Timestamp,
}

/// A reaction: the emoji, whose, and since when.
pub type ReactionView = (String, UserId, Timestamp);

/// A page of a conversation's members, the longest-standing first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// The members.
    pub items: Vec<MemberView>,
    /// The standing at which the next page begins.
    pub next: Option<u64>,
}

/// What a user's conversations are, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationStats {
    /// All of them.
    pub total: u64,
    /// The direct ones; the others are groups.
    pub direct: u64,
    /// Those that are put away.
    pub archived: u64,
    /// Those that are muted.
    pub muted: u64,
    /// Those with something unread.
    pub unread_conversations: u64,
    /// What is unread in all of them.
    pub unread_messages: u64,
}

/// How many messages there are of a type, a sender and a day; deleted and hidden ones are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTally {
    /// The type.
    pub kind: MessageKind,
    /// The sender.
    pub sender: UserId,
    /// The day, as days since 1970 in UTC.
    pub day: i64,
    /// How many.
    pub count: u64,
    /// When the first of them was sent, as people see it.
    pub first_at: Timestamp,
    /// When the last of them was.
    pub last_at: Timestamp,
    /// How many files came with them.
    pub attachments: u64,
}

/// What a user may see, and how far the read model had come, out of one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// The checkpoint of each shard that has one, in the order of the shards.
    pub checkpoints: Vec<Checkpoint>,
    /// The conversations of which the user is or was a member, in the order of their ids.
    pub conversations: Vec<Membership>,
}

impl Memberships {
    /// The conversations of which the user is an active member.
    pub fn active(&self) -> impl Iterator<Item = ConversationId> {
        self.conversations
            .iter()
            .filter(|membership| membership.is_active)
            .map(|membership| membership.conversation)
    }
}

/// That a user is a member of a conversation, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The conversation.
    pub conversation: ConversationId,
    /// The shard of the log that it lies in.
    pub shard: u16,
    /// The sequence there of the commit that last changed `is_active`.
    pub changed: u64,
    /// Whether the user is a member now.
    pub is_active: bool,
}

/// The memberships of a shard that changed after some sequence, and how far the read model had come with
/// that shard, out of one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembershipChanges {
    /// The newest change of each membership, in the order of the log.
    pub changes: Vec<MembershipChange>,
    /// The shard's checkpoint; `None` when nothing of it was taken in.
    pub checkpoint: Option<Checkpoint>,
}

/// A user became a member of a conversation, or is none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    /// The tenant of both.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The sequence of the commit that changed it.
    pub sequence: u64,
    /// Whether the user is a member now.
    pub is_active: bool,
}

/// What a user is called and looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name that others see; `None` when erased.
    pub name: Option<String>,
    /// The picture that others see.
    pub avatar: Option<String>,
    /// Whether the user is let in.
    pub status: Status,
}

/// A user has another status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The status from then on.
    pub status: Status,
    /// The sequence of the commit that changed it.
    pub sequence: u64,
}

/// Who has read a message, and since when.
pub type Receipt = (UserId, Timestamp);

/// Which page of the receipts of a message is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptRange<'a> {
    /// The most receipts to answer.
    pub limit: u32,
    /// Only those of users after this one.
    pub after: Option<&'a UserId>,
}

/// A page of the receipts of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptPage {
    /// The members who could have read it: all but its sender.
    pub total_members: u64,
    /// How many of them have.
    pub read_count: u64,
    /// The receipts, by user.
    pub items: Vec<Receipt>,
    /// Whether there are more after the last one.
    pub has_more: bool,
}
