//! IRC logs: lines `[hh:mm] <nick> text` and `[hh:mm]  * nick action`; `===` lines are the system's.
//!
//! The logs have a date in their file's name and only hours and minutes in their lines, often on a clock
//! of twelve hours. Time never runs back in a log: where it seems to, half a day (or a day) has passed.

use std::collections::BTreeMap;

use domain::conversation::{GroupInfo, ImportedLine};
use domain::values::{Content, GroupName, ValueError};
use domain::{ConversationId, Ordinal, TenantId, Timestamp, UserId};
use time::Date;
use time::macros::format_description;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Lines may be a little out of order without half a day having passed.
const JITTER_MS: i64 = 30 * MINUTE_MS;

/// A log file, read.
#[derive(Debug)]
pub struct Log {
    /// The conversation it becomes.
    pub conversation: ConversationId,
    /// What that is called.
    pub about: GroupInfo,
    /// Its messages.
    pub messages: Vec<Line>,
    /// The lines that could not be read, with what is wrong with them.
    pub problems: Vec<(u64, &'static str)>,
}

/// A message of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its line, from 0 as in the annotations.
    pub number: u64,
    /// Who wrote it.
    pub sender: UserId,
    /// What.
    pub content: Content,
    /// When.
    pub sent_at: Timestamp,
    /// The line it answers.
    pub answers: Option<u64>,
}

/// Why a file is not a log.
#[derive(Debug, thiserror::Error)]
pub enum IrcError {
    /// Its name does not begin with a date.
    #[error("the file's name must begin with its date, YYYY-MM-DD")]
    NoDate,
    /// Its name cannot be a group's name.
    #[error("the file's name cannot be a group's name")]
    Name(#[from] ValueError),
}

/// Reads a log. `file_name` is its name without its folder; `annotations` the text of its annotation
/// file, when it has one.
///
/// # Errors
/// [`IrcError`] when the file is not a log at all; a line that cannot be read is a problem of the log.
pub fn read(
    tenant: &TenantId,
    file_name: &str,
    text: &str,
    annotations: Option<&str>,
) -> Result<Log, IrcError> {
    let date = file_name
        .get(..10)
        .and_then(|date| Date::parse(date, format_description!("[year]-[month]-[day]")).ok());
    let midnight = date
        .ok_or(IrcError::NoDate)?
        .midnight()
        .assume_utc()
        .unix_timestamp()
        * 1_000;
    let text = without_bom(text);
    let mut problems = Vec::new();
    let mut parsed = Vec::new();
    for (number, line) in (0..).zip(text.lines()) {
        match parse_line(line) {
            Ok(Some(message)) => parsed.push((number, message)),
            Ok(None) => {}
            Err(problem) => problems.push((number, problem)),
        }
    }
    let mut clock = Clock::new(midnight, parsed.iter().map(|(_, message)| message.minutes));
    let mut messages: Vec<Line> = parsed
        .into_iter()
        .map(|(number, message)| Line {
            number,
            sender: message.sender,
            content: message.content,
            sent_at: clock.at(message.minutes),
            answers: None,
        })
        .collect();
    link(&mut messages, without_bom(annotations.unwrap_or_default()));
    // A log that has grown since is still the same log: it is known by its name and its first line.
    let first = text.lines().next().unwrap_or_default();
    Ok(Log {
        conversation: ConversationId::imported(tenant, "irc", &[file_name.as_bytes(), first.as_bytes()]),
        about: GroupInfo {
            name: GroupName::parse(title(file_name))?,
            description: None,
            avatar: None,
        },
        messages,
        problems,
    })
}

impl Log {
    /// The messages after a line as an import takes them. `ordinals` are the ordinals of those before,
    /// by their lines.
    #[must_use]
    pub fn lines(
        &self,
        after: Option<u64>,
        ordinals: &mut BTreeMap<u64, Ordinal>,
        last: u64,
    ) -> Vec<ImportedLine> {
        let fresh = self
            .messages
            .iter()
            .filter(|message| Some(message.number) > after);
        let mut lines = Vec::new();
        for (taken, message) in (last..).zip(fresh) {
            lines.push(ImportedLine {
                line: message.number,
                sender: message.sender.clone(),
                content: message.content.clone(),
                sent_at: message.sent_at,
                reply_to: message.answers.and_then(|line| ordinals.get(&line).copied()),
            });
            ordinals.insert(message.number, Ordinal::after(taken));
        }
        lines
    }
}

/// The text without the byte order mark that some editors put before it.
fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn title(file_name: &str) -> &str {
    let name = file_name.strip_suffix(".txt").unwrap_or(file_name);
    name.strip_suffix(".raw").unwrap_or(name)
}

struct Parsed {
    minutes: i64,
    sender: UserId,
    content: Content,
}

/// Reads a line; `None` for one that is no message by intent.
fn parse_line(line: &str) -> Result<Option<Parsed>, &'static str> {
    if line.starts_with("===") || line.trim().is_empty() {
        return Ok(None);
    }
    let not_a_message = "not a message";
    let rest = line.strip_prefix('[').ok_or(not_a_message)?;
    let (clock, rest) = rest.split_once("] ").ok_or(not_a_message)?;
    let minutes = parse_clock(clock).ok_or("not a time of day")?;
    let (nick, text) = if let Some(said) = rest.strip_prefix('<') {
        let (nick, text) = said.split_once('>').ok_or(not_a_message)?;
        (nick, text.strip_prefix(' ').unwrap_or(text))
    } else {
        let action = rest.trim_start().strip_prefix("* ").ok_or(not_a_message)?;
        action.split_once(' ').unwrap_or((action, ""))
    };
    let sender = UserId::parse(nick).map_err(|_| "the nickname is not a user id")?;
    if text.trim().is_empty() {
        return Err("a message without a text");
    }
    let content = Content::parse(text).map_err(|_| "the text cannot be a message's content")?;
    Ok(Some(Parsed {
        minutes,
        sender,
        content,
    }))
}

