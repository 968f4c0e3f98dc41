//! Resuming: what a user missed between two sockets, read from the log.
//!
//! The client's cursor says what it was given, the hub says what the user's sockets are given from now
//! on; what lies between is read here. It is complete, or it is a reset: never a part of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use domain::conversation::Event as Happened;
use domain::{ConversationId, Private};
use eventstore::codec::commit_id;
use eventstore::{Commit, DecodeError, Event, ReadError, Record, Stream};
use futures::{StreamExt, TryStreamExt};
use projections::view::{Membership, Memberships};

use super::audience::{Happening, Item, Said, UserKey};
use super::cursor::{Cursor, Spot, StreamKey, Verified};
use super::hub::happenings;
use crate::app::App;

/// The longest stretch of a shard that is read as a whole; what is longer is read stream by stream.
const STRETCH: u64 = 10_000;
/// The most frames that are replayed. Who missed more had better load pages.
const MOST: usize = 5_000;
/// The most commits that are read for it, what was delivered already among them.
const MOST_READ: usize = 50_000;
/// Records read at a time.
const PAGE: usize = 1_000;
/// Streams that are read at once.
const AT_ONCE: usize = 16;

/// What there is for a client that comes back.
pub(super) enum Missed {
    /// All that it missed, in the order of the log.
    All(Vec<Item>),
    /// It must load anew what it shows, for this reason.
    Reset(&'static str),
}

/// Why what was missed cannot be had now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What a cursor says of this log; otherwise why it cannot be resumed.
pub(super) async fn check(
    app: &App,
    user: &UserKey,
    text: &str,
) -> Result<Result<Cursor, &'static str>, ReadError> {
    let Some(cursor) = app.cursors.open(user, text) else {
        return Ok(Err("foreign_cursor"));
    };
    if cursor.shards() != app.log.shards() {
        return Ok(Err("foreign_cursor"));
    }
    for shard in 0..app.log.shards() {
        let verified = cursor.verified(shard);
        if verified.sequence == 0 {
            continue;
        }
        let page = app.log.read(shard, verified.sequence - 1, 1).await?;
        let there = page.first().filter(|record| record.sequence == verified.sequence);
        let found = there.map(|record| Verified::at(record.sequence, commit_id(&record.payload)));
        if found != Some(verified) {
            return Ok(Err("foreign_cursor"));
        }
    }
    Ok(Ok(cursor))
}

/// What the user's conversations say between the two, as far as the user was a member then. The
/// memberships are as of `to` or later.
pub(super) async fn missed(
    app: &App,
    user: &UserKey,
    memberships: &Memberships,
    (from, to): (&Cursor, &Cursor),
) -> Result<Missed, ResumeError> {
    let mut items = Vec::new();
    let mut count = 0;
    for shard in 0..app.log.shards() {
        let since = from.verified(shard).sequence;
        let rooms: Vec<_> = memberships
            .conversations
            .iter()
            .filter(|m| m.shard == shard && (m.is_active || m.changed > since))
            .collect();
        let changed = rooms.iter().map(|m| m.changed).max().unwrap_or(0);
        // Whoever joined or left later was the other before: so far it must be read to know.
        let end = to.newest(shard).max(changed);
        if to.newest(shard) <= since || rooms.is_empty() {
            continue;
        }
        let Some(records) = read(app, user, shard, &rooms, since..end).await? else {
            return Ok(Missed::Reset("too_much_missed"));
        };
        count += records.len();
        let mut commits = app.codec.decode(&records).await?;
        forget_deleted(&mut commits);
        let crowds = app.hub.crowds.among(&commits).await;
        let heard: Vec<_> = commits
            .iter()
            .filter_map(|commit| {
                let stream = StreamKey::of(&commit.stream)?;
                let is_crowd = crowds.contains(&stream.conversation);
                Some((commit, stream, happenings(commit, is_crowd, &app.links)))
            })
            .collect();
        items.extend(said(user, &rooms, heard, since, (from, to)));
        if count > MOST_READ || items.len() > MOST {
            return Ok(Missed::Reset("too_much_missed"));
        }
    }
    Ok(Missed::All(items))
}

