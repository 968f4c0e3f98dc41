//! JSON from outside, read strictly: a name stands once in its object, so that nobody reads another value
//! than we do, and nothing is nested without end.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The most lists and objects within each other: below where the parser itself gives up.
const MAX_DEPTH: usize = 100;

/// Why bytes are not taken as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// They are none.
    #[error("the body is not JSON")]
    Malformed,
    /// They are nested too deep.
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An object has a name twice.
    #[error("an object in the body has the same name twice")]
    Repeated,
}

/// Parses a JSON text.
///
/// # Errors
/// [`Fault`] when it is none that is taken.
pub fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let fault = Cell::new(Fault::Malformed);
    let reading = Reading {
        depth: 0,
        fault: &fault,
    };
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = reading.deserialize(&mut parser).map_err(|_| fault.get())?;
    parser.end().map_err(|_| Fault::Malformed)?;
    Ok(value)
}

/// A value that is being read, this deep. The parser's errors are texts; what is wrong is told beside.
#[derive(Clone, Copy)]
struct Reading<'a> {
    depth: usize,
    fault: &'a Cell<Fault>,
}

impl Reading<'_> {
    fn wrong<E: Error>(self, fault: Fault) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.wrong(Fault::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    /// JSON has one sort of numbers: `1.0` is the whole number 1. Where the parser may be off by one, which begins a
    /// little below 2^53, a number stays as it is, and is no whole number to anyone.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it is whole, and between the bounds"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        const EXACT: f64 = 281_474_976_710_656.0;
        if number.fract() == 0.0 && (-EXACT..=EXACT).contains(&number) {
            Ok((number as i64).into())
        } else {
            Ok(number.into())
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.wrong(Fault::Repeated));
            }
            let value = entries.next_value_seed(inner)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_as_it_is() {
        for text in [
            "null",
            "[true,false,0,-1,18446744073709551615,1.5,\"\\u00e9\\n\"]",
            r#"{"a":{"a":1},"b":[{"a":2},{"a":3}],"":{}}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()));
        }
    }

    #[test]
    fn a_whole_number_is_whole_however_it_is_written() {
        let number = |text: &str| parse(text.as_bytes()).unwrap().to_string();
        for (text, whole) in [
            ("1.0", "1"),
            ("-2e3", "-2000"),
            ("-0.0", "0"),
            ("281474976710656.0", "281474976710656"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(number(text), whole);
        }
        assert_eq!(number("1.5"), "1.5");
        for inexact in [
            "18446744073709551616",
            "-9223372036854775809",
            "9007199254740991.0",
            "1e300",
        ] {
            assert!(parse(inexact.as_bytes()).unwrap().is_f64(), "{inexact}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(Fault::TooDeep));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(Fault::TooDeep));
        assert_eq!(parse(br#"{"a":1,"b":2,"a":1}"#), Err(Fault::Repeated));
        assert_eq!(parse(br#"[{"\u0061":1,"a":1}]"#), Err(Fault::Repeated));
        for text in ["", "{", "{} {}", "nonsense", r#""\ud83d""#] {
            assert_eq!(parse(text.as_bytes()), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(Fault::Malformed));
    }
}
