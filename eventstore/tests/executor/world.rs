//! A log with its keys and stores, the nodes on it, and what users want of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use domain::conversation::{
    Body, Command, Conversation, Error, Event, GroupInfo, ImportedLine, MessageKind, reads,
};
use domain::permission::Role;
use domain::testing::user;
use domain::values::{Content, GroupName};
use domain::{ClientId, CommandId, ConversationId, Fingerprint, Ordinal, TenantId, Timestamp, UserId};
use eventstore::contract::nats::NatsServer;
use eventstore::embedded::EmbeddedLog;
use eventstore::execute::{
    Conversations, ExecuteError, Executor, Marked, Outcome, Ports, ReadMarks, Request,
};
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::sealing::KeyStore;
use eventstore::sealing::sqlite::SqliteKeys;
use eventstore::{Codec, CommandTag, EventLog, Progress, Stream, Trace};
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::logs::MemoryLog;
use super::stores::{Facts, Keys, Snapshots};

pub(super) type Result<T> = std::result::Result<T, ExecuteError<Error>>;
pub(super) type Done = Outcome<Event>;

/// Where a world's log lives; gone when it is dropped.
enum Site {
    Embedded { _folder: TempDir },
    JetStream { server: NatsServer, _folder: TempDir },
    Memory,
}

/// A log, its keys and its stores.
pub(super) struct World {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) codec: Codec,
    pub(super) facts: Arc<Facts>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) projected: Progress,
    pub(super) max_lag: u64,
    /// What time it is, in milliseconds.
    pub(super) clock: Arc<AtomicI64>,
    site: Site,
}

impl World {
    pub(super) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("log.db")).await.unwrap();
        let keys = SqliteKeys::open(&folder.path().join("keys.db")).await.unwrap();
        Self::of(Arc::new(log), Arc::new(keys), Site::Embedded { _folder: folder })
    }

    pub(super) async fn jetstream() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start().await;
        let log = jetstream_log(&server).await;
        let keys = SqliteKeys::open(&folder.path().join("keys.db")).await.unwrap();
        Self::of(
            log,
            Arc::new(keys),
            Site::JetStream {
                server,
                _folder: folder,
            },
        )
    }

    /// A world without I/O, for tests that decide what time it is.
    pub(super) fn in_memory() -> Self {
        Self::on(Arc::new(MemoryLog::default()), Arc::new(Keys::default()))
    }

    pub(super) fn on(log: Arc<dyn EventLog>, keys: Arc<dyn KeyStore>) -> Self {
        Self::of(log, keys, Site::Memory)
    }

    fn of(log: Arc<dyn EventLog>, keys: Arc<dyn KeyStore>, site: Site) -> Self {
        Self {
            projected: Progress::new(log.shards()),
            codec: Codec::new(keys).over(Arc::clone(&log)),
            log,
            facts: Arc::default(),
            snapshots: Arc::default(),
            max_lag: 1_000_000,
            clock: Arc::new(AtomicI64::new(1_700_000_000_000)),
            site,
        }
    }

    /// The log as another node sees it: over a connection of its own, where there are connections.
    pub(super) async fn log_of_another_node(&self) -> Arc<dyn EventLog> {
        match &self.site {
            Site::JetStream { server, .. } => jetstream_log(server).await,
            Site::Embedded { .. } | Site::Memory => Arc::clone(&self.log),
        }
    }

    /// A node that has just started.
    pub(super) fn node(&self) -> Node {
        self.node_on(Arc::clone(&self.log))
    }

    pub(super) async fn another_node(&self) -> Node {
        self.node_on(self.log_of_another_node().await)
    }

    /// A node that sees the world's log through this one.
    pub(super) fn node_on(&self, log: Arc<dyn EventLog>) -> Node {
        let clock = Arc::clone(&self.clock);
        let conversations = Executor::new(Ports {
            log,
            codec: self.codec.clone(),
            facts: self.facts.clone(),
            snapshots: self.snapshots.clone(),
            projected: self.projected.clone(),
            max_lag: self.max_lag,
            clock: Arc::new(move || Timestamp::from_millis(clock.load(SeqCst))),
        });
        Node {
            reads: Arc::new(ReadMarks::new(Arc::clone(&conversations))),
            conversations,
        }
    }

    pub(super) async fn head(&self, stream: &Stream) -> u64 {
        self.log.head(stream).await.unwrap()
    }

    /// The read model takes in all there is.
    pub(super) async fn project_all(&self) {
        self.facts.project_all(&*self.log, &self.codec).await;
    }
}

async fn jetstream_log(server: &NatsServer) -> Arc<dyn EventLog> {
    let config = JetStreamConfig::new(server.client().await, "executor");
    Arc::new(JetStreamLog::open(config).await.unwrap())
}

