//! The IRC logs that the tests import: real ones, and generated ones of any length.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A few logs of different years. Between them they have reply links, actions, messages without text,
/// lines that are no messages, and the word `gstreamer`.
const CHOSEN: [&str; 7] = [
    "2005-07-25.train-a",
    "2005-10-12.train-c",
    "2005-12-23.train-c",
    "2006-12-20.train-c",
    "2007-06-04.train-a",
    "2010-01-04.train-c",
    "2010-08-15.train-c",
];

/// The logs to import: of the folder in `VERBATIM_TEST_DATA`, or else of the corpus of Kummerfeld et al.
/// (ACL 2019, CC-BY-4.0) where it lies beside the project, or else the [`fixtures`], written in the same
/// format, because a test that imports nothing shows nothing.
#[must_use]
pub fn logs() -> Vec<PathBuf> {
    let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let corpus = std::env::var_os("VERBATIM_TEST_DATA")
        .map_or_else(|| project.join("../shared/data/ubuntu-irc"), PathBuf::from);
    let chosen: Vec<_> = CHOSEN
        .iter()
        .map(|name| corpus.join(format!("{name}.raw.txt")))
        .collect();
    if chosen.iter().all(|path| path.exists()) {
        chosen
    } else {
        fixtures()
    }
}

/// Small logs with everything that is rare in the large ones.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn fixtures() -> Vec<PathBuf> {
    let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let fixtures = project.join("tests/fixtures").read_dir().unwrap();
    let mut fixtures: Vec<_> = fixtures.map(|entry| entry.unwrap().path()).collect();
    fixtures.retain(|path| path.to_str().unwrap().ends_with(".raw.txt"));
    fixtures.sort();
    assert!(!fixtures.is_empty(), "there is no log to import");
    fixtures
}

/// Writes a log of so many messages by so many nicks (`nick0`, `nick1` …) over one day, each message
/// with its own number in it and every tenth an answer to the one three before.
///
/// # Panics
/// If the file cannot be written.
#[must_use]
pub fn generated(folder: &Path, date: &str, messages: usize, nicks: usize) -> PathBuf {
    let (mut raw, mut links) = (String::new(), String::new());
    for line in 0..messages {
        let minute = line * 24 * 60 / messages;
        // A stride that is prime to the usual numbers of nicks, so that nobody speaks in turn.
        let nick = line * 7919 % 104_729 % nicks;
        let (hour, minute) = (minute / 60, minute % 60);
        let _ = writeln!(
            raw,
            "[{hour:02}:{minute:02}] <nick{nick}> message {line} of {date}"
        );
        if line % 10 == 9 {
            let _ = writeln!(links, "{} {line} -", line - 3);
        }
    }
    let path = folder.join(format!("{date}.generated.raw.txt"));
    std::fs::write(&path, raw).unwrap();
    std::fs::write(folder.join(format!("{date}.generated.annotation.txt")), links).unwrap();
    path
}
