//! Postgres' rows, and rows as columns for statements that take many at once.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row};

use super::store_error;
use crate::store::StoreError;
use crate::store::column::{Cells, integer, sixteen};

/// One column of the rows.
pub(super) fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// A column of numbers.
pub(super) fn numbers<R>(rows: &[R], of: impl Fn(&R) -> u64) -> Result<Vec<i64>, StoreError> {
    rows.iter().map(|row| integer(of(row))).collect()
}

fn cell<'r, T>(row: &'r PgRow, index: usize) -> Result<Option<T>, StoreError>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(index).map_err(store_error)
}

impl<'r> Cells<'r> for &'r PgRow {
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
        cell(self, index)
    }
}
