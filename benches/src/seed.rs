//! Data to measure on: conversations full of messages, written as logs that `verbatim import irc` takes in.
//! The same seed is the same data, in every run.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ::tests::token::DEFAULT_TENANT;
use anyhow::Context;
use domain::{ConversationId, TenantId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::load::Room;

/// Different words that messages are made of.
const VOCABULARY: usize = 20_000;
const SYLLABLES: [&str; 20] = [
    "ka", "lo", "mi", "ten", "ra", "su", "vor", "ne", "pi", "dal", "go", "her", "bu", "shi", "cla", "fe",
    "mon", "zu", "tri", "wes",
];
/// Lines of a log that have the same minute.
const PER_MINUTE: usize = 20;

/// What data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    /// How many conversations.
    pub(crate) conversations: usize,
    /// Messages in each.
    pub(crate) messages: usize,
    /// Members of each that are in this one alone; they write in turns. A conversation has at least as many
    /// messages as members of both kinds.
    pub(crate) members: usize,
    /// Members of every conversation, `s0` and so on; each writes once, at the beginning.
    pub(crate) shared: usize,
}

impl Seed {
    /// So many messages, in so many conversations of ten.
    pub(crate) const fn of(messages: usize, conversations: usize) -> Self {
        Self {
            conversations,
            messages: messages / conversations,
            members: 10,
            shared: 0,
        }
    }

    /// How many messages there are in all of it.
    pub(crate) const fn all_messages(&self) -> u64 {
        (self.conversations * self.messages) as u64
    }

    /// Writes a log of each conversation into a folder. Under the same name, a longer log of a conversation
    /// begins as a shorter one does.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn write(&self, name: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::with_capacity(self.conversations);
        let words = words();
        for room in 0..self.conversations {
            let members = self.members_of(room);
            let mut text = String::new();
            for (line, (member, said)) in self.lines(room, &words).enumerate() {
                let minute = line / PER_MINUTE;
                let (hour, minute, member) = (minute / 60 % 24, minute % 60, &members[member]);
                writeln!(text, "[{hour:02}:{minute:02}] <{member}> {said}")?;
            }
            let file = folder.join(format!("2020-01-01.{name}-{room}.raw.txt"));
            std::fs::write(&file, text)?;
            files.push(file);
        }
        Ok(files)
    }

    /// What is said in a conversation, in these words: by which of its members, and what.
    pub(crate) fn lines(&self, room: usize, words: &[String]) -> impl Iterator<Item = (usize, String)> {
        let mut random = StdRng::seed_from_u64(room as u64);
        let members = self.shared + self.members;
        (0..self.messages).map(move |line| {
            let mut said = String::new();
            for _ in 0..random.random_range(4..=16) {
                let gap = if said.is_empty() { "" } else { " " };
                said.push_str(gap);
                said.push_str(&words[rank(&mut random)]);
            }
            (self.writer(line, members), said)
        })
    }

    /// Each once, so that all become members; then those who are in this conversation alone.
    const fn writer(&self, line: usize, members: usize) -> usize {
        if line < members || self.members == 0 {
            line % members
        } else {
            self.shared + line % self.members
        }
    }

    /// Who is a member of a conversation, the shared ones first.
    pub(crate) fn members_of(&self, room: usize) -> Vec<String> {
        let shared = (0..self.shared).map(|member| format!("s{member}"));
        shared
            .chain((0..self.members).map(|member| format!("u{room}-{member}")))
            .collect()
    }

    /// The conversations that an import of these files makes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn rooms(&self, files: &[PathBuf]) -> anyhow::Result<Vec<Room>> {
        let tenant = TenantId::parse(DEFAULT_TENANT)?;
        let mut rooms = Vec::with_capacity(files.len());
        for (room, file) in files.iter().enumerate() {
            let mut first = String::new();
            std::io::BufRead::read_line(
                &mut std::io::BufReader::new(std::fs::File::open(file)?),
                &mut first,
            )?;
            let name = file.file_name().context("a file")?.as_encoded_bytes();
            let first = first.trim_end_matches('\n').as_bytes();
            let id = ConversationId::imported(&tenant, "irc", &[name, first]);
            rooms.push(Room {
                id: id.to_string(),
                members: self.members_of(room),
                senders: 0,
            });
        }
        Ok(rooms)
    }
}

/// The words, the most frequent first.
pub(crate) fn words() -> Vec<String> {
    (0..VOCABULARY)
        .map(|mut number| {
            let mut word = String::new();
            loop {
                word.push_str(SYLLABLES[number % SYLLABLES.len()]);
                number /= SYLLABLES.len();
                if number == 0 {
                    return word;
                }
            }
        })
        .collect()
}

/// The rank of a word of a text: one of twice the rank is half as frequent, as in texts of people.
fn rank(random: &mut StdRng) -> usize {
    let rank = (VOCABULARY as f64).powf(random.random_range(0.0..1.0));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to the number of words"
    )]
    let rank = rank as usize;
    rank.clamp(1, VOCABULARY) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_members_write_and_the_words_are_different_ones() {
        let seed = Seed {
            conversations: 2,
            messages: 12,
            members: 3,
            shared: 2,
        };
        let folder = tempfile::tempdir().unwrap();
        let files = seed.write("room", folder.path()).unwrap();
        let text = std::fs::read_to_string(&files[1]).unwrap();
        assert_eq!(text.lines().count(), 12);
        for member in ["s0", "s1", "u1-0", "u1-1", "u1-2"] {
            assert!(text.contains(&format!("<{member}>")), "{member}");
        }
        let mut words = words();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), VOCABULARY);
    }
}
