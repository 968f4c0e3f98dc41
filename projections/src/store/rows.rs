//! Rows to what they mean, the same for every database: each function reads the columns that the statement
//! of its name selects, in their order.

use std::collections::BTreeMap;

use domain::conversation::reads::Marks;
use domain::push::{PushEndpoint, PushPoint, PushSecret, PushTarget};
use domain::user::Status;
use domain::{CommandId, CommitId, ConversationId, Fingerprint, PushId, TenantId, UserId};
use eventstore::consumer::Checkpoint;
use eventstore::facts::{CommandFact, CommandIds, Facts};
use eventstore::snapshot::Snapshot;

use super::column::{Cells, Columns, damaged};
use super::{StoreError, spelling};
use crate::conversations::ConversationRow;
use crate::members::MemberRow;
use crate::notify::{PushView, RecipientPage};
use crate::users::SettingsRow;
use crate::view::{
    ConversationStats, ConversationView, MemberPage, MemberView, Membership, MembershipChange,
    MembershipChanges, Memberships, Profile, ReceiptPage, StatusChange,
};

mod attachments;
mod messages;

pub(super) use attachments::{attachment, attachments};
pub(super) use messages::{message_facts, message_page, message_row, messages, reaction, tally, versions};

type Read<T> = Result<T, StoreError>;

pub(super) fn checkpoint<'r>(row: impl Cells<'r>) -> Read<Checkpoint> {
    let mut columns = Columns::of(row);
    Ok(Checkpoint {
        shard: columns.shard()?,
        epoch: columns.parsed(str::parse)?,
        sequence: columns.number()?,
        commit_id: columns.optional_id(CommitId::from_bytes)?,
    })
}

pub(super) fn conversation<'r>(row: impl Cells<'r>) -> Read<ConversationRow> {
    let mut columns = Columns::of(row);
    Ok(ConversationRow {
        id: columns.id(ConversationId::from_bytes)?,
        tenant: columns.parsed(TenantId::parse)?,
        kind: columns.kind()?,
        name: columns.optional_text()?,
        description: columns.optional_text()?,
        avatar: columns.optional_text()?,
        owner: columns.optional_user()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        activity_at: columns.time()?,
        last_ordinal: columns.number()?,
        joins: columns.number()?,
        member_count: columns.number()?,
    })
}

pub(super) fn member<'r>(row: impl Cells<'r>) -> Read<MemberRow> {
    let mut columns = Columns::of(row);
    Ok(MemberRow {
        conversation: columns.id(ConversationId::from_bytes)?,
        user: columns.parsed(UserId::parse)?,
        tenant: columns.parsed(TenantId::parse)?,
        role: columns.role()?,
        standing: columns.number()?,
        is_active: columns.flag()?,
        joined_at: columns.time()?,
        marks: Marks {
            read: columns.number()?,
            receipt: columns.number()?,
        },
        last_read_at: columns.optional_time()?,
        own_count: columns.number()?,
        last_own_ordinal: columns.number()?,
        shard: columns.shard()?,
        changed: columns.number()?,
    })
}

pub(super) fn view<'r>(row: impl Cells<'r>) -> Read<ConversationView> {
    let mut columns = Columns::of(row);
    let mut view = ConversationView {
        id: columns.id(ConversationId::from_bytes)?,
        kind: columns.kind()?,
        name: columns.optional_text()?,
        description: columns.optional_text()?,
        avatar: columns.optional_text()?,
        owner: columns.optional_user()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        activity_at: columns.time()?,
        last_ordinal: columns.number()?,
        member_count: columns.number()?,
        last_message: columns.optional_text()?,
        last_message_at: columns.optional_time()?,
        role: columns.role()?,
        is_archived: columns.flag()?,
        is_muted: columns.flag()?,
        muted_until: columns.optional_time()?,
        unread_count: columns.number()?,
        members: Vec::new(),
    };
    // What is over is not told.
    view.muted_until = view.muted_until.filter(|_| view.is_muted);
    Ok(view)
}

/// Hands each view the members of it.
pub(super) fn with_members<'r>(
    mut views: Vec<ConversationView>,
    rows: impl IntoIterator<Item = impl Cells<'r>>,
) -> Read<Vec<ConversationView>> {
    let mut members: BTreeMap<ConversationId, Vec<MemberView>> = BTreeMap::new();
    for row in rows {
        let mut columns = Columns::of(row);
        let id = columns.id(ConversationId::from_bytes)?;
        let user = columns.parsed(UserId::parse)?;
        members
            .entry(id)
            .or_default()
            .push(member_view(user, &mut columns)?);
    }
    for view in &mut views {
        view.members = members.remove(&view.id).unwrap_or_default();
    }
    Ok(views)
}

