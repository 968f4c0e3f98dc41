//! A client that hears messages over one socket after the other: whenever one is closed, it comes back with
//! the cursor of the last frame it was given. What counts is what it heard on all of them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::shapes::Message;
use crate::{Frame, Socket, eventually};

/// How long a client waits before it tries another connection.
const AGAIN: Duration = Duration::from_millis(20);

/// A client that listens until this value is dropped.
pub struct Listener {
    /// Who it is.
    pub name: String,
    address: watch::Sender<String>,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

/// What a client heard.
#[derive(Default)]
pub struct Heard {
    /// The messages of each conversation, in the order they came.
    pub messages: BTreeMap<String, Vec<Message>>,
    /// When the last message came.
    pub last: Option<Instant>,
    /// How many times it was connected.
    pub connections: usize,
    cursor: Option<String>,
}

impl Listener {
    /// A client that listens to the node at this address, once it is connected.
    pub async fn start(name: &str, address: &str, token: &str) -> Self {
        let (sender, current) = watch::channel(address.to_owned());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let task = tokio::spawn(listen(token.to_owned(), current, Arc::clone(&heard)));
        let listener = Self {
            name: name.to_owned(),
            address: sender,
            heard,
            task,
        };
        eventually("a listener is connected", || {
            let is_connected = listener.heard(|heard| heard.connections > 0);
            std::future::ready(is_connected.then_some(()).ok_or_else(String::new))
        })
        .await;
        listener
    }

    /// Leaves its node for the one at this address.
    pub fn go_to(&self, address: &str) {
        self.address.send_replace(address.to_owned());
    }

    /// What it heard so far.
    ///
    /// # Panics
    /// If it was told to start anew: it would not know what it missed.
    pub fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        assert!(!self.task.is_finished(), "the listener {} has failed", self.name);
        look(&self.heard.lock().unwrap())
    }

    /// How many messages it heard so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.heard(|heard| heard.messages.values().map(Vec::len).sum())
    }

    /// Waits until it has heard exactly these messages of each conversation, in this order.
    ///
    /// # Panics
    /// If it hears something else, or not everything in time.
    pub async fn heard_all(&self, kept: &BTreeMap<String, Vec<Message>>) {
        eventually(&format!("{} has heard everything", self.name), || {
            let missing = self.heard(|heard| {
                self.assert_part_of(&heard.messages, kept);
                let missing = kept.iter().filter_map(|(id, all)| {
                    let count = heard.messages.get(id).map_or(0, Vec::len);
                    (count < all.len()).then(|| format!("{count} of {} of {id}", all.len()))
                });
                missing.collect::<Vec<_>>()
            });
            std::future::ready(if missing.is_empty() {
                Ok(())
            } else {
                Err(missing.join(", "))
            })
        })
        .await;
    }

    /// What was heard of a conversation is how it begins.
    fn assert_part_of(&self, heard: &BTreeMap<String, Vec<Message>>, kept: &BTreeMap<String, Vec<Message>>) {
        for (conversation, messages) in heard {
            let kept = kept.get(conversation).map_or(&[][..], Vec::as_slice);
            for (index, message) in messages.iter().enumerate() {
                let expected = kept.get(index);
                assert!(
                    expected == Some(message),
                    "{} heard {message:?} at {index} instead of {expected:?}",
                    self.name
                );
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heard {
    fn take(&mut self, frame: Frame) {
        assert_ne!(
            frame.event, "reset",
            "the listener is told to start anew: {frame:?}"
        );
        if frame.event == "connected" {
            self.connections += 1;
        }
        if frame.cursor.is_some() {
            self.cursor = frame.cursor;
        }
        if frame.event == "new_message" {
            let message: Message = serde_json::from_value(frame.data["message"].clone()).unwrap();
            let conversation = self.messages.entry(message.conversation_id.clone());
            conversation.or_default().push(message);
            self.last = Some(Instant::now());
        }
    }
}

async fn listen(token: String, mut address: watch::Receiver<String>, heard: Arc<Mutex<Heard>>) {
    loop {
        let node = address.borrow_and_update().clone();
        let cursor = heard.lock().unwrap().cursor.clone();
        let opened = match cursor {
            Some(cursor) => Socket::try_resume(&node, &token, &cursor).await,
            None => Socket::try_connect(&node, &token).await,
        };
        if let Ok(mut socket) = opened {
            loop {
                tokio::select! {
                    frame = socket.next_ever() => match frame {
                        Ok(frame) => heard.lock().unwrap().take(frame),
                        Err(_) => break,
                    },
                    changed = address.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        // What is still on its way belongs to a client that has left.
                        socket.close().await;
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
