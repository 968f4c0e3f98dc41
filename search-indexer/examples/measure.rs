//! Measures the index on real chat: how fast messages go in, and how long queries take.
//!
//! `cargo run --release -p search-indexer --example measure -- FOLDER` reads the `*.raw.txt` files of the
//! folder (IRC logs: `[hh:mm] <nick> text`), each as one conversation.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, run by hand"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::ConversationId;
use eventstore::{EventLog, Progress};
use search_indexer::{SearchIndex, SearchRequest};
use tokio_util::sync::CancellationToken;

#[path = "../tests/search/support.rs"]
mod support;

use support::{Chat, tenant};

const IN_A_COMMIT: usize = 100;

fn message(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('[')?.split_once(']')?.1;
    let (nick, text) = match rest.strip_prefix(" <") {
        Some(said) => said.split_once("> ")?,
        None => rest.strip_prefix("  * ")?.split_once(' ')?,
    };
    (!nick.is_empty() && !text.is_empty()).then_some((nick, text))
}

async fn fill(chat: &Chat, folder: &Path) -> Vec<ConversationId> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.to_string_lossy().ends_with(".raw.txt"));
    files.sort();
    let codec = chat.codec();
    let mut conversations = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let id = ConversationId::imported(&tenant("t"), "irc", &[name.as_bytes()]);
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let messages: Vec<_> = text.lines().filter_map(message).collect();
        for messages in messages.chunks(IN_A_COMMIT) {
            chat.commit(&codec, &tenant("t"), id, messages).await;
        }
        conversations.push(id);
    }
    conversations
}

/// What the whole process has used of its processors.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum::<u64>();
    Duration::from_millis(ticks * 10)
}

struct Clock {
    begun: Instant,
    used: Duration,
}

impl Clock {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            used: processor_time(),
        }
    }

    /// By the clock, and by the processor: the second one means something on a busy machine too.
    fn report(&self, what: &str, messages: usize) {
        let rate = |took: Duration| messages as f64 / took.as_secs_f64();
        let (took, used) = (self.begun.elapsed(), processor_time().saturating_sub(self.used));
        println!(
            "{what}: {:.0}/s, {:.0} per second of a processor",
            rate(took),
            rate(used)
        );
    }
}

/// What this thread has used of its processor.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(
        stat.split_whitespace()
            .next()
            .and_then(|t| t.parse().ok())
            .unwrap_or_default(),
    )
}

fn measure(index: &SearchIndex, name: &str, request: &SearchRequest) {
    const TIMES: u32 = 200;
    let mut times = Vec::new();
    let mut total = 0;
    let used = thread_time();
    for _ in 0..TIMES {
        let begun = Instant::now();
        total = index.search(request).unwrap().total;
        times.push(begun.elapsed());
    }
    let used = (thread_time() - used) / TIMES;
    times.sort();
    println!(
        "{name:42} {total:>7} matches  p50 {:>9.1?}  p99 {:>9.1?}  processor {used:>9.1?}",
        times[100], times[198]
    );
}

fn size(dir: &Path) -> u64 {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).expect("the folder with the IRC logs");
    let chat = Chat::new();
    let conversations = fill(&chat, Path::new(&folder)).await;
    let count = chat.sent.lock().unwrap().len();
    println!(
        "{count} messages in {} conversations, {} commits",
        conversations.len(),
        chat.log.records().len()
    );

    let clock = Clock::start();
    let codec = chat.codec();
    for records in chat.log.records().chunks(64) {
        codec.decode(records).await.unwrap();
    }
    clock.report("decoding alone", count);

    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let index = SearchIndex::open(&dir.path().join("live")).unwrap();
    let indexer = chat.follow(&index).await;
    let end = chat.log.position(0, chat.log.records().len() as u64);
    assert!(indexer.progress().reached(end, Duration::from_secs(600)).await);
    clock.report("followed, with commits", count);
    drop(indexer);

    let clock = Clock::start();
    let log = Arc::clone(&chat.log) as Arc<dyn EventLog>;
    let rebuilt = dir.path().join("rebuilt");
    let done = search_indexer::rebuild(
        &rebuilt,
        log,
        chat.codec(),
        Progress::new(1),
        CancellationToken::new(),
    )
    .await;
    clock.report("rebuilt", count);
    println!("{:?}, {} bytes on disk", done.unwrap(), size(&rebuilt));

    for index in [index, SearchIndex::open(&rebuilt).unwrap()] {
        for text in [
            "gstreamer",
            "i",
            "the",
            "to install",
            "\"how do i\"",
            "ubuntu apt get install",
        ] {
            let mut request = support::request("t", &conversations, text);
            measure(&index, text, &request);
            request.conversations.truncate(5);
            measure(&index, &format!("{text} in 5 conversations"), &request);
        }
    }
}
