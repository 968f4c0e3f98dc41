//! The contract suites on both logs.

use std::sync::Arc;

use async_trait::async_trait;
use eventstore::EventLog;
use eventstore::contract::Home;
use eventstore::contract::live::LiveHome;
use eventstore::contract::nats::NatsServer;
use eventstore::embedded::EmbeddedLog;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::live::LiveLog;
use tempfile::TempDir;

/// A folder with a SQLite log.
struct EmbeddedHome(TempDir);

#[async_trait]
impl Home for EmbeddedHome {
    async fn fresh() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        let path = self.0.path().join("log.db");
        Arc::new(EmbeddedLog::open(&path).await.expect("the log opens"))
    }
}

/// A NATS server with a JetStream log. Each opening has its own connection, as each node has.
struct JetStreamHome(NatsServer);

#[async_trait]
impl Home for JetStreamHome {
    async fn fresh() -> Self {
        Self(NatsServer::start().await)
    }

    async fn open(&self) -> Arc<dyn EventLog> {
        let config = JetStreamConfig::new(self.0.client().await, "contract");
        Arc::new(JetStreamLog::open(config).await.expect("the log opens"))
    }
}

#[async_trait]
impl LiveHome for EmbeddedHome {
    async fn open_live(&self) -> (Arc<dyn EventLog>, Arc<dyn LiveLog>) {
        let path = self.0.path().join("log.db");
        let log = Arc::new(EmbeddedLog::open(&path).await.expect("the log opens"));
        (Arc::clone(&log) as _, log)
    }
}

#[async_trait]
impl LiveHome for JetStreamHome {
    async fn open_live(&self) -> (Arc<dyn EventLog>, Arc<dyn LiveLog>) {
        let config = JetStreamConfig::new(self.0.client().await, "contract");
        let log = Arc::new(JetStreamLog::open(config).await.expect("the log opens"));
        (Arc::clone(&log) as _, log)
    }
}

mod embedded {
    eventstore::log_contract!(super::EmbeddedHome);
    eventstore::live_contract!(super::EmbeddedHome);
}

mod jetstream {
    eventstore::log_contract!(super::JetStreamHome);
    eventstore::live_contract!(super::JetStreamHome);
}
