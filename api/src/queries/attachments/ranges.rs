//! Parts of a file, and files that the client has already (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};

/// What of a file is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it, also when several parts are asked for, or what cannot be read.
    Whole,
    /// These bytes, of which there is one at least.
    Range(Range<u64>),
    /// Bytes that it does not have.
    Beyond,
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the client has the file with this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// What of a file of this length is asked for. A part of another file than the one with this tag is of no use.
pub(super) fn part(headers: &HeaderMap, tag: &str, length: u64) -> Part {
    if text(headers, &header::IF_RANGE).is_some_and(|of| of.trim() != tag) {
        return Part::Whole;
    }
    let Some(asked) = text(headers, &header::RANGE).and_then(|range| range.trim().strip_prefix("bytes="))
    else {
        return Part::Whole;
    };
    let Some((first, last)) = asked.split_once('-') else {
        return Part::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // One beyond 64 bits is beyond every file.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(count)) if first.is_empty() => length - count.min(length)..length,
        _ => return Part::Whole,
    };
    if range.is_empty() {
        Part::Beyond
    } else {
        Part::Range(range)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TAG: &str = "\"a\"";

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        let given = given.iter().cloned();
        given
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_range_is_one_part_of_what_there_is() {
        for (asked, expected) in [
            ("bytes=0-0", Part::Range(0..1)),
            ("bytes=2-5", Part::Range(2..6)),
            ("bytes=2-", Part::Range(2..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-30", Part::Range(0..10)),
            ("bytes=9-99999999999999999999999", Part::Range(9..10)),
            ("bytes=10-", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=5-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(
                part(&headers(&[(header::RANGE, asked)]), TAG, 10),
                expected,
                "{asked}"
            );
        }
        assert_eq!(part(&headers(&[]), TAG, 10), Part::Whole);
        for (tag, expected) in [
            ("\"a\"", Part::Range(0..1)),
            ("\"b\"", Part::Whole),
            ("W/\"a\"", Part::Whole),
        ] {
            let asked = headers(&[(header::RANGE, "bytes=0-0"), (header::IF_RANGE, tag)]);
            assert_eq!(part(&asked, TAG, 10), expected, "{tag}");
        }
    }

    #[test]
    fn a_known_file_is_known_by_its_tag() {
        for (tags, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(
                is_known(&headers(&[(header::IF_NONE_MATCH, tags)]), TAG),
                known,
                "{tags}"
            );
        }
        assert!(!is_known(&headers(&[]), TAG));
    }
}
