//! Pages of 50 messages, anywhere in a conversation of a hundred thousand; beside a bare server of the same rows.

use domain::{ConversationId, MessageId, Ordinal};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Run, reads};
use crate::deployment::Deployment;
use crate::figures::Row;
use crate::seed::Seed;

const LIMIT: u64 = 50;
/// Different pages that are asked for.
const PAGES: usize = 10_000;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed::of(if run.is_quick { 5_000 } else { 100_000 }, 1);
    let (mut deployment, rooms) = Deployment::start_with(run.mode, seed).await?;
    let conversation: ConversationId = rooms[0].id.parse()?;
    let mut random = StdRng::seed_from_u64(1);
    let paths = (0..PAGES).map(|_| {
        let before = MessageId {
            conversation,
            ordinal: Ordinal::after(random.random_range(LIMIT..seed.all_messages())),
        };
        format!("/conversations/{conversation}/messages?limit={LIMIT}&before={before}")
    });
    let what = ("pages/s of 50 messages, 16 readers", &*rooms[0].members[0]);
    let row = reads::compare(run, &mut deployment, what, paths.collect()).await?;
    Ok(vec![row])
}
