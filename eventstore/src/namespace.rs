//! What everything of one cluster is named with: streams and subjects on NATS, schemas in Postgres.

use std::fmt;
use std::str::FromStr;

/// The most characters: a schema's name has 63, and what is appended to a namespace needs some of them.
pub const MAX_NAMESPACE: usize = 32;

/// A name that NATS takes in a subject and Postgres in a schema's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(String);

/// A text that is no namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace {0:?} is not 1 to {MAX_NAMESPACE} letters, digits, _ and -, or it is pg or begins with pg_, \
     which Postgres keeps for itself"
)]
pub struct NamespaceError(pub String);

impl Namespace {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // Schemas are named NAMESPACE_PART, so `pg` by itself makes a reserved name too.
        let reserved = format!("{text}_").to_ascii_lowercase().starts_with("pg_");
        if (1..=MAX_NAMESPACE).contains(&text.len()) && text.chars().all(plain) && !reserved {
            Ok(Self(text.to_owned()))
        } else {
            Err(NamespaceError(text.to_owned()))
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_plain_and_short_and_not_the_databases_own() {
        for good in ["a", "Verbatim-2_x", "7", "pgx", "page_1", "pg-1", &"x".repeat(32)] {
            assert_eq!(good.parse::<Namespace>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a.b",
            "a\"b",
            "a b",
            "*",
            ">",
            "đ",
            "pg",
            "PG",
            "pg_chat",
            "Pg_chat",
            &"x".repeat(33),
        ] {
            assert_eq!(
                bad.parse::<Namespace>(),
                Err(NamespaceError(bad.to_owned())),
                "{bad}"
            );
        }
    }
}
