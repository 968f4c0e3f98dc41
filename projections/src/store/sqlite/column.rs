//! Columns to the domain's types, and back to JSON for statements that take many rows at once.

use domain::conversation::{Kind, MessageKind};
use domain::permission::Role;
use domain::{Ordinal, Timestamp, UserId};
use serde::{Serialize, Serializer};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::store::{StoreError, spelling};

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

/// A number as SQLite keeps it.
pub(super) fn integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| damaged("a number beyond 63 bits"))
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) const fn of(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    fn get<T>(&mut self) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(super::store_error)
    }

    /// An id of ours.
    pub(super) fn id<T>(&mut self, from_bytes: impl FnOnce([u8; 16]) -> T) -> Result<T, StoreError> {
        self.optional_id(from_bytes)?
            .ok_or_else(|| damaged("an id is missing"))
    }

    pub(super) fn optional_id<T>(
        &mut self,
        from_bytes: impl FnOnce([u8; 16]) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.get::<Option<&[u8]>>()? else {
            return Ok(None);
        };
        let bytes = bytes
            .try_into()
            .map_err(|_| damaged("an id that has not 16 bytes"))?;
        Ok(Some(from_bytes(bytes)))
    }

    /// An id of the outside, or a text of another form that parses.
    pub(super) fn parsed<T, E>(
        &mut self,
        parse: impl FnOnce(&'r str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        parse(self.get::<&str>()?).map_err(|_| damaged("a text that does not parse"))
    }

    pub(super) fn optional_user(&mut self) -> Result<Option<UserId>, StoreError> {
        let text: Option<&str> = self.get()?;
        text.map(UserId::parse)
            .transpose()
            .map_err(|_| damaged("a user id that does not parse"))
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.get()
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        self.get()
    }

    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        self.optional_number()?
            .ok_or_else(|| damaged("a number is missing"))
    }

    pub(super) fn optional_number(&mut self) -> Result<Option<u64>, StoreError> {
        let number: Option<i64> = self.get()?;
        number
            .map(u64::try_from)
            .transpose()
            .map_err(|_| damaged("a number below zero"))
    }

    pub(super) fn optional_ordinal(&mut self) -> Result<Option<Ordinal>, StoreError> {
        Ok(self.optional_number()?.and_then(Ordinal::new))
    }

    pub(super) fn shard(&mut self) -> Result<u16, StoreError> {
        self.number()?
            .try_into()
            .map_err(|_| damaged("a shard beyond 16 bits"))
    }

    pub(super) fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.number()? != 0)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.get().map(Timestamp::from_millis)
    }

    pub(super) fn optional_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let time: Option<i64> = self.get()?;
        Ok(time.map(Timestamp::from_millis))
    }

    pub(super) fn kind(&mut self) -> Result<Kind, StoreError> {
        spelling::kind(self.get()?)
    }

    pub(super) fn role(&mut self) -> Result<Role, StoreError> {
        spelling::role(self.get()?)
    }

    pub(super) fn message_kind(&mut self) -> Result<MessageKind, StoreError> {
        spelling::message_kind(self.get()?)
    }
}