fn parse_clock(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str, limit: i64| {
        let number = if part.len() == 2 {
            part.parse().ok()?
        } else {
            return None;
        };
        Some(number).filter(|number| (0..limit).contains(number))
    };
    Some(two_digits(hours, 24)? * 60 + two_digits(minutes, 60)?)
}

/// Turns times of day into times.
struct Clock {
    midnight: i64,
    /// How long it takes until a time of day comes again.
    round: i64,
    rounds: i64,
    last: i64,
}

impl Clock {
    fn new(midnight: i64, minutes: impl Iterator<Item = i64>) -> Self {
        let hours: Vec<i64> = minutes.map(|minutes| minutes / 60).collect();
        let twelve = hours.iter().all(|hour| (1..=12).contains(hour));
        Self {
            midnight,
            round: if twelve { 12 * HOUR_MS } else { 24 * HOUR_MS },
            rounds: 0,
            last: i64::MIN,
        }
    }

    fn at(&mut self, minutes: i64) -> Timestamp {
        // On a clock of twelve hours, twelve is the start of a round.
        let in_round = (minutes * MINUTE_MS) % self.round;
        let mut time = self.midnight + self.rounds * self.round + in_round;
        if time < self.last.saturating_sub(JITTER_MS) {
            self.rounds += 1;
            time += self.round;
        }
        self.last = self.last.max(time);
        Timestamp::from_millis(self.last)
    }
}

