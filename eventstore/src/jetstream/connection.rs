//! Waiting for the server: how long, and when it is no use.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::connection::State;
use tokio::time::{Instant, sleep, timeout};

use super::Inner;

/// How long a lost connection is waited for at most before the next attempt at another: what was missed
/// meanwhile is due two seconds after the link is back.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// How long one attempt at a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a silent connection is tried. One that gives no answer to two of these is lost.
const PING: Duration = Duration::from_secs(2);

/// Messages that wait in one subscription before further ones are lost, and healed from the log.
const SUBSCRIPTION: usize = 4_096;

/// What a node's connection should be made with: it comes back soon after the link does.
#[must_use]
pub fn connect_options() -> ConnectOptions {
    ConnectOptions::new()
        .reconnect_delay_callback(|attempt| {
            let pause = Duration::from_millis(20 * u64::try_from(attempt).unwrap_or(u64::MAX).min(100));
            pause.min(RECONNECT_PAUSE)
        })
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING)
        .subscription_capacity(SUBSCRIPTION)
}

/// How long the server may take to answer, and a lost connection to come back.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a connection that is being made again is looked at.
const RECONNECT_POLL: Duration = Duration::from_millis(20);

/// How long an answer takes before it is asked whether the connection is still the one it must come by.
const CONNECTION_POLL: Duration = Duration::from_millis(250);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Silence {
    /// The request was not sent.
    #[error("there is no connection to the server")]
    NotSent,
    /// The request was sent, or still will be: the client keeps what it could not send.
    #[error("the connection was lost before the server answered")]
    Cut,
    /// The request was sent.
    #[error("the server did not answer in time")]
    TimedOut,
}

impl Inner {
    pub(super) fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How often a connection was made: another number is another connection.
    pub(super) fn connections(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Sends a request, by polling the future first when there is a connection, and waits for its answer
    /// for as long as one can be expected: a connection that was lost takes the answers with it.
    pub(super) async fn in_time<T>(&self, request: impl Future<Output = T>) -> Result<T, Silence> {
        let connection = self.connection().await?;
        self.in_time_by(connection, request).await
    }

    /// The connection that there is, once there is one.
    pub(super) async fn connection(&self) -> Result<u64, Silence> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        while !self.connected() {
            if Instant::now() > deadline {
                return Err(Silence::NotSent);
            }
            sleep(RECONNECT_POLL).await;
        }
        Ok(self.connections())
    }

    /// Sends a request by this connection or not at all.
    pub(super) async fn in_time_by<T>(
        &self,
        connection: u64,
        request: impl Future<Output = T>,
    ) -> Result<T, Silence> {
        if !self.connected() || self.connections() != connection {
            return Err(Silence::NotSent);
        }
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let mut request = pin!(request);
        loop {
            if let Ok(answer) = timeout(CONNECTION_POLL, &mut request).await {
                return Ok(answer);
            }
            if !self.connected() || self.connections() != connection {
                return Err(Silence::Cut);
            }
            if Instant::now() > deadline {
                return Err(Silence::TimedOut);
            }
        }
    }
}