/// What follows a member's id in a row.
fn member_view<'r>(user_id: UserId, columns: &mut Columns<impl Cells<'r>>) -> Read<MemberView> {
    Ok(MemberView {
        user_id,
        role: columns.role()?,
        joined_at: columns.time()?,
        last_read_at: columns.optional_time()?,
        is_active: columns.flag()?,
        name: columns.optional_text()?,
        avatar: columns.optional_text()?,
    })
}

/// Members with their standings, one more than the page has; no row at all is no conversation.
pub(super) fn member_page<'r, C: Cells<'r>>(
    rows: impl ExactSizeIterator<Item = C>,
    limit: u32,
) -> Read<Option<MemberPage>> {
    if rows.len() == 0 {
        return Ok(None);
    }
    let mut page = MemberPage::default();
    for row in rows {
        let mut columns = Columns::of(row);
        // One row without a member says that none follow.
        let Some(user) = columns.optional_user()? else {
            break;
        };
        let member = member_view(user, &mut columns)?;
        let standing = columns.number()?;
        if page.items.len() == limit as usize {
            page.next = Some(standing);
        } else {
            page.items.push(member);
        }
    }
    Ok(Some(page))
}

pub(super) fn named_member<'r>(row: impl Cells<'r>) -> Read<MemberView> {
    let mut columns = Columns::of(row);
    let user = columns.parsed(UserId::parse)?;
    member_view(user, &mut columns)
}

pub(super) fn conversation_stats<'r>(row: impl Cells<'r>) -> Read<ConversationStats> {
    let mut columns = Columns::of(row);
    Ok(ConversationStats {
        total: columns.number()?,
        direct: columns.number()?,
        archived: columns.number()?,
        muted: columns.number()?,
        unread_conversations: columns.number()?,
        unread_messages: columns.number()?,
    })
}

pub(super) fn settings<'r>(row: impl Cells<'r>) -> Read<SettingsRow> {
    let mut columns = Columns::of(row);
    let (tenant, user) = (columns.parsed(TenantId::parse)?, columns.parsed(UserId::parse)?);
    Ok(SettingsRow {
        key: (tenant, user, columns.id(ConversationId::from_bytes)?),
        archived_at: columns.optional_time()?,
        is_muted: columns.flag()?,
        muted_until: columns.optional_time()?,
    })
}

pub(super) fn memberships<'r>(rows: impl IntoIterator<Item = impl Cells<'r>>) -> Read<Memberships> {
    let mut memberships = Memberships::default();
    for row in rows {
        let mut columns = Columns::of(row);
        let conversation = columns.optional_id(ConversationId::from_bytes)?;
        let (shard, sequence) = (columns.shard()?, columns.number()?);
        let (epoch, commit_id) = (
            columns.optional_text()?,
            columns.optional_id(CommitId::from_bytes)?,
        );
        match (conversation, epoch) {
            (Some(conversation), _) => memberships.conversations.push(Membership {
                conversation,
                shard,
                changed: sequence,
                is_active: columns.flag()?,
            }),
            (None, Some(epoch)) => memberships.checkpoints.push(Checkpoint {
                epoch: epoch
                    .parse()
                    .map_err(|_| damaged("an epoch that does not parse"))?,
                shard,
                sequence,
                commit_id,
            }),
            (None, None) => return Err(damaged("a checkpoint without an epoch")),
        }
    }
    Ok(memberships)
}

pub(super) fn membership_changes<'r>(
    shard: u16,
    rows: impl IntoIterator<Item = impl Cells<'r>>,
) -> Read<MembershipChanges> {
    let mut answer = MembershipChanges::default();
    for row in rows {
        let mut columns = Columns::of(row);
        let epoch = columns.optional_text()?;
        let (sequence, commit_id) = (
            columns.optional_number()?,
            columns.optional_id(CommitId::from_bytes)?,
        );
        if let (Some(epoch), Some(sequence)) = (epoch, sequence) {
            answer.checkpoint = Some(Checkpoint {
                epoch: epoch
                    .parse()
                    .map_err(|_| damaged("an epoch that does not parse"))?,
                shard,
                sequence,
                commit_id,
            });
        }
        let Some(tenant) = columns.optional_text()? else {
            continue;
        };
        answer.changes.push(MembershipChange {
            tenant: TenantId::parse(&tenant).map_err(|_| damaged("a tenant that does not parse"))?,
            user: columns.parsed(UserId::parse)?,
            conversation: columns.id(ConversationId::from_bytes)?,
            sequence: columns.number()?,
            is_active: columns.flag()?,
        });
    }
    Ok(answer)
}

pub(super) fn conversation_id<'r>(row: impl Cells<'r>) -> Read<ConversationId> {
    Columns::of(row).id(ConversationId::from_bytes)
}

pub(super) fn user<'r>(row: impl Cells<'r>) -> Read<UserId> {
    Columns::of(row).parsed(UserId::parse)
}

