//! Searches with facets by sixteen clients on open connections, for one word or two each, of someone who is in all
//! conversations; beside a bare server that searches the same index, counts the same, and names what it found without
//! reading it.

use std::ops::Range;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::{Run, reads};
use crate::bare::Bare;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::seed::{self, Seed};

const CONVERSATIONS: usize = 100;
const MEMBERS: usize = 10;
/// A member of every conversation.
const MEMBER: &str = "s0";

/// The ranks of words that one message in ten to a hundred has, one in a hundred to two thousand, and fewer.
const FREQUENT: Range<usize> = 10..100;
const MEDIUM: Range<usize> = 100..2_000;
const RARE: Range<usize> = 2_000..20_000;
/// What is searched for, each as often as the others.
const KINDS: [&[Range<usize>]; 6] = [
    &[RARE],
    &[MEDIUM],
    &[FREQUENT],
    &[RARE, FREQUENT],
    &[MEDIUM, FREQUENT],
    &[MEDIUM, MEDIUM],
];
/// Different searches of each kind.
const EACH: usize = 100;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let sizes: &[usize] = if run.is_quick {
        &[20_000]
    } else {
        &[100_000, 1_000_000]
    };
    let mut rows = Vec::new();
    for size in sizes {
        let seed = Seed {
            conversations: CONVERSATIONS,
            messages: size / CONVERSATIONS,
            members: MEMBERS,
            shared: 1,
        };
        let (mut deployment, _) = Deployment::start_with(run.mode, seed).await?;
        let bare = Bare::of_search(&deployment.node.folder.data().join("search")).await?;
        let requests = reads::requests(run, &deployment, MEMBER, paths());
        let to_bare = requests.to(&bare.address);
        for path in requests.paths.iter().take(KINDS.len()) {
            check(&requests.once(path).await?, &to_bare.once(path).await?)?;
        }
        let row = Row::new(
            format!("searches/s over {size} messages, 16 readers"),
            Aim::Part(0.6),
        );
        rows.push(reads::beside(run, &mut deployment, &bare, &requests, row).await?);
    }
    Ok(rows)
}

/// Searches of every kind, the kinds in turns.
pub(super) fn paths() -> Vec<String> {
    let words = seed::words();
    let mut random = StdRng::seed_from_u64(1);
    let mut paths = Vec::with_capacity(KINDS.len() * EACH);
    for _ in 0..EACH {
        for kind in KINDS {
            let words: Vec<_> = kind
                .iter()
                .map(|ranks| words[random.random_range(ranks.clone())].as_str())
                .collect();
            paths.push(format!("/conversations/messages/search?q={}", words.join("+")));
        }
    }
    paths
}

/// Whether both found and counted the same.
fn check(ours: &Value, bare: &Value) -> anyhow::Result<()> {
    let messages = ours["data"].as_array().context("messages")?;
    let ids: Value = messages.iter().map(|message| message["id"].clone()).collect();
    let found = (&ids, &ours["pagination"]["total"], &ours["facets"]);
    let found_by_bare = (&bare["ids"], &bare["total"], &bare["facets"]);
    ensure!(found == found_by_bare, "other answers: {ours:#}\n{bare:#}");
    Ok(())
}
