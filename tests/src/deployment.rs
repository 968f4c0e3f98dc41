//! What the servers of a test stand on: a data folder alone, or NATS and Postgres beside it.
//!
//! The same scenarios run in both modes: `VERBATIM_TEST_MODE=cluster` chooses the second. Then all tests of
//! a process share a private NATS server and a private Postgres, and each has a namespace of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use eventstore::contract::nats::NatsServer;
use eventstore::contract::postgres::PostgresServer;

/// How the servers of this run are deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One node in a data folder.
    Embedded,
    /// Nodes on NATS and Postgres.
    Cluster,
}

impl Mode {
    /// What `VERBATIM_TEST_MODE` says; embedded when it says nothing.
    ///
    /// # Panics
    /// If it says something else.
    #[must_use]
    pub fn of_this_run() -> Self {
        match std::env::var("VERBATIM_TEST_MODE").as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("cluster") => Self::Cluster,
            Ok(other) => panic!("VERBATIM_TEST_MODE is embedded or cluster, not {other}"),
        }
    }
}

/// Whether a scenario that is about the data folder of an embedded node is to be left out.
#[must_use]
pub fn is_cluster() -> bool {
    Mode::of_this_run() == Mode::Cluster
}

/// What a cluster stands on, as each of its nodes is told.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The NATS servers.
    pub nats: String,
    /// The Postgres database.
    pub database: String,
    /// What everything of it is named with.
    pub namespace: String,
    /// What tokens are signed with.
    pub secret: String,
    /// How many NATS servers keep a copy of each record.
    pub replicas: usize,
}

impl Cluster {
    /// A new one on the servers that the tests of this process share.
    pub async fn shared() -> Self {
        let (nats, postgres) = tokio::join!(NatsServer::shared(), PostgresServer::shared());
        Self::on(nats.url(), postgres.url())
    }

    /// A new one on these servers.
    #[must_use]
    pub fn on(nats: String, database: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            nats,
            database,
            namespace: format!("Test-{number}"),
            secret: format!("the secret of test {number}, which nobody else has"),
            replicas: 1,
        }
    }

    /// The variables that configure a node.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("VERBATIM_NATS", self.nats.clone()),
            ("VERBATIM_DATABASE", self.database.clone()),
            ("VERBATIM_NAMESPACE", self.namespace.clone()),
            ("VERBATIM_JWT_SECRET", self.secret.clone()),
            ("VERBATIM_MASTER_KEY", "07".repeat(32)),
            ("VERBATIM_REPLICAS", self.replicas.to_string()),
        ]
    }
}