/// Links messages to what they answer. An annotation links two lines in either order, `1002 1003 -`; a
/// message that is linked to several earlier ones answers the nearest.
fn link(messages: &mut [Line], annotations: &str) {
    let places: BTreeMap<u64, usize> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| (message.number, index))
        .collect();
    for annotation in annotations.lines() {
        let mut numbers = annotation
            .split_whitespace()
            .map_while(|number| number.parse::<u64>().ok());
        let (Some(one), Some(other)) = (numbers.next(), numbers.next()) else {
            continue;
        };
        let (earlier, later) = (one.min(other), one.max(other));
        if earlier == later || !places.contains_key(&earlier) {
            continue;
        }
        if let Some(index) = places.get(&later) {
            let answers = &mut messages[*index].answers;
            *answers = (*answers).max(Some(earlier));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str, annotations: &str) -> Log {
        let tenant = TenantId::parse("t").unwrap();
        read(&tenant, "2004-12-25.train-c.raw.txt", text, Some(annotations)).unwrap()
    }

    const TEXT: &str = "[09:14] <ann> hi there\n\
                        === bob [~b@x]  has joined #ubuntu\n\
                        [09:15]  * bob waves\n\
                        [09:15] <ann>\n\
                        -services- hello\n\
                        [25:00] <ann> late\n\
                        \n\
                        [12:01] <|Q-> a > b\n\
                        [01:00] <bob> after noon\n";

    #[test]
    fn messages_and_actions_are_messages_and_the_rest_is_told() {
        let log = log(TEXT, "");
        let read: Vec<_> = log
            .messages
            .iter()
            .map(|line| (line.number, line.sender.as_str(), line.content.as_str()))
            .collect();
        assert_eq!(
            read,
            [
                (0, "ann", "hi there"),
                (2, "bob", "waves"),
                (7, "|Q-", "a > b"),
                (8, "bob", "after noon")
            ]
        );
        assert_eq!(
            log.problems,
            [
                (3, "a message without a text"),
                (4, "not a message"),
                (5, "not a time of day")
            ]
        );
        assert_eq!(log.about.name.as_str(), "2004-12-25.train-c");
    }

    #[test]
    fn time_never_runs_back() {
        let christmas = 1_103_932_800_000;
        let hours = |log: &Log| -> Vec<f64> {
            let since = |line: &Line| (line.sent_at.as_millis() - christmas) as f64 / HOUR_MS as f64;
            log.messages.iter().map(since).collect()
        };
        let twelve = log(
            "[11:30] <a> x\n[12:30] <a> x\n[12:00] <a> x\n[02:00] <a> x\n[12:30] <a> x\n",
            "",
        );
        assert_eq!(hours(&twelve), [11.5, 12.5, 12.5, 14.0, 24.5]);
        let day = log("[23:59] <a> x\n[00:01] <a> x\n", "");
        assert_eq!(hours(&day), [23.0 + 59.0 / 60.0, 24.0 + 1.0 / 60.0]);
    }

    #[test]
    fn links_join_two_messages_and_the_nearest_earlier_one_is_answered() {
        let log = log(TEXT, "0 0 -\n0 2 -\n8 0 -\n7 8 -\n1 7 -\n8 99 -\nx y -\n3 8 -\n");
        let answers: Vec<_> = log.messages.iter().map(|line| line.answers).collect();
        assert_eq!(answers, [None, Some(0), None, Some(7)]);
        let lines = log.lines(None, &mut BTreeMap::new(), 0);
        assert_eq!(lines[1].reply_to, Ordinal::new(1));
        assert_eq!(lines[3].reply_to, Ordinal::new(3));
    }

    #[test]
    fn a_log_that_has_grown_is_the_same_conversation() {
        let grown = format!("{TEXT}[01:05] <ann> more\n");
        assert_eq!(log(TEXT, "").conversation, log(&grown, "").conversation);
        assert_ne!(
            log(TEXT, "").conversation,
            log("[09:14] <eve> other\n", "").conversation
        );
        let tenant = TenantId::parse("t").unwrap();
        assert!(matches!(
            read(&tenant, "notes.txt", TEXT, None),
            Err(IrcError::NoDate)
        ));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_log() {
        let (plain, marked) = (
            log(TEXT, "0 2 -\n"),
            log(&format!("\u{feff}{TEXT}"), "\u{feff}0 2 -\n"),
        );
        assert_eq!(plain.messages, marked.messages);
        assert_eq!(plain.problems, marked.problems);
        assert_eq!(plain.conversation, marked.conversation);
    }

    #[test]
    fn an_import_goes_on_behind_the_last_line() {
        let log = log(TEXT, "2 8 -\n");
        let mut ordinals = BTreeMap::from([(0, Ordinal::after(0)), (2, Ordinal::after(1))]);
        let lines = log.lines(Some(2), &mut ordinals, 5);
        assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [7, 8]);
        assert_eq!(lines[1].reply_to, Ordinal::new(2));
        assert_eq!(ordinals[&8], Ordinal::after(6));
    }
}
