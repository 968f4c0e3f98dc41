//! Golden files of every shape, and what must never be decoded.

use std::sync::Arc;

use async_trait::async_trait;
use domain::conversation::body::{Attachment, AttachmentKind, Card, Location};
use domain::conversation::reads::Event as Read;
use domain::conversation::{
    Body, Edit, Event as Happened, GroupInfo, InfoChange, InfoField, Kind, Message, MessageKind, Reaction,
};
use domain::permission::Role;
use domain::push::{PushEndpoint, PushPoint, PushSecret, PushTarget};
use domain::testing::user;
use domain::user::{Event as UserEvent, Profile, Status};
use domain::values::{
    Avatar, Content, Description, DisplayName, Emoji, FileName, GroupName, MediaType, SecureUrl, ShortText,
};
use domain::{ClientId, ConversationId, MessageId, Ordinal, Private, PushId};
use serde_json::{Value, json};

use super::types::{Upcaster, upcast};
use super::*;
use crate::sealing::{KeyId, UserKey};

mod uploads;

/// One key for everyone, known by heart so that golden records can be opened; or none any more.
struct OneKey {
    erased: bool,
}

const KEY_ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[async_trait]
impl KeyStore for OneKey {
    async fn current(&self, _: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        Ok(users
            .iter()
            .map(|_| UserKey::new(KEY_ID.parse().unwrap(), [7; 32]))
            .collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        Ok(if self.erased {
            vec![]
        } else {
            ids.iter().map(|id| UserKey::new(*id, [7; 32])).collect()
        })
    }
}

fn codec() -> Codec {
    Codec::new(Arc::new(OneKey { erased: false }))
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn stream_of(event: &Event) -> Stream {
    let conversation = conversation();
    match event {
        Event::Conversation(_) => Stream::Conversation(tenant(), conversation),
        Event::Read(_) => Stream::Reads(tenant(), conversation),
        Event::User(_) => Stream::User(tenant(), user("ann")),
    }
}

fn record(stream: Stream, payload: impl Into<Bytes>) -> Record {
    Record {
        shard: 0,
        sequence: 9,
        stream,
        payload: payload.into(),
    }
}

fn ordinal(number: u64) -> Ordinal {
    Ordinal::new(number).unwrap()
}

fn conversation() -> ConversationId {
    ConversationId::from_bytes([3; 16])
}

fn picture() -> Attachment {
    Attachment {
        kind: AttachmentKind::Image,
        file_name: FileName::parse("Ann.png").unwrap(),
        file_url: SecureUrl::parse("https://example.org/Ann.png").unwrap(),
        file_size: Some(1_024),
        mime_type: Some(MediaType::parse("image/png").unwrap()),
        thumbnail: Some(SecureUrl::parse("https://example.org/small.png").unwrap()),
        width: Some(640),
        height: Some(480),
        duration: Some(1.5),
    }
}

fn reaction() -> Reaction {
    Reaction {
        message: ordinal(2),
        user: user("bob"),
        emoji: Private::Readable(Emoji::parse("👍🏽").unwrap()),
    }
}

/// One event of each type and form, by the name of its golden file.
fn catalogue() -> Vec<(&'static str, Event)> {
    let about = GroupInfo {
        name: GroupName::parse("Đội bóng").unwrap(),
        description: Some(Description::parse("Sundays").unwrap()),
        avatar: Some(Avatar::parse("https://example.org/a.png").unwrap()),
    };
    let created = |kind, owner, about| {
        Event::Conversation(Happened::Created {
            kind,
            founder: user("ann"),
            owner,
            members: vec![(user("ann"), Role::Admin), (user("bob"), Role::Member)],
            about,
        })
    };
    let mut all = vec![
        (
            "conversation.created.direct.v1",
            created(Kind::Direct, None, None),
        ),
        (
            "conversation.created.group.v1",
            created(Kind::Group, Some(user("ann")), Some(Private::Readable(about))),
        ),
        (
            "conversation.members_added.v1",
            Event::Conversation(Happened::MembersAdded {
                members: vec![(user("cid"), Role::Moderator)],
            }),
        ),
        (
            "conversation.member_left.v1",
            Event::Conversation(Happened::MemberLeft {
                member: user("ann"),
                new_owner: Some(user("bob")),
            }),
        ),
        (
            "message.sent.v1",
            Event::Conversation(Happened::MessageSent(Message {
                ordinal: ordinal(2),
                sender: user("bob"),
                kind: MessageKind::Text,
                body: Private::Readable(Body::text(
                    Content::parse("chào \"bạn\" 👋").unwrap(),
                    Some(ClientId::parse("temp_1").unwrap()),
                )),
                reply_to: Some(ordinal(1)),
                sent_at: Timestamp::from_millis(1_100_000_000_000),
                imported_line: Some(17),
            })),
        ),
        (
            "conversation.member_removed.v1",
            Event::Conversation(Happened::MemberRemoved { member: user("bob") }),
        ),
        (
            "conversation.role_changed.v1",
            Event::Conversation(Happened::RoleChanged {
                member: user("bob"),
                role: Role::Moderator,
            }),
        ),
        (
            "conversation.info_changed.v1",
            Event::Conversation(Happened::InfoChanged {
                by: user("ann"),
                fields: vec![InfoField::Name, InfoField::Avatar],
                change: Private::Readable(InfoChange {
                    name: Some(GroupName::parse("Đội bóng").unwrap()),
                    description: None,
                    avatar: Some(None),
                }),
            }),
        ),
        (
            "message.sent.image.v2",
            Event::Conversation(Happened::MessageSent(Message {
                ordinal: ordinal(3),
                sender: user("bob"),
                kind: MessageKind::Image,
                body: Private::Readable(Body {
                    content: Some(Content::parse("chào").unwrap()),
                    attachments: vec![picture().into()],
                    card: None,
                    client_id: None,
                }),
                reply_to: None,
                sent_at: Timestamp::from_millis(1_100_000_000_000),
                imported_line: None,
            })),
        ),
        (
            "message.sent.location.v2",
            Event::Conversation(Happened::MessageSent(Message {
                ordinal: ordinal(4),
                sender: user("bob"),
                kind: MessageKind::Location,
                body: Private::Readable(Body {
                    card: Some(Card::Location(Location {
                        latitude: 21.0285,
                        longitude: -105.5,
                        name: Some(ShortText::parse("Ann's place").unwrap()),
                        address: None,
                    })),
                    client_id: Some(ClientId::parse("temp_1").unwrap()),
                    ..Body::default()
                }),
                reply_to: None,
                sent_at: Timestamp::from_millis(1_100_000_000_000),
                imported_line: None,
            })),
        ),
        (
            "message.edited.v1",
            Event::Conversation(Happened::MessageEdited(Edit {
                message: ordinal(2),
                sender: user("bob"),
                reply_to: Some(ordinal(1)),
                sent_at: Timestamp::from_millis(1_100_000_000_000),
                content: Private::Readable(Content::parse("chào cả nhà").unwrap()),
            })),
        ),
        (
            "message.deleted.v1",
            Event::Conversation(Happened::MessageDeleted {
                message: ordinal(2),
                by: user("ann"),
            }),
        ),
        (
            "reaction.added.v1",
            Event::Conversation(Happened::ReactionAdded(reaction())),
        ),
        (
            "reaction.removed.v1",
            Event::Conversation(Happened::ReactionRemoved(reaction())),
        ),
        (
            "read.marked.v1",
            Event::Read(Read::ReadMarked {
                member: user("bob"),
                up_to: ordinal(2),
            }),
        ),
        (
            "read.marked_unread.v1",
            Event::Read(Read::MarkedUnread {
                member: user("bob"),
                mark: 0,
            }),
        ),
        (
            "user.conversation_archived.v1",
            Event::User(UserEvent::Archived(conversation())),
        ),
        (
            "user.conversation_unarchived.v1",
            Event::User(UserEvent::Unarchived(conversation())),
        ),
        (
            "user.conversation_muted.v1",
            Event::User(UserEvent::Muted {
                conversation: conversation(),
                until: Some(Timestamp::from_millis(1_800_000_000_000)),
            }),
        ),
        (
            "user.conversation_unmuted.v1",
            Event::User(UserEvent::Unmuted(conversation())),
        ),
        (
            "user.message_hidden.v1",
            Event::User(UserEvent::Hidden(MessageId {
                conversation: conversation(),
                ordinal: ordinal(2),
            })),
        ),
        (
            "user.profile_changed.v1",
            Event::User(UserEvent::ProfileChanged {
                user: user("ann"),
                profile: Private::Readable(Profile {
                    name: DisplayName::parse("Ann").unwrap(),
                    avatar: None,
                }),
            }),
        ),
        (
            "user.status_changed.v1",
            Event::User(UserEvent::StatusChanged(Status::Blocked)),
        ),
        (
            "user.profile_updated.v1",
            Event::User(UserEvent::ProfileUpdated {
                user: user("ann"),
                profile: Private::Readable(Profile {
                    name: DisplayName::parse("Ann").unwrap(),
                    avatar: None,
                }),
            }),
        ),
        (
            "user.push_subscribed.v1",
            Event::User(UserEvent::PushSubscribed {
                user: user("ann"),
                subscription: PushId::from_bytes([9; 16]),
                target: Private::Readable(PushTarget {
                    endpoint: PushEndpoint::parse("https://push.example.com/send/1").unwrap(),
                    p256dh: PushPoint::parse(format!("B{}", "a".repeat(86))).unwrap(),
                    auth: PushSecret::parse("b".repeat(22)).unwrap(),
                }),
            }),
        ),
        (
            "user.push_unsubscribed.v1",
            Event::User(UserEvent::PushUnsubscribed(PushId::from_bytes([9; 16]))),
        ),
    ];
    all.extend(uploads::catalogue());
    all
}

async fn encoded(event: &Event) -> Bytes {
    let id = CommitId::from_bytes([5; 16]);
    let draft = Draft {
        version: 4,
        actor: Some(user("ann")),
        command: Some(CommandTag {
            id: CommandId::from_bytes([8; 16]),
            fingerprint: Fingerprint::from_bytes([9; 16]),
        }),
        trace: Trace {
            correlation_id: Some("request-1".to_owned()),
            ..Trace::default()
        },
        event: event.clone(),
    };
    let events = codec().encode(&tenant(), id, 0, &[draft]).await.unwrap();
    assemble(id, Timestamp::from_millis(1_700_000_000_000), &events)
}

fn golden_path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/events")
        .join(format!("{name}.json"))
}

/// What is on disk stays readable for ever: golden files are never edited, and a type or form that has
/// none fails here until its file is written (from the record that the failure prints).
#[tokio::test]
async fn every_shape_has_a_golden_file_that_still_decodes() {
    for (name, event) in catalogue() {
        let written = encoded(&event).await;
        let golden = std::fs::read(golden_path(name)).unwrap_or_else(|_| {
            panic!(
                "golden/events/{name}.json is missing:\n{}",
                String::from_utf8_lossy(&written)
            )
        });
        let commits = codec()
            .decode(&[record(stream_of(&event), golden.clone())])
            .await
            .unwrap();
        let recorded = &commits[0].events[0];
        assert_eq!((recorded.version, &recorded.event), (4, &event), "{name}");
        assert_eq!(
            recorded.command.unwrap().fingerprint,
            Fingerprint::from_bytes([9; 16])
        );
        assert_eq!(recorded.trace.correlation_id.as_deref(), Some("request-1"));
        let unsealed = |bytes: &[u8]| {
            let mut value: Value = serde_json::from_slice(bytes).unwrap();
            if let Some(sealed) = value.pointer_mut("/events/0/sealed/box") {
                *sealed = Value::Null;
            }
            value
        };
        assert_eq!(
            unsealed(&written),
            unsealed(&golden),
            "{name} is written as it was"
        );
    }
}

#[tokio::test]
async fn what_people_wrote_is_never_in_the_clear() {
    for (name, event) in catalogue() {
        let text = String::from_utf8(encoded(&event).await.to_vec()).unwrap();
        for secret in ["Đội", "Sundays", "example.org", "chào", "temp_1", "Ann", "👍"] {
            assert!(!text.contains(secret), "{name} shows {secret}");
        }
    }
}

#[tokio::test]
async fn without_the_key_the_words_are_gone_and_the_rest_stays() {
    let codec = Codec::new(Arc::new(OneKey { erased: true }));
    for (_, event) in catalogue() {
        let commits = codec
            .decode(&[record(stream_of(&event), encoded(&event).await)])
            .await
            .unwrap();
        match (&commits[0].events[0].event, &event) {
            (
                Event::Conversation(Happened::MessageSent(read)),
                Event::Conversation(Happened::MessageSent(sent)),
            ) => assert_eq!(
                *read,
                Message {
                    body: Private::Erased,
                    ..sent.clone()
                }
            ),
            (Event::Conversation(Happened::Created { about, .. }), _) => {
                assert!(matches!(about, None | Some(Private::Erased)));
            }
            (
                Event::User(
                    UserEvent::ProfileUpdated { profile, .. } | UserEvent::ProfileChanged { profile, .. },
                ),
                _,
            ) => {
                assert_eq!(*profile, Private::Erased);
            }
            (Event::User(UserEvent::AttachmentUploaded(facts)), _) => {
                assert_eq!((facts.id, facts.readable()), (uploads::uploaded().id, None));
            }
            (Event::User(UserEvent::PushSubscribed { target, .. }), _) => {
                assert_eq!(*target, Private::Erased);
            }
            (Event::Conversation(Happened::InfoChanged { fields, change, .. }), _) => {
                assert_eq!(*fields, [InfoField::Name, InfoField::Avatar]);
                assert_eq!(*change, Private::Erased);
            }
            (Event::Conversation(Happened::MessageEdited(edit)), _) => {
                assert_eq!((edit.message, &edit.content), (ordinal(2), &Private::Erased));
            }
            (
                Event::Conversation(Happened::ReactionAdded(reaction) | Happened::ReactionRemoved(reaction)),
                _,
            ) => assert_eq!(reaction.emoji, Private::Erased),
            (read, written) => assert_eq!(read, written),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_an_error() {
    let (_, sent) = catalogue().remove(4);
    let good = String::from_utf8(encoded(&sent).await.to_vec()).unwrap();
    let stream = stream_of(&sent);
    let cases = [
        ("not JSON", good.replace('{', "")),
        ("another format", good.replace(r#""v":1"#, r#""v":2"#)),
        (
            "a newer version",
            good.replace("chat.message.sent.v1", "chat.message.sent.v2"),
        ),
        ("no ordinal", good.replace(r#""ordinal":2"#, r#""ordinal":0"#)),
        (
            "an unknown field",
            good.replace(r#""ordinal":2"#, r#""ordinal":2,"new":1"#),
        ),
        ("a tampered body", good.replace(r#""box":""#, r#""box":"AAAA"#)),
        (
            "another commit's body",
            good.replace("050M2GA1850M2GA1850M2GA185", KEY_ID),
        ),
        (
            "no events",
            r#"{"v":1,"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","time":0,"events":[]}"#.to_owned(),
        ),
        (
            "parts that nothing is known of",
            r#"{"v":1,"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","time":0,"parts":[7]}"#.to_owned(),
        ),
        (
            "a part with events",
            good.replace(r#""events":"#, r#""part":"x","events":"#),
        ),
    ];
    for (what, payload) in cases {
        assert_ne!(payload, good, "{what}");
        let error = codec()
            .decode(&[record(stream.clone(), payload)])
            .await
            .unwrap_err();
        assert!(
            matches!(error, DecodeError::Undecodable { sequence: 9, .. }),
            "{what}: {error}"
        );
    }
    let reads = Stream::Reads(tenant(), ConversationId::from_bytes([3; 16]));
    let error = codec().decode(&[record(reads, good)]).await.unwrap_err();
    assert!(error.to_string().contains("another kind of stream"), "{error}");
}

#[test]
fn upcasters_lift_from_version_to_version() {
    let upcasters = [
        Upcaster {
            from: "chat.thing.v1",
            to: "chat.thing.v2",
            lift: |data, _| data["count"] = json!(data["n"].as_u64().unwrap() + 1),
        },
        Upcaster {
            from: "chat.thing.v2",
            to: "chat.thing.v3",
            lift: |_, body| body.into_iter().for_each(|body| body["text"] = json!("lifted")),
        },
    ];
    let data = serde_json::value::to_raw_value(&json!({"n": 1})).unwrap();
    let body = Some(Private::Readable(b"{}".to_vec()));
    let (event_type, lifted, body) = upcast(&upcasters, "chat.thing.v1", &data, body).unwrap();
    assert_eq!(
        (event_type, lifted.get()),
        ("chat.thing.v3", r#"{"count":2,"n":1}"#)
    );
    assert_eq!(body, Some(Private::Readable(br#"{"text":"lifted"}"#.to_vec())));
    let erased = upcast(&upcasters, "chat.thing.v2", &data, Some(Private::Erased)).unwrap();
    assert_eq!(erased.2, Some(Private::Erased));
}

#[test]
fn event_ids_count_up_from_the_commit() {
    let commit = CommitId::from_bytes([0xff; 16]);
    assert_eq!(event_id(commit, 0).to_bytes(), [0xff; 16]);
    assert_eq!(
        event_id(commit, 1).to_bytes(),
        [0; 16],
        "past the end it starts again"
    );
}
