//! A command of a conversation on its way: named, carried out, and what it brought about.

use axum::http::HeaderMap;
use domain::conversation::{Command, Error, Event};
use domain::{ClientId, ConversationId, MessageId};
use eventstore::envelope::{CommandTag, Event as Recorded, Trace};
use eventstore::execute::{ExecuteError, Outcome, Request};
use eventstore::{Position, Stream};

use super::{tag, trace};
use crate::app::{App, now};
use crate::auth::Identity;
use crate::error::ApiError;
use crate::wire::{Conversation, Message};

/// Who asks for what, and what they call it.
pub(super) struct Asked<'a> {
    pub(super) app: &'a App,
    pub(super) identity: &'a Identity,
    pub(super) conversation: ConversationId,
    /// What the command is called: the same key may name another one, too.
    pub(super) operation: &'static str,
    /// What the client calls it.
    pub(super) key: Option<ClientId>,
    pub(super) trace: Trace,
}

/// A command that was carried out, now or before.
pub(super) struct Done {
    pub(super) outcome: Outcome<Event>,
    pub(super) position: Position,
    stream: Stream,
    tag: Option<CommandTag>,
}

impl<'a> Asked<'a> {
    /// A command that its client does not name.
    pub(super) fn unnamed(
        app: &'a App,
        identity: &'a Identity,
        conversation: ConversationId,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            app,
            identity,
            conversation,
            operation: "",
            key: None,
            trace: trace(headers),
        }
    }

    /// Carries the command out. `payload` is what makes two of the same name the same.
    pub(super) async fn carry_out(
        self,
        command: Command,
        payload: &[&[u8]],
    ) -> Result<Done, ExecuteError<Error>> {
        let Self { app, identity, .. } = self;
        let stream = Stream::Conversation(identity.tenant.clone(), self.conversation);
        let tag = tag(identity, self.operation, &stream, self.key.as_ref(), payload);
        let request = Request {
            command,
            actor: Some(identity.user.clone()),
            tag,
            trace: self.trace,
        };
        let outcome = app.conversations.execute(&stream, request).await?;
        app.announce(&identity.tenant, self.conversation, &outcome);
        let position = outcome.position();
        app.consistency.wrote(identity, position);
        Ok(Done {
            outcome,
            position,
            stream,
            tag,
        })
    }
}

impl Done {
    /// What the command brought about, also when that was before: then it is read out of the log.
    ///
    /// # Errors
    /// 503 when the log is away.
    pub(super) async fn events(self, app: &App) -> Result<Vec<Event>, ApiError> {
        match (self.outcome, self.tag) {
            (Outcome::Appended { events, .. }, _) => Ok(events),
            (Outcome::Repeated { position }, Some(tag)) => {
                let recorded = recorded(app, &self.stream, position, tag).await?;
                Ok(recorded.into_iter().filter_map(of_conversation).collect())
            }
            (Outcome::Repeated { .. }, None) | (Outcome::Unchanged { .. }, _) => Ok(Vec::new()),
        }
    }
}

/// A conversation as who asks sees it once the read models have come this far.
///
/// # Errors
/// 503 when they do not come that far in time; what led to the position is recorded all the same.
pub(super) async fn shown(
    app: &App,
    identity: &Identity,
    id: ConversationId,
    position: Position,
) -> Result<Conversation, ApiError> {
    let recorded = |error: ApiError| error.recorded_at(position);
    app.consistency.reach(position).await.map_err(recorded)?;
    let view = app
        .read_model
        .conversation(&identity.tenant, &identity.user, id, now())
        .await
        .map_err(|error| recorded(error.into()))?;
    view.map(Conversation::from).ok_or_else(ApiError::not_found)
}

/// A message as who asks sees it once the read models have come this far.
///
/// # Errors
/// As [`shown`].
pub(super) async fn shown_message(
    app: &App,
    identity: &Identity,
    id: MessageId,
    position: Position,
) -> Result<Message, ApiError> {
    let recorded = |error: ApiError| error.recorded_at(position);
    app.consistency.reach(position).await.map_err(recorded)?;
    let found = app
        .read_model
        .hydrate(&identity.tenant, &identity.user, &[id])
        .await
        .map_err(|error| recorded(error.into()))?;
    let found = found.into_iter().next();
    let shown = |message| Message::from_view(message, &app.links);
    found.map(shown).ok_or_else(ApiError::message_not_found)
}

fn of_conversation(event: Recorded) -> Option<Event> {
    match event {
        Recorded::Conversation(event) => Some(event),
        Recorded::Read(_) | Recorded::User(_) => None,
    }
}

/// What a command that was carried out before brought about, out of the log.
///
/// # Errors
/// 503 when the log is away.
pub(super) async fn recorded(
    app: &App,
    stream: &Stream,
    position: Position,
    tag: CommandTag,
) -> Result<Vec<Recorded>, ApiError> {
    let away = || ApiError::unavailable("log_unavailable", "what it brought about cannot be read now");
    let before = position.sequence.saturating_sub(1);
    let records = app.log.read_stream(stream, before, 1).await;
    let records = records.map_err(|_| away())?;
    let commits = app.codec.decode(&records).await.map_err(|error| {
        tracing::error!(%error, "the original of a repeated command cannot be read");
        away()
    })?;
    let recorded = commits.into_iter().flat_map(|commit| commit.events);
    let of_command = recorded.filter(|event| event.command.is_some_and(|command| command.id == tag.id));
    Ok(of_command.map(|event| event.event).collect())
}
