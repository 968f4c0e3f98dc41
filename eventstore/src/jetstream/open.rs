//! Opening: checks the server, makes the shards that are missing, refuses those that are not this log's.

use std::error::Error;
use std::future::Future;

use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::Compression;
use async_nats::jetstream::{self, Context, ErrorCode, stream};
use tokio::time::timeout;

use super::connection::REQUEST_TIMEOUT;
use super::continuity::{Break, Continuity};
use super::shape::{self, Shape};
use super::{Inner, JetStreamConfig, Shard};
use crate::log::{Epoch, MAX_COMMIT_BYTES};
use crate::namespace::{Namespace, NamespaceError};
use crate::subject::PARTITIONS;

/// The oldest server: before it, headers that the log rests on are ignored in silence. A client learns the
/// version of the server that it is connected to; that the others of its cluster are no older is up to
/// whoever runs them.
const OLDEST_SERVER: (u32, u32) = (2, 12);

/// What a commit's headers may need beside its payload.
const HEADER_ROOM: usize = 4 * 1024;

/// How often opening looks again while other nodes are making the same log.
const ATTEMPTS: usize = 10;

/// Why a log could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The namespace is none.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A log cannot have so many shards.
    #[error("a log has 1 to {PARTITIONS} shards, not {0}")]
    Shards(u16),
    /// The server ignores headers that the log rests on.
    #[error(
        "the NATS server is version {0}, and the log needs {major}.{minor} or newer",
        major = OLDEST_SERVER.0, minor = OLDEST_SERVER.1
    )]
    ServerTooOld(String),
    /// The server takes no message as large as a commit can be.
    #[error("the NATS server's max_payload is {0}, and the log needs {need}", need = MAX_COMMIT_BYTES + HEADER_ROOM)]
    MaxPayload(usize),
    /// A stream of this name exists and was not made by a log.
    #[error("the JetStream stream {0} exists and is not a shard of a log")]
    Foreign(String),
    /// A shard is configured otherwise than this log is.
    #[error("the JetStream stream {stream} is configured otherwise: {differences}")]
    Differs {
        /// The shard's JetStream stream.
        stream: String,
        /// In what, with both values.
        differences: String,
    },
    /// Shards of two incarnations stand beside each other: one was restored or made anew by itself.
    #[error("the JetStream stream {stream} has epoch {epoch}, and the log has {log}")]
    Epochs {
        /// The shard's JetStream stream.
        stream: String,
        /// Its epoch.
        epoch: Epoch,
        /// The first shard's.
        log: Epoch,
    },
    /// The log was complete once, and now a shard is gone with all its records.
    #[error("the JetStream stream {0} is missing, and the others of this log exist")]
    Lost(String),
    /// The server refuses to make a shard.
    #[error("the NATS server refuses to make the JetStream stream {stream}: {reason}")]
    Refused {
        /// The shard's JetStream stream.
        stream: String,
        /// The server's words.
        reason: String,
    },
    /// The server keeps no streams.
    #[error(
        "the NATS server has no JetStream, which keeps the log: enable it with a `jetstream` block in the server's \
         configuration, and for the account that nodes use"
    )]
    NoJetStream,
    /// The server is away, or does not answer.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
}

/// What is known of a shard: nothing when it does not exist.
type Found = Option<stream::Info>;

/// Opens the log, making it first when it does not exist.
pub(super) async fn open(config: JetStreamConfig) -> Result<Inner, OpenError> {
    let JetStreamConfig {
        client,
        namespace,
        shards,
        replicas,
    } = config;
    if !(1..=PARTITIONS).contains(&shards) {
        return Err(OpenError::Shards(shards));
    }
    namespace.parse::<Namespace>()?;
    let server = client
        .try_server_info()
        .ok_or_else(|| OpenError::Unavailable("there is no connection to the server".to_owned()))?;
    if version(&server.version).is_none_or(|version| version < OLDEST_SERVER) {
        return Err(OpenError::ServerTooOld(server.version));
    }
    if server.max_payload < MAX_COMMIT_BYTES + HEADER_ROOM {
        return Err(OpenError::MaxPayload(server.max_payload));
    }
    let context = jetstream::new(client.clone());
    let shape = Shape {
        namespace,
        shards,
        replicas,
    };
    let epoch = ensure(&context, &shape).await?;
    let mut handles = Vec::with_capacity(usize::from(shards));
    for number in 0..shards {
        let name = shape.name(number);
        // Only makes a handle, without a request.
        let handle = context.get_stream_no_info(&name).await;
        let handle = handle.map_err(|error| OpenError::Unavailable(error.to_string()))?;
        handles.push(Shard {
            number,
            name,
            handle,
            continuity: Continuity::default(),
        });
    }
    Ok(Inner {
        client,
        context,
        namespace: shape.namespace,
        epoch,
        shards: handles,
        broken: Break::new(),
    })
}

/// Gives a log that exists a new epoch.
pub(super) async fn renew_epoch(config: JetStreamConfig) -> Result<Epoch, OpenError> {
    let context = jetstream::new(config.client);
    let shape = Shape {
        namespace: config.namespace,
        shards: config.shards,
        replicas: config.replicas,
    };
    let found = survey(&context, &shape).await?;
    let epoch = Epoch::draw();
    for (number, info) in (0..).zip(found) {
        let stream = shape.name(number);
        let Some(mut config) = info.map(|info| info.config) else {
            return Err(OpenError::Lost(stream));
        };
        if shape::epoch(&config).is_none() {
            return Err(OpenError::Foreign(stream));
        }
        if let Some(differences) = shape.differences(number, &config) {
            return Err(OpenError::Differs { stream, differences });
        }
        shape::set_epoch(&mut config, epoch);
        in_time(context.update_stream(config))
            .await?
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
    }
    Ok(epoch)
}

