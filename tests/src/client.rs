//! A client of the HTTP API.

use std::fmt::Write;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::document;
use crate::shapes::{Conversation, ConversationPage, Message, MessagePage, SearchPage};

/// The most that a page of messages is asked to hold.
const PAGE: usize = 100;

/// Someone who speaks to a server over HTTP.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// A request that is being put together.
pub struct Call(RequestBuilder);

impl Client {
    /// A client of the server at `host:port`.
    ///
    /// # Panics
    /// If the operating system refuses.
    #[must_use]
    pub fn new(address: &str, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder()
            .timeout(crate::PATIENCE)
            .no_proxy()
            .build()
            .unwrap();
        Self {
            http,
            base: format!("http://{address}"),
            token: token.map(str::to_owned),
        }
    }

    /// A request with this method.
    ///
    /// # Panics
    /// If the method is none.
    #[must_use]
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let call = self.http.request(method, format!("{}{path}", self.base));
        Call(match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        })
    }

    /// A GET request.
    #[must_use]
    pub fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    /// A POST request with a JSON body.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call("POST", path).json(body)
    }

    /// A POST request without a body.
    #[must_use]
    pub fn post_nothing(&self, path: &str) -> Call {
        self.call("POST", path)
    }

    /// A PUT request with a JSON body.
    #[must_use]
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.call("PUT", path).json(body)
    }

    /// A DELETE request.
    #[must_use]
    pub fn delete(&self, path: &str) -> Call {
        self.call("DELETE", path)
    }

    /// A POST request that sends a text.
    #[must_use]
    pub fn post_message(&self, conversation: &str, content: &str) -> Call {
        self.post("/conversations/messages", &text(conversation, content))
    }

    /// Sends a text and gives the message.
    pub async fn say(&self, conversation: &str, content: &str) -> Message {
        self.post_message(conversation, content)
            .send()
            .await
            .expect(201)
            .json()
    }

    /// Uploads a file under this name, as the body of the request.
    pub async fn upload(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let path = format!("/attachments?fileName={}", encode(name));
        let call = self.call("POST", &path);
        let sent = call.bytes("application/octet-stream", bytes).send().await;
        sent.expect(201).json()
    }

    /// Opens the direct conversation with someone.
    pub async fn direct(&self, recipient: &str) -> Conversation {
        let body = json!({"recipientId": recipient});
        self.post("/conversations/direct", &body)
            .send()
            .await
            .expect_any(&[200, 201])
            .json()
    }

    /// Founds a group.
    pub async fn group(&self, name: &str, members: &[&str]) -> Conversation {
        let body = json!({"name": name, "memberIds": members});
        self.post("/conversations/group", &body)
            .send()
            .await
            .expect(201)
            .json()
    }

    /// Marks as read, up to a message or all; gives what is unread then.
    ///
    /// # Panics
    /// If the answer does not say it.
    pub async fn read(&self, conversation: &str, message: Option<&str>) -> u64 {
        let body = json!({"conversationId": conversation, "messageId": message});
        let answer = self
            .post("/conversations/messages/read", &body)
            .send()
            .await
            .expect(200);
        answer.json::<Value>()["unreadCount"].as_u64().unwrap()
    }

    /// One conversation.
    pub async fn conversation(&self, id: &str) -> Conversation {
        self.get(&format!("/conversations/{id}"))
            .send()
            .await
            .expect(200)
            .json()
    }

    /// A page of the conversation list; `query` is without the question mark.
    pub async fn conversation_page(&self, query: &str) -> ConversationPage {
        self.get(&format!("/conversations?{query}"))
            .send()
            .await
            .expect(200)
            .json()
    }

    /// The whole conversation list, newest activity first.
    ///
    /// # Panics
    /// If there is more without a cursor to it.
    pub async fn conversations(&self) -> Vec<Conversation> {
        let mut all = Vec::new();
        let mut query = "limit=50".to_owned();
        loop {
            let page = self.conversation_page(&query).await;
            all.extend(page.data);
            if !page.pagination.has_more {
                return all;
            }
            query = format!(
                "limit=50&cursor={}",
                encode(&page.pagination.next_cursor.unwrap())
            );
        }
    }

    /// A page of messages; `query` is without the question mark.
    pub async fn page(&self, conversation: &str, query: &str) -> MessagePage {
        let path = format!("/conversations/{conversation}/messages?{query}");
        self.get(&path).send().await.expect(200).json()
    }

    /// All messages of a conversation, oldest first, paged backwards from the newest.
    ///
    /// # Panics
    /// If there is more without a cursor to it.
    pub async fn messages(&self, conversation: &str) -> Vec<Message> {
        let mut pages = Vec::new();
        let mut query = format!("limit={PAGE}");
        loop {
            let page = self.page(conversation, &query).await;
            pages.push(page.data);
            if !page.has_more {
                break;
            }
            query = format!("limit={PAGE}&before={}", page.prev_cursor.unwrap());
        }
        pages.into_iter().rev().flatten().collect()
    }

    /// All messages of a conversation that were acknowledged to anyone. What others wrote comes into the
    /// read models a little later; marking it as read is a write of one's own, which one's reads wait for.
    pub async fn acknowledged_messages(&self, conversation: &str) -> Vec<Message> {
        self.read(conversation, None).await;
        self.messages(conversation).await
    }

    /// The first page of a search.
    pub async fn search(&self, words: &str) -> SearchPage {
        self.search_page(&format!("q={}", encode(words))).await
    }

    /// A page of a search; `query` is without the question mark.
    pub async fn search_page(&self, query: &str) -> SearchPage {
        self.get(&format!("/conversations/messages/search?{query}"))
            .send()
            .await
            .expect(200)
            .json()
    }

    /// All hits of a search, and its last page.
    ///
    /// # Panics
    /// If there is more without a cursor to it.
    pub async fn search_all(&self, words: &str) -> (Vec<Message>, SearchPage) {
        let mut hits = Vec::new();
        let first = format!("q={}&limit=50", encode(words));
        let mut query = first.clone();
        loop {
            let page = self.search_page(&query).await;
            hits.extend(page.data.iter().cloned());
            if !page.pagination.has_more {
                return (hits, page);
            }
            query = format!(
                "{first}&cursor={}",
                encode(page.pagination.next_cursor.as_ref().unwrap())
            );
        }
    }
}

/// The body that sends a text.
#[must_use]
pub fn text(conversation: &str, content: &str) -> Value {
    json!({"conversationId": conversation, "content": content, "type": "TEXT"})
}

/// A text as it stands in a query or a path.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

impl Call {
    /// With a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        Self(self.0.json(body))
    }

    /// With a body that says nothing of what it is.
    #[must_use]
    pub fn text(self, body: &str) -> Self {
        Self(self.0.body(body.to_owned()))
    }

    /// With a body that says it is JSON, whatever it is.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self(
            self.0
                .header("content-type", "application/json")
                .body(body.into()),
        )
    }

    /// With a body of this media type.
    #[must_use]
    pub fn bytes(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self(self.0.header("content-type", media_type).body(body.into()))
    }

    /// Sends it.
    ///
    /// # Panics
    /// If no answer comes.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it to a server that may be ending.
    ///
    /// # Errors
    /// When no whole answer comes.
    ///
    /// # Panics
    /// If the answer is not as the document of the API says.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let (http, request) = self.0.build_split();
        let request = request?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = http.execute(request).await?;
        let answer = Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await?.to_vec(),
        };
        if cfg!(debug_assertions) {
            document::check(method.as_str(), &path, &answer);
        }
        Ok(answer)
    }
}
