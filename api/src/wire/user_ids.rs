//! How user ids are written: as texts, or, for clients of the reference, whose users are numbered, as numbers
//! where they are some.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use domain::UserId;
use serde::{Serialize, Serializer};

/// The greatest whole number that every JSON client reads exactly: 2^53 - 1.
pub(crate) const MOST: u64 = (1 << 53) - 1;

/// What one process writes, everywhere: serde has nowhere to carry it along. Set before anything is served.
static AS_NUMBERS: AtomicBool = AtomicBool::new(false);

/// How user ids are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UserIdFormat {
    /// As texts.
    #[default]
    Text,
    /// Whole numbers up to 2^53 - 1 as numbers, and everything else as texts.
    Number,
}

impl UserIdFormat {
    /// Has this process write them so, from now on.
    pub fn establish(self) {
        AS_NUMBERS.store(self == Self::Number, Ordering::Relaxed);
    }
}

/// Whether numbers are written as such.
pub(crate) fn are_numbers() -> bool {
    AS_NUMBERS.load(Ordering::Relaxed)
}

/// A user id as it is written.
pub(crate) struct Written<'a>(pub(crate) &'a UserId);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_str();
        match number(text).filter(|_| are_numbers()) {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str(text),
        }
    }
}

/// The number that an id is, when that number is written like the id and in no other way.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok().filter(|number| *number <= MOST)?;
    (number.to_string() == text).then_some(number)
}

/// Writes one, for `serialize_with`.
pub(crate) fn one<S: Serializer>(id: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    Written(id).serialize(serializer)
}

/// Writes one that may be missing, for `serialize_with`.
pub(crate) fn optional<S: Serializer>(id: &Option<UserId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(Written).serialize(serializer)
}

/// Writes several, for `serialize_with`.
pub(crate) fn several<S: Serializer>(ids: &[UserId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(Written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_number_in_one_way_is_one() {
        for (text, expected) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("9007199254740991", Some(MOST)),
            ("9007199254740992", None),
            ("042", None),
            ("+42", None),
            ("-1", None),
            ("4.0", None),
            ("4e1", None),
            ("ann", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
