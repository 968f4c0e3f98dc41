//! Folding: words without their diacritics, as they are searched for.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Letters with a stroke, a hook or a tail, and ligatures: Unicode does not take them apart, people who
/// search do. Lower case only, sorted by letter.
const WHOLE_LETTERS: &[(char, &str)] = &[
    ('ß', "ss"),
    ('æ', "ae"),
    ('ð', "d"),
    ('ø', "o"),
    ('þ', "th"),
    ('đ', "d"),
    ('ħ', "h"),
    ('ı', "i"),
    ('ĳ', "ij"),
    ('ĸ', "k"),
    ('ŀ', "l"),
    ('ł', "l"),
    ('ŉ', "n"),
    ('ŋ', "n"),
    ('œ', "oe"),
    ('ŧ', "t"),
    ('ſ', "s"),
    ('ƀ', "b"),
    ('ƃ', "b"),
    ('ƈ', "c"),
    ('ƌ', "d"),
    ('ƒ', "f"),
    ('ƙ', "k"),
    ('ƚ', "l"),
    ('ƞ', "n"),
    ('ƥ', "p"),
    ('ƫ', "t"),
    ('ƭ', "t"),
    ('ƴ', "y"),
    ('ƶ', "z"),
    ('ǥ', "g"),
    ('ȡ', "d"),
    ('ȥ', "z"),
    ('ȴ', "l"),
    ('ȵ', "n"),
    ('ȶ', "t"),
    ('ȷ', "j"),
    ('ȼ', "c"),
    ('ȿ', "s"),
    ('ɀ', "z"),
    ('ɇ', "e"),
    ('ɉ', "j"),
    ('ɍ', "r"),
    ('ɏ', "y"),
    ('ɓ', "b"),
    ('ɔ', "o"),
    ('ɖ', "d"),
    ('ɗ', "d"),
    ('ə', "e"),
    ('ɛ', "e"),
    ('ɠ', "g"),
    ('ɣ', "g"),
    ('ɨ', "i"),
    ('ɪ', "i"),
    ('ɫ', "l"),
    ('ɲ', "n"),
    ('ʉ', "u"),
    ('ʋ', "v"),
    ('ⱥ', "a"),
    ('ⱦ', "t"),
];

/// An exact word without its diacritics: taken apart, the combining marks dropped, letters that Unicode
/// does not take apart spelled out. A word of marks alone stays as it is.
#[must_use]
pub fn fold(exact: &str) -> String {
    let mut folded = String::with_capacity(exact.len());
    for c in exact.nfd().filter(|c| !is_combining_mark(*c)) {
        match spelled_out(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    if folded.is_empty() {
        exact.to_owned()
    } else {
        folded
    }
}

fn spelled_out(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    let index = WHOLE_LETTERS
        .binary_search_by_key(&c, |(letter, _)| *letter)
        .ok()?;
    Some(WHOLE_LETTERS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diacritics_go_and_letters_stay() {
        let cases = [
            ("cá", "ca"),
            ("đường", "duong"),
            ("phố", "pho"),
            ("smørrebrød", "smorrebrod"),
            ("łódź", "lodz"),
            ("straße", "strasse"),
            ("œuvre", "oeuvre"),
            ("ñandú", "nandu"),
            ("ёлка", "елка"),
            ("ελληνικά", "ελληνικα"),
            ("हिन्दी", "हनद"),
            ("plain", "plain"),
            ("٣", "٣"),
        ];
        for (word, folded) in cases {
            assert_eq!(fold(word), folded, "{word}");
            assert_eq!(fold(folded), folded, "folding twice is folding once");
        }
    }

    #[test]
    fn a_word_of_marks_alone_stays() {
        assert_eq!(fold("\u{93f}"), "\u{93f}");
    }

    #[test]
    fn the_table_is_sorted_lower_case_and_spells_with_plain_letters() {
        assert!(WHOLE_LETTERS.is_sorted_by(|(a, _), (b, _)| a < b));
        for (letter, letters) in WHOLE_LETTERS {
            assert!(letter.to_lowercase().eq([*letter]), "{letter}");
            assert!(letters.bytes().all(|b| b.is_ascii_lowercase()), "{letter}");
            assert!(
                [*letter].into_iter().nfd().eq([*letter]),
                "{letter} needs no entry"
            );
        }
    }
}
