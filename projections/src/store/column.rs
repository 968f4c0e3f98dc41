//! Columns to the domain's types, the same for every database.

use domain::conversation::{Kind, MessageKind};
use domain::user::Status;
use domain::{Ordinal, Timestamp, UserId};

use super::{StoreError, spelling};

/// A row of a database: the few types that its columns have.
pub(super) trait Cells<'r>: Copy {
    fn id(self, index: usize) -> Result<Option<[u8; 16]>, StoreError>;
    fn text(self, index: usize) -> Result<Option<&'r str>, StoreError>;
    fn number(self, index: usize) -> Result<Option<i64>, StoreError>;
    fn flag(self, index: usize) -> Result<Option<bool>, StoreError>;
}

/// A number as databases keep it.
pub(super) fn integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| damaged("a number beyond 63 bits"))
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// The bytes of an id.
pub(super) fn sixteen(bytes: Option<&[u8]>) -> Result<Option<[u8; 16]>, StoreError> {
    let bytes = bytes.map(<[u8; 16]>::try_from).transpose();
    bytes.map_err(|_| damaged("an id that has not 16 bytes"))
}

/// Reads the columns of a row from left to right.
pub(super) struct Columns<R> {
    row: R,
    next: usize,
}

impl<'r, R: Cells<'r>> Columns<R> {
    pub(super) const fn of(row: R) -> Self {
        Self { row, next: 0 }
    }

    const fn step(&mut self) -> usize {
        let index = self.next;
        self.next += 1;
        index
    }

    /// Passes over so many columns.
    pub(super) const fn skip(&mut self, columns: usize) {
        self.next += columns;
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
        let index = self.step();
        Ok(self.row.id(index)?.map(from_bytes))
    }

    fn present_text(&mut self) -> Result<&'r str, StoreError> {
        let index = self.step();
        self.row.text(index)?.ok_or_else(|| damaged("a text is missing"))
    }

    /// An id of the outside, or a text of another form that parses.
    pub(super) fn parsed<T, E>(
        &mut self,
        parse: impl FnOnce(&'r str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        parse(self.present_text()?).map_err(|_| damaged("a text that does not parse"))
    }

    pub(super) fn optional_user(&mut self) -> Result<Option<UserId>, StoreError> {
        let index = self.step();
        let text = self.row.text(index)?;
        text.map(UserId::parse)
            .transpose()
            .map_err(|_| damaged("a user id that does not parse"))
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.present_text().map(str::to_owned)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        let index = self.step();
        Ok(self.row.text(index)?.map(str::to_owned))
    }

    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        self.optional_number()?
            .ok_or_else(|| damaged("a number is missing"))
    }

    pub(super) fn optional_number(&mut self) -> Result<Option<u64>, StoreError> {
        let index = self.step();
        let number = self.row.number(index)?;
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
        let index = self.step();
        self.row.flag(index)?.ok_or_else(|| damaged("a flag is missing"))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.optional_time()?.ok_or_else(|| damaged("a time is missing"))
    }

    pub(super) fn optional_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let index = self.step();
        Ok(self.row.number(index)?.map(Timestamp::from_millis))
    }

    pub(super) fn kind(&mut self) -> Result<Kind, StoreError> {
        spelling::kind(self.present_text()?)
    }

    pub(super) fn role(&mut self) -> Result<domain::permission::Role, StoreError> {
        spelling::role(self.present_text()?)
    }

    pub(super) fn status(&mut self) -> Result<Status, StoreError> {
        spelling::status(self.present_text()?)
    }

    pub(super) fn message_kind(&mut self) -> Result<MessageKind, StoreError> {
        spelling::message_kind(self.present_text()?)
    }
}
