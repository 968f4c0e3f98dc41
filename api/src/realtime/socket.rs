//! `GET /ws`: a WebSocket with JSON frames.
//!
//! The token comes in `Authorization`, or in a first frame `authenticate`; never in the URL, where logs
//! would keep it. Close codes from 4000 tell the client to come back, those from 4500 not to, unless
//! with another token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tracing::Instrument;
use utoipa::IntoParams;

use super::frame::{self, Incoming};
use super::session::Session;
use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::extract::Query;
use crate::openapi::values;

/// The largest frame of a client: a message of 10,000 characters, escaped to the utmost, fits.
const MAX_FRAME_BYTES: usize = 256 * 1024;
/// How long a client may take to say who it is.
const AUTHENTICATION_PATIENCE: Duration = Duration::from_secs(10);
/// How long a closing socket may take, and one that is closed because it was too slow.
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);
const SLOW_CLOSING_PATIENCE: Duration = Duration::from_secs(10);
/// What a socket reads at once. Frames of clients are small, and idle sockets are many.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The node is going away: come back, to another one perhaps.
    Stopping,
    /// The client cannot keep up: come back and ask for what it missed.
    TooSlow,
    /// Something the node needs is away: come back later.
    Unavailable,
    /// The client has not been heard of.
    Silent,
    /// The token is not valid, or not any more.
    Unauthenticated,
    /// The client did not say who it is.
    Unnamed,
    /// A frame was larger than frames may be.
    TooLarge,
    /// A text frame was no text.
    NotText,
    /// The client does not speak the protocol.
    Protocol,
    /// The client has gone.
    Gone,
}

impl Closing {
    /// What an error of the connection means.
    pub(super) fn of(error: axum::Error) -> Self {
        let error = error.into_inner().downcast::<tungstenite::Error>();
        match error.as_deref() {
            Ok(tungstenite::Error::Capacity(_)) => Self::TooLarge,
            Ok(tungstenite::Error::Utf8(_)) => Self::NotText,
            Ok(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Gone,
            Ok(tungstenite::Error::Protocol(_)) => Self::Protocol,
            _ => Self::Gone,
        }
    }

    /// How long the client may take to hear of it. One that was too slow has much to read before.
    const fn patience(self) -> Duration {
        match self {
            Self::TooSlow => SLOW_CLOSING_PATIENCE,
            _ => CLOSING_PATIENCE,
        }
    }

    const fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Stopping => (4000, "the server is stopping"),
            Self::TooSlow => (4001, "the client is too slow"),
            Self::Unavailable => (4002, "the server is not ready"),
            Self::Silent => (4003, "the client is silent"),
            Self::Unauthenticated => (4500, "the token is not valid"),
            Self::Unnamed => (4501, "no token came in time"),
            Self::TooLarge => (close_code::SIZE, "a frame is too large"),
            Self::NotText => (close_code::INVALID, "a text frame is not UTF-8"),
            Self::Protocol => (close_code::PROTOCOL, "this is not the WebSocket protocol"),
            Self::Gone => (close_code::NORMAL, ""),
        };
        CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// The cursor of the last frame that the client was given.
    #[param(value_type = Option<values::Cursor>, nullable = false)]
    cursor: Option<String>,
}

/// `GET /ws`: upgrades to a WebSocket. The token comes in `Authorization`, or in a first frame.
///
/// # Errors
/// 401 for a token in `Authorization` that is not valid, 400 for a request that is no upgrade.
#[utoipa::path(
    get, path = "/ws", operation_id = "openSocket", tag = "Node", security((), ("bearer" = [])),
    params(Asked),
    responses((status = 101, description = "The socket is open")),
    extensions(("x-refusals" = json!(["400 not_a_websocket", "401 token_invalid", "401 token_expired",
        "429 rate_limited"])))
)]
pub async fn upgrade(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let identity = if parts.headers.contains_key(header::AUTHORIZATION) {
        Some(Identity::from_request_parts(&mut parts, &app).await?)
    } else {
        None
    };
    let Query(asked) = Query::<Asked>::from_request_parts(&mut parts, &app).await?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app)
        .await
        .map_err(|_| {
            ApiError::bad_request("not_a_websocket", "the request is not an upgrade to a WebSocket")
        })?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    let address = app.limits.address(&parts);
    // What is logged about the socket names the request that it began with.
    let span = tracing::Span::current();
    Ok(upgrade
        .on_upgrade(move |socket| serve(app, socket, (identity, address), asked.cursor).instrument(span))
        .into_response())
}

async fn serve(
    app: Arc<App>,
    mut socket: WebSocket,
    (identity, address): (Option<Identity>, Option<IpAddr>),
    cursor: Option<String>,
) {
    let identity = match identity {
        Some(identity) => Ok(identity),
        None => Box::pin(authenticate(&app, &mut socket, address)).await,
    };
    let connections = metrics::gauge!("verbatim_sockets");
    connections.increment(1.0);
    let closing = match identity {
        Ok(identity) => Session::run(app, &mut socket, identity, cursor.as_deref()).await,
        Err(closing) => closing,
    };
    connections.decrement(1.0);
    if closing != Closing::Gone {
        tracing::debug!(reason = ?closing, "a socket is closed");
    }
    // Whoever is too slow may not take the frame; nobody waits for it long.
    let _ = timeout(
        closing.patience(),
        socket.send(Message::Close(Some(closing.frame()))),
    )
    .await;
}

/// The event that says who a client is: the first of a socket without a token, and any later one that
/// renews it.
pub(super) const AUTHENTICATE: &str = "authenticate";

#[derive(Deserialize)]
struct Authenticate {
    token: String,
}

/// Waits for a first frame that says who this is.
async fn authenticate(
    app: &Arc<App>,
    socket: &mut WebSocket,
    address: Option<IpAddr>,
) -> Result<Identity, Closing> {
    let first = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(Closing::Unnamed),
                Some(Err(error)) => return Err(Closing::of(error)),
                Some(Ok(Message::Close(_))) | None => return Err(Closing::Gone),
            }
        }
    };
    let text = timeout(AUTHENTICATION_PATIENCE, first)
        .await
        .map_err(|_| Closing::Unnamed)??;
    let (id, checked) = match frame::read(&text) {
        Ok(incoming) => {
            let id = incoming.id.clone();
            let checked = check(app, incoming).await;
            (id, checked.map_err(|error| app.limits.failure(address, error)))
        }
        Err(frame::Malformed { id, error }) => (id, Err(error)),
    };
    let mut answers = Vec::with_capacity(2);
    if let Err(error) = &checked {
        answers.push(frame::message_error(error, None));
    }
    if let Some(id) = id {
        answers.push(frame::ack(&id, checked.as_ref().map(|_| None)));
    }
    for answer in answers {
        socket
            .send(Message::Text(answer))
            .await
            .map_err(|_| Closing::Gone)?;
    }
    let identity = checked.map_err(|_| Closing::Unauthenticated)?;
    app.meet(&identity);
    Ok(identity)
}

/// Who a frame `authenticate` says that this is.
pub(super) async fn check(app: &App, incoming: Incoming) -> Result<Identity, ApiError> {
    let expected = || {
        ApiError::unauthenticated(
            ApiError::TOKEN_MISSING,
            "the first frame must be authenticate with a token",
        )
    };
    if incoming.event != AUTHENTICATE {
        return Err(expected());
    }
    let data: Authenticate = serde_json::from_value(incoming.data).map_err(|_| expected())?;
    let identity = app.authenticator.check(&data.token).await?;
    app.standing.admit(identity).await
}
