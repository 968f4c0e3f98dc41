//! SQLite's rows, and rows as JSON for statements that take or find many at once.
//!
//! A statement that finds many rows hands them out as one array of arrays. Every row of SQLite's own goes from the
//! thread of its connection to the one that asked, each of its values in a piece of memory of its own: twice the
//! time of a page.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};

use super::store_error;
use crate::store::StoreError;
use crate::store::column::{Cells, damaged, sixteen};

/// 128 bits as they stand in JSON: SQLite's `unhex` makes a blob of them.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) [u8; 16]);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// The rows as one JSON array. Statements take it apart with `jsonb_each`, which hands out what is parsed:
/// `json_each` writes each row as text that is then parsed again, a sixth of the whole projecting's time.
pub(super) fn json<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::new(&mut text);
    serializer
        .collect_seq(rows)
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    String::from_utf8(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn cell<'r, T>(row: &'r SqliteRow, index: usize) -> Result<Option<T>, StoreError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(index).map_err(store_error)
}

impl<'r> Cells<'r> for &'r SqliteRow {
    fn id(self, index: usize) -> Result<Option<[u8; 16]>, StoreError> {
        sixteen(cell(self, index)?)
    }

    fn text(self, index: usize) -> Result<Option<&'r str>, StoreError> {
        cell(self, index)
    }

    fn number(self, index: usize) -> Result<Option<i64>, StoreError> {
        cell(self, index)
    }

    fn flag(self, index: usize) -> Result<Option<bool>, StoreError> {
        Ok(self.number(index)?.map(|number| number != 0))
    }
}

/// What a statement found, as JSON.
pub(super) struct Found(String);

impl Found {
    /// The answer of a statement that hands out its rows as JSON.
    pub(super) async fn of(
        query: Query<'_, Sqlite, SqliteArguments>,
        connection: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        let row = query.fetch_one(connection).await.map_err(store_error)?;
        row.try_get(0).map(Self).map_err(store_error)
    }

    pub(super) fn rows(&self) -> Result<Vec<JsonRow<'_>>, StoreError> {
        serde_json::from_str(&self.0).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}

/// A row that came as JSON.
pub(super) type JsonRow<'a> = Vec<JsonCell<'a>>;

/// A value of a row that came as JSON.
pub(super) enum JsonCell<'a> {
    Null,
    Number(i64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonCell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cell;

        impl<'de> Visitor<'de> for Cell {
            type Value = JsonCell<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a whole number or a text")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(JsonCell::Null)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(JsonCell::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number).map(JsonCell::Number).map_err(E::custom)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonCell::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonCell::Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_any(Cell)
    }
}

impl<'r> Cells<'r> for &'r JsonRow<'_> {
    /// SQLite's `hex` of an id; of none it is empty.
    fn id(self, index: usize) -> Result<Option<[u8; 16]>, StoreError> {
        let malformed = || damaged("an id that is not 16 bytes in hex");
        let text = self.text(index)?.filter(|text| !text.is_empty());
        let id = text.map(|text| match text.len() {
            32 => u128::from_str_radix(text, 16).map_err(|_| malformed()),
            _ => Err(malformed()),
        });
        Ok(id.transpose()?.map(u128::to_be_bytes))
    }

    fn text(self, index: usize) -> Result<Option<&'r str>, StoreError> {
        match self.get(index) {
            Some(JsonCell::Text(text)) => Ok(Some(text)),
            Some(JsonCell::Null) => Ok(None),
            _ => Err(damaged("a value that is no text")),
        }
    }

    fn number(self, index: usize) -> Result<Option<i64>, StoreError> {
        match self.get(index) {
            Some(JsonCell::Number(number)) => Ok(Some(*number)),
            Some(JsonCell::Null) => Ok(None),
            _ => Err(damaged("a value that is no number")),
        }
    }

    fn flag(self, index: usize) -> Result<Option<bool>, StoreError> {
        Ok(self.number(index)?.map(|number| number != 0))
    }
}
