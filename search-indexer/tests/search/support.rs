//! A log in memory that can fail, keys that can go, and chats to fill them with.

#![allow(dead_code, reason = "the example uses a part of it")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use domain::conversation::{self, Body, Message, MessageKind, reads};
use domain::values::Content;
use domain::{CommitId, ConversationId, MessageId, Ordinal, Private, TenantId, Timestamp, UserId};
use eventstore::codec::{Draft, assemble};
use eventstore::sealing::{KeyId, KeyStore, KeysUnavailable, UserKey};
use eventstore::{
    Append, AppendError, Appended, Codec, Epoch, Event, EventLog, ReadError, Record, Stream, Trace,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use search_indexer::{Filters, Indexer, SearchIndex, SearchPage, SearchRequest, StartError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn conversation(n: u8) -> ConversationId {
    ConversationId::from_bytes([n; 16])
}

/// One shard of records in memory.
pub(crate) struct MemoryLog {
    epoch: Epoch,
    records: Arc<Mutex<Vec<Record>>>,
    grown: watch::Sender<usize>,
    /// While set, every read fails.
    pub(crate) away: Arc<AtomicBool>,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        Self::of(Epoch::draw(), Vec::new())
    }

    pub(crate) fn of(epoch: Epoch, records: Vec<Record>) -> Self {
        let grown = watch::Sender::new(records.len());
        Self {
            epoch,
            records: Arc::new(Mutex::new(records)),
            grown,
            away: Arc::default(),
        }
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn push(&self, stream: Stream, payload: Bytes) -> u64 {
        let mut records = self.records.lock().unwrap();
        let sequence = records.len() as u64 + 1;
        records.push(Record {
            shard: 0,
            sequence,
            stream,
            payload,
        });
        self.grown.send_replace(records.len());
        sequence
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
        self.grown.send_modify(|_| {});
    }
}

fn page(records: &Mutex<Vec<Record>>, after: u64, limit: usize) -> Vec<Record> {
    let records = records.lock().unwrap();
    records
        .iter()
        .skip(usize::try_from(after).unwrap())
        .take(limit)
        .cloned()
        .collect()
}

fn check(away: &AtomicBool) -> Result<(), ReadError> {
    if away.load(Ordering::SeqCst) {
        Err(ReadError::Unavailable("it is away".to_owned()))
    } else {
        Ok(())
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn shards(&self) -> u16 {
        1
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        Ok(Appended {
            sequence: self.push(append.stream, append.payload),
        })
    }

    async fn head(&self, _stream: &Stream) -> Result<u64, ReadError> {
        unreachable!("nobody asks here")
    }

    async fn read_stream(
        &self,
        _stream: &Stream,
        _after: u64,
        _limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        unreachable!("nobody asks here")
    }

    async fn read(&self, _shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        check(&self.away)?;
        Ok(page(&self.records, after, limit))
    }

    async fn end(&self, _shard: u16) -> Result<u64, ReadError> {
        check(&self.away)?;
        Ok(self.records.lock().unwrap().len() as u64)
    }

    fn follow(&self, _shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        let (records, grown, away) = (
            Arc::clone(&self.records),
            self.grown.subscribe(),
            Arc::clone(&self.away),
        );
        futures::stream::unfold(
            (records, grown, away, after),
            |(records, mut grown, away, after)| async move {
                loop {
                    grown.mark_unchanged();
                    if let Err(error) = check(&away) {
                        return Some((Err(error), (records, grown, away, after)));
                    }
                    let batch = page(&records, after, 500);
                    if let Some(last) = batch.last() {
                        let after = last.sequence;
                        return Some((Ok(batch), (records, grown, away, after)));
                    }
                    if grown.changed().await.is_err() {
                        return None;
                    }
                }
            },
        )
        .boxed()
    }
}

/// Keys in memory.
#[derive(Default)]
pub(crate) struct MemoryKeys {
    keys: Mutex<HashMap<(TenantId, UserId), UserKey>>,
    pub(crate) away: AtomicBool,
    /// How often keys were looked up.
    pub(crate) found: AtomicU64,
}

impl MemoryKeys {
    /// Deletes the key of a user: nothing that was sealed under it can be read again.
    pub(crate) fn erase(&self, tenant: &TenantId, user: &UserId) {
        self.keys.lock().unwrap().remove(&(tenant.clone(), user.clone()));
    }

    fn check(&self) -> Result<(), KeysUnavailable> {
        if self.away.load(Ordering::SeqCst) {
            Err(KeysUnavailable("away".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        self.check()?;
        let mut keys = self.keys.lock().unwrap();
        let key_of = |user: &UserId| {
            keys.entry((tenant.clone(), user.clone()))
                .or_insert_with(UserKey::draw)
                .clone()
        };
        Ok(users.iter().map(key_of).collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        self.check()?;
        self.found.fetch_add(1, Ordering::SeqCst);
        Ok(self
            .keys
            .lock()
            .unwrap()
            .values()
            .filter(|key| ids.contains(&key.id))
            .cloned()
            .collect())
    }
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) tenant: TenantId,
    pub(crate) id: MessageId,
    pub(crate) user: UserId,
    pub(crate) text: String,
    pub(crate) sent_at: Timestamp,
}

/// A log, its keys, and what was sent through it, in the order of the log.
pub(crate) struct Chat {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) keys: Arc<MemoryKeys>,
    pub(crate) sent: Mutex<Vec<Sent>>,
    commits: AtomicU64,
}

impl Chat {
    pub(crate) fn new() -> Self {
        Self {
            log: Arc::new(MemoryLog::new()),
            keys: Arc::default(),
            sent: Mutex::default(),
            commits: AtomicU64::new(0),
        }
    }

    /// A codec with nothing in its cache.
    pub(crate) fn codec(&self) -> Codec {
        Codec::new(Arc::clone(&self.keys) as Arc<dyn KeyStore>)
    }

    /// Sends one message.
    pub(crate) async fn say(
        &self,
        tenant_id: &str,
        conversation: ConversationId,
        user: &str,
        text: &str,
    ) -> MessageId {
        let codec = self.codec();
        self.commit(&codec, &tenant(tenant_id), conversation, &[(user, text)])
            .await[0]
    }

    /// Sends messages in one commit.
    pub(crate) async fn commit(
        &self,
        codec: &Codec,
        tenant: &TenantId,
        conversation: ConversationId,
        messages: &[(&str, &str)],
    ) -> Vec<MessageId> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let commit = CommitId::from_bytes((u128::from(number + 1) << 64).to_be_bytes());
        let mut last = {
            let sent = self.sent.lock().unwrap();
            let there = sent
                .iter()
                .rev()
                .find(|m| m.tenant == *tenant && m.id.conversation == conversation);
            there.map_or(0, |message| message.id.ordinal.get())
        };
        let mut drafts = Vec::new();
        let mut ids = Vec::new();
        for (author, text) in messages {
            let ordinal = Ordinal::after(last);
            last = ordinal.get();
            let id = MessageId {
                conversation,
                ordinal,
            };
            let sent_at = Timestamp::from_millis(i64::try_from(number).unwrap() * 1_000);
            drafts.push(Draft {
                version: ordinal.get(),
                actor: Some(user(author)),
                command: None,
                trace: Trace::default(),
                event: Event::Conversation(conversation::Event::MessageSent(Message {
                    ordinal,
                    sender: user(author),
                    kind: MessageKind::Text,
                    body: Private::Readable(Body::text(Content::parse(*text).unwrap(), None)),
                    reply_to: None,
                    sent_at,
                    imported_line: None,
                })),
            });
            ids.push(id);
            self.sent.lock().unwrap().push(Sent {
                tenant: tenant.clone(),
                id,
                user: user(author),
                text: (*text).to_owned(),
                sent_at,
            });
        }
        let events = codec.encode(tenant, commit, 0, &drafts).await.unwrap();
        let time = Timestamp::from_millis(i64::try_from(number).unwrap());
        self.log.push(
            Stream::Conversation(tenant.clone(), conversation),
            assemble(commit, time, &events),
        );
        ids
    }

    /// Appends a read mark: nothing that the index holds.
    pub(crate) async fn mark_read(&self, tenant_id: &str, conversation: ConversationId, member: &str) -> u64 {
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        let commit = CommitId::from_bytes((u128::from(number + 1) << 64).to_be_bytes());
        let draft = Draft {
            version: 0,
            actor: Some(user(member)),
            command: None,
            trace: Trace::default(),
            event: Event::Read(reads::Event::ReadMarked {
                member: user(member),
                up_to: Ordinal::new(1).unwrap(),
            }),
        };
        let events = self
            .codec()
            .encode(&tenant(tenant_id), commit, 0, &[draft])
            .await
            .unwrap();
        let payload = assemble(commit, Timestamp::from_millis(0), &events);
        self.log
            .push(Stream::Reads(tenant(tenant_id), conversation), payload)
    }

    /// Starts an indexer on a folder, and waits until it has everything.
    pub(crate) async fn index(&self, dir: &std::path::Path) -> (SearchIndex, Indexer) {
        let index = SearchIndex::open(dir).unwrap();
        let indexer = self.follow(&index).await;
        self.caught_up(&indexer).await;
        (index, indexer)
    }

    pub(crate) async fn follow(&self, index: &SearchIndex) -> Indexer {
        self.try_follow(index, CancellationToken::new()).await.unwrap()
    }

    pub(crate) async fn try_follow(
        &self,
        index: &SearchIndex,
        cancel: CancellationToken,
    ) -> Result<Indexer, StartError> {
        let log = Arc::clone(&self.log) as Arc<dyn EventLog>;
        Indexer::start(index.clone(), log, self.codec(), cancel).await
    }

    /// The same chat over another log.
    pub(crate) fn over(&self, log: MemoryLog) -> Self {
        Self {
            log: Arc::new(log),
            keys: Arc::clone(&self.keys),
            sent: Mutex::new(self.sent.lock().unwrap().clone()),
            commits: AtomicU64::new(self.commits.load(Ordering::SeqCst) + 1_000),
        }
    }

    /// Waits until the indexer has everything.
    pub(crate) async fn caught_up(&self, indexer: &Indexer) {
        let end = self.log.position(0, self.log.records().len() as u64);
        let begun = Instant::now();
        while !indexer.progress().reached(end, Duration::from_millis(20)).await {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{:?}",
                indexer.status()
            );
            indexer.commit_now().await.unwrap();
        }
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

pub(crate) fn request(tenant_id: &str, conversations: &[ConversationId], text: &str) -> SearchRequest {
    SearchRequest {
        tenant: tenant(tenant_id),
        conversations: conversations.to_vec(),
        text: text.to_owned(),
        limit: 20,
        cursor: None,
        filters: Filters::default(),
    }
}

pub(crate) fn ids(page: &SearchPage) -> Vec<MessageId> {
    page.hits.iter().map(|hit| hit.id).collect()
}
