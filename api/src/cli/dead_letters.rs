//! `verbatim dead-letters`: beside the nodes that run. What is replayed, a node delivers within seconds.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{QUIET, say, start_logging};
use crate::app::now;
use crate::config::{DeadLetters, DeadLettersCommand, Replay};
use crate::effects::store::{DeadLetter, EffectStore, Target, Which};
use crate::node::open_effects;
use crate::wire::Time;

/// Dead letters that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn run(options: DeadLetters) -> anyhow::Result<()> {
    start_logging(QUIET)?;
    let deployment = match &options.command {
        DeadLettersCommand::List(list) => &list.deployment,
        DeadLettersCommand::Replay(replay) => &replay.deployment,
    };
    let store = open_effects(deployment).await?;
    let done = match &options.command {
        DeadLettersCommand::List(list) => self::list(&*store, list.json).await,
        DeadLettersCommand::Replay(asked) => replay(&*store, asked).await,
    };
    store.close().await;
    done
}

/// A dead letter as a line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    target: &'static str,
    tenant: String,
    message_id: String,
    recipients: usize,
    recorded_at: Time,
    died_at: Time,
    attempts: u32,
    reason: String,
}

impl From<&DeadLetter> for Line {
    fn from(letter: &DeadLetter) -> Self {
        let delivery = &letter.delivery;
        Self {
            id: delivery.id.clone(),
            target: delivery.target.way().as_str(),
            tenant: delivery.tenant.to_string(),
            message_id: delivery.message.to_string(),
            recipients: match &delivery.target {
                Target::Webhook(users) => users.len(),
                Target::Push(..) => 1,
            },
            recorded_at: Time(delivery.recorded_at),
            died_at: Time(letter.died_at),
            attempts: delivery.attempts,
            reason: letter.reason.clone(),
        }
    }
}

async fn list(store: &dyn EffectStore, as_json: bool) -> anyhow::Result<()> {
    let (mut last, mut count): (Option<DeadLetter>, usize) = (None, 0);
    loop {
        let page = store.dead(last.as_ref(), PAGE).await?;
        for letter in &page {
            let line = Line::from(letter);
            if as_json {
                say(serde_json::to_string(&line)?);
            } else {
                say(format_args!(
                    "{}  {} of {} to {}, {} attempts: {}",
                    line.id, line.target, line.message_id, line.recipients, line.attempts, line.reason
                ));
            }
        }
        count += page.len();
        match page.into_iter().next_back() {
            Some(letter) => last = Some(letter),
            None => break,
        }
    }
    if !as_json {
        say(format_args!("{count} dead letters"));
    }
    Ok(())
}

async fn replay(store: &dyn EffectStore, asked: &Replay) -> anyhow::Result<()> {
    if asked.all {
        let count = store.replay(&Which::All, now()).await?;
        say(format_args!("{count} dead letters are tried again"));
        return Ok(());
    }
    let ids: BTreeSet<_> = asked.ids.iter().cloned().collect();
    let wanted = ids.len() as u64;
    let count = store
        .replay(&Which::These(ids.into_iter().collect()), now())
        .await?;
    say(format_args!("{count} dead letters are tried again"));
    anyhow::ensure!(
        count == wanted,
        "{} of the ids are of no dead letter",
        wanted - count
    );
    Ok(())
}
