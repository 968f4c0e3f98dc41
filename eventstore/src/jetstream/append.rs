//! Appending: one publish, and what its answer means.

use std::time::Duration;

use async_nats::Request;
use async_nats::client::RequestErrorKind;
use async_nats::header::{
    HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID,
};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use tokio::time::{Instant, sleep};

use super::Inner;
use super::connection::{REQUEST_TIMEOUT, Silence};
use crate::log::{Append, AppendError, Appended, Expected, MAX_COMMIT_BYTES, ReadError};

/// Refusals by which the server says that it did not take the message in. Every other refusal leaves
/// open whether it did: 10158 and 10163 say so themselves, and what is not known here might.
const NOT_TAKEN_IN: [ErrorCode; 7] = [
    ErrorCode::STREAM_NOT_MATCH,
    ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_SEALED,
    ErrorCode::STREAM_TOO_MANY_REQUESTS,
    ErrorCode::JETSTREAM_NOT_ENABLED,
    ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
];

/// The stream's head is about to move (10164): which way, only its replicas will tell.
const BUSY: ErrorCode = ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT;

/// How long an append waits for another that is being stored in its stream.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);

/// The first pause of that wait; each is twice as long as the one before.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

impl Inner {
    /// Publishes the commit. A message whose commit id was seen on its subject within the last two
    /// minutes is not stored again, and the acknowledgement names the first one.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let size = append.payload.len();
        if size > MAX_COMMIT_BYTES {
            return Err(AppendError::TooLarge { size });
        }
        let shard = self.owner(&append.stream);
        let mut headers = HeaderMap::new();
        // Message ids are unique in the whole shard, hence the subject.
        headers.insert(NATS_MESSAGE_ID, format!("{}/{}", append.stream, append.commit_id));
        headers.insert(NATS_EXPECTED_STREAM, shard.name.as_str());
        if let Expected::Head(sequence) = append.expected {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
        }
        let (start, mut pause) = (Instant::now(), BUSY_PAUSE);
        loop {
            let unavailable = |error: ReadError| AppendError::Unavailable(error.to_string());
            let connection = self.continuous(shard).await.map_err(unavailable)?;
            let request = Request::new()
                .headers(headers.clone())
                .payload(append.payload.clone())
                .timeout(None);
            let answer = self
                .publish(connection, self.subject(&append.stream), request)
                .await;
            // Nothing was sent, because this connection is gone: the next one is looked at first.
            let is_gone =
                matches!(answer, Err(AppendError::Unavailable(_))) && self.connections() != connection;
            if is_gone && start.elapsed() < REQUEST_TIMEOUT {
                continue;
            }
            match answer? {
                Response::Ok(PublishAck { stream, sequence, .. }) if stream == shard.name => {
                    // The connection may have been made anew between the two.
                    let unknown = |error: ReadError| AppendError::Unknown(error.to_string());
                    self.continuous(shard).await.map_err(unknown)?;
                    shard.continuity.saw(sequence, &append.payload);
                    return Ok(Appended { sequence });
                }
                Response::Ok(PublishAck { stream, .. }) => {
                    let answer = format!("{stream} acknowledged what was sent to {}", shard.name);
                    return Err(AppendError::Unknown(answer));
                }
                // Another append to this stream is on its way through the replicas. It would be a
                // conflict with nothing to be found behind it yet, so this one is sent again until the
                // other has arrived or has failed.
                Response::Err { error }
                    if error.error_code() == BUSY && start.elapsed() + pause < BUSY_PATIENCE =>
                {
                    sleep(pause).await;
                    pause *= 2;
                }
                Response::Err { error } => return Err(refusal(error.error_code(), error.to_string())),
            }
        }
    }

    /// Sends a message once, by this connection, and reads the answer.
    pub(super) async fn publish(
        &self,
        connection: u64,
        subject: String,
        request: Request,
    ) -> Result<Response<PublishAck>, AppendError> {
        let answer = self
            .in_time_by(connection, self.client.send_request(subject, request))
            .await
            .map_err(|silence| match silence {
                Silence::NotSent => AppendError::Unavailable(silence.to_string()),
                Silence::Cut | Silence::TimedOut => AppendError::Unknown(silence.to_string()),
            })?
            .map_err(|error| match error.kind() {
                RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                    AppendError::Unavailable(error.to_string())
                }
                RequestErrorKind::TimedOut | RequestErrorKind::NoResponders | RequestErrorKind::Other => {
                    AppendError::Unknown(error.to_string())
                }
            })?;
        let unreadable = |error| AppendError::Unknown(format!("the answer was no acknowledgement: {error}"));
        serde_json::from_slice(&answer.payload).map_err(unreadable)
    }
}

/// What a refusal means, by its code alone.
fn refusal(code: ErrorCode, text: String) -> AppendError {
    if code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE || code == BUSY {
        AppendError::Conflict
    } else if NOT_TAKEN_IN.contains(&code) {
        AppendError::Unavailable(text)
    } else {
        AppendError::Unknown(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_by_code() {
        let outcome = |code| refusal(ErrorCode(code), "wrong last sequence".to_owned());
        for code in [10071, 10164] {
            assert!(matches!(outcome(code), AppendError::Conflict), "{code}");
        }
        // In process, not ready, store failed, no quorum, anything unheard of.
        for code in [10158, 10163, 10077, 10008, 10009, 1, 99999] {
            assert!(matches!(outcome(code), AppendError::Unknown(_)), "{code}");
        }
        for code in [10054, 10060, 10167] {
            assert!(matches!(outcome(code), AppendError::Unavailable(_)), "{code}");
        }
    }
}
