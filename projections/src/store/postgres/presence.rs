//! Whether the database is there. To wait for a connection costs two seconds each time, and one that has gone
//! silent keeps whoever asks it waiting for longer; so while the database is away one task looks for it, and
//! everyone else is told at once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use eventstore::postgres::Database;
use sqlx::Connection;
use tokio::sync::watch;

use super::READ_TIMEOUT;
use crate::store::StoreError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    There,
    /// It did not answer in time; whether it is busy or away is being found out.
    Doubted,
    Away,
}

/// How often one that is away is looked for.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of the database. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Presence(Arc<watch::Sender<State>>);

impl Default for Presence {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::There)))
    }
}

impl Presence {
    /// Refuses while the database is known to be away.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if *self.0.borrow() == State::Away {
            return Err(away());
        }
        Ok(())
    }

    /// Waits until the database is known to be away.
    pub(super) async fn away(&self) {
        // The sender is held here, so it is there for as long as this waits.
        let _ = self.0.subscribe().wait_for(|state| *state == State::Away).await;
    }

    /// It did not answer in time: finds out why, beside everything else.
    pub(super) fn doubt(&self, database: &Database) {
        let begun = self.0.send_if_modified(|state| {
            let begun = *state == State::There;
            if begun {
                *state = State::Doubted;
            }
            begun
        });
        if begun {
            let schema = database.schema("read");
            tokio::spawn(look_for(database.clone(), schema, Arc::downgrade(&self.0)));
        }
    }
}

/// What is said while it is away.
pub(super) fn away() -> StoreError {
    StoreError::Unavailable("the database is away".to_owned())
}

/// Tries to connect until it can, or until nobody uses the store any more.
async fn look_for(database: Database, schema: String, state: Weak<watch::Sender<State>>) {
    loop {
        let found = database.connect(&schema, READ_TIMEOUT).await;
        let Some(state) = state.upgrade() else { return };
        match found {
            Ok(connection) => {
                if state.send_replace(State::There) == State::Away {
                    tracing::info!("the database is back");
                }
                let _ = connection.close().await;
                return;
            }
            Err(error) => {
                if state.send_replace(State::Away) != State::Away {
                    tracing::warn!(%error, "the database is away");
                }
            }
        }
        drop(state);
        tokio::time::sleep(PAUSE).await;
    }
}
