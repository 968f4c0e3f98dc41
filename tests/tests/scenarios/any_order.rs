//! Any commands in any order, by members and by those who are none: each is answered as a plain model of the
//! surface says, everything that can be asked then is what the model has, and a rebuild from the log changes
//! nothing.

use futures::future::join_all;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tests::answers::assert_same;
use tests::shapes::Message;
use tests::surface::{Role, Surface, User};
use tests::{Client, TestServer, chance};

const WORLDS: usize = 8;
const COMMANDS: usize = 1_250;
const USERS: usize = 5;
const CONVERSATIONS: usize = 6;
const EMOJI: [&str; 3] = ["👍", "❤️", "party"];
const ROLES: [Role; 3] = [Role::Member, Role::Moderator, Role::Admin];

/// Users with conversations of their own, and what must be so of them.
struct World {
    number: usize,
    clients: Vec<Client>,
    surface: Surface,
    /// The messages' ids, by conversation.
    ids: Vec<Vec<String>>,
    random: StdRng,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_is_what_the_model_says_live_and_rebuilt() {
    let mut server = TestServer::start().await;
    let seed = chance::random(0, u64::MAX);
    tests::report(&format!("any order: seed {seed}"));
    let mut worlds: Vec<_> = (0..WORLDS)
        .map(|number| World::new(&server, number, seed))
        .collect();
    join_all(worlds.iter_mut().map(World::run)).await;
    let live = join_all(worlds.iter().map(World::everything)).await;
    server.rebuild().await;
    worlds.iter_mut().for_each(|world| world.connect(&server));
    let rebuilt = join_all(worlds.iter().map(World::everything)).await;
    for (live, rebuilt) in live.iter().zip(&rebuilt) {
        assert_same(live, rebuilt);
    }
    for world in &mut worlds {
        for user in 0..USERS {
            world.check_list(user).await;
        }
    }
}

impl World {
    fn new(server: &TestServer, number: usize, seed: u64) -> Self {
        let mut world = Self {
            number,
            clients: Vec::new(),
            surface: Surface::default(),
            ids: vec![Vec::new(); CONVERSATIONS],
            random: StdRng::seed_from_u64(seed ^ number as u64),
        };
        world.connect(server);
        world
    }

    fn connect(&mut self, server: &TestServer) {
        self.clients = (0..USERS).map(|user| server.client(&self.name(user))).collect();
    }

