//! What clients and servers say to each other on a socket: Verbatim's frames, or those of socket.io.

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::socket::Socket;

/// What a server speaks.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Protocol {
    /// JSON frames on `/ws`.
    Verbatim,
    /// Events of socket.io's namespace `/chat`, in packets of Engine.IO 4.
    SocketIo,
}

/// The answer to [`Heard::Ping`]. The pings of Verbatim are the WebSocket's own.
pub(crate) const PONG: &str = "3";

/// What a frame of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody's message.
    Message,
    /// What was sent under this number is recorded.
    Recorded(u64),
    /// What was sent was refused.
    Refused,
    /// The server asks whether anybody is there: [`PONG`] is the answer.
    Ping,
    /// Anything else.
    Other,
}

impl Protocol {
    /// Opens a socket as the user of this token, and waits until the server says that it stands.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn connect(self, server: &str, token: &str) -> anyhow::Result<Socket> {
        match self {
            Self::Verbatim => {
                let mut socket = Socket::open(server, "/ws", Some(token)).await?;
                expect(&mut socket, r#"{"event":"connected""#).await?;
                Ok(socket)
            }
            Self::SocketIo => {
                let path = "/socket.io/?EIO=4&transport=websocket";
                let mut socket = Socket::open(server, path, None).await?;
                expect(&mut socket, "0{").await?;
                let connect = format!(r#"40/chat,{{"authorization":"Bearer {token}"}}"#);
                socket.send(connect).await?;
                expect(&mut socket, "40/chat,").await?;
                expect(&mut socket, r#"42/chat,["connected""#).await?;
                Ok(socket)
            }
        }
    }

    /// The frame that sends a message, to be acknowledged under a number.
    pub(crate) fn send_message(self, room: &str, number: u64) -> String {
        let data = format!(
            r#"{{"conversationId":"{room}","content":"m{number} is a message of the length that people write in chats","tempId":"t{number}"}}"#
        );
        match self {
            Self::Verbatim => format!(r#"{{"event":"send_message","id":{number},"data":{data}}}"#),
            Self::SocketIo => format!(r#"42/chat,{number}["send_message",{data}]"#),
        }
    }

    /// What a frame is.
    pub(crate) fn heard(self, text: &str) -> Heard {
        let (message, acknowledgement) = match self {
            Self::Verbatim => (r#"{"event":"new_message""#, r#"{"event":"ack","id":"#),
            Self::SocketIo => (r#"42/chat,["new_message""#, "43/chat,"),
        };
        if text.starts_with(message) {
            return Heard::Message;
        }
        match text.strip_prefix(acknowledgement).map(number_at) {
            Some(Some(number)) if text.contains(r#""success":true"#) => Heard::Recorded(number),
            Some(_) => Heard::Refused,
            None if text == "2" => Heard::Ping,
            None => Heard::Other,
        }
    }
}

async fn expect(socket: &mut Socket, start: &str) -> anyhow::Result<()> {
    let text = socket.next().await?;
    ensure!(text.starts_with(start), "a socket was refused: {text}");
    Ok(())
}

/// The number under which the message of a frame was sent, if it came from this load.
pub(crate) fn number_of(text: &str) -> Option<u64> {
    let (_, number) = text.split_once(r#""content":"m"#)?;
    number_at(number)
}

/// The number that a text begins with.
fn number_at(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_both_are_told_apart() {
        let message = r#"{"id":"1","content":"m12 is a message"}"#;
        let same = [
            (
                Protocol::Verbatim,
                [
                    format!(r#"{{"event":"new_message","data":{{"message":{message}}}}}"#),
                    r#"{"event":"ack","id":12,"data":{"success":true}}"#.to_owned(),
                    r#"{"event":"ack","id":12,"data":{"success":false}}"#.to_owned(),
                    r#"{"event":"message_sent","data":{}}"#.to_owned(),
                ],
            ),
            (
                Protocol::SocketIo,
                [
                    format!(r#"42/chat,["new_message",{{"message":{message}}}]"#),
                    r#"43/chat,12[{"success":true}]"#.to_owned(),
                    r#"43/chat,12[{"success":false}]"#.to_owned(),
                    r#"42/chat,["message_sent",{}]"#.to_owned(),
                ],
            ),
        ];
        for (protocol, frames) in same {
            assert_eq!(number_of(&frames[0]), Some(12));
            assert_eq!(
                frames.map(|frame| protocol.heard(&frame)),
                [Heard::Message, Heard::Recorded(12), Heard::Refused, Heard::Other]
            );
        }
        assert_eq!(Protocol::SocketIo.heard("2"), Heard::Ping);
    }
}
