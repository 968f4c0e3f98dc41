//! SQLite's rows, and rows as JSON for statements that take many at once.

use serde::{Serialize, Serializer};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite};

use super::store_error;
use crate::store::StoreError;
use crate::store::column::Cells;

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
    fn bytes(self, index: usize) -> Result<Option<&'r [u8]>, StoreError> {
        cell(self, index)
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