/// Major and minor of a server's version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Makes the shards that are missing and returns the log's epoch.
///
/// Shards are made from the first to the last and none is appended to before the last exists. So the
/// first one's creator decides the epoch, whatever the others drew; and once the last exists or any has
/// records, a shard that is missing was lost, and is not made again as if nothing had been in it.
async fn ensure(context: &Context, shape: &Shape) -> Result<Epoch, OpenError> {
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let found = survey(context, shape).await?;
        let epoch = check(shape, &found)?;
        let Some(gap) = found.iter().position(Option::is_none) else {
            if let Some(epoch) = epoch {
                return Ok(epoch);
            }
            continue;
        };
        let used = |shard: &Found| shard.as_ref().is_some_and(|info| info.state.last_sequence > 0);
        if found.last().is_some_and(Option::is_some) || found.iter().any(used) {
            // Another node may have finished while this one was looking. It is lost when it stays away.
            let name = shape.name(u16::try_from(gap).unwrap_or(u16::MAX));
            if lost.replace(name.clone()) == Some(name.clone()) {
                return Err(OpenError::Lost(name));
            }
            continue;
        }
        let epoch = epoch.unwrap_or_else(Epoch::draw);
        for (number, _) in (0..).zip(&found).filter(|(_, info)| info.is_none()) {
            if !create(context, shape, number, epoch).await? {
                break;
            }
        }
    }
    Err(OpenError::Unavailable(
        "the log's streams change while it is being opened".to_owned(),
    ))
}

/// What exists, looked up from the last shard to the first: whoever finds the last and then not an
/// earlier one has found a loss and not a log in the making.
async fn survey(context: &Context, shape: &Shape) -> Result<Vec<Found>, OpenError> {
    let mut found = Vec::with_capacity(usize::from(shape.shards));
    for number in (0..shape.shards).rev() {
        found.push(match in_time(context.get_stream(shape.name(number))).await? {
            Ok(handle) => Some(handle.cached_info().clone()),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(refusal)
                    if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    None
                }
                GetStreamErrorKind::JetStream(refusal) if is_without(refusal.error_code()) => {
                    return Err(OpenError::NoJetStream);
                }
                GetStreamErrorKind::Request if is_unheard(&error) => return Err(OpenError::NoJetStream),
                _ => return Err(OpenError::Unavailable(error.to_string())),
            },
        });
    }
    found.reverse();
    Ok(found)
}

/// Refuses shards that are not this log's, and returns its epoch if any shard exists.
fn check(shape: &Shape, found: &[Found]) -> Result<Option<Epoch>, OpenError> {
    let mut log = None;
    for (number, info) in (0..).zip(found) {
        let Some(info) = info else { continue };
        let stream = shape.name(number);
        let Some(epoch) = shape::epoch(&info.config) else {
            return Err(OpenError::Foreign(stream));
        };
        if let Some(differences) = shape.differences(number, &info.config) {
            return Err(OpenError::Differs { stream, differences });
        }
        if shape.replicas > 1 && info.config.compression == Some(Compression::S2) {
            tracing::warn!(
                stream,
                "the stream is compressed: servers of NATS 2.15.0 and 2.15.1 that are killed lose their copy of it"
            );
        }
        let log = *log.get_or_insert(epoch);
        if log != epoch {
            return Err(OpenError::Epochs { stream, epoch, log });
        }
    }
    Ok(log)
}

/// Makes a shard, and says whether it is there now as this node would have it: another may have made it
/// with another epoch in the meantime.
async fn create(context: &Context, shape: &Shape, number: u16, epoch: Epoch) -> Result<bool, OpenError> {
    let Err(error) = in_time(context.create_stream(shape.config(number, epoch))).await? else {
        tracing::info!(log.namespace = %shape.namespace, log.shard = number, "made a shard of the log");
        return Ok(true);
    };
    match error.kind() {
        CreateStreamErrorKind::JetStream(refusal) if refusal.error_code() == ErrorCode::STREAM_NAME_EXIST => {
            Ok(false)
        }
        CreateStreamErrorKind::JetStream(refusal) => Err(OpenError::Refused {
            stream: shape.name(number),
            reason: refusal.to_string(),
        }),
        _ => Err(OpenError::Unavailable(error.to_string())),
    }
}

/// Whether the server says that it has no JetStream, or that this account may not use it.
fn is_without(code: ErrorCode) -> bool {
    [
        ErrorCode::JETSTREAM_NOT_ENABLED,
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
    ]
    .contains(&code)
}

/// Whether nobody listens to such requests.
fn is_unheard(error: &GetStreamError) -> bool {
    let request = error.source().and_then(|source| source.downcast_ref());
    request.is_some_and(|request: &RequestError| request.kind() == RequestErrorKind::NoResponders)
}

async fn in_time<T>(request: impl Future<Output = T>) -> Result<T, OpenError> {
    timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| OpenError::Unavailable("the server did not answer in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (text, usable) in [
            ("2.12.0", true),
            ("2.15.1", true),
            ("2.100.0-RC.2", true),
            ("3.0.0", true),
            ("2.9.25", false),
            ("2.11.10", false),
            ("1.99.0", false),
            ("", false),
            ("latest", false),
        ] {
            assert_eq!(
                version(text).is_some_and(|version| version >= OLDEST_SERVER),
                usable,
                "{text}"
            );
        }
    }
}
