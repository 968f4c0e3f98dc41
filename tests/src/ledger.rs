//! What a client sent and what was acknowledged, and whether the server kept just that.
//!
//! A text whose fate is unknown, because the connection broke, is sent again under the same `tempId`, as
//! an honest client does. So in the end every text was acknowledged, and the ledgers can be compared with
//! what the server kept.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shapes::Message;
use crate::{Client, Socket};

/// What one client sent and what came back.
pub struct Ledger {
    /// Who sent.
    pub user: String,
    /// The acknowledged messages, in the order of their acknowledgements.
    pub acknowledged: Vec<Message>,
    /// Whether the server refused a text that it took later, while another was on its way: then the texts need
    /// not be in order.
    pub refused: bool,
    /// The longest that a text waited for its acknowledgement, refusals and all.
    pub slowest: Duration,
    /// How long it waits over HTTP after each acknowledgement.
    pub pause: Duration,
    conversations: Vec<String>,
    issued: u64,
    outstanding: VecDeque<Text>,
}

/// A text that was sent, or is about to be.
#[derive(Clone)]
struct Text {
    temp_id: String,
    body: Value,
    issued: Instant,
}

/// The connection broke, or the server refused for now.
pub struct Broken;

impl Ledger {
    /// A client that sends to these conversations in turn.
    #[must_use]
    pub fn new(user: &str, conversations: &[String]) -> Self {
        Self {
            user: user.to_owned(),
            acknowledged: Vec::new(),
            refused: false,
            slowest: Duration::ZERO,
            pause: Duration::ZERO,
            conversations: conversations.to_vec(),
            issued: 0,
            outstanding: VecDeque::new(),
        }
    }

    /// How many texts were sent.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    fn issue(&mut self) -> Text {
        let number = self.issued;
        let conversation = &self.conversations[number as usize % self.conversations.len()];
        let temp_id = format!("{}-{number}", self.user);
        let content = format!("{number} by {} and word{}", self.user, number % 7);
        let mut body = crate::client::text(conversation, &content);
        body["tempId"] = json!(temp_id);
        self.issued += 1;
        self.outstanding.push_back(Text {
            temp_id,
            body,
            issued: Instant::now(),
        });
        self.outstanding[self.outstanding.len() - 1].clone()
    }

    fn acknowledge(&mut self, temp_id: &str, message: &Value) {
        // A second acknowledgement of the same text, after it was sent again, tells nothing new.
        if let Some(index) = self.outstanding.iter().position(|text| text.temp_id == temp_id) {
            let text = self.outstanding.remove(index).unwrap();
            let message: Message = serde_json::from_value(message.clone()).unwrap();
            assert_eq!(
                message.content.as_deref(),
                text.body["content"].as_str(),
                "another text came back"
            );
            self.slowest = self.slowest.max(text.issued.elapsed());
            self.acknowledged.push(message);
        }
    }

    /// Sends over HTTP until `enough`, and until the fate of everything sent is known.
    ///
    /// # Errors
    /// [`Broken`] when the server goes away; what is outstanding is sent again by the next session.
    ///
    /// # Panics
    /// If the server refuses for good.
    pub async fn send_http(&mut self, client: &Client, enough: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        loop {
            let text = match self.outstanding.front() {
                Some(text) => text.clone(),
                None if enough(self) => return Ok(()),
                None => self.issue(),
            };
            let call = client.post("/conversations/messages", &text.body);
            let answer = call.try_send().await.map_err(|_| Broken)?;
            match answer.status {
                200 | 201 => {
                    self.acknowledge(&text.temp_id, &answer.json());
                    tokio::time::sleep(self.pause).await;
                }
                // 401 comes from the server of another test, which has got the port of ours.
                401 | 503 => return Err(Broken),
                status => panic!("{status}: {}", answer.text()),
            }
        }
    }

    /// Sends over a WebSocket until `enough`, and until the fate of everything sent is known.
    ///
    /// # Errors
    /// [`Broken`] when the server goes away; what is outstanding is sent again by the next session.
    ///
    /// # Panics
    /// If the server sends something malformed.
    pub async fn send_socket(
        &mut self,
        socket: &mut Socket,
        window: usize,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Broken> {
        for text in self.outstanding.clone() {
            socket.emit("send_message", &text.body).await;
        }
        loop {
            while self.outstanding.len() < window && !enough(self) {
                let text = self.issue();
                socket.emit("send_message", &text.body).await;
            }
            if self.outstanding.is_empty() {
                return Ok(());
            }
            let frame = socket.next().await.map_err(|_| Broken)?;
            match frame.event.as_str() {
                "message_sent" => {
                    let temp_id = frame.data["tempId"].as_str().unwrap();
                    self.acknowledge(temp_id, &frame.data["message"]);
                }
                "message_error" => {
                    self.refused |= self.outstanding.len() > 1;
                    return Err(Broken);
                }
                _ => {}
            }
        }
    }
}

/// A conversation holds what the ledgers say: every acknowledged message as it was acknowledged, every
/// text once, each client's texts in its order, and ordinals without a hole.
///
/// # Panics
/// If it does not.
pub fn check(ledgers: &[Ledger], conversation: &str, messages: &[Message]) {
    let mut contents = BTreeMap::new();
    let mut numbers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message.ordinal, index as u64 + 1, "a hole in the ordinals");
        let content = message.content.as_deref().unwrap();
        let first = contents.insert((&message.from_user_id, content), message.ordinal);
        assert_eq!(first, None, "the same text again: {message:?}");
        if let Some(Ok(number)) = content.split_once(" by ").map(|(number, _)| number.parse()) {
            numbers.entry(&message.from_user_id).or_default().push(number);
        }
    }
    for ledger in ledgers {
        let user = ledger.user.as_str();
        let mine: Vec<_> = ledger
            .acknowledged
            .iter()
            .filter(|m| m.conversation_id == conversation)
            .collect();
        for acknowledged in &mine {
            let kept = messages.get(acknowledged.ordinal as usize - 1);
            assert_eq!(kept, Some(*acknowledged), "not as it was acknowledged");
        }
        let numbers = numbers.remove(user).unwrap_or_default();
        assert_eq!(
            numbers.len(),
            mine.len(),
            "more or fewer texts of {user} than were acknowledged"
        );
        if !ledger.refused {
            assert!(numbers.is_sorted(), "the texts of {user} are out of order");
        }
    }
}
