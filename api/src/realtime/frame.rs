//! Frames as they go over a socket: `{"event": …, "data": …, "id"?: …}`.

use axum::extract::ws::Utf8Bytes;
use domain::conversation::reads;
use domain::conversation::{Edit, Message as Sent, Reaction};
use domain::{ConversationId, MessageId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attachments::links::Links;
use crate::error::ApiError;
use crate::extract::fields;
use crate::json;
use crate::wire::{Message, Time};

/// The longest id that a client may give a frame.
const MAX_ID_BYTES: usize = 128;

/// A frame of a client.
#[derive(Deserialize)]
pub(super) struct Incoming {
    pub(super) event: String,
    #[serde(default)]
    pub(super) data: Value,
    pub(super) id: Option<Value>,
}

/// What a client sent is not a frame.
pub(super) struct Malformed {
    /// The id that it would have, for the answer.
    pub(super) id: Option<Value>,
    pub(super) error: ApiError,
}

/// Reads a frame of a client.
///
/// # Errors
/// 400 when it is not one.
pub(super) fn read(text: &str) -> Result<Incoming, Malformed> {
    let malformed = |id| Malformed {
        id,
        error: ApiError::bad_request(
            "malformed_frame",
            "a frame is {\"event\": text, \"data\": object, \"id\"?: text or number}",
        ),
    };
    let value: Value = json::parse(text.as_bytes()).map_err(|_| malformed(None))?;
    let id = match value.get("id") {
        None | Some(Value::Null) => None,
        Some(id @ Value::Number(_)) => Some(id.clone()),
        Some(Value::String(id)) if id.len() <= MAX_ID_BYTES => Some(Value::from(id.as_str())),
        Some(_) => return Err(malformed(None)),
    };
    fields(value).map_err(|_| malformed(id))
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    data: T,
}

fn write(event: &str, id: Option<&Value>, data: impl Serialize) -> Utf8Bytes {
    // Frames are structs of strings and numbers, which always have a JSON form.
    serde_json::to_string(&Outgoing { event, id, data })
        .unwrap_or_default()
        .into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connected<'a> {
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: &'a UserId,
    server_time: Time,
}

pub(super) fn connected(user: &UserId, now: Timestamp) -> Utf8Bytes {
    write(
        "connected",
        None,
        Connected {
            user_id: user,
            server_time: Time(now),
        },
    )
}

#[derive(Serialize)]
struct Reset {
    reason: &'static str,
}

/// The client missed something that cannot be given to it: it must load anew what it shows.
pub(super) fn reset(reason: &'static str) -> Utf8Bytes {
    write("reset", None, Reset { reason })
}

/// The frame with the cursor of the one it goes to, which `cursor` adds to a text. The frame itself is
/// shared by everyone.
pub(super) fn with_cursor(frame: &Utf8Bytes, cursor: impl FnOnce(&mut String)) -> Utf8Bytes {
    const ROOM: usize = 256;
    let open = frame.as_str().strip_suffix('}').unwrap_or_default();
    let mut text = String::with_capacity(open.len() + ROOM);
    text.push_str(open);
    text.push_str(",\"cursor\":\"");
    cursor(&mut text);
    text.push_str("\"}");
    text.into()
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageData<'a> {
    message: &'a Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_id: Option<&'a str>,
}

pub(super) fn new_message(conversation: ConversationId, sent: &Sent, links: &Links) -> Utf8Bytes {
    let temp_id = sent
        .body
        .readable()
        .and_then(|body| body.client_id.as_ref())
        .map(|id| id.as_str());
    write(
        "new_message",
        None,
        MessageData {
            message: &Message::from_sent(conversation, sent, links),
            temp_id,
        },
    )
}

pub(super) fn message_sent(message: &Message, temp_id: Option<&str>) -> Utf8Bytes {
    write("message_sent", None, MessageData { message, temp_id })
}

pub(super) fn message_edited(conversation: ConversationId, edit: &Edit, at: Timestamp) -> Utf8Bytes {
    let message = &Message::from_edit(conversation, edit, at);
    write(
        "message_edited",
        None,
        MessageData {
            message,
            temp_id: None,
        },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageDeleted<'a> {
    conversation_id: ConversationId,
    message_id: MessageId,
    /// By whom.
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: &'a UserId,
    deleted_for_everyone: bool,
    deleted_at: Time,
}

pub(super) fn message_deleted(message: MessageId, by: &UserId, at: Timestamp) -> Utf8Bytes {
    let data = MessageDeleted {
        conversation_id: message.conversation,
        message_id: message,
        user_id: by,
        deleted_for_everyone: true,
        deleted_at: Time(at),
    };
    write("message_deleted", None, data)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReactionUpdated<'a> {
    conversation_id: ConversationId,
    message_id: MessageId,
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: &'a UserId,
    emoji: &'a str,
    /// `added` or `removed`.
    action: &'static str,
}

/// What the members hear of a reaction; nothing when nobody can read any more what it was.
pub(super) fn reaction_updated(
    conversation: ConversationId,
    reaction: &Reaction,
    action: &'static str,
) -> Option<Utf8Bytes> {
    let data = ReactionUpdated {
        conversation_id: conversation,
        message_id: MessageId {
            conversation,
            ordinal: reaction.message,
        },
        user_id: &reaction.user,
        emoji: reaction.emoji.readable()?.as_str(),
        action,
    };
    Some(write("message_reaction_updated", None, data))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessagesRead<'a> {
    conversation_id: ConversationId,
    #[serde(serialize_with = "crate::wire::user_ids::one")]
    user_id: &'a UserId,
    message_id: MessageId,
    read_at: Time,
}

/// What the members hear of a read event; being marked unread is the member's own matter.
pub(super) fn messages_read(
    conversation: ConversationId,
    event: &reads::Event,
    at: Timestamp,
) -> Option<Utf8Bytes> {
    let reads::Event::ReadMarked { member, up_to } = event else {
        return None;
    };
    let data = MessagesRead {
        conversation_id: conversation,
        user_id: member,
        message_id: MessageId {
            conversation,
            ordinal: *up_to,
        },
        read_at: Time(at),
    };
    Some(write("messages_read", None, data))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageError<'a> {
    #[serde(flatten)]
    error: &'a ApiError,
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_id: Option<&'a str>,
}

pub(super) fn message_error(error: &ApiError, temp_id: Option<&str>) -> Utf8Bytes {
    write("message_error", None, MessageError { error, temp_id })
}

#[derive(Serialize)]
struct Ack<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ApiError>,
}

/// The answer to a frame with an id.
pub(super) fn ack(id: &Value, outcome: Result<Option<&Message>, &ApiError>) -> Utf8Bytes {
    let data = match outcome {
        Ok(message) => Ack {
            success: true,
            message,
            error: None,
        },
        Err(error) => Ack {
            success: false,
            message: None,
            error: Some(error),
        },
    };
    write("ack", Some(id), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_an_event_and_a_short_id() {
        assert!(read(r#"{"event":"x"}"#).is_ok());
        assert!(read(r#"{"event":"x","data":{},"id":7}"#).is_ok());
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"event":1}"#,
            r#"{"event":"x","id":{}}"#,
            r#"{"event":"x","id":[1]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!(r#"{{"event":"x","id":"{}"}}"#, "y".repeat(129))).is_err());
    }

    #[test]
    fn a_cursor_is_the_last_field() {
        let text = with_cursor(&reset("foreign_cursor"), |text| text.push_str("abc"));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["cursor"], "abc");
        assert_eq!(value["data"]["reason"], "foreign_cursor");
    }

    #[test]
    fn an_ack_says_whether_it_worked() {
        let text = ack(&Value::from("1"), Err(&ApiError::not_found()));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "ack");
        assert_eq!(value["data"]["success"], false);
        assert_eq!(value["data"]["error"]["code"], "conversation_not_found");
        assert_eq!(
            ack(&Value::from(1), Ok(None)).as_str(),
            r#"{"event":"ack","id":1,"data":{"success":true}}"#
        );
    }
}
