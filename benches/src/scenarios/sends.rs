//! Durable sends: 100 senders in 50 conversations of 10 connected members, with projections, index and
//! delivery running; beside the bare log that appends the same bytes, with the same events per record.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use eventstore::codec::commit_id;
use eventstore::log::{Append, Expected};
use eventstore::{EventLog, Record, Stream};
use futures::future::try_join_all;

use super::Run;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::load::{Outcome, Pace, Plan, to_f64};
use crate::protocol::Protocol;

const ROOMS: usize = 50;
const MEMBERS: usize = 10;
const SENDERS: usize = 2;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (in_flight, aim) in [(1, 0.35), (8, 0.5)] {
        let mut row = Row::new(
            format!("durable sends/s, 100 senders, {in_flight} in flight each"),
            Aim::Part(aim),
        );
        for _ in 0..run.times() {
            let mut deployment = Deployment::start(run.mode).await;
            let plan = Plan {
                servers: vec![deployment.node.address().to_owned()],
                protocol: Protocol::Verbatim,
                secret: deployment.node.folder.secret(),
                rooms: deployment.rooms(ROOMS, MEMBERS, SENDERS).await,
                pace: Pace::InFlight(in_flight),
                warm_up: 1.0,
                seconds: run.seconds(),
            };
            let before = deployment.cpu();
            let outcome = plan.carry_out().await?;
            for (name, seconds) in deployment.cpu().since(before) {
                row.note(name, seconds);
            }
            note(&mut row, &outcome);
            row.ours.push(outcome.sends_per_second());
            deployment.node.settled().await;
            let records = deployment.records().await?;
            let sent = records.iter().filter(|record| is_of_messages(record)).count();
            row.note("messages per record", messages(&records) / to_f64(sent as u64));
            row.baseline
                .push(bare(&*deployment.bare_log().await?, &records).await?);
        }
        rows.push(row);
    }
    Ok(rows)
}

fn note(row: &mut Row, outcome: &Outcome) {
    row.note("deliveries/s", outcome.deliveries_per_second());
    row.note("send to ack p50 ms", outcome.to_ack.p50);
    row.note("send to ack p99 ms", outcome.to_ack.p99);
    row.note("send to ack max ms", outcome.to_ack.max);
    row.note("CPU s of the clients", outcome.cpu);
}

fn is_of_messages(record: &Record) -> bool {
    messages_in(&record.payload) > 0
}

/// How many messages the records hold.
fn messages(records: &[Record]) -> f64 {
    to_f64(records.iter().map(|record| messages_in(&record.payload)).sum())
}

fn messages_in(payload: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(payload);
    text.matches("\"chat.message.sent.").count() as u64
}

/// Messages a second that the log takes in when there is nothing but the log: each conversation appends
/// its records one after another, all conversations at once.
async fn bare(log: &dyn EventLog, records: &[Record]) -> anyhow::Result<f64> {
    let mut streams: HashMap<&Stream, Vec<&Bytes>> = HashMap::new();
    for record in records.iter().filter(|record| is_of_messages(record)) {
        streams.entry(&record.stream).or_default().push(&record.payload);
    }
    let start = Instant::now();
    let appending = streams.into_iter().map(|(stream, payloads)| async move {
        let mut head = 0;
        for payload in payloads {
            let append = Append {
                stream: stream.clone(),
                expected: Expected::Head(head),
                commit_id: commit_id(payload).context("a commit")?,
                payload: payload.clone(),
            };
            head = log.append(append).await?.sequence;
        }
        anyhow::Ok(())
    });
    try_join_all(appending).await?;
    Ok(messages(records) / start.elapsed().as_secs_f64())
}
