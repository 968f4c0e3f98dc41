//! How fast the read model takes in a log: `cargo run --release -p projections --example throughput`.
//!
//! Takes a folder of IRC logs (`*.raw.txt`) whose lines become messages, as an import would write them; a
//! second argument says how many messages a commit has (400 unless told). The log is in memory and the
//! read model in a temporary folder, or in the folder given as third argument.
//!
//! With `--postgres URL` the read model is in that database, in a namespace of its own that is dropped in the
//! end, and the messages are also inserted bare, into a table of their own, for comparison.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it measures and prints")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::conversation::{Body, Event as Happened, GroupInfo, Kind, Message, MessageKind};
use domain::permission::Role;
use domain::values::{Content, GroupName};
use domain::{CommitId, ConversationId, Ordinal, Private, TenantId, Timestamp, UserId};
use eventstore::codec::{Codec, Draft, assemble};
use eventstore::consumer::Checkpoint;
use eventstore::envelope::{Event, Trace};
use eventstore::log::{EventLog, Position};
use eventstore::progress::Progress;
use eventstore::sealing::{KeyId, KeyStore, KeysUnavailable, UserKey};
use eventstore::subject::Stream;
use projections::fold::{Rows, fold};
use projections::messages::MessageRow;
use projections::rebuild::Generations;
use projections::view::{ListFilter, ListRange, MessageRange};
use projections::{
    PostgresConfig, PostgresReadModel, ProjectionStore, Projector, ReadModel, SqliteReadModel,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

#[path = "../tests/projections/memory_log.rs"]
mod memory_log;

use memory_log::MemoryLog;

struct Keys;

fn key(id: KeyId) -> UserKey {
    UserKey::new(id, [7; 32])
}

#[async_trait]
impl KeyStore for Keys {
    async fn current(&self, _: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        Ok(users
            .iter()
            .map(|_| UserKey::draw())
            .map(|drawn| key(drawn.id))
            .collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        Ok(ids.iter().copied().map(key).collect())
    }
}

fn lines_of(path: &Path) -> Vec<(UserId, String)> {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let said = |line: &str| {
        let (_, rest) = line.split_once("] <")?;
        let (nick, text) = rest.split_once("> ")?;
        Some((UserId::parse(nick).ok()?, Content::parse(text).ok()?.into()))
    };
    text.lines().filter_map(said).collect()
}

fn synthetic(file: usize) -> Vec<(UserId, String)> {
    let line = |n: usize| {
        let text = "you could try to install the package again and see whether it starts ".repeat(n % 3 + 1);
        (
            UserId::parse(format!("nick{}", (n * 7919 + file) % 150)).unwrap(),
            text,
        )
    };
    (0..1300).map(line).collect()
}

async fn fill(log: &MemoryLog, codec: &Codec, files: Vec<Vec<(UserId, String)>>, per_commit: usize) -> usize {
    let tenant = TenantId::parse("default").unwrap();
    let mut messages = 0;
    for (number, lines) in files.into_iter().enumerate() {
        let conversation = ConversationId::imported(&tenant, "irc", &[&number.to_be_bytes()]);
        let (mut ordinal, mut version) = (0, 0);
        let mut known = BTreeSet::new();
        for chunk in lines.chunks(per_commit) {
            let mut events = Vec::with_capacity(chunk.len() + 1);
            let joining: Vec<_> = chunk
                .iter()
                .filter(|(user, _)| known.insert(user.clone()))
                .map(|(user, _)| (user.clone(), Role::Member))
                .collect();
            if ordinal == 0 {
                let name = GroupName::parse(format!("#ubuntu {number}")).unwrap();
                events.push(Happened::Created {
                    kind: Kind::Group,
                    founder: chunk[0].0.clone(),
                    owner: Some(chunk[0].0.clone()),
                    members: joining,
                    about: Some(Private::Readable(GroupInfo {
                        name,
                        description: None,
                        avatar: None,
                    })),
                });
            } else if !joining.is_empty() {
                events.push(Happened::MembersAdded { members: joining });
            }
            for (sender, text) in chunk {
                events.push(Happened::MessageSent(Message {
                    ordinal: Ordinal::after(ordinal),
                    sender: sender.clone(),
                    kind: MessageKind::Text,
                    body: Private::Readable(Body::text(Content::parse(text.clone()).unwrap(), None)),
                    reply_to: None,
                    sent_at: Timestamp::from_millis(1_200_000_000_000),
                    imported_line: Some(ordinal),
                }));
                ordinal += 1;
            }
            messages += chunk.len();
            let draft = |event| {
                version += 1;
                Draft {
                    version,
                    actor: None,
                    command: None,
                    trace: Trace::default(),
                    event: Event::Conversation(event),
                }
            };
            let drafts: Vec<_> = events.into_iter().map(draft).collect();
            let id = CommitId::from(ulid::Ulid::generate());
            let encoded = codec.encode(&tenant, id, 0, &drafts).await.unwrap();
            let payload = assemble(id, Timestamp::from_millis(1_700_000_000_000), &encoded);
            log.push(Stream::Conversation(tenant.clone(), conversation), payload);
        }
    }
    messages
}

fn report(what: &str, messages: usize, took: Duration) {
    let per_second = messages as f64 / took.as_secs_f64();
    println!(
        "{what:<42} {:>8.3} s {per_second:>10.0} messages/s",
        took.as_secs_f64()
    );
}

#[tokio::main]
async fn main() {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let postgres = arguments.iter().position(|argument| argument == "--postgres");
    let postgres = postgres.map(|at| arguments.drain(at..at + 2).next_back().unwrap());
    let mut arguments = arguments.into_iter();
    let folder = arguments.next().filter(|folder| folder != "-");
    let per_commit = arguments.next().map_or(400, |count| count.parse().unwrap());
    let files: Vec<_> = match folder {
        Some(folder) => {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
                .unwrap()
                .map(|f| f.unwrap().path())
                .collect();
            paths.retain(|path| path.to_string_lossy().ends_with(".raw.txt"));
            paths.sort();
            paths.iter().map(|path| lines_of(path)).collect()
        }
        None => (0..150).map(synthetic).collect(),
    };
    let codec = Codec::new(Arc::new(Keys));
    let log = MemoryLog::new(1);
    let messages = fill(&log, &codec, files, per_commit).await;
    let log: Arc<dyn EventLog> = Arc::new(log);
    println!("{messages} messages, {per_commit} a commit");

    let started = Instant::now();
    let mut after = 0;
    let mut commits = Vec::new();
    loop {
        let page = log.read(0, after, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.sequence;
        commits.extend(codec.decode(&page).await.unwrap());
    }
    report("decoding alone", messages, started.elapsed());
    let started = Instant::now();
    let changes = fold(Rows::default(), commits, Timestamp::from_millis(0)).unwrap();
    report("folding alone, as one batch", messages, started.elapsed());

    if let Some(url) = postgres {
        return in_postgres(&url, &log, &codec, changes.messages).await;
    }
    drop(changes);
    let temporary = tempfile::tempdir().unwrap();
    let folder = arguments
        .next()
        .map_or(temporary.path().to_owned(), PathBuf::from);
    let store = SqliteReadModel::open(&folder.join("read.db")).await.unwrap();
    project(&store, &log, &codec, messages).await;
    let size = std::fs::metadata(folder.join("read.db")).unwrap().len();
    println!(
        "read.db has {} MB, {} bytes a message",
        size / 1_000_000,
        size / messages as u64
    );
}

/// Takes in the log, takes it in once more beside the live generation, and asks.
async fn project(
    store: &(impl ReadModel + ProjectionStore + Generations + Clone),
    log: &Arc<dyn EventLog>,
    codec: &Codec,
    messages: usize,
) {
    let end = Position {
        epoch: log.epoch(),
        shard: 0,
        sequence: log.end(0).await.unwrap(),
    };

    let projector = Projector::new(Arc::clone(log), codec.clone(), Arc::new(store.clone()));
    let (progress, cancel) = (projector.progress(), CancellationToken::new());
    let started = Instant::now();
    let cpu = cpu_time();
    let running = tokio::spawn({
        let cancel = cancel.clone();
        async move { projector.run(cancel).await }
    });
    assert!(progress.reached(end, Duration::from_secs(600)).await);
    report("projecting", messages, started.elapsed());
    report("  as processor time", messages, cpu_time() - cpu);

    let started = Instant::now();
    projections::rebuild(store, log, codec, &Progress::new(1))
        .await
        .unwrap();
    report("rebuilding beside it, with the swap", messages, started.elapsed());
    cancel.cancel();
    running.await.unwrap();
    queries(store).await;
    let checkpoint: Checkpoint = ProjectionStore::checkpoint(store, 0).await.unwrap().unwrap();
    assert_eq!(checkpoint.sequence, end.sequence);
}

/// The most rows of a bare insert.
const BARE_ROWS: usize = 2_000;

async fn in_postgres(url: &str, log: &Arc<dyn EventLog>, codec: &Codec, rows: Vec<MessageRow>) {
    let namespace = format!("throughput-{}", std::process::id());
    let store = PostgresReadModel::open(&PostgresConfig {
        url: url.to_owned(),
        namespace: namespace.clone(),
        readers: 4,
        writers: 2,
    })
    .await
    .unwrap();
    let mut connection = PgConnection::connect(url).await.unwrap();
    bare_inserts(&mut connection, &namespace, &rows).await;
    let messages = rows.len();
    drop(rows);
    project(&store, log, codec, messages).await;
    let size: i64 = sqlx::query_scalar(
        "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'",
    )
    .bind(format!("{namespace}_read"))
    .fetch_one(&mut connection)
    .await
    .unwrap();
    println!(
        "the tables have {} MB, {} bytes a message",
        size / 1_000_000,
        size as usize / messages
    );
    store.close().await;
    for part in ["read", "bare"] {
        let drop = format!("DROP SCHEMA \"{namespace}_{part}\" CASCADE");
        connection.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

/// The rows of the messages and nothing else, as fast as one connection takes them in.
async fn bare_inserts(connection: &mut PgConnection, namespace: &str, rows: &[MessageRow]) {
    let create = format!(
        "CREATE SCHEMA \"{namespace}_bare\"; SET search_path = \"{namespace}_bare\";
         CREATE TABLE messages (conversation_id bytea, ordinal bigint, sender_id text, sender_seq bigint, kind text,
             content text, reply_to bigint, sent_at bigint, recorded_at bigint, version bigint,
             PRIMARY KEY (conversation_id, ordinal))"
    );
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    let statement = include_str!("../src/store/postgres/sql/apply_messages.sql");
    let started = Instant::now();
    for rows in rows.chunks(BARE_ROWS) {
        fn column<'a, T>(rows: &'a [MessageRow], of: impl Fn(&'a MessageRow) -> T) -> Vec<T> {
            rows.iter().map(of).collect()
        }
        sqlx::query(statement)
            .bind(column(rows, |row| row.conversation.to_bytes()))
            .bind(column(rows, |row| row.ordinal.get().cast_signed()))
            .bind(column(rows, |row| row.sender.as_str()))
            .bind(column(rows, |row| row.sender_seq.cast_signed()))
            .bind(column(rows, |row| row.kind.as_str()))
            .bind(column(rows, |row| row.content.as_deref()))
            .bind(column(rows, |row| row.reply_to.map(|to| to.get().cast_signed())))
            .bind(column(rows, |row| row.sent_at.as_millis()))
            .bind(column(rows, |row| row.recorded_at.as_millis()))
            .bind(column(rows, |row| row.version.cast_signed()))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    report("bare inserts of the messages", rows.len(), started.elapsed());
}

async fn queries(store: &impl ReadModel) {
    let tenant = TenantId::parse("default").unwrap();
    let conversation = ConversationId::imported(&tenant, "irc", &[&7_usize.to_be_bytes()]);
    let user = store.members_of(&tenant, conversation).await.unwrap().remove(0);
    let range = MessageRange {
        limit: 50,
        before: None,
        after: None,
    };
    const COUNT: u32 = 500;
    let started = Instant::now();
    for _ in 0..COUNT {
        store
            .messages(&tenant, &user, conversation, range)
            .await
            .unwrap()
            .unwrap();
    }
    per_query("the newest 50 messages", started, COUNT);
    let started = Instant::now();
    for _ in 0..COUNT {
        let range = ListRange {
            limit: 50,
            after: None,
            filter: ListFilter::ALL,
        };
        let now = Timestamp::from_millis(1_800_000_000_000);
        store.conversations(&tenant, &user, range, now).await.unwrap();
    }
    per_query("a page of 50 conversations", started, COUNT);
    let started = Instant::now();
    for _ in 0..COUNT {
        store.unread(&tenant, &user, conversation).await.unwrap().unwrap();
    }
    per_query("unread of one conversation", started, COUNT);
}

fn per_query(what: &str, started: Instant, count: u32) {
    println!(
        "{what:<42} {:>8.0} µs",
        started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    );
}

/// Processor time of this process so far, user and system.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
