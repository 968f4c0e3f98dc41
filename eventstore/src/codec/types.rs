//! The registry of event types: from an event to its type's name and shape, and back.

use domain::conversation::reads::Event as Read;
use domain::{Private, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::shapes::{MarkedUnreadV1, ReadMarkedV1};
use crate::envelope::Event;

mod conversation;
mod user;

const READ_MARKED: &str = "chat.read.marked.v1";
const MARKED_UNREAD: &str = "chat.read.marked_unread.v1";

/// Lifts an event that was written in an older shape to the next one: its clear data and, when it can
/// be read, its sealed body.
pub(super) struct Upcaster {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) lift: fn(data: &mut Value, body: Option<&mut Value>),
}

/// Every upcaster there is. None so far: each type is in its first version.
const UPCASTERS: &[Upcaster] = &[];

/// Why an event could not be read. Never quotes what it holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadEventError {
    #[error("the event type {0:?} is unknown")]
    UnknownType(String),
    #[error("the {part} of a {event_type} does not have its shape")]
    Shape { event_type: String, part: &'static str },
}

/// An event as it goes into a record: what is clear, and what is to be sealed for whom.
pub(super) struct Written {
    pub(super) event_type: &'static str,
    pub(super) data: Box<RawValue>,
    pub(super) sealed: Option<(UserId, Vec<u8>)>,
}

pub(super) fn write(event: &Event) -> Written {
    match event {
        Event::Conversation(event) => conversation::write(event),
        Event::Read(Read::ReadMarked { member, up_to }) => clear(
            READ_MARKED,
            &ReadMarkedV1 {
                member: member.clone(),
                up_to: *up_to,
            },
        ),
        Event::Read(Read::MarkedUnread { member, mark }) => clear(
            MARKED_UNREAD,
            &MarkedUnreadV1 {
                member: member.clone(),
                mark: *mark,
            },
        ),
        Event::User(event) => user::write(event),
    }
}

fn clear(event_type: &'static str, data: &impl Serialize) -> Written {
    // Shapes are structs of strings and numbers, which always have a JSON form.
    let data = serde_json::value::to_raw_value(data).unwrap_or_default();
    Written {
        event_type,
        data,
        sealed: None,
    }
}

impl Written {
    fn sealing(mut self, author: &UserId, body: Option<&impl Serialize>) -> Self {
        self.sealed = body.and_then(|body| Some((author.clone(), serde_json::to_vec(body).ok()?)));
        self
    }
}

/// Reads an event of any version. `body` is the opened sealed body, when the event has one.
pub(super) fn read(
    event_type: &str,
    data: &RawValue,
    body: Option<Private<Vec<u8>>>,
) -> Result<Event, ReadEventError> {
    if UPCASTERS.iter().any(|upcaster| upcaster.from == event_type) {
        let (event_type, data, body) = upcast(UPCASTERS, event_type, data, body)?;
        return read_current(event_type, &data, body);
    }
    read_current(event_type, data, body)
}

fn read_current(
    event_type: &str,
    data: &RawValue,
    body: Option<Private<Vec<u8>>>,
) -> Result<Event, ReadEventError> {
    let shape = Shape {
        event_type,
        data,
        body,
    };
    Ok(match event_type {
        READ_MARKED => {
            let data: ReadMarkedV1 = shape.data()?;
            Event::Read(Read::ReadMarked {
                member: data.member,
                up_to: data.up_to,
            })
        }
        MARKED_UNREAD => {
            let data: MarkedUnreadV1 = shape.data()?;
            Event::Read(Read::MarkedUnread {
                member: data.member,
                mark: data.mark,
            })
        }
        of_user if of_user.starts_with(user::PREFIX) => Event::User(user::read(of_user, &shape)?),
        of_conversation => Event::Conversation(conversation::read(of_conversation, &shape)?),
    })
}

struct Shape<'a> {
    event_type: &'a str,
    data: &'a RawValue,
    body: Option<Private<Vec<u8>>>,
}

impl Shape<'_> {
    fn error(&self, part: &'static str) -> ReadEventError {
        ReadEventError::Shape {
            event_type: self.event_type.to_owned(),
            part,
        }
    }

    fn data<T: DeserializeOwned>(&self) -> Result<T, ReadEventError> {
        serde_json::from_str(self.data.get()).map_err(|_| self.error("data"))
    }

    fn optional_body<T: DeserializeOwned, U>(
        &self,
        convert: impl FnOnce(T) -> U,
    ) -> Result<Option<Private<U>>, ReadEventError> {
        match &self.body {
            None => Ok(None),
            Some(Private::Erased) => Ok(Some(Private::Erased)),
            Some(Private::Readable(bytes)) => {
                let body = serde_json::from_slice(bytes).map_err(|_| self.error("sealed body"))?;
                Ok(Some(Private::Readable(convert(body))))
            }
        }
    }

    fn body<T: DeserializeOwned, U>(
        &self,
        convert: impl FnOnce(T) -> U,
    ) -> Result<Private<U>, ReadEventError> {
        self.optional_body(convert)?
            .ok_or_else(|| self.error("sealed body"))
    }
}

type Lifted<'a> = (&'a str, Box<RawValue>, Option<Private<Vec<u8>>>);

/// Lifts an event from version to version until no upcaster takes it any further.
pub(super) fn upcast<'a>(
    upcasters: &[Upcaster],
    event_type: &'a str,
    data: &RawValue,
    body: Option<Private<Vec<u8>>>,
) -> Result<Lifted<'a>, ReadEventError> {
    let error = |part| ReadEventError::Shape {
        event_type: event_type.to_owned(),
        part,
    };
    let mut current = event_type;
    let mut value: Value = serde_json::from_str(data.get()).map_err(|_| error("data"))?;
    let mut readable: Option<Value> = match &body {
        Some(Private::Readable(bytes)) => {
            Some(serde_json::from_slice(bytes).map_err(|_| error("sealed body"))?)
        }
        _ => None,
    };
    while let Some(upcaster) = upcasters.iter().find(|upcaster| upcaster.from == current) {
        (upcaster.lift)(&mut value, readable.as_mut());
        current = upcaster.to;
    }
    let data = serde_json::value::to_raw_value(&value).map_err(|_| error("data"))?;
    let body = match readable {
        Some(readable) => Some(Private::Readable(
            serde_json::to_vec(&readable).map_err(|_| error("sealed body"))?,
        )),
        None => body,
    };
    Ok((current, data, body))
}
