//! A log whose acknowledgements get lost, for whoever must survive that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::log::{Append, AppendError, Appended, Epoch, EventLog, ReadError, Record};
use crate::subject::Stream;

/// What happens to an append whose outcome stays unknown to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It never arrives.
    Append,
    /// It arrives, and the log's answer, whatever it is, gets lost.
    Answer,
    /// It is under way for long: it arrives when [`LostAcks::deliver_late`] says so.
    Late,
}

/// A log in front of another that answers some appends with [`AppendError::Unknown`]. Everything else
/// passes through.
pub struct LostAcks {
    log: Arc<dyn EventLog>,
    fate: Mutex<Fate>,
}

type Rule = Box<dyn FnMut(&Append) -> Option<Loss> + Send>;

#[derive(Default)]
struct Fate {
    next: VecDeque<Option<Loss>>,
    rule: Option<Rule>,
    late: Vec<Append>,
}

impl LostAcks {
    /// A log that loses nothing yet.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            fate: Mutex::default(),
        }
    }

    /// Says what happens to the next append; said more than once, to those after it in this order.
    /// `None` lets one through.
    pub fn lose_next(&self, loss: impl Into<Option<Loss>>) {
        self.fate(|fate| fate.next.push_back(loss.into()));
    }

    /// Says what happens to every append that [`Self::lose_next`] says nothing of.
    pub fn lose_when(&self, rule: impl FnMut(&Append) -> Option<Loss> + Send + 'static) {
        self.fate(|fate| fate.rule = Some(Box::new(rule)));
    }

    /// Lets the appends arrive that are late, in the order they were sent, and returns the answers that
    /// nobody waits for any more.
    pub async fn deliver_late(&self) -> Vec<Result<Appended, AppendError>> {
        let late = self.fate(|fate| std::mem::take(&mut fate.late));
        let mut answers = Vec::with_capacity(late.len());
        for append in late {
            answers.push(self.log.append(append).await);
        }
        answers
    }

    fn fate<T>(&self, change: impl FnOnce(&mut Fate) -> T) -> T {
        change(&mut self.fate.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl EventLog for LostAcks {
    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn shards(&self) -> u16 {
        self.log.shards()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let loss = self.fate(|fate| {
            let rule = &mut fate.rule;
            let loss = fate
                .next
                .pop_front()
                .unwrap_or_else(|| rule.as_mut().and_then(|rule| rule(&append)));
            if loss == Some(Loss::Late) {
                fate.late.push(append.clone());
            }
            loss
        });
        match loss {
            None => return self.log.append(append).await,
            // Whatever the answer is, it is lost.
            Some(Loss::Answer) => drop(self.log.append(append).await),
            Some(Loss::Append | Loss::Late) => {}
        }
        Err(AppendError::Unknown("lost on purpose".to_owned()))
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        self.log.head(stream).await
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.log.read_stream(stream, after, limit).await
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.log.read(shard, after, limit).await
    }

    async fn end(&self, shard: u16) -> Result<u64, ReadError> {
        self.log.end(shard).await
    }

    fn follow(&self, shard: u16, after: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        self.log.follow(shard, after)
    }
}
