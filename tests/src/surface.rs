//! What conversations must be after any commands: the whole surface as a plain fold in memory.
//!
//! Everything is kept and counted anew each time, because that is hard to get wrong. A command says which
//! status it must be answered with, and changes the model only if it is carried out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// A user, by number.
pub type User = usize;

/// A role, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Adds members, removes plain ones, deletes messages of others.
    Moderator,
    /// Changes the group.
    Admin,
}

impl Role {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "MEMBER",
            Self::Moderator => "MODERATOR",
            Self::Admin => "ADMIN",
        }
    }
}

#[derive(Clone, Debug)]
struct Member {
    role: Role,
    standing: usize,
}

#[derive(Clone, Debug, Default)]
struct Marks {
    read: usize,
    receipt: usize,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    /// When it was put away.
    archived: Option<u64>,
    is_muted: bool,
}

#[derive(Clone, Debug)]
struct Message {
    sender: User,
    /// All that it said.
    texts: Vec<String>,
    is_deleted: bool,
    reply_to: Option<usize>,
    reactions: BTreeSet<(String, User)>,
    hidden_from: BTreeSet<User>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    is_direct: bool,
    name: Option<String>,
    owner: Option<User>,
    members: BTreeMap<User, Member>,
    joins: usize,
    marks: BTreeMap<User, Marks>,
    settings: BTreeMap<User, Settings>,
    messages: Vec<Message>,
    /// When the newest message was sent, or the conversation begun.
    activity: u64,
}

/// Everything that happened.
#[derive(Default)]
pub struct Surface {
    /// The conversations.
    pub conversations: Vec<Conversation>,
    clock: u64,
}

impl Surface {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A group was founded.
    pub fn founded(&mut self, id: String, founder: User, others: &[User], name: &str) {
        let mut new = Conversation {
            id,
            is_direct: false,
            name: Some(name.to_owned()),
            owner: Some(founder),
            members: BTreeMap::new(),
            joins: 0,
            marks: BTreeMap::new(),
            settings: BTreeMap::new(),
            messages: Vec::new(),
            activity: self.tick(),
        };
        new.join(founder, Role::Admin);
        others.iter().for_each(|user| new.join(*user, Role::Member));
        self.conversations.push(new);
    }

    /// The direct conversation of two was opened, now or before.
    pub fn opened(&mut self, id: String, one: User, other: User) {
        if self.conversations.iter().any(|known| known.id == id) {
            return;
        }
        self.founded(id, one, &[other], "");
        if let Some(new) = self.conversations.last_mut() {
            (new.is_direct, new.name, new.owner) = (true, None, None);
            new.members
                .values_mut()
                .for_each(|member| member.role = Role::Member);
        }
    }

    /// A message was sent, if it may be.
    pub fn send(&mut self, index: usize, actor: User, text: &str, reply_to: Option<usize>) -> u16 {
        let now = self.tick();
        let it = &mut self.conversations[index];
        if !it.members.contains_key(&actor) {
            return 404;
        }
        it.activity = now;
        it.messages.push(Message {
            sender: actor,
            texts: vec![text.to_owned()],
            is_deleted: false,
            reply_to,
            reactions: BTreeSet::new(),
            hidden_from: BTreeSet::new(),
        });
        let last = it.messages.len();
        it.read_up_to(actor, last);
        201
    }

    /// A conversation was put away, or brought back.
    pub fn archive(&mut self, index: usize, actor: User, is_archived: bool) -> u16 {
        let now = self.tick();
        let it = &mut self.conversations[index];
        if !it.members.contains_key(&actor) {
            return 404;
        }
        it.settings.entry(actor).or_default().archived = is_archived.then_some(now);
        200
    }

    /// What the user's list must be, newest activity first.
    #[must_use]
    pub fn list(&self, user: User) -> Vec<Value> {
        let mut mine: Vec<_> = self
            .conversations
            .iter()
            .filter(|it| it.members.contains_key(&user))
            .collect();
        mine.sort_by_key(|it| std::cmp::Reverse(it.activity));
        mine.into_iter().map(|it| it.shown_to(user)).collect()
    }

    /// What `GET /conversations/stats` must be.
    #[must_use]
    pub fn stats(&self, user: User) -> Value {
        let list = self.list(user);
        let count = |what: fn(&Value) -> bool| list.iter().filter(|item| what(item)).count();
        let unread = |item: &Value| item["unreadCount"].as_u64().unwrap_or_default();
        let direct = count(|item| item["type"] == "DIRECT");
        json!({"total": list.len(), "direct": direct, "group": list.len() - direct,
            "archived": count(|item| item["isArchived"] == true), "muted": count(|item| item["isMuted"] == true),
            "unreadConversations": list.iter().filter(|item| unread(item) > 0).count(),
            "unreadMessages": list.iter().map(unread).sum::<u64>()})
    }
}

impl Conversation {
    fn join(&mut self, user: User, role: Role) {
        if self.members.contains_key(&user) {
            return;
        }
        let standing = self.joins;
        self.joins += 1;
        self.members.insert(user, Member { role, standing });
        self.marks.entry(user).or_default().read = self.messages.len();
    }

