//! Reading what one wrote: answers wait until the read model has taken in what they must show.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::{TenantId, UserId};
use eventstore::{Position, Progress};
use moka::sync::Cache;
use projections::{Projector, ProjectorStatus, ProjectorStatuses};

use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;

/// The position of what a command brought about.
pub const X_POSITION: HeaderName = HeaderName::from_static("x-position");
/// The position that a read must have reached.
const X_MIN_POSITION: &str = "x-min-position";
/// How long a command's answer waits for the read model.
const COMMAND_PATIENCE: Duration = Duration::from_millis(250);
/// How long a read waits for the read model, and for one that is known to be away.
const READ_PATIENCE: Duration = Duration::from_secs(5);
const AWAY_PATIENCE: Duration = Duration::from_millis(250);
/// How long a user's last position is remembered; the read model is never that far behind.
const REMEMBERED: Duration = Duration::from_secs(300);
const REMEMBERED_USERS: u64 = 100_000;

/// The last positions of each user on this node, and how far the read model is.
pub struct Consistency {
    projected: Progress,
    projectors: ProjectorStatuses,
    /// The end of the log when the node started: what was acknowledged before is seen from the first
    /// read on.
    started_at: Vec<Position>,
    /// By user, the last position in each shard that the user wrote to.
    last: Cache<(TenantId, UserId), Arc<[Position]>>,
}

impl Consistency {
    /// Reads over what this projector fills, none of them before these positions.
    #[must_use]
    pub fn new(projector: &Projector, started_at: Vec<Position>) -> Self {
        let last = Cache::builder()
            .max_capacity(REMEMBERED_USERS)
            .time_to_live(REMEMBERED)
            .build();
        Self {
            projected: projector.progress(),
            projectors: projector.statuses(),
            started_at,
            last,
        }
    }

    /// Remembers that the user's reads must see this position from now on.
    pub fn wrote(&self, identity: &Identity, position: Position) {
        let key = (identity.tenant.clone(), identity.user.clone());
        self.last.entry(key).and_upsert_with(|known| {
            let known = known.map(|entry| entry.into_value());
            let (same, others): (Vec<Position>, Vec<_>) = known
                .iter()
                .flat_map(|known| known.iter().copied())
                .partition(|known| known.shard == position.shard);
            let newest = same.into_iter().fold(position, |newest, known| {
                if known.sequence > newest.sequence {
                    known
                } else {
                    newest
                }
            });
            others.into_iter().chain([newest]).collect()
        });
    }

    /// Waits a little until a command's outcome can be read. Nobody waits for a database that is away.
    pub async fn settle(&self, headers: &HeaderMap, position: Position) {
        if !prefers_async(headers) && !self.is_away() {
            self.projected.reached(position, COMMAND_PATIENCE).await;
        }
    }

    /// Waits until the position can be read.
    ///
    /// # Errors
    /// 503 when that takes too long.
    pub async fn reach(&self, position: Position) -> Result<(), ApiError> {
        let patience = if self.is_away() {
            AWAY_PATIENCE
        } else {
            READ_PATIENCE
        };
        if self.projected.reached(position, patience).await {
            Ok(())
        } else {
            Err(ApiError::unavailable(
                "position_not_reached",
                "the read model has not come that far yet",
            ))
        }
    }

    /// Waits until what this user wrote on this node can be read.
    ///
    /// # Errors
    /// 503 when that takes too long.
    pub async fn caught_up(&self, identity: &Identity) -> Result<(), ApiError> {
        self.before_read(identity, None).await
    }

    fn is_away(&self) -> bool {
        matches!(self.projectors.worst(), ProjectorStatus::Retrying { .. })
    }

    /// Waits until a read of this user may be answered.
    async fn before_read(&self, identity: &Identity, asked: Option<Position>) -> Result<(), ApiError> {
        let own = self.last.get(&(identity.tenant.clone(), identity.user.clone()));
        let own = own.iter().flat_map(|own| own.iter().copied());
        for position in self.started_at.iter().copied().chain(own).chain(asked) {
            self.reach(position).await?;
        }
        Ok(())
    }
}

fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// Who reads, after everything the user wrote on this node, and everything up to `X-Min-Position`, can
/// be read.
pub struct Reader(pub Identity);

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let identity = Identity::from_request_parts(parts, app).await?;
        let asked = match parts.headers.get(X_MIN_POSITION) {
            None => None,
            Some(value) => Some(min_position(value, app)?),
        };
        app.consistency.before_read(&identity, asked).await?;
        Ok(Self(identity))
    }
}

fn min_position(value: &HeaderValue, app: &App) -> Result<Position, ApiError> {
    let malformed = || ApiError::bad_request("malformed_position", "X-Min-Position is not a position");
    let position = value.to_str().ok().and_then(|text| text.parse::<Position>().ok());
    let position = position.ok_or_else(malformed)?;
    // Of another log everything may be otherwise, the number of its shards, too.
    if position.epoch != app.log.epoch() {
        return Err(ApiError::bad_request(
            "foreign_position",
            "X-Min-Position is of another log",
        ));
    }
    if position.shard >= app.log.shards() {
        return Err(malformed());
    }
    Ok(position)
}

/// An answer to a command: it carries the position of what the command brought about.
pub struct At<T>(pub Position, pub T);

impl<T: IntoResponse> IntoResponse for At<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Ok(position) = HeaderValue::from_str(&self.0.to_string()) {
            response.headers_mut().insert(X_POSITION, position);
        }
        response
    }
}
