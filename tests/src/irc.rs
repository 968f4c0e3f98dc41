//! The IRC logs, read a second time: what an import must have taken in, line by line.
//!
//! This parser shares nothing with the server's, so that a misreading would have to be made twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A log file and the links beside it.
pub struct Log {
    /// Where it is.
    pub path: PathBuf,
    /// Its messages, in order.
    pub messages: Vec<Said>,
    /// The lines, counted from 1, that are neither a message nor a system line nor blank: whoever
    /// reads the log should be told of them.
    pub unread: Vec<usize>,
}

/// One message of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its line, counted from 0 as the links do.
    pub line: usize,
    /// The hour and the minute that stand before it.
    pub clock: (u8, u8),
    /// Who said it.
    pub nick: String,
    /// What was said, without the spaces around it.
    pub text: String,
    /// Whether it is an action (`/me`).
    pub action: bool,
    /// The lines of the messages it answers, according to the links.
    pub answers: BTreeSet<usize>,
}

impl Log {
    /// Reads a `.raw.txt` and the `.annotation.txt` beside it, if there is one.
    ///
    /// # Panics
    /// If the file cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let raw = std::fs::read_to_string(path).unwrap();
        let mut messages = Vec::new();
        let mut unread = Vec::new();
        for (line, text) in raw.split('\n').enumerate() {
            match said(line, text) {
                Some(said) if !said.text.is_empty() => messages.push(said),
                None if text.starts_with("===") || text.trim().is_empty() => {}
                _ => unread.push(line + 1),
            }
        }
        link(path, &mut messages);
        Self {
            path: path.to_owned(),
            messages,
            unread,
        }
    }

    /// The day that the log is of.
    ///
    /// # Panics
    /// If the file is not called after one.
    #[must_use]
    pub fn date(&self) -> &str {
        self.file_name().get(..10).unwrap()
    }

    /// The name of the file.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap()
    }

    /// Everyone who says something.
    #[must_use]
    pub fn nicks(&self) -> BTreeSet<&str> {
        self.messages.iter().map(|said| said.nick.as_str()).collect()
    }

    /// How many messages a nick has not seen when it reads nothing: those after its own last one.
    ///
    /// # Panics
    /// If the nick says nothing.
    #[must_use]
    pub fn unread_by(&self, nick: &str) -> usize {
        self.messages
            .iter()
            .rev()
            .position(|said| said.nick == nick)
            .unwrap()
    }
}

fn said(line: usize, text: &str) -> Option<Said> {
    let bytes = text.as_bytes();
    let digits = |at: usize| text.get(at..at + 2)?.parse::<u8>().ok();
    if bytes.first() != Some(&b'[') || bytes.get(3) != Some(&b':') || bytes.get(6..8) != Some(b"] ") {
        return None;
    }
    let clock = (digits(1)?, digits(4)?);
    let rest = &text[8..];
    let (nick, text, action) = if let Some(spoken) = rest.strip_prefix('<') {
        let (nick, text) = spoken.split_once('>')?;
        (nick, text, false)
    } else {
        let acted = rest.strip_prefix(" * ")?;
        let (nick, text) = acted.split_once(' ').unwrap_or((acted, ""));
        (nick, text, true)
    };
    let nick = (!nick.is_empty()).then(|| nick.to_owned())?;
    Some(Said {
        line,
        clock,
        nick,
        text: text.trim().to_owned(),
        action,
        answers: BTreeSet::new(),
    })
}

fn link(path: &Path, messages: &mut [Said]) {
    let annotation = path.to_str().unwrap().replace(".raw.txt", ".annotation.txt");
    let Ok(links) = std::fs::read_to_string(annotation) else {
        return;
    };
    let by_line: BTreeMap<_, _> = messages
        .iter()
        .enumerate()
        .map(|(index, said)| (said.line, index))
        .collect();
    for link in links.lines() {
        let mut numbers = link.split(' ').map_while(|word| word.parse::<usize>().ok());
        let (Some(one), Some(other)) = (numbers.next(), numbers.next()) else {
            continue;
        };
        let (earlier, later) = (one.min(other), one.max(other));
        if earlier < later
            && by_line.contains_key(&earlier)
            && let Some(index) = by_line.get(&later)
        {
            messages[*index].answers.insert(earlier);
        }
    }
}

/// The words of a text as search understands them: maximal runs of letters and digits, in lower case,
/// without diacritics.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .filter(|word| !word.is_empty())
        .map(folded)
}

/// Whether a text has a word, given in its folded form.
#[must_use]
pub fn has_word(text: &str, wanted: &str) -> bool {
    words(text).any(|word| word == wanted)
}

fn folded(word: &str) -> String {
    let plain = word
        .to_lowercase()
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .collect::<String>();
    plain.replace('đ', "d").nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_an_action_or_neither() {
        let spoken = said(3, "[09:14] <|QuaD-> a <b> c ").unwrap();
        assert_eq!(
            (
                spoken.nick.as_str(),
                spoken.text.as_str(),
                spoken.clock,
                spoken.action
            ),
            ("|QuaD-", "a <b> c", (9, 14), false)
        );
        let acted = said(3, "[23:59]  * ann waves at bob").unwrap();
        assert_eq!(
            (acted.nick.as_str(), acted.text.as_str(), acted.action),
            ("ann", "waves at bob", true)
        );
        assert_eq!(said(0, "[09:51] <drcode>").unwrap().text, "");
        for neither in [
            "=== ann has joined",
            "",
            "[05:12] -bot:#ubuntu- hello",
            "[09:14]",
            "[xx:14] <a> b",
        ] {
            assert_eq!(said(0, neither), None, "{neither}");
        }
    }

    #[test]
    fn words_are_folded_runs_of_letters_and_digits() {
        let text = "GStreamer0.10's Đà Nẵng_x (gstreamer)";
        let expected = ["gstreamer0", "10", "s", "da", "nang", "x", "gstreamer"];
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
        assert!(has_word(text, "gstreamer"));
        assert!(!has_word("gstreamer0", "gstreamer"));
    }
}
