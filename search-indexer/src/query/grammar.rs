//! What a query text asks for: words and quoted phrases, nothing else.
//!
//! Everything that is no word is ignored, so every text is a query or has no word; nothing is an error
//! of syntax. A quote that is never closed is ignored too.

use std::collections::HashSet;

use super::{MAX_QUERY_CHARS, MAX_QUERY_TERMS, SearchError};
use crate::text::{PlacedTerm, query_terms};

/// Terms that must stand at these positions, relative to each other.
pub(super) type Clause = Vec<PlacedTerm>;

/// Quotation marks of all kinds: phones turn the plain ones into others.
const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂')
}

/// The clauses of a query, all of which must be true.
///
/// # Errors
/// [`SearchError`] when there is no word, or too much of them.
pub(super) fn parse(text: &str) -> Result<HashSet<Clause>, SearchError> {
    if text.chars().nth(MAX_QUERY_CHARS).is_some() {
        return Err(SearchError::QueryTooLong);
    }
    let parts: Vec<&str> = text.split(is_quote).collect();
    let mut clauses = HashSet::new();
    for (index, part) in parts.iter().enumerate() {
        // Every second part is between two quotes, but for the last one when its quote is not closed.
        let quoted = index % 2 == 1 && index + 1 < parts.len();
        if quoted {
            clauses.insert(query_terms(part).concat());
        } else {
            clauses.extend(query_terms(part).into_iter().map(from_zero));
        }
    }
    clauses.remove(&Clause::new());
    match clauses.iter().map(Vec::len).sum() {
        0 => Err(SearchError::EmptyQuery),
        1..=MAX_QUERY_TERMS => Ok(clauses),
        _ => Err(SearchError::TooManyWords),
    }
}

fn from_zero(mut clause: Clause) -> Clause {
    let first = clause.first().map_or(0, |(position, _)| *position);
    clause.iter_mut().for_each(|(position, _)| *position -= first);
    clause
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clauses(text: &str) -> Vec<Vec<(usize, String)>> {
        let mut clauses: Vec<_> = parse(text).unwrap().into_iter().collect();
        clauses.sort();
        clauses
    }

    fn clause(terms: &[(usize, &str)]) -> Clause {
        terms
            .iter()
            .map(|(position, term)| (*position, (*term).to_owned()))
            .collect()
    }

    #[test]
    fn words_and_phrases_all_must_match() {
        assert_eq!(
            clauses("Foo-bar, foo \"New  York!\" “x”"),
            [
                clause(&[(0, "bar")]),
                clause(&[(0, "foo")]),
                clause(&[(0, "new"), (1, "york")]),
                clause(&[(0, "x")])
            ]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_ignored() {
        assert_eq!(
            clauses("\"a b\" \"c d"),
            [
                clause(&[(0, "a"), (1, "b")]),
                clause(&[(0, "c")]),
                clause(&[(0, "d")])
            ]
        );
    }

    #[test]
    fn characters_without_spaces_stay_together() {
        assert_eq!(
            clauses("x 日本語"),
            [clause(&[(0, "x")]), clause(&[(0, "日本"), (1, "本語")])]
        );
    }

    #[test]
    fn without_a_word_there_is_nothing_to_ask() {
        for text in ["", " ", "!?", "\"\"", "\" \"", "\u{301}", "😀"] {
            assert_eq!(parse(text), Err(SearchError::EmptyQuery), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(
            parse(&"é".repeat(MAX_QUERY_CHARS + 1)),
            Err(SearchError::QueryTooLong)
        );
        assert!(parse(&"é".repeat(MAX_QUERY_CHARS)).is_ok());
        let words = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(parse(&words(MAX_QUERY_TERMS + 1)), Err(SearchError::TooManyWords));
        assert!(parse(&words(MAX_QUERY_TERMS)).is_ok());
        assert!(
            parse(&"same ".repeat(MAX_QUERY_TERMS + 1)).is_ok(),
            "a word counts once"
        );
    }

    proptest! {
        #[test]
        fn every_text_is_a_query_or_a_typed_error(text in ".{0,80}") {
            if let Ok(clauses) = parse(&text) {
                for clause in clauses {
                    prop_assert_eq!(clause.first().map(|(position, _)| *position), Some(0));
                }
            }
        }
    }
}