    fn read_up_to(&mut self, user: User, last: usize) {
        let marks = self.marks.entry(user).or_default();
        marks.read = marks.read.max(last);
        marks.receipt = marks.receipt.max(last);
    }

    fn is_owner(&self, user: User) -> bool {
        self.owner == Some(user)
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether the user is a member.
    #[must_use]
    pub fn has(&self, user: User) -> bool {
        self.members.contains_key(&user)
    }

    /// The role of a member of a group; otherwise the status that a command about members is refused with.
    fn role_in_group(&self, actor: User) -> Result<Role, u16> {
        let member = self.members.get(&actor).ok_or(404_u16)?;
        if self.is_direct { Err(422) } else { Ok(member.role) }
    }

    /// The group is called otherwise.
    pub fn rename(&mut self, actor: User, name: &str) -> u16 {
        match self.role_in_group(actor) {
            Ok(Role::Admin) => {
                self.name = Some(name.to_owned());
                200
            }
            Ok(_) => 403,
            Err(status) => status,
        }
    }

    /// A user was added.
    pub fn add(&mut self, actor: User, user: User, role: Role) -> u16 {
        match self.role_in_group(actor) {
            Ok(own) if own >= Role::Moderator && (role == Role::Member || own == Role::Admin) => {
                self.join(user, role);
                201
            }
            Ok(_) => 403,
            Err(status) => status,
        }
    }

    /// A member was removed.
    pub fn remove(&mut self, actor: User, user: User) -> u16 {
        let role = match self.role_in_group(actor) {
            Ok(role) => role,
            Err(status) => return status,
        };
        let target = self.members.get(&user).map(|member| member.role);
        let may = match target.unwrap_or(Role::Member) {
            Role::Member => role >= Role::Moderator,
            _ => role == Role::Admin,
        };
        match (may, target) {
            (false, _) => 403,
            (true, None) => 404,
            (true, Some(_)) if self.is_owner(user) => 403,
            (true, Some(_)) => {
                self.members.remove(&user);
                204
            }
        }
    }

    /// A member got another role.
    pub fn change_role(&mut self, actor: User, user: User, role: Role) -> u16 {
        match self.role_in_group(actor) {
            Ok(Role::Admin) => {}
            Ok(_) => return 403,
            Err(status) => return status,
        }
        let is_owner = self.is_owner(user);
        let Some(member) = self.members.get_mut(&user) else {
            return 404;
        };
        if is_owner && member.role != role {
            return 403;
        }
        member.role = role;
        200
    }

    /// A member left.
    pub fn leave(&mut self, actor: User) -> u16 {
        if let Err(status) = self.role_in_group(actor) {
            return status;
        }
        self.members.remove(&actor);
        if self.is_owner(actor) {
            let heir = self
                .members
                .iter_mut()
                .min_by_key(|(_, member)| (std::cmp::Reverse(member.role), member.standing));
            self.owner = heir.map(|(user, member)| {
                member.role = Role::Admin;
                *user
            });
        }
        204
    }

    /// A member does not want to be notified, or does again.
    pub fn mute(&mut self, actor: User, is_muted: bool) -> u16 {
        if !self.has(actor) {
            return 404;
        }
        let activity = self.activity;
        let settings = self.settings.entry(actor).or_default();
        let came_back = !settings.is_muted && settings.archived.is_some_and(|at| activity > at);
        if is_muted && came_back {
            settings.archived = None;
        }
        settings.is_muted = is_muted;
        200
    }

    /// A member has read up to a message, or everything; answers what is unread then, too.
    pub fn read(&mut self, actor: User, message: Option<usize>) -> u16 {
        if !self.has(actor) {
            return 404;
        }
        let last = message.map_or(self.messages.len(), |message| message + 1);
        self.read_up_to(actor, last);
        200
    }

    /// A message and all after it are unread.
    pub fn unread_from(&mut self, actor: User, message: usize) -> u16 {
        if !self.has(actor) {
            return 404;
        }
        self.marks.entry(actor).or_default().read = message;
        200
    }

    /// A text was written anew.
    pub fn edit(&mut self, actor: User, message: usize, text: &str) -> u16 {
        if !self.sees(actor, message) {
            return 404;
        }
        let it = &mut self.messages[message];
        if it.is_deleted {
            return 422;
        }
        if it.sender != actor {
            return 403;
        }
        it.texts.push(text.to_owned());
        200
    }

    /// A message was deleted for everyone.
    pub fn delete(&mut self, actor: User, message: usize) -> u16 {
        let Some(role) = self.members.get(&actor).map(|member| member.role) else {
            return 404;
        };
        if !self.sees(actor, message) {
            return 404;
        }
        let (is_direct, it) = (self.is_direct, &mut self.messages[message]);
        if it.is_deleted {
            return 200;
        }
        if it.sender != actor && (is_direct || role < Role::Moderator) {
            return 403;
        }
        it.is_deleted = true;
        it.reactions.clear();
        200
    }

    /// A message was hidden from one who sees it.
    pub fn hide(&mut self, actor: User, message: usize) -> u16 {
        if !self.sees(actor, message) {
            return 404;
        }
        self.messages[message].hidden_from.insert(actor);
        204
    }

    /// A reaction was added, or taken back when it was there; answers whether it is there now.
    pub fn react(&mut self, actor: User, message: usize, emoji: &str) -> (u16, bool) {
        if !self.sees(actor, message) {
            return (404, false);
        }
        let it = &mut self.messages[message];
        if it.is_deleted {
            return (422, false);
        }
        let key = (emoji.to_owned(), actor);
        let is_there = !it.reactions.remove(&key);
        if is_there {
            it.reactions.insert(key);
        }
        (200, is_there)
    }

    /// A reaction was taken back, if it was there.
    pub fn unreact(&mut self, actor: User, message: usize, emoji: &str) -> u16 {
        if !self.sees(actor, message) {
            return 404;
        }
        let it = &mut self.messages[message];
        if it.is_deleted {
            return 422;
        }
        it.reactions.remove(&(emoji.to_owned(), actor));
        200
    }

    fn sees(&self, user: User, message: usize) -> bool {
        self.has(user) && !self.messages[message].hidden_from.contains(&user)
    }

    fn counts_for(&self, user: User, index: usize) -> bool {
        let message = &self.messages[index];
        message.sender != user && !message.is_deleted && !message.hidden_from.contains(&user)
    }

    /// How many messages are unread by a member.
    #[must_use]
    pub fn unread(&self, user: User) -> usize {
        let mark = self.marks.get(&user).map_or(0, |marks| marks.read);
        (mark..self.messages.len())
            .filter(|index| self.counts_for(user, *index))
            .count()
    }

    /// What a member must see of it in the list.
    #[must_use]
    pub fn shown_to(&self, user: User) -> Value {
        let newest = self
            .messages
            .iter()
            .rev()
            .find(|message| !message.hidden_from.contains(&user));
        let settings = self.settings.get(&user).cloned().unwrap_or_default();
        let archived = settings
            .archived
            .is_some_and(|at| settings.is_muted || self.activity <= at);
        json!({"id": self.id, "type": if self.is_direct { "DIRECT" } else { "GROUP" }, "name": self.name,
            "lastMessage": newest.and_then(Message::text), "unreadCount": self.unread(user),
            "role": self.members[&user].role.name(), "isArchived": archived, "isMuted": settings.is_muted,
            "memberCount": self.members.len()})
    }

    /// What a member must see of its messages, oldest first. Users are named by `name`.
    #[must_use]
    pub fn messages_for(&self, user: User, name: impl Fn(User) -> String) -> Vec<Value> {
        let seen = self
            .messages
            .iter()
            .enumerate()
            .filter(|(_, message)| !message.hidden_from.contains(&user));
        let row = |(index, message): (usize, &Message)| {
            let mut counts: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
            for (emoji, by) in &message.reactions {
                let (count, mine) = counts.entry(emoji).or_default();
                *count += 1;
                *mine |= *by == user;
            }
            let mut reactions: Vec<_> = counts.into_iter().collect();
            reactions.sort_by_key(|(emoji, (count, _))| (std::cmp::Reverse(*count), *emoji));
            let reactions: Vec<_> = reactions
                .into_iter()
                .map(|(emoji, (count, mine))| json!({"emoji": emoji, "count": count, "mine": mine}))
                .collect();
            let answered = message
                .reply_to
                .filter(|index| self.sees(user, *index))
                .map(|index| &self.messages[index]);
            json!({"ordinal": index + 1, "fromUserId": name(message.sender), "content": message.text(),
                "isEdited": message.texts.len() > 1 && !message.is_deleted, "isDeleted": message.is_deleted,
                "reactions": reactions, "replyTo": answered.and_then(Message::text)})
        };
        seen.map(row).collect()
    }

    /// All that a message said, for one who sees it.
    #[must_use]
    pub fn history(&self, message: usize) -> Vec<String> {
        let it = &self.messages[message];
        if it.is_deleted {
            Vec::new()
        } else {
            it.texts.clone()
        }
    }

    /// Who but its sender has read a message, and how many of the members have, and have not.
    #[must_use]
    pub fn receipts(&self, message: usize) -> (BTreeSet<User>, usize, usize) {
        let sender = self.messages[message].sender;
        let has_read = |user: &User| *user != sender && self.marks[user].receipt > message;
        let readers: BTreeSet<_> = self.marks.keys().copied().filter(has_read).collect();
        let others = self.members.keys().filter(|user| **user != sender).count();
        let active = readers.iter().filter(|user| self.has(**user)).count();
        (readers, active, others - active)
    }

    /// Whether a member sees a message.
    #[must_use]
    pub fn is_seen_by(&self, user: User, message: usize) -> bool {
        self.sees(user, message)
    }
}

impl Message {
    fn text(&self) -> Option<&String> {
        self.texts.last().filter(|_| !self.is_deleted)
    }
}
