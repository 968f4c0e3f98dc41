//! The read model from the outside: every store passes one suite, whatever happened in whatever batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod erasure;
mod histories;
mod home;
mod memory_log;
mod projector;
mod rebuilding;
mod written;

/// The suite that every store passes.
mod sqlite {
    projections::read_model_contract!(crate::home::SqliteHome);
}
