//! `verbatim import irc`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::conversation::{Command, Event as Happened, ImportedLine};
use domain::{Ordinal, TenantId};
use eventstore::envelope::{Event, Trace};
use eventstore::execute::{Outcome, Request};
use eventstore::{Progress, Stream};
use futures::{StreamExt, TryStreamExt};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{QUIET, say, start_logging};
use crate::config::ImportIrc;
use crate::import::irc::{self, Log};
use crate::node::Node;

/// Lines that become one commit.
const LINES_PER_COMMIT: usize = 250;
/// Bytes of text after which a commit takes no further lines: with its envelope and seal it stays well
/// below the cap of a record.
const BYTES_PER_COMMIT: usize = 64 * 1024;
/// Files that are imported at once, so that their appends share syncs.
const FILES_AT_ONCE: usize = 16;
/// Records read at a time when a conversation is continued.
const PAGE: usize = 1_000;
const CATCH_UP: Duration = Duration::from_secs(3_600);

pub(super) async fn run(options: ImportIrc) -> anyhow::Result<()> {
    start_logging(QUIET)?;
    let mut logs = Vec::with_capacity(options.files.len());
    for file in &options.files {
        let log = read(&options.tenant, file).with_context(|| file.display().to_string())?;
        logs.push((file.clone(), log));
    }
    let node = Node::start(&options.deployment).await?;
    let messages: usize = logs.iter().map(|(_, log)| log.messages.len()).sum();
    let bars = MultiProgress::new();
    let bar = bars.add(
        ProgressBar::new(messages as u64).with_style(ProgressStyle::with_template(
            "{bar:40} {pos}/{len} messages, {per_sec}, {eta} left",
        )?),
    );
    let mut problems = 0;
    for (file, log) in &logs {
        for (number, problem) in &log.problems {
            problems += 1;
            // Editors and people count lines from 1.
            bars.suspend(|| tell(&format!("{}:{}: {problem}", file.display(), number + 1)));
        }
    }
    let began = Instant::now();
    let taken: u64 = futures::stream::iter(&logs)
        .map(|(file, log)| {
            let (node, bar, tenant) = (&node, &bar, &options.tenant);
            async move {
                import(node, tenant, log, bar)
                    .await
                    .with_context(|| file.display().to_string())
            }
        })
        .buffer_unordered(FILES_AT_ONCE)
        .try_fold(0, |sum, taken| async move { Ok(sum + taken) })
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let rate = taken as f64 / seconds.max(f64::EPSILON);
    say(format_args!(
        "{taken} messages taken in in {seconds:.1} s ({rate:.0} messages/s), {} were there before, \
         {problems} lines could not be read",
        messages as u64 - taken
    ));
    catch_up(&node).await?;
    node.stop().await;
    Ok(())
}

/// Writes a line to standard error.
fn tell(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn read(tenant: &TenantId, file: &Path) -> anyhow::Result<Log> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .context("the file has no readable name")?;
    // The logs are of many clients and years: what is not UTF-8 is shown as such.
    let text = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let annotations = match annotation_file(file) {
        Some(beside) if beside.exists() => Some(text(&beside)?),
        _ => None,
    };
    Ok(irc::read(tenant, name, &text(file)?, annotations.as_deref())?)
}

fn annotation_file(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?.strip_suffix(".raw.txt")?;
    Some(file.with_file_name(format!("{name}.annotation.txt")))
}

/// Takes in what of a log is not in its conversation yet, and says how many messages that were.
async fn import(node: &Node, tenant: &TenantId, log: &Log, bar: &ProgressBar) -> anyhow::Result<u64> {
    let stream = Stream::Conversation(tenant.clone(), log.conversation);
    let (after, mut ordinals, mut last) = taken_in(node, &stream).await?;
    bar.inc(ordinals.len() as u64);
    let mut taken = 0;
    let mut lines = log.lines(after, &mut ordinals, last);
    while !lines.is_empty() {
        let chunk: Vec<_> = lines.drain(..commit_size(&lines)).collect();
        let count = chunk.len() as u64;
        let expected = Ordinal::after(last);
        last += count;
        let request = Request {
            command: Command::Import {
                about: log.about.clone(),
                lines: chunk,
            },
            actor: None,
            tag: None,
            trace: Trace::default(),
        };
        let outcome = node.conversations.execute(&stream, request).await?;
        bar.inc(count);
        taken += count;
        // Reply links are made of the ordinals that were foreseen.
        anyhow::ensure!(
            first_ordinal(&outcome) == Some(expected),
            "someone else wrote to the conversation meanwhile: run the import again"
        );
    }
    Ok(taken)
}

/// How many lines the next commit takes.
fn commit_size(lines: &[ImportedLine]) -> usize {
    let mut bytes = 0;
    let fitting = lines.iter().take(LINES_PER_COMMIT).take_while(|line| {
        let fits = bytes < BYTES_PER_COMMIT;
        bytes += line.content.as_str().len();
        fits
    });
    fitting.count().max(1)
}

fn first_ordinal(outcome: &Outcome<Happened>) -> Option<Ordinal> {
    let Outcome::Appended { events, .. } = outcome else {
        return None;
    };
    events.iter().find_map(|event| match event {
        Happened::MessageSent(message) => Some(message.ordinal),
        _ => None,
    })
}

type TakenIn = (Option<u64>, BTreeMap<u64, Ordinal>, u64);

/// What of a log is in its conversation already, out of the event log itself: the last line, the ordinal
/// of each line, and the last ordinal.
async fn taken_in(node: &Node, stream: &Stream) -> anyhow::Result<TakenIn> {
    let (mut ordinals, mut last, mut after) = (BTreeMap::new(), 0, 0);
    loop {
        let records = node.log.read_stream(stream, after, PAGE).await?;
        let Some(newest) = records.last() else { break };
        after = newest.sequence;
        for recorded in node
            .codec
            .decode(&records)
            .await?
            .into_iter()
            .flat_map(|commit| commit.events)
        {
            if let Event::Conversation(Happened::MessageSent(message)) = recorded.event {
                last = message.ordinal.get();
                ordinals.extend(message.imported_line.map(|line| (line, message.ordinal)));
            }
        }
    }
    Ok((ordinals.keys().next_back().copied(), ordinals, last))
}

/// Waits until everything that was taken in can be read and searched.
async fn catch_up(node: &Node) -> anyhow::Result<()> {
    let began = Instant::now();
    let ends = node.ends().await?;
    reach(&node.projected(), &ends).await?;
    let read_models = began.elapsed().as_secs_f64();
    node.commit_index().await?;
    reach(node.indexed(), &ends).await?;
    let search = began.elapsed().as_secs_f64();
    say(format_args!(
        "read models caught up after {read_models:.1} s, search after {search:.1} s"
    ));
    Ok(())
}

async fn reach(progress: &Progress, ends: &[eventstore::Position]) -> anyhow::Result<()> {
    for end in ends {
        anyhow::ensure!(
            progress.reached(*end, CATCH_UP).await,
            "what was taken in is safe in the log, but cannot be read yet: start the server and look at /ready"
        );
    }
    Ok(())
}