/// A node: an executor of its own, with its own hot states.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) conversations: Arc<Conversations>,
    pub(super) reads: Arc<ReadMarks>,
}

impl Node {
    pub(super) async fn execute(
        &self,
        stream: &Stream,
        actor: &str,
        tag: Option<CommandTag>,
        command: Command,
    ) -> Result<Done> {
        let request = Request {
            command,
            actor: Some(user(actor)),
            tag,
            trace: Trace::default(),
        };
        self.conversations.execute(stream, request).await
    }

    /// Founds a group whose first member is its owner.
    pub(super) async fn found(&self, stream: &Stream, members: &[&str]) -> Done {
        let command = Command::CreateGroup {
            members: users(&members[1..]),
            about: about(),
        };
        self.execute(stream, members[0], None, command).await.unwrap()
    }

    pub(super) async fn send(&self, stream: &Stream, actor: &str, text: &str) -> Result<Done> {
        self.execute(stream, actor, None, message(text)).await
    }

    pub(super) async fn send_tagged(
        &self,
        stream: &Stream,
        actor: &str,
        text: &str,
        tag: CommandTag,
    ) -> Result<Done> {
        self.execute(stream, actor, Some(tag), message(text)).await
    }

    /// Sends so many messages, many of them at once and yet in their order.
    pub(super) async fn send_many(&self, stream: &Stream, actor: &str, count: usize) -> Vec<Done> {
        let sends =
            (0..count).map(|n| async move { self.send(stream, actor, &format!("{actor} {n}")).await });
        stream::iter(sends)
            .buffered(64)
            .map(|sent| sent.unwrap())
            .collect()
            .await
    }

    pub(super) async fn add(&self, stream: &Stream, actor: &str, member: &str) -> Result<Done> {
        let command = Command::AddMembers {
            members: users(&[member]),
            role: Role::Member,
        };
        self.execute(stream, actor, None, command).await
    }

    pub(super) async fn import(&self, stream: &Stream, lines: Vec<ImportedLine>) -> Result<Done> {
        let command = Command::Import {
            about: about(),
            lines,
        };
        let request = Request {
            command,
            actor: None,
            tag: None,
            trace: Trace::default(),
        };
        self.conversations.execute(stream, request).await
    }

    pub(super) async fn mark(
        &self,
        stream: &Stream,
        member: &str,
        command: reads::Command,
    ) -> Result<Marked> {
        self.reads
            .mark(stream, &user(member), command, Trace::default())
            .await
    }

    /// The state that a full look at the log gives.
    pub(super) async fn state(&self, stream: &Stream) -> Result<Conversation> {
        self.conversations
            .confirmed(stream)
            .await
            .map(|confirmed| confirmed.state)
    }
}

pub(super) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(super) fn conversation(n: u64) -> Stream {
    Stream::Conversation(tenant(), ConversationId::from_bytes(u128::from(n).to_be_bytes()))
}

/// The lane of read marks beside a conversation.
pub(super) fn lane(conversation: &Stream) -> Stream {
    let Stream::Conversation(tenant, id) = conversation else {
        panic!("not a conversation")
    };
    Stream::Reads(tenant.clone(), *id)
}

pub(super) fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

pub(super) fn about() -> GroupInfo {
    GroupInfo {
        name: GroupName::parse("team").unwrap(),
        description: None,
        avatar: None,
    }
}

pub(super) fn message(text: &str) -> Command {
    Command::SendMessage {
        kind: MessageKind::Text,
        body: Body::text(Content::parse(text).unwrap(), None),
        reply_to: None,
    }
}

pub(super) fn imported(line: u64, sender: &str, text: &str) -> ImportedLine {
    ImportedLine {
        line,
        sender: user(sender),
        content: Content::parse(text).unwrap(),
        sent_at: Timestamp::from_millis(1_000),
        reply_to: None,
    }
}

/// The tag of a send that a client names; another payload has another fingerprint.
pub(super) fn tag(actor: &str, name: &str, payload: &str) -> CommandTag {
    let client_id = ClientId::parse(name).unwrap();
    CommandTag {
        id: CommandId::derive(&tenant(), &user(actor), "send", "here", &client_id),
        fingerprint: Fingerprint::of(&[payload.as_bytes()]),
    }
}

pub(super) fn ordinal(number: u64) -> Ordinal {
    Ordinal::new(number).unwrap()
}

/// The ordinal of the one message that was sent.
pub(super) fn sent(done: &Done) -> u64 {
    let Outcome::Appended { events, .. } = done else {
        panic!("not appended: {done:?}")
    };
    let [Event::MessageSent(message)] = &events[..] else {
        panic!("not one message: {events:?}")
    };
    message.ordinal.get()
}
