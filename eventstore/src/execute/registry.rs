//! The running actors: one per stream, started when it is first spoken to, gone when it is idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::subject::Stream;

/// What may wait for one actor.
const QUEUE: usize = 1_024;
/// How long an actor without work stays.
const IDLE: Duration = Duration::from_secs(120);

type Actors<M> = Mutex<HashMap<Stream, mpsc::Sender<M>>>;

/// An actor's queue is full.
pub(super) struct Full;

/// The actors that are running. When it is dropped, they finish what they were sent, and end.
pub(super) struct Registry<M> {
    actors: Arc<Actors<M>>,
}

impl<M> Default for Registry<M> {
    fn default() -> Self {
        Self {
            actors: Arc::default(),
        }
    }
}

fn lock<M>(actors: &Actors<M>) -> MutexGuard<'_, HashMap<Stream, mpsc::Sender<M>>> {
    // The map is whole after every statement, so a panic elsewhere leaves nothing half done.
    actors.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M> Registry<M> {
    /// Sends to the stream's actor; `start` starts it when it is not running.
    pub(super) fn send(&self, stream: &Stream, message: M, start: impl FnOnce(Queue<M>)) -> Result<(), Full> {
        let mut actors = lock(&self.actors);
        let message = match actors.get(stream) {
            None => message,
            Some(actor) => match actor.try_send(message) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => return Err(Full),
                Err(mpsc::error::TrySendError::Closed(message)) => message,
            },
        };
        let (actor, messages) = mpsc::channel(QUEUE);
        // A new queue has a place.
        let _ = actor.try_send(message);
        actors.insert(stream.clone(), actor);
        start(Queue {
            stream: stream.clone(),
            messages,
            actors: Arc::downgrade(&self.actors),
        });
        Ok(())
    }
}

/// An actor's own end: what it is asked, until it is idle.
pub(super) struct Queue<M> {
    stream: Stream,
    messages: mpsc::Receiver<M>,
    // An actor that held the registry would hold the other end of its own queue, and never see it closed.
    actors: Weak<Actors<M>>,
}

impl<M> Queue<M> {
    /// The next messages, up to a number of them; empty when the actor is to end, because it was idle or
    /// because the registry is gone. Nothing that was sent is lost: an actor is taken out of the registry
    /// only while its queue is empty.
    pub(super) async fn next(&mut self, limit: usize) -> Vec<M> {
        let mut taken = Vec::new();
        loop {
            match tokio::time::timeout(IDLE, self.messages.recv_many(&mut taken, limit)).await {
                Ok(_) => return taken,
                Err(_) => {
                    // Without a registry the queue is closed, and what is left in it comes at once.
                    let Some(actors) = self.actors.upgrade() else {
                        continue;
                    };
                    let mut actors = lock(&actors);
                    if self.messages.is_empty() {
                        actors.remove(&self.stream);
                        return taken;
                    }
                }
            }
        }
    }

    /// What has come in meanwhile, without waiting.
    pub(super) fn ready(&mut self, limit: usize) -> Vec<M> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Ok(message) = self.messages.try_recv()
        {
            taken.push(message);
        }
        taken
    }
}
