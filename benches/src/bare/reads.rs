//! The baseline of what people read: the same rows of the same database by statements written by hand, and the
//! same JSON, without a token, a membership or a position that anyone would check.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use domain::{ConversationId, MessageId, Ordinal};
use serde::Deserialize;
use tokio::net::TcpListener;

use self::json::{Conversation, Message, Messages, Page, Pagination};
use self::rows::Rows;
use super::Bare;
use crate::deployment::Place;

mod json;
mod rows;

/// The first argument of its process; the second says where the rows are, the third whose they are.
pub(crate) const COMMAND: &str = "serve-bare-reads";

impl Bare {
    /// Starts one that answers what this user reads of what a node keeps there.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn of_reads(place: &Place, user: &str) -> anyhow::Result<Self> {
        Self::spawn([COMMAND, &serde_json::to_string(place)?, user]).await
    }
}

/// The process of a bare server of reads.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(2);
    let place = serde_json::from_str(&arguments.next().context("a place")?)?;
    let app = App {
        rows: Rows::at(&place)?,
        user: arguments.next().context("a user")?,
    };
    let router = Router::new()
        .route("/conversations", get(conversations))
        .route("/conversations/{id}/messages", get(messages))
        .with_state(Arc::new(app));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(&listener.local_addr()?.to_string());
    // As the node does; where it is refused, it only takes longer.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
    Ok(axum::serve(listener, router).await?)
}

struct App {
    rows: Rows,
    user: String,
}

#[derive(Deserialize)]
struct Asked {
    limit: i64,
    before: Option<String>,
}

async fn messages(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    answer(app.messages(&id, asked).await)
}

async fn conversations(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Response {
    answer(app.conversations(asked.limit).await)
}

fn answer(answered: anyhow::Result<Response>) -> Response {
    answered.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}

impl App {
    async fn messages(&self, id: &str, asked: Asked) -> anyhow::Result<Response> {
        let conversation = ConversationId::from_str(id)?;
        let before = asked.before.context("a message")?.parse::<MessageId>()?;
        let before = i64::try_from(before.ordinal.get())?;
        let mut rows = self.rows.messages(conversation, before, asked.limit + 1).await?;
        let has_more = cut(&mut rows, asked.limit);
        let message = |ordinal: i64| {
            Some(MessageId {
                conversation,
                ordinal: Ordinal::new(u64::try_from(ordinal).ok()?)?,
            })
        };
        let data: Vec<_> = rows
            .iter()
            .rev()
            .filter_map(|row| {
                let reply_to = row.reply_to.and_then(message);
                Some(Message::of(row, (conversation, message(row.ordinal)?), reply_to))
            })
            .collect();
        let page = Messages {
            has_more,
            next_cursor: data.last().map(|message| message.id),
            prev_cursor: data.first().map(|message| message.id),
            data,
        };
        Ok(Json(page).into_response())
    }

    async fn conversations(&self, limit: i64) -> anyhow::Result<Response> {
        let mut rows = self.rows.conversations(&self.user, limit + 1).await?;
        let has_more = cut(&mut rows, limit);
        let data = rows.iter().map(Conversation::of);
        let data = data.collect::<anyhow::Result<Vec<_>>>()?;
        let last = data.last().filter(|_| has_more);
        let page = Page {
            pagination: Pagination {
                limit,
                has_more,
                next_cursor: last.map(Conversation::cursor),
            },
            data,
        };
        Ok(Json(page).into_response())
    }
}

/// Cuts off what was fetched beyond the limit, and says whether anything was.
fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or_default();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    has_more
}
