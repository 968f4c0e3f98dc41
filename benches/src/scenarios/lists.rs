//! The first page of the conversation list of someone who has a thousand conversations; beside a bare server of the
//! same rows.

use super::{Run, reads};
use crate::deployment::Deployment;
use crate::figures::Row;
use crate::seed::Seed;

/// A member of all conversations.
const USER: &str = "s0";

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let seed = Seed {
        conversations: if run.is_quick { 200 } else { 1_000 },
        messages: 20,
        members: 9,
        shared: 1,
    };
    let (mut deployment, _) = Deployment::start_with(run.mode, seed).await?;
    let what = format!(
        "pages/s of 50 of {} conversations, 16 readers",
        seed.conversations
    );
    let paths = vec!["/conversations?limit=50".to_owned()];
    let row = reads::compare(run, &mut deployment, (&what, USER), paths).await?;
    Ok(vec![row])
}