pub(super) fn number<'r>(row: impl Cells<'r>) -> Read<u64> {
    Columns::of(row).number()
}

pub(super) fn profile<'r>(row: impl Cells<'r>) -> Read<(UserId, Profile)> {
    let mut columns = Columns::of(row);
    let user = columns.parsed(UserId::parse)?;
    Ok((
        user,
        Profile {
            name: columns.optional_text()?,
            avatar: columns.optional_text()?,
            status: columns
                .optional_text()?
                .map_or(Ok(Status::Active), |text| spelling::status(&text))?,
        },
    ))
}

pub(super) fn size<'r>(row: impl Cells<'r>) -> Read<(ConversationId, u64)> {
    let mut columns = Columns::of(row);
    Ok((columns.id(ConversationId::from_bytes)?, columns.number()?))
}

pub(super) fn status_change<'r>(row: impl Cells<'r>) -> Read<StatusChange> {
    let mut columns = Columns::of(row);
    Ok(StatusChange {
        tenant: columns.parsed(TenantId::parse)?,
        user: columns.parsed(UserId::parse)?,
        status: columns.status()?,
        sequence: columns.number()?,
    })
}

pub(super) fn receipts<'r, C: Cells<'r>>(
    rows: impl Iterator<Item = C>,
    limit: u32,
) -> Read<Option<ReceiptPage>> {
    let mut answer: Option<ReceiptPage> = None;
    for row in rows {
        let mut columns = Columns::of(row);
        let (total_members, read_count) = (columns.number()?, columns.number()?);
        let page = answer.get_or_insert_with(|| ReceiptPage {
            total_members,
            read_count,
            ..ReceiptPage::default()
        });
        if let Some(reader) = columns.optional_user()? {
            page.items.push((reader, columns.time()?));
        }
    }
    Ok(answer.map(|mut page| {
        page.has_more = cut(&mut page.items, limit);
        page
    }))
}

pub(super) fn device<'r>(row: impl Cells<'r>) -> Read<PushView> {
    let mut columns = Columns::of(row);
    Ok(PushView {
        user: columns.parsed(UserId::parse)?,
        id: columns.id(PushId::from_bytes)?,
        target: PushTarget {
            endpoint: columns.parsed(PushEndpoint::parse)?,
            p256dh: columns.parsed(PushPoint::parse)?,
            auth: columns.parsed(PushSecret::parse)?,
        },
        created_at: columns.time()?,
    })
}

/// Users with their standings, one more than the page has.
pub(super) fn recipients<'r>(
    rows: impl IntoIterator<Item = impl Cells<'r>>,
    limit: u32,
) -> Read<RecipientPage> {
    let mut page = RecipientPage::default();
    for row in rows {
        let mut columns = Columns::of(row);
        let (user, standing) = (columns.parsed(UserId::parse)?, columns.number()?);
        if page.users.len() == limit as usize {
            page.next = Some(standing);
        } else {
            page.users.push(user);
        }
    }
    Ok(page)
}

pub(super) fn facts<'r>(rows: impl IntoIterator<Item = impl Cells<'r>>) -> Read<Facts> {
    let mut facts = Facts::default();
    for row in rows {
        let mut columns = Columns::of(row);
        facts.checkpoint = columns.number()?;
        // One row without a command carries the checkpoint when none is known.
        let Some(id) = columns.optional_id(CommandId::from_bytes)? else {
            continue;
        };
        let fact = CommandFact {
            fingerprint: columns.id(Fingerprint::from_bytes)?,
            sequence: columns.number()?,
        };
        facts.commands.insert(id, fact);
    }
    Ok(facts)
}

pub(super) fn command_ids<'r>(
    rows: impl IntoIterator<Item = impl Cells<'r>>,
    at_most: u32,
) -> Read<CommandIds> {
    let (mut checkpoint, mut ids) = (0, Vec::new());
    for row in rows {
        let mut columns = Columns::of(row);
        checkpoint = columns.number()?;
        ids.extend(columns.optional_id(CommandId::from_bytes)?);
    }
    let ids = (ids.len() <= at_most as usize).then_some(ids);
    Ok(CommandIds { checkpoint, ids })
}

pub(super) fn snapshot<'r>(row: impl Cells<'r>) -> Read<Snapshot> {
    let mut columns = Columns::of(row);
    Ok(Snapshot {
        schema: columns.text()?,
        epoch: columns.parsed(str::parse)?,
        head: columns.number()?,
        commit_id: columns.id(CommitId::from_bytes)?,
        version: columns.number()?,
        time: columns.time()?,
        state: columns.text()?,
    })
}

/// Cuts off what was fetched beyond the limit, and says whether anything was.
pub(super) fn cut<T>(items: &mut Vec<T>, limit: u32) -> bool {
    let limit = limit as usize;
    let has_more = items.len() > limit;
    items.truncate(limit);
    has_more
}
