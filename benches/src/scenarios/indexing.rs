//! Messages a second from the log into a new search index; beside bare tantivy, which adds the same documents
//! out of memory: same schema, tokenizers, threads and memory. Each fills its index in a process of its own.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use domain::conversation::{Event as Happened, Message};
use domain::{MessageId, TenantId};
use eventstore::{Codec, Event, EventLog, Progress, Stream};
use serde::{Deserialize, Serialize};
use tantivy::indexer::IndexWriterOptions;
use tantivy::store::Compressor;
use tantivy::{Index, IndexSettings, TantivyDocument};
use tokio_util::sync::CancellationToken;

use super::Run;
use crate::deployment::{Deployment, Place};
use crate::figures::{Aim, Row};
use crate::load::to_f64;
use crate::seed::Seed;
use crate::{log_reader, processes, role};

/// The first argument of the process that fills an index.
pub(crate) const COMMAND: &str = "fill-index";

/// As many as are imported at once.
const CONVERSATIONS: usize = 16;
/// Records that are read at a time.
const PAGE: usize = 1_000;
/// As the indexer has it.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed::of(run.messages(), CONVERSATIONS);
    let (mut deployment, _) = Deployment::start_with(run.mode, seed).await?;
    deployment.node.terminate().await;
    let index = deployment.node.folder.data().join("search");
    let mut row = Row::new("messages/s from the log into a new index", Aim::Part(0.7));
    for _ in 0..run.times() {
        let ours: Filled = role::carry_out(COMMAND, &Filling::Ours(deployment.place())).await?;
        let filling = Filling::Bare(deployment.place(), index.clone());
        let bare: Filled = role::carry_out(COMMAND, &filling).await?;
        ensure!(
            ours.messages == bare.messages,
            "the indexes hold different messages"
        );
        row.note("CPU s", ours.cpu);
        row.note("CPU s, bare", bare.cpu);
        row.note("MiB at most", ours.peak_kib / 1024.0);
        row.ours.push(ours.per_second());
        row.baseline.push(bare.per_second());
    }
    Ok(vec![row])
}

/// How to fill an index, and from which log, which nobody writes to meanwhile.
#[derive(Deserialize, Serialize)]
enum Filling {
    /// As a rebuild does.
    Ours(Place),
    /// With tantivy alone, and the schema of this index.
    Bare(Place, PathBuf),
}

/// What filling an index took.
#[derive(Deserialize, Serialize)]
struct Filled {
    messages: u64,
    seconds: f64,
    cpu: f64,
    peak_kib: f64,
}

impl Filled {
    fn per_second(&self) -> f64 {
        to_f64(self.messages) / self.seconds
    }
}

/// The process that fills an index.
///
/// # Errors
/// When it cannot be filled.
pub(crate) async fn fill() -> anyhow::Result<()> {
    role::run(async |filling: Filling| {
        let scratch = tempfile::tempdir()?;
        let dir = scratch.path().join("search");
        let (cpu, begun, messages);
        match filling {
            Filling::Ours(place) => {
                let (log, codec) = log_reader::open(&place).await?;
                let progress = Progress::new(log.shards());
                (cpu, begun) = (processes::cpu_seconds(std::process::id()), Instant::now());
                let rebuild = search_indexer::rebuild(&dir, log, codec, progress, CancellationToken::new());
                messages = rebuild.await?.messages;
            }
            Filling::Bare(place, index) => {
                let (log, codec) = log_reader::open(&place).await?;
                let documents = documents(&*log, &codec).await?;
                let index = Index::open_in_dir(index)?;
                (cpu, begun) = (processes::cpu_seconds(std::process::id()), Instant::now());
                messages = add_all(&index, &dir, &documents)?;
            }
        }
        Ok(Filled {
            messages,
            seconds: begun.elapsed().as_secs_f64(),
            cpu: processes::cpu_seconds(std::process::id()) - cpu,
            peak_kib: processes::peak_kib(std::process::id()),
        })
    })
    .await
}

/// A message as the index wants it.
struct Document {
    tenant: TenantId,
    id: MessageId,
    message: Message,
    recorded_at: u64,
}

/// All messages of the log, in its order.
async fn documents(log: &dyn EventLog, codec: &Codec) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for shard in 0..log.shards() {
        let mut after = 0;
        loop {
            let records = log.read(shard, after, PAGE).await?;
            let Some(last) = records.last() else { break };
            after = last.sequence;
            for commit in codec.decode(&records).await? {
                let Stream::Conversation(tenant, conversation) = commit.stream else {
                    continue;
                };
                let recorded_at = u64::try_from(commit.time.as_millis())?;
                for recorded in commit.events {
                    if let Event::Conversation(Happened::MessageSent(message)) = recorded.event {
                        let ordinal = message.ordinal;
                        documents.push(Document {
                            tenant: tenant.clone(),
                            id: MessageId {
                                conversation,
                                ordinal,
                            },
                            message,
                            recorded_at,
                        });
                    }
                }
            }
        }
    }
    Ok(documents)
}

/// Adds them to a new index like this one, and commits.
fn add_all(like: &Index, dir: &Path, documents: &[Document]) -> anyhow::Result<u64> {
    let schema = like.schema();
    let field = |name| schema.get_field(name);
    let (id, tenant, conversation) = (field("id")?, field("tenant")?, field("conversation")?);
    let (user, kind, ordinal) = (field("user")?, field("type")?, field("ordinal")?);
    let (sent_at, recorded_at) = (field("sent_at")?, field("recorded_at")?);
    let (rank, text) = (field("rank")?, field("text")?);
    let settings = IndexSettings {
        docstore_compression: Compressor::None,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    std::fs::create_dir(dir)?;
    let index = Index::builder()
        .schema(schema)
        .settings(settings)
        .tokenizers(search_indexer::tokenizers())
        .create_in_dir(dir)?;
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(MEMORY_BYTES)
        .build();
    let mut writer = index.writer_with_options(options)?;
    for (number, added) in (0..).zip(documents) {
        let message = &added.message;
        let mut document = TantivyDocument::new();
        document.add_text(id, format!("{}/{}", added.tenant, added.id));
        document.add_text(tenant, added.tenant.as_str());
        document.add_text(conversation, added.id.conversation.to_string());
        document.add_text(user, message.sender.as_str());
        document.add_text(kind, message.kind.as_str());
        document.add_u64(ordinal, message.ordinal.get());
        document.add_i64(sent_at, message.sent_at.as_millis());
        document.add_u64(recorded_at, added.recorded_at);
        document.add_u64(rank, number);
        let body = message.body.readable().context("nobody was erased")?;
        let content = body.content.as_ref().context("only texts were sent")?;
        document.add_text(text, content.as_str());
        writer.add_document(document)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    Ok(index.reader()?.searcher().num_docs())
}
