//! Handlers of commands: extract, build, execute, respond.

use axum::http::HeaderMap;
use domain::{ClientId, CommandId, Fingerprint};
use eventstore::Stream;
use eventstore::envelope::{CommandTag, Trace};

use crate::auth::Identity;

mod asked;
pub mod attachments;
pub mod changes;
pub mod conversations;
mod files;
pub mod groups;
pub mod keeping;
pub mod messages;
pub mod push;
pub mod reads;
mod repeats;
pub mod users;

use asked::Asked;
pub use repeats::Repeats;

/// The most bytes of a request id or trace context that is recorded.
const TRACE_BYTES: usize = 128;

/// What makes a command recognisable when its client repeats it.
fn tag(
    identity: &Identity,
    operation: &str,
    target: &Stream,
    client_id: Option<&ClientId>,
    payload: &[&[u8]],
) -> Option<CommandTag> {
    let client_id = client_id?;
    let target = target.subject();
    Some(CommandTag {
        id: CommandId::derive(&identity.tenant, &identity.user, operation, &target, client_id),
        fingerprint: Fingerprint::of(payload),
    })
}

/// Where a request comes from, as its headers say.
#[must_use]
pub fn trace(headers: &HeaderMap) -> Trace {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        if value.len() <= TRACE_BYTES {
            Some(value.to_owned())
        } else {
            None
        }
    };
    Trace {
        causation_id: None,
        correlation_id: header("x-request-id"),
        traceparent: header("traceparent"),
    }
}