/// The records of these rooms in a stretch of the shard, in order; `None` when there are too many.
async fn read(
    app: &App,
    (tenant, _): &UserKey,
    shard: u16,
    rooms: &[&Membership],
    stretch: std::ops::Range<u64>,
) -> Result<Option<Vec<Record>>, ReadError> {
    let streams: HashSet<_> = rooms
        .iter()
        .flat_map(|room| {
            let id = room.conversation;
            [
                Stream::Conversation(tenant.clone(), id),
                Stream::Reads(tenant.clone(), id),
            ]
        })
        .collect();
    let mut records = Vec::new();
    if stretch.end - stretch.start <= STRETCH {
        let mut after = stretch.start;
        while after < stretch.end {
            let page = app.log.read(shard, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            let wanted = page.into_iter().filter(|record| streams.contains(&record.stream));
            records.extend(wanted.filter(|record| record.sequence <= stretch.end));
        }
        return Ok((records.len() <= MOST_READ).then_some(records));
    }
    let mut pages = futures::stream::iter(streams)
        .map(|stream| read_stream(app, stream, stretch.clone()))
        .buffer_unordered(AT_ONCE);
    while let Some(page) = pages.try_next().await? {
        records.extend(page);
        if records.len() > MOST_READ {
            return Ok(None);
        }
    }
    records.sort_unstable_by_key(|record| record.sequence);
    Ok(Some(records))
}

/// The records of one stream in a stretch, or a few more of them than are ever replayed.
async fn read_stream(
    app: &App,
    stream: Stream,
    stretch: std::ops::Range<u64>,
) -> Result<Vec<Record>, ReadError> {
    let (mut records, mut after) = (Vec::new(), stretch.start);
    while records.len() <= MOST_READ {
        let page = app.log.read_stream(&stream, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        let count = records.len() + page.len();
        records.extend(
            page.into_iter()
                .take_while(|record| record.sequence <= stretch.end),
        );
        if records.len() < count {
            break;
        }
    }
    Ok(records)
}

/// Takes the words out of messages that are deleted for everyone further on: who was away need not read them.
fn forget_deleted(commits: &mut [Commit]) {
    let mut deleted = HashSet::new();
    // From the newest on: a deletion comes after what it deletes.
    for commit in commits.iter_mut().rev() {
        let Stream::Conversation(_, id) = commit.stream else {
            continue;
        };
        for recorded in commit.events.iter_mut().rev() {
            match &mut recorded.event {
                Event::Conversation(Happened::MessageDeleted { message, .. }) => {
                    deleted.insert((id, *message));
                }
                Event::Conversation(Happened::MessageSent(sent)) if deleted.contains(&(id, sent.ordinal)) => {
                    sent.body = Private::Erased;
                }
                Event::Conversation(Happened::MessageEdited(edit))
                    if deleted.contains(&(id, edit.message)) =>
                {
                    edit.content = Private::Erased;
                }
                _ => {}
            }
        }
    }
}

/// What the user would have been handed of these commits.
fn said(
    (_, user): &UserKey,
    rooms: &[&Membership],
    heard: Vec<(&Commit, StreamKey, Vec<Happening>)>,
    since: u64,
    (from, to): (&Cursor, &Cursor),
) -> Vec<Item> {
    // The first change of a membership tells what it was before.
    let mut first: HashMap<ConversationId, bool> = HashMap::new();
    for (_, stream, happenings) in &heard {
        if let Some(is_member) = happenings.iter().find_map(|happening| change(happening, user)) {
            first.entry(stream.conversation).or_insert(!is_member);
        }
    }
    let mut member: BTreeMap<_, _> = rooms
        .iter()
        .map(|room| {
            let before = first.get(&room.conversation).copied();
            let is_member = if room.changed > since { before } else { None };
            (room.conversation, is_member.unwrap_or(room.is_active))
        })
        .collect();
    let mut items = Vec::new();
    for (commit, stream, happenings) in heard {
        for happening in happenings {
            if let Some(is_member) = change(&happening, user) {
                member.insert(stream.conversation, is_member);
            }
            let (event, frame) = match happening {
                Happening::Said(event, frame) => (event, frame),
                Happening::Read(event, read) if read.reader == *user => (event, read.frame),
                Happening::Read(..) | Happening::Joined(_) | Happening::Left(_) => continue,
            };
            let spot = Spot {
                sequence: commit.sequence,
                event,
            };
            let was_missed = to.has(commit.shard, stream, spot) && !from.has(commit.shard, stream, spot);
            if was_missed && member.get(&stream.conversation) == Some(&true) {
                let said = Said {
                    frame,
                    shard: commit.shard,
                    stream,
                    spot,
                    is_aside: false,
                };
                items.push(Item {
                    said: Arc::new(said),
                    safe: None,
                });
            }
        }
    }
    items
}

/// Whether this makes the user a member, or no member any more.
fn change(happening: &Happening, user: &domain::UserId) -> Option<bool> {
    match happening {
        Happening::Joined(users) => users.contains(user).then_some(true),
        Happening::Left(left) => (left == user).then_some(false),
        Happening::Said(..) | Happening::Read(..) => None,
    }
}
