//! Whether the database is there. To wait for a connection costs two seconds each time, so while the database is
//! away one task looks for it, and everyone else is told at once.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use eventstore::postgres::Database;
use sqlx::Connection;

use super::READ_TIMEOUT;
use crate::store::StoreError;

const THERE: u8 = 0;
/// A connection was not to be had; whether the pool is used up or the database away is being found out.
const DOUBTED: u8 = 1;
const AWAY: u8 = 2;

/// How often one that is away is looked for.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of the database. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence(Arc<AtomicU8>);

impl Presence {
    /// Refuses while the database is known to be away.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::Relaxed) == AWAY {
            return Err(StoreError::Unavailable("the database is away".to_owned()));
        }
        Ok(())
    }

    /// A connection was not to be had: finds out why, beside everything else.
    pub(super) fn doubt(&self, database: &Database, schema: String) {
        let begun = self
            .0
            .compare_exchange(THERE, DOUBTED, Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_ok() {
            tokio::spawn(look_for(database.clone(), schema, Arc::downgrade(&self.0)));
        }
    }
}

/// Tries to connect until it can, or until nobody uses the store any more.
async fn look_for(database: Database, schema: String, state: Weak<AtomicU8>) {
    loop {
        let found = database.connect(&schema, READ_TIMEOUT).await;
        let Some(state) = state.upgrade() else { return };
        match found {
            Ok(connection) => {
                if state.swap(THERE, Ordering::Relaxed) == AWAY {
                    tracing::info!("the database is back");
                }
                let _ = connection.close().await;
                return;
            }
            Err(error) => {
                if state.swap(AWAY, Ordering::Relaxed) != AWAY {
                    tracing::warn!(%error, "the database is away");
                }
            }
        }
        drop(state);
        tokio::time::sleep(PAUSE).await;
    }
}
