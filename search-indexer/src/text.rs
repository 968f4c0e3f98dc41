//! What a word is, and the terms it is found by. Index and queries both ask here.
//!
//! A word is a maximal run of letters and digits, with the combining marks inside it. Its *exact* form
//! is lower-cased and NFC; its *folded* form has no diacritics either ([`domain::folding`]). Every word is indexed
//! folded; one that folding changes is also indexed exact, as a term of its own kind at the same
//! position of the same field. So a word of a query that has diacritics is found as it is written, one
//! that has none in every spelling, and a phrase may mix the two: phrases need one field.
//!
//! A run of Chinese, Japanese or Korean characters has no spaces to tell its words apart. Each character
//! has a position; characters and pairs of neighbours are terms, so a query finds any part of a run.

use domain::folding::fold;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

#[cfg(test)]
mod tests;

/// Starts the exact form of a word among the terms. No word begins with it.
const EXACT: char = '=';

/// How the characters of a run make words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// The run is one word.
    Spaced,
    /// Every part of the run may be a word.
    Unspaced,
}

/// A run of letters and digits in a text.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    text: &'a str,
    offset: usize,
    script: Script,
}

/// Chinese, Japanese or Korean: Han, Hiragana, Katakana, Bopomofo and Hangul.
const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11FF}'        // Hangul jamo
        | '\u{2E80}'..='\u{2FDF}'      // radicals
        | '\u{3005}'..='\u{3007}'      // iteration mark, closing mark, zero
        | '\u{3021}'..='\u{3029}' | '\u{3038}'..='\u{303B}' // numerals, iteration mark
        | '\u{3041}'..='\u{318F}'      // Hiragana, Katakana, Bopomofo, compatibility jamo
        | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}' // Bopomofo and Katakana, extended
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' // Han
        | '\u{A960}'..='\u{A97F}'      // Hangul jamo, extended
        | '\u{AC00}'..='\u{D7FF}'      // Hangul syllables
        | '\u{F900}'..='\u{FAFF}'      // Han, compatibility
        | '\u{FF66}'..='\u{FFDC}'      // half-width Katakana and jamo
        | '\u{1AFF0}'..='\u{1B16F}'    // Kana, supplement and extended
        | '\u{20000}'..='\u{3FFFD}'    // Han, supplementary planes
    )
}

/// The runs of a text, in order.
#[derive(Clone, Debug)]
struct Runs<'a> {
    text: &'a str,
    offset: usize,
}

const fn runs(text: &str) -> Runs<'_> {
    Runs { text, offset: 0 }
}

impl<'a> Iterator for Runs<'a> {
    type Item = Run<'a>;

    fn next(&mut self) -> Option<Run<'a>> {
        let offset = self.offset + self.text[self.offset..].find(char::is_alphanumeric)?;
        let rest = &self.text[offset..];
        let unspaced = rest.chars().next().is_some_and(is_unspaced);
        let belongs = |c: char| {
            if c.is_ascii() {
                c.is_ascii_alphanumeric() && !unspaced
            } else {
                is_combining_mark(c) || (c.is_alphanumeric() && is_unspaced(c) == unspaced)
            }
        };
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.offset = offset + length;
        let script = if unspaced {
            Script::Unspaced
        } else {
            Script::Spaced
        };
        Some(Run {
            text: &rest[..length],
            offset,
            script,
        })
    }
}

/// Lower case and NFC, one spelling for every way of writing a word.
fn exact(word: &str) -> String {
    word.chars()
        .flat_map(char::to_lowercase)
        // Sigma is written otherwise at the end of a word, and that is no difference.
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfc()
        .collect()
}

/// The characters of an unspaced run; marks that do not compose (variation selectors) mean nothing.
fn characters(run: &str) -> Vec<char> {
    let mut characters: Vec<char> = exact(run).chars().filter(|c| !is_combining_mark(*c)).collect();
    if characters.is_empty() {
        characters.extend(exact(run).chars().next());
    }
    characters
}

/// A term of a query and its position in the phrase.
pub(crate) type PlacedTerm = (usize, String);

/// What a query looks for, word by word: for each run of the text the terms that must stand at these
/// positions, counted from the first word of the text.
pub(crate) fn query_terms(text: &str) -> Vec<Vec<PlacedTerm>> {
    let mut position = 0;
    let mut words = Vec::new();
    for run in runs(text) {
        match run.script {
            Script::Spaced => {
                let exact = exact(run.text);
                let folded = fold(&exact);
                let term = if folded == exact {
                    folded
                } else {
                    format!("{EXACT}{exact}")
                };
                words.push(vec![(position, term)]);
                position += 1;
            }
            Script::Unspaced => {
                let characters = characters(run.text);
                words.push(if let [single] = characters[..] {
                    vec![(position, single.to_string())]
                } else {
                    let pairs = characters.windows(2).enumerate();
                    pairs
                        .map(|(index, pair)| (position + index, pair.iter().collect()))
                        .collect()
                });
                position += characters.len();
            }
        }
    }
    words
}

/// Cuts a text into the terms it is found by.
#[derive(Clone, Debug, Default)]
pub(crate) struct MessageTokenizer;

impl Tokenizer for MessageTokenizer {
    type TokenStream<'a> = MessageTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> MessageTokens<'a> {
        MessageTokens {
            runs: runs(text),
            token: Token::default(),
            next_position: 0,
            more: Vec::new(),
        }
    }
}

/// The terms of a text, by position.
pub(crate) struct MessageTokens<'a> {
    runs: Runs<'a>,
    token: Token,
    next_position: usize,
    /// Further terms of the run before, the next one last.
    more: Vec<PlacedTerm>,
}

impl MessageTokens<'_> {
    fn take(&mut self, run: Run<'_>) {
        self.token.offset_from = run.offset;
        self.token.offset_to = run.offset + run.text.len();
        self.token.position = self.next_position;
        self.token.text.clear();
        match run.script {
            Script::Spaced if run.text.is_ascii() => {
                self.token.text.push_str(run.text);
                self.token.text.make_ascii_lowercase();
                self.next_position += 1;
            }
            Script::Spaced => {
                let exact = exact(run.text);
                let folded = fold(&exact);
                if folded != exact {
                    self.more.push((self.next_position, format!("{EXACT}{exact}")));
                }
                self.token.text.push_str(&folded);
                self.next_position += 1;
            }
            Script::Unspaced => {
                let characters = characters(run.text);
                for (index, character) in characters.iter().enumerate() {
                    let position = self.next_position + index;
                    self.more.push((position, character.to_string()));
                    if let Some(next) = characters.get(index + 1) {
                        self.more.push((position, [*character, *next].iter().collect()));
                    }
                }
                self.next_position += characters.len();
                self.more.reverse();
                self.take_more();
            }
        }
    }

    fn take_more(&mut self) -> bool {
        let Some((position, text)) = self.more.pop() else {
            return false;
        };
        self.token.position = position;
        self.token.text = text;
        true
    }
}

impl TokenStream for MessageTokens<'_> {
    fn advance(&mut self) -> bool {
        if self.take_more() {
            return true;
        }
        match self.runs.next() {
            Some(run) => {
                self.take(run);
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
