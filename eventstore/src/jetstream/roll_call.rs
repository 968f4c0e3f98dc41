//! Roll calls over core NATS: a question to all nodes, and the answers of those who have somebody to name.
//!
//! Nobody knows how many nodes there are, so answers are waited for until everyone was named or the time is
//! over. A node with nobody says nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::StatusCode;
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join_all;
use tokio::time::{sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{Inner, JetStreamLog};
use crate::roll_call::{AT_ONCE, Attendance, Person, RollCall, at};
use crate::subject;

/// How long answers are waited for.
const WINDOW: Duration = Duration::from_millis(400);
/// How long a subscription that cannot be had is not asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// The roll calls of the nodes on one log.
#[derive(Clone, Debug)]
pub struct JetStreamRollCall {
    inner: Arc<Inner>,
}

impl JetStreamRollCall {
    /// Roll calls beside this log, on its connection.
    #[must_use]
    pub fn new(log: &JetStreamLog) -> Self {
        Self {
            inner: Arc::clone(&log.inner),
        }
    }

    async fn answer(&self, here: &dyn Attendance) {
        let subject = self.inner.named(subject::ROLL_CALL);
        let Ok(mut calls) = self.inner.client.subscribe(subject).await else {
            return;
        };
        while let Some(call) = calls.next().await {
            let asked = serde_json::from_slice::<Vec<Person>>(&call.payload);
            let back = call.reply.filter(|reply| self.is_answer(reply));
            let (Ok(asked), Some(back)) = (asked, back) else {
                tracing::debug!("what came as a roll call is none");
                continue;
            };
            let present = here.present(&asked).await;
            if present.is_empty() {
                continue;
            }
            let Ok(payload) = serde_json::to_vec(&present) else {
                continue;
            };
            if let Err(error) = self.inner.client.publish(back, payload.into()).await {
                tracing::debug!(%error, "a roll call was not answered");
            }
        }
    }

    /// Whether answers may go there: what comes as a call must not make a node publish elsewhere.
    fn is_answer(&self, subject: &str) -> bool {
        let subject = self.inner.unnamed(subject);
        subject.is_some_and(|subject| subject.starts_with(subject::ROLL_CALL_ANSWERS))
    }

    async fn ask(&self, asked: &[Person]) -> HashSet<Person> {
        let mut present = HashSet::new();
        // The client would keep the question and send it when it is old.
        if asked.is_empty() || !self.inner.connected() {
            return present;
        }
        let Ok(payload) = serde_json::to_vec(asked) else {
            return present;
        };
        let deadline = tokio::time::Instant::now() + WINDOW;
        let back = format!("{}{}", subject::ROLL_CALL_ANSWERS, Ulid::generate());
        let back = self.inner.named(&back);
        let asking = async {
            let answers = self.inner.client.subscribe(back.clone()).await.ok()?;
            let subject = self.inner.named(subject::ROLL_CALL);
            let sent = self
                .inner
                .client
                .publish_with_reply(subject, back, payload.into());
            sent.await.ok()?;
            Some(answers)
        };
        let Ok(Some(mut answers)) = timeout_at(deadline, asking).await else {
            return present;
        };
        while present.len() < asked.len() {
            let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await else {
                break;
            };
            // Not even one node listens.
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                break;
            }
            if let Ok(places) = serde_json::from_slice::<Vec<usize>>(&answer.payload) {
                present.extend(at(&places, asked));
            }
        }
        present
    }
}

#[async_trait]
impl RollCall for JetStreamRollCall {
    async fn attend(&self, here: Arc<dyn Attendance>, cancel: CancellationToken) {
        let attending = async {
            loop {
                self.answer(&*here).await;
                sleep(RETRY).await;
            }
        };
        cancel.run_until_cancelled(attending).await;
    }

    async fn call(&self, asked: &[Person]) -> HashSet<Person> {
        let calls = asked.chunks(AT_ONCE).map(|some| self.ask(some));
        join_all(calls).await.into_iter().flatten().collect()
    }
}
