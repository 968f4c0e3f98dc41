//! `GET /ws`: a WebSocket with JSON frames.
//!
//! The token comes in `Authorization`, or in a first frame `authenticate`; never in the URL, where logs
//! would keep it. Close codes from 4000 tell the client to come back, those from 4500 not to, unless
//! with another token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::timeout;

use super::frame;
use super::session::Session;
use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;

/// The largest frame of a client: a message of 10,000 characters, escaped to the utmost, fits.
const MAX_FRAME_BYTES: usize = 256 * 1024;
/// How long a client may take to say who it is.
const AUTHENTICATION_PATIENCE: Duration = Duration::from_secs(10);
/// How long a closing socket may take.
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);

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
    /// The client has gone.
    Gone,
}

impl Closing {
    const fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Stopping => (4000, "the server is stopping"),
            Self::TooSlow => (4001, "the client is too slow"),
            Self::Unavailable => (4002, "the server is not ready"),
            Self::Silent => (4003, "the client is silent"),
            Self::Unauthenticated => (4500, "the token is not valid"),
            Self::Gone => (1000, ""),
        };
        CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }
    }
}

/// `GET /ws`.
///
/// # Errors
/// 401 for a token in `Authorization` that is not valid, 400 for a request that is no upgrade.
pub async fn upgrade(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let identity = if parts.headers.contains_key(header::AUTHORIZATION) {
        Some(Identity::from_request_parts(&mut parts, &app).await?)
    } else {
        None
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &app)
        .await
        .map_err(|_| {
            ApiError::bad_request("not_a_websocket", "the request is not an upgrade to a WebSocket")
        })?;
    let upgrade = upgrade
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    Ok(upgrade
        .on_upgrade(|socket| serve(app, socket, identity))
        .into_response())
}

async fn serve(app: Arc<App>, mut socket: WebSocket, identity: Option<Identity>) {
    let identity = match identity {
        Some(identity) => Ok(identity),
        None => authenticate(&app, &mut socket).await,
    };
    let connections = metrics::gauge!("verbatim_sockets");
    connections.increment(1.0);
    let closing = match identity {
        Ok(identity) => Session::run(app, &mut socket, identity).await,
        Err(closing) => closing,
    };
    connections.decrement(1.0);
    if closing != Closing::Gone {
        tracing::debug!(reason = ?closing, "a socket is closed");
    }
    // Whoever is too slow may not take the frame; nobody waits for it long.
    let _ = timeout(
        CLOSING_PATIENCE,
        socket.send(Message::Close(Some(closing.frame()))),
    )
    .await;
}

#[derive(Deserialize)]
struct Authenticate {
    token: String,
}

/// Waits for a first frame that says who this is.
async fn authenticate(app: &Arc<App>, socket: &mut WebSocket) -> Result<Identity, Closing> {
    let first = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(Closing::Unauthenticated),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closing::Gone),
            }
        }
    };
    let text = timeout(AUTHENTICATION_PATIENCE, first)
        .await
        .map_err(|_| Closing::Unauthenticated)??;
    let checked = frame::read(&text).and_then(|incoming| {
        let expected = || {
            ApiError::unauthenticated(
                "token_missing",
                "the first frame must be authenticate with a token",
            )
        };
        if incoming.event != "authenticate" {
            return Err(expected());
        }
        let data: Authenticate = serde_json::from_value(incoming.data).map_err(|_| expected())?;
        Ok((app.authenticator.check(&data.token)?, incoming.id))
    });
    match checked {
        Ok((identity, id)) => {
            app.meet(&identity);
            if let Some(id) = id {
                let ack = Message::Text(frame::ack(&id, Ok(None)));
                socket.send(ack).await.map_err(|_| Closing::Gone)?;
            }
            Ok(identity)
        }
        Err(error) => {
            let refusal = Message::Text(frame::message_error(&error, None));
            socket.send(refusal).await.map_err(|_| Closing::Gone)?;
            Err(Closing::Unauthenticated)
        }
    }
}
