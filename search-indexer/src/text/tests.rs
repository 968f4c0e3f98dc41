//! Words against an independent tokeniser, and scripts by example.

use proptest::prelude::*;
use tantivy::tokenizer::{TokenStream, Tokenizer};

use super::*;

fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut tokenizer = MessageTokenizer;
    let mut stream = tokenizer.token_stream(text);
    let mut tokens = Vec::new();
    while stream.advance() {
        let token = stream.token();
        assert!(
            text.get(token.offset_from..token.offset_to)
                .is_some_and(|word| !word.is_empty())
        );
        tokens.push((token.position, token.text.clone()));
    }
    tokens
}

fn placed(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
    expected
        .iter()
        .map(|(position, text)| (*position, (*text).to_owned()))
        .collect()
}

#[test]
fn words_are_runs_of_letters_and_digits() {
    assert_eq!(
        tokens("Don't panic: GStreamer-0.10_rc2!"),
        placed(&[
            (0, "don"),
            (1, "t"),
            (2, "panic"),
            (3, "gstreamer"),
            (4, "0"),
            (5, "10"),
            (6, "rc2")
        ])
    );
    assert_eq!(tokens(" .,;\u{301} \u{1F600} "), placed(&[]));
}

#[test]
fn a_word_with_diacritics_is_there_folded_and_exact() {
    assert_eq!(
        tokens("Đường phố"),
        placed(&[(0, "duong"), (0, "=đường"), (1, "pho"), (1, "=phố")])
    );
    // The same in decomposed form.
    let decomposed: String = "Đường phố".nfd().collect();
    assert_eq!(tokens(&decomposed), tokens("Đường phố"));
    assert_eq!(
        query_terms("Đường pho"),
        vec![placed(&[(0, "=đường")]), placed(&[(1, "pho")])]
    );
}

#[test]
fn letters_that_change_their_shape_are_one() {
    assert_eq!(tokens("ΟΔΟΣ οδος"), placed(&[(0, "οδοσ"), (1, "οδοσ")]));
    assert_eq!(
        tokens("İstanbul"),
        placed(&[(0, "istanbul"), (0, "=i\u{307}stanbul")])
    );
    assert_eq!(tokens("ẞ"), placed(&[(0, "ss"), (0, "=ß")]));
}

#[test]
fn unspaced_scripts_are_characters_and_pairs_with_real_positions() {
    assert_eq!(
        tokens("日本語 x東京"),
        placed(&[
            (0, "日"),
            (0, "日本"),
            (1, "本"),
            (1, "本語"),
            (2, "語"),
            (3, "x"),
            (4, "東"),
            (4, "東京"),
            (5, "京")
        ])
    );
    assert_eq!(query_terms("日本語"), vec![placed(&[(0, "日本"), (1, "本語")])]);
    assert_eq!(
        query_terms("語 x"),
        vec![placed(&[(0, "語")]), placed(&[(1, "x")])]
    );
    // Voiced kana are letters of their own, Hangul is not taken apart.
    assert_eq!(tokens("か\u{3099}"), placed(&[(0, "が")]));
    assert_eq!(query_terms("학교"), vec![placed(&[(0, "학교")])]);
    // A variation selector is no difference.
    assert_eq!(tokens("葛\u{E0100}城"), tokens("葛城"));
}

/// The longest term a message can make must be one that the index takes.
#[test]
fn no_message_makes_a_term_that_is_too_long() {
    const MAX_TERM_BYTES: usize = 65_530;
    // Characters that grow most by lower-casing, composing or taking apart.
    for widest in [
        '\u{FB2C}',
        '\u{958}',
        '\u{130}',
        '\u{1D400}',
        '\u{10400}',
        '\u{1F82}',
        '\u{390}',
    ] {
        for (_, term) in tokens(&widest.to_string().repeat(10_000)) {
            assert!(term.len() <= MAX_TERM_BYTES, "{widest:?}: {}", term.len());
        }
    }
}

/// The words of a text by another way: taken apart as a whole, then split.
fn independent_words(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    for c in text.nfd() {
        let inside = words.last().is_some_and(|word| !word.is_empty());
        if c.is_alphanumeric() || (inside && is_combining_mark(c)) {
            if let Some(word) = words.last_mut() {
                word.push(c);
            }
        } else {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
        .into_iter()
        .map(|word| {
            let exact: String = word.to_lowercase().replace('ς', "σ").nfc().collect();
            let folded = word
                .to_lowercase()
                .nfd()
                .filter(|c| !is_combining_mark(*c))
                .map(|c| match c {
                    'đ' => 'd',
                    'ø' => 'o',
                    'ł' => 'l',
                    'ς' => 'σ',
                    c => c,
                })
                .collect::<String>()
                .replace('ß', "ss");
            (if folded.is_empty() { exact.clone() } else { folded }, exact)
        })
        .collect()
}

proptest! {
    #[test]
    fn words_are_those_of_an_independent_tokeniser(text in "[a-cA-C0-2 áÁẮắđĐøßéñ\u{301}\u{323}\u{93f}क्ΣςЙй.,'_-]{0,40}") {
        let found = tokens(&text);
        let expected: Vec<_> = independent_words(&text)
            .into_iter()
            .enumerate()
            .flat_map(|(position, (folded, exact))| {
                let also = (folded != exact).then(|| (position, format!("={exact}")));
                std::iter::once((position, folded)).chain(also)
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_text_is_cut_without_panic_and_however_it_is_composed(text in "\\PC{0,60}") {
        let found = tokens(&text);
        prop_assert!(found.is_sorted_by_key(|(position, _)| *position));
        prop_assert!(found.iter().all(|(_, term)| !term.is_empty()));
        prop_assert_eq!(tokens(&text.nfd().collect::<String>()), tokens(&text.nfc().collect::<String>()));
    }

    #[test]
    fn every_word_of_a_text_is_found_in_it(text in "\\PC{0,60}") {
        let found = tokens(&text);
        for term in query_terms(&text).into_iter().flatten() {
            prop_assert!(found.contains(&term), "{:?}", term);
        }
    }
}
