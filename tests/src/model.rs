//! A brute-force fold of what was sent and read: what a conversation list must say of it.
//!
//! It keeps every message and counts anew each time, because that is hard to get wrong.

use std::collections::BTreeMap;

/// Everything that happened, as the test saw it acknowledged.
#[derive(Default)]
pub struct Model {
    conversations: BTreeMap<String, Conversation>,
    clock: u64,
}

#[derive(Default)]
struct Conversation {
    /// The read mark of each member.
    marks: BTreeMap<String, usize>,
    /// The sender of each message; the first has ordinal 1.
    senders: Vec<String>,
    last_content: Option<String>,
    last_activity: u64,
}

impl Model {
    /// A conversation with these members exists.
    pub fn created(&mut self, conversation: &str, members: &[&str]) {
        self.clock += 1;
        let marks = members.iter().map(|member| ((*member).to_owned(), 0)).collect();
        let new = Conversation {
            marks,
            last_activity: self.clock,
            ..Conversation::default()
        };
        self.conversations.insert(conversation.to_owned(), new);
    }

    /// A member sent a text. Gives the message's ordinal. One's own message moves one's mark.
    ///
    /// # Panics
    /// If there is no such conversation.
    pub fn sent(&mut self, conversation: &str, sender: &str, content: &str) -> usize {
        self.clock += 1;
        let it = self.conversations.get_mut(conversation).unwrap();
        it.senders.push(sender.to_owned());
        it.marks.insert(sender.to_owned(), it.senders.len());
        it.last_content = Some(content.to_owned());
        it.last_activity = self.clock;
        it.senders.len()
    }

    /// A member has read up to this ordinal. A mark never goes back.
    ///
    /// # Panics
    /// If there is no such conversation or member.
    pub fn read(&mut self, conversation: &str, reader: &str, up_to: usize) {
        let mark = self
            .conversations
            .get_mut(conversation)
            .unwrap()
            .marks
            .get_mut(reader)
            .unwrap();
        *mark = up_to.max(*mark);
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self, conversation: &str) -> usize {
        self.conversations[conversation].senders.len()
    }

    /// How many messages of others come after the member's mark.
    #[must_use]
    pub fn unread(&self, conversation: &str, member: &str) -> usize {
        let it = &self.conversations[conversation];
        it.senders[it.marks[member]..]
            .iter()
            .filter(|sender| *sender != member)
            .count()
    }

    /// What the member's conversation list must show: the ids, the newest activity first, each with its
    /// last message and what is unread.
    #[must_use]
    pub fn list(&self, member: &str) -> Vec<(String, Option<String>, usize)> {
        let mut mine: Vec<_> = self
            .conversations
            .iter()
            .filter(|(_, it)| it.marks.contains_key(member))
            .collect();
        mine.sort_by_key(|(_, it)| std::cmp::Reverse(it.last_activity));
        let row = |(id, it): (&String, &Conversation)| {
            (id.clone(), it.last_content.clone(), self.unread(id, member))
        };
        mine.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fold_counts_what_others_wrote_after_the_mark() {
        let mut model = Model::default();
        model.created("c", &["ann", "bob"]);
        model.created("d", &["ann", "cat"]);
        model.sent("c", "ann", "1");
        model.sent("c", "ann", "2");
        assert_eq!((model.unread("c", "ann"), model.unread("c", "bob")), (0, 2));
        model.read("c", "bob", 1);
        model.read("c", "bob", 0);
        assert_eq!(model.unread("c", "bob"), 1);
        assert_eq!(model.sent("c", "bob", "3"), 3);
        assert_eq!((model.unread("c", "ann"), model.unread("c", "bob")), (1, 0));
        let list = model.list("ann");
        assert_eq!(
            list,
            [
                ("c".to_owned(), Some("3".to_owned()), 1),
                ("d".to_owned(), None, 0)
            ]
        );
    }
}