    fn name(&self, user: User) -> String {
        format!("w{}u{user}", self.number)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    async fn run(&mut self) {
        for _ in 0..COMMANDS {
            let actor = self.below(USERS);
            self.step(actor).await;
            self.check_list(actor).await;
            if self.random.next_u32().is_multiple_of(4) {
                self.check_something().await;
            }
        }
    }

    /// One command of anyone.
    async fn step(&mut self, actor: User) {
        if self.surface.conversations.len() < CONVERSATIONS {
            return self.begin(actor).await;
        }
        let index = self.below(CONVERSATIONS);
        let (user, role) = (self.below(USERS), ROLES[self.below(ROLES.len())]);
        let number = self.below(1_000_000);
        let id = self.surface.conversations[index].id.clone();
        let client = self.clients[actor].clone();
        let path = format!("/conversations/{id}");
        let (named, members) = (self.name(user), format!("{path}/members"));
        let choice = self.below(100);
        let it = &mut self.surface.conversations[index];
        let (call, expected) = match choice {
            0..2 => {
                let body = json!({"name": format!("name {number}")});
                (
                    client.put(&path, &body),
                    it.rename(actor, &format!("name {number}")),
                )
            }
            2..10 => {
                let body = json!({"memberIds": [named], "role": role.name()});
                (client.post(&members, &body), it.add(actor, user, role))
            }
            10..12 => (
                client.delete(&format!("{members}/{named}")),
                it.remove(actor, user),
            ),
            12..15 => (
                client.put(&format!("{members}/{named}/role"), &json!({"role": role.name()})),
                it.change_role(actor, user, role),
            ),
            15..16 => (client.delete(&format!("{path}/leave")), it.leave(actor)),
            16..20 => {
                let what = choice.is_multiple_of(2);
                let call =
                    client.post_nothing(&format!("{path}/{}", if what { "archive" } else { "unarchive" }));
                (call, self.surface.archive(index, actor, what))
            }
            20..24 => {
                let what = choice.is_multiple_of(2);
                let call = client.post_nothing(&format!("{path}/{}", if what { "mute" } else { "unmute" }));
                (call, it.mute(actor, what))
            }
            24..45 => return self.send(index, actor, number).await,
            _ if it.is_empty() => return,
            _ => return self.about_a_message(index, actor, choice, number).await,
        };
        let answer = call.send().await;
        assert_eq!(answer.status, expected, "{}: {}", self.number, answer.text());
    }

    async fn begin(&mut self, actor: User) {
        let client = &self.clients[actor];
        if self.surface.conversations.len() % 3 == 2 {
            let other = (actor + 1 + self.random.random_range(0..USERS - 1)) % USERS;
            let direct = client.direct(&self.name(other)).await;
            self.surface.opened(direct.id, actor, other);
        } else {
            let others: Vec<_> = (0..USERS)
                .filter(|user| *user != actor && user.is_multiple_of(2))
                .collect();
            let names: Vec<_> = others.iter().map(|user| self.name(*user)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let group = client.group("group", &names).await;
            self.surface.founded(group.id, actor, &others, "group");
        }
    }

    async fn send(&mut self, index: usize, actor: User, number: usize) {
        let it = &self.surface.conversations[index];
        let (id, length) = (it.id.clone(), it.len());
        let reply_to = (number.is_multiple_of(3) && length > 0).then(|| number % length);
        let mut body = tests::client::text(&id, &format!("text {number}"));
        if let Some(answered) = reply_to {
            body["replyToId"] = self.ids[index][answered].clone().into();
        }
        let answer = self.clients[actor]
            .post("/conversations/messages", &body)
            .send()
            .await;
        let expected = self
            .surface
            .send(index, actor, &format!("text {number}"), reply_to);
        assert_eq!(answer.status, expected, "{}", answer.text());
        if expected == 201 {
            self.ids[index].push(answer.json::<Message>().id);
        }
    }

    async fn about_a_message(&mut self, index: usize, actor: User, choice: usize, number: usize) {
        let client = self.clients[actor].clone();
        let it = &mut self.surface.conversations[index];
        // Mostly a new one.
        let length = it.len();
        let message = if number.is_multiple_of(2) {
            number % length
        } else {
            length - 1 - number % length.min(3)
        };
        let id = self.ids[index][message].clone();
        let path = format!("/conversations/messages/{id}");
        let emoji = EMOJI[number % EMOJI.len()];
        let (call, expected) = match choice {
            45..58 => {
                let text = format!("anew {number}");
                (
                    client.put(&path, &json!({"content": text})),
                    it.edit(actor, message, &text),
                )
            }
            58..64 => (
                client.delete(&format!("{path}?forEveryone=true")),
                it.delete(actor, message),
            ),
            64..68 => (client.delete(&path), it.hide(actor, message)),
            68..83 => {
                let (expected, is_there) = it.react(actor, message, emoji);
                let answer = client
                    .post(&format!("{path}/react"), &json!({"emoji": emoji}))
                    .send()
                    .await;
                assert_eq!(answer.status, expected, "{}", answer.text());
                if expected == 200 {
                    let action = if is_there { "added" } else { "removed" };
                    assert_eq!(answer.json::<Value>()["action"], action);
                }
                return;
            }
            83..88 => {
                let query = tests::client::encode(emoji);
                (
                    client.delete(&format!("{path}/react?emoji={query}")),
                    it.unreact(actor, message, emoji),
                )
            }
            88..96 => {
                let message = (!number.is_multiple_of(3)).then_some(message);
                let body = json!({"conversationId": it.id, "messageId": message.map(|_| id)});
                (
                    client.post("/conversations/messages/read", &body),
                    it.read(actor, message),
                )
            }
            _ => {
                let body = json!({"conversationId": it.id, "messageId": id});
                (
                    client.post("/conversations/messages/unread", &body),
                    it.unread_from(actor, message),
                )
            }
        };
        let answer = call.send().await;
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
    }

    async fn get(&self, user: User, path: &str) -> Value {
        self.clients[user].get(path).send().await.expect(200).json()
    }

    /// The user's list is the model's.
    async fn check_list(&mut self, user: User) {
        let page = self.get(user, "/conversations?limit=100").await;
        let expected = self.surface.list(user);
        assert_eq!(
            same_fields(&page["data"], &expected),
            expected,
            "list of {}",
            self.name(user)
        );
    }

    /// Something that was picked at random is the model's.
    async fn check_something(&mut self) {
        let (user, index) = (self.below(USERS), self.below(self.surface.conversations.len()));
        let it = &self.surface.conversations[index];
        if !it.has(user) {
            return;
        }
        let path = format!("/conversations/{}/messages?limit=100", it.id);
        let page = self.get(user, &path).await;
        let mut expected = it.messages_for(user, |user| self.name(user));
        expected.drain(..expected.len().saturating_sub(100));
        let mut found = same_fields(&page["data"], &expected);
        for message in &mut found {
            message["replyTo"] = message["replyTo"]["content"].take();
        }
        assert_eq!(found, expected, "{path} as {}", self.name(user));
        assert_eq!(
            self.get(user, "/conversations/stats").await,
            self.surface.stats(user)
        );
        if it.is_empty() {
            return;
        }
        let message = self.random.random_range(0..it.len());
        let path = format!("/conversations/messages/{}", self.ids[index][message]);
        if !it.is_seen_by(user, message) {
            self.clients[user].get(&path).send().await.expect(404).problem();
            return;
        }
        let history = self.get(user, &format!("{path}/history")).await;
        let texts: Vec<_> = history["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["content"].clone())
            .collect();
        assert_eq!(texts, it.history(message));
        let receipts = self.get(user, &format!("{path}/read-receipts/stats")).await;
        let (readers, read, unread) = it.receipts(message);
        let names: Vec<_> = readers.into_iter().map(|reader| self.name(reader)).collect();
        let found = receipts["readBy"].as_array().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|r| r["userId"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, names, "who read {path}");
        assert_eq!(
            (&receipts["readCount"], &receipts["unreadCount"]),
            (&json!(read), &json!(unread))
        );
    }

    /// All that can be asked.
    async fn everything(&self) -> Value {
        let mut all = Vec::new();
        for user in 0..USERS {
            all.push(self.get(user, "/conversations?limit=100").await["data"].take());
            all.push(self.get(user, "/conversations/stats").await);
            let conversations = self.surface.conversations.iter().zip(&self.ids);
            for (it, ids) in conversations.filter(|(it, _)| it.has(user)) {
                let path = format!("/conversations/{}", it.id);
                all.push(self.get(user, &format!("{path}/messages?limit=100")).await);
                all.push(self.get(user, &format!("{path}/messages/stats")).await);
                all.push(self.get(user, &format!("{path}/members?limit=100")).await);
                let newest = it.len().saturating_sub(5)..it.len();
                for message in newest.filter(|message| it.is_seen_by(user, *message)) {
                    let path = format!("/conversations/messages/{}", ids[message]);
                    for of in ["history", "reactions/stats", "read-receipts/stats"] {
                        all.push(self.get(user, &format!("{path}/{of}")).await);
                    }
                }
            }
        }
        Value::Array(all)
    }
}

/// What was found, with no other fields than what is expected.
fn same_fields(found: &Value, expected: &[Value]) -> Vec<Value> {
    let Some(fields) = expected.first().and_then(Value::as_object) else {
        return found.as_array().unwrap().clone();
    };
    let only = |item: &Value| {
        fields
            .keys()
            .map(|name| (name.clone(), item[name].clone()))
            .collect()
    };
    found.as_array().unwrap().iter().map(only).collect()
}
