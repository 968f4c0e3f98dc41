//! What one user of many reads, at a moderate rate: the list, a page, a conversation with its unread count, and who
//! has read a message. There are a million messages in ten thousand conversations, and the user is in a thousand of
//! them.

use anyhow::Context;
use domain::{ConversationId, MessageId, Ordinal};

use super::{Run, reads};
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::load::Room;
use crate::requests::Requests;
use crate::seed::Seed;

/// A member of all conversations of the first seed.
const USER: &str = "s0";
const PER_SECOND: f64 = 50.0;
/// Conversations that are asked for, in turns.
const ASKED: usize = 200;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let (conversations, messages) = if run.is_quick { (1_000, 20) } else { (10_000, 100) };
    let mine = Seed {
        conversations: conversations / 10,
        messages,
        members: 9,
        shared: 1,
    };
    let others = Seed {
        conversations: conversations - mine.conversations,
        members: 10,
        shared: 0,
        ..mine
    };
    let mut deployment = Deployment::start(run.mode).await;
    let rooms = deployment.take_in(&[("mine", mine), ("others", others)]).await?;
    deployment.node.settled().await;
    let step = (rooms[0].len() / ASKED).max(1);
    let asked: Vec<_> = rooms[0].iter().step_by(step).collect();
    let paths = |of: &dyn Fn(&Room) -> anyhow::Result<String>| asked.iter().map(|room| of(room)).collect();
    let kinds: [(&str, anyhow::Result<Vec<String>>); 4] = [
        ("the list", Ok(vec!["/conversations?limit=20".to_owned()])),
        (
            "a page of 50",
            paths(&|room| Ok(format!("/conversations/{}/messages?limit=50", room.id))),
        ),
        (
            "a conversation with its unread count",
            paths(&|room| Ok(format!("/conversations/{}", room.id))),
        ),
        (
            "the receipts of a message",
            paths(&|room| {
                let message = message(room, messages / 2)?;
                Ok(format!("/conversations/messages/{message}/read-receipts/stats"))
            }),
        ),
    ];
    let mut rows = Vec::new();
    for (what, paths) in kinds {
        let requests = Requests {
            per_second: Some(PER_SECOND),
            ..reads::requests(run, &deployment, USER, paths?)
        };
        let what = format!(
            "p99 of {what} at {PER_SECOND}/s, ms, {} messages in {conversations} conversations",
            conversations * messages
        );
        let mut row = Row::new(what, Aim::Below(10.0));
        for _ in 0..run.times() {
            let before = deployment.cpu();
            let answers = requests.carry_out().await?;
            for (name, seconds) in deployment.cpu().since(before) {
                row.note(name, seconds);
            }
            row.note("p50 ms", answers.latencies.p50);
            row.note("max ms", answers.latencies.max);
            row.note("answers/s", answers.per_second);
            row.ours.push(answers.latencies.p99);
        }
        rows.push(row);
    }
    Ok(rows)
}

fn message(room: &Room, ordinal: usize) -> anyhow::Result<MessageId> {
    Ok(MessageId {
        conversation: room.id.parse::<ConversationId>()?,
        ordinal: Ordinal::new(ordinal as u64).context("an ordinal")?,
    })
}
