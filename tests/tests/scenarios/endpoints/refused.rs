//! The requests that each operation refuses for a reason of its own.

use serde_json::{Value, json};
use tests::client::{Call, text};

use super::{NOWHERE, World};

/// An operation, what it refuses with, and the request that it so refuses.
pub(super) type Refusal = (&'static str, &'static str, Call);

/// What is refused for a reason of the endpoint's own.
pub(super) fn refusals(world: &World) -> Vec<Refusal> {
    [
        conversations(world),
        members(world),
        messages(world),
        interactions(world),
        files(world),
        users(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn conversations(world: &World) -> Vec<Refusal> {
    let World {
        ann,
        cat,
        group,
        direct,
        ..
    } = world;
    let crowd: Vec<_> = (0..10_001).map(|number| format!("m{number}")).collect();
    let at = |id: &str, rest: &str| format!("/conversations/{id}{rest}");
    let past = json!({"mutedUntil": "2001-01-01T00:00:00Z"});
    let mut all: Vec<Refusal> = vec![
        (
            "listConversations",
            "400 invalid_cursor",
            ann.get("/conversations?cursor=nonsense"),
        ),
        (
            "listConversations",
            "422 validation_failed",
            ann.get("/conversations?limit=0"),
        ),
        (
            "listConversations",
            "422 validation_failed",
            ann.get("/conversations?type=direct"),
        ),
        (
            "listConversations",
            "422 validation_failed",
            ann.get("/conversations?unread=1"),
        ),
        (
            "listConversations",
            "422 validation_failed",
            ann.get("/conversations?search=%00"),
        ),
        (
            "getConversation",
            "404 conversation_not_found",
            ann.get(&at(NOWHERE, "")),
        ),
        (
            "openDirectConversation",
            "422 direct_with_self",
            ann.post("/conversations/direct", &json!({"recipientId": "ann"})),
        ),
        (
            "createGroup",
            "422 too_many_members",
            ann.post("/conversations/group", &json!({"name": "x", "memberIds": crowd})),
        ),
        (
            "updateGroup",
            "403 forbidden",
            cat.put(&at(group, ""), &json!({"name": "x"})),
        ),
        (
            "updateGroup",
            "404 conversation_not_found",
            ann.put(&at(NOWHERE, ""), &json!({"name": "x"})),
        ),
        (
            "updateGroup",
            "422 direct_without_info",
            ann.put(&at(direct, ""), &json!({"name": "x"})),
        ),
        (
            "leaveGroup",
            "404 conversation_not_found",
            ann.delete(&at(NOWHERE, "/leave")),
        ),
        (
            "leaveGroup",
            "422 direct_members_fixed",
            ann.delete(&at(direct, "/leave")),
        ),
        (
            "muteConversation",
            "422 muted_until_the_past",
            ann.post(&at(group, "/mute"), &past),
        ),
    ];
    for (operation, what) in [
        ("archiveConversation", "/archive"),
        ("unarchiveConversation", "/unarchive"),
        ("muteConversation", "/mute"),
        ("unmuteConversation", "/unmute"),
    ] {
        all.push((
            operation,
            "404 conversation_not_found",
            ann.post_nothing(&at(NOWHERE, what)),
        ));
    }
    all
}

fn members(world: &World) -> Vec<Refusal> {
    let World {
        ann,
        cat,
        group,
        direct,
        ..
    } = world;
    let crowd: Vec<_> = (0..10_001).map(|number| format!("m{number}")).collect();
    let at = |id: &str, rest: &str| format!("/conversations/{id}/members{rest}");
    let (dan, role) = (json!({"memberIds": ["dan"]}), json!({"role": "MEMBER"}));
    vec![
        (
            "listMembers",
            "400 invalid_cursor",
            ann.get(&at(group, "?cursor=nonsense")),
        ),
        (
            "listMembers",
            "404 conversation_not_found",
            ann.get(&at(NOWHERE, "")),
        ),
        (
            "listMembers",
            "422 validation_failed",
            ann.get(&at(group, "?limit=101")),
        ),
        ("addMembers", "403 forbidden", cat.post(&at(group, ""), &dan)),
        (
            "addMembers",
            "404 conversation_not_found",
            ann.post(&at(NOWHERE, ""), &dan),
        ),
        (
            "addMembers",
            "422 direct_members_fixed",
            ann.post(&at(direct, ""), &dan),
        ),
        (
            "addMembers",
            "422 too_many_members",
            ann.post(&at(group, ""), &json!({"memberIds": crowd})),
        ),
        (
            "addMembers",
            "422 validation_failed",
            ann.post(&at(group, ""), &json!({"memberIds": []})),
        ),
        ("removeMember", "403 forbidden", cat.delete(&at(group, "/bob"))),
        (
            "removeMember",
            "404 conversation_not_found",
            ann.delete(&at(NOWHERE, "/bob")),
        ),
        (
            "removeMember",
            "404 member_not_found",
            ann.delete(&at(group, "/eve")),
        ),
        (
            "removeMember",
            "422 direct_members_fixed",
            ann.delete(&at(direct, "/bob")),
        ),
        (
            "removeMember",
            "422 validation_failed",
            ann.delete(&at(group, "/%07")),
        ),
        (
            "changeRole",
            "403 forbidden",
            cat.put(&at(group, "/bob/role"), &role),
        ),
        (
            "changeRole",
            "403 forbidden",
            ann.put(&at(group, "/ann/role"), &role),
        ),
        (
            "changeRole",
            "404 conversation_not_found",
            ann.put(&at(NOWHERE, "/bob/role"), &role),
        ),
        (
            "changeRole",
            "404 member_not_found",
            ann.put(&at(group, "/eve/role"), &role),
        ),
        (
            "changeRole",
            "422 direct_members_fixed",
            ann.put(&at(direct, "/bob/role"), &role),
        ),
        (
            "changeRole",
            "422 validation_failed",
            ann.put(&at(group, "/cat/role"), &json!({"role": "OWNER"})),
        ),
        ("listUsers", "422 validation_failed", ann.get("/users")),
        (
            "listUsers",
            "422 validation_failed",
            ann.get(&format!("/users?ids=a{}", ",a".repeat(100))),
        ),
    ]
}

fn messages(world: &World) -> Vec<Refusal> {
    let World {
        ann,
        bob,
        cat,
        group,
        direct,
        ..
    } = world;
    let at = |id: &str, rest: &str| format!("/conversations/{id}/messages{rest}");
    let one = |id: &str, rest: &str| format!("/conversations/messages/{id}{rest}");
    let nothing = format!("{NOWHERE}1");
    let search = |query: &str| ann.get(&format!("/conversations/messages/search{query}"));
    let send = |body: &Value| ann.post("/conversations/messages", body);
    let (edit, for_all) = (json!({"content": "x"}), "?forEveryone=true");
    let elsewhere = json!({"conversationId": direct, "content": "x", "replyToId": world.text});
    vec![
        (
            "listMessages",
            "400 invalid_cursor",
            ann.get(&at(group, "?before=nonsense")),
        ),
        (
            "listMessages",
            "400 invalid_cursor",
            ann.get(&at(group, &format!("?after={nothing}"))),
        ),
        (
            "listMessages",
            "400 invalid_cursor",
            ann.get(&at(group, &format!("?before={0}&after={0}", world.text))),
        ),
        (
            "listMessages",
            "404 conversation_not_found",
            ann.get(&at(NOWHERE, "")),
        ),
        (
            "listMessages",
            "422 validation_failed",
            ann.get(&at(group, "?limit=ten")),
        ),
        (
            "countMessages",
            "404 conversation_not_found",
            ann.get(&at(NOWHERE, "/stats")),
        ),
        (
            "searchMessages",
            "400 invalid_cursor",
            search("?q=x&cursor=nonsense"),
        ),
        (
            "searchMessages",
            "404 conversation_not_found",
            search(&format!("?q=x&conversationId={NOWHERE}")),
        ),
        (
            "searchMessages",
            "404 conversation_not_found",
            search("?q=x&conversationId=nonsense"),
        ),
        ("searchMessages", "422 validation_failed", search("")),
        (
            "searchMessages",
            "422 validation_failed",
            search("?q=x&type=text"),
        ),
        (
            "searchMessages",
            "422 validation_failed",
            search("?q=x&dateFrom=2030-01-31"),
        ),
        (
            "searchMessages",
            "422 validation_failed",
            search("?q=x&fromUserId="),
        ),
        ("searchMessages", "422 invalid_search", search("?q=%21%21")),
        (
            "sendMessage",
            "404 conversation_not_found",
            send(&text(NOWHERE, "x")),
        ),
        ("sendMessage", "422 message_not_found", send(&elsewhere)),
        (
            "sendMessage",
            "422 attachment_not_found",
            send(
                &json!({"conversationId": group, "type": "FILE", "attachments": [{"attachmentId": NOWHERE}]}),
            ),
        ),
        (
            "sendMessage",
            "422 validation_failed",
            send(&json!({"conversationId": group, "type": "IMAGE"})),
        ),
        ("getMessage", "404 message_not_found", ann.get(&one(&nothing, ""))),
        (
            "getHistory",
            "404 message_not_found",
            ann.get(&one(&nothing, "/history")),
        ),
        (
            "editMessage",
            "403 not_the_author",
            bob.put(&one(&world.text, ""), &edit),
        ),
        (
            "editMessage",
            "404 message_not_found",
            ann.put(&one(&format!("{group}FZZZZZZZZZZZZ"), ""), &edit),
        ),
        (
            "editMessage",
            "404 message_not_found",
            ann.put(&one(&nothing, ""), &edit),
        ),
        (
            "editMessage",
            "422 message_deleted",
            ann.put(&one(&world.deleted, ""), &edit),
        ),
        (
            "editMessage",
            "422 not_a_text",
            ann.put(&one(&world.file, ""), &edit),
        ),
        (
            "deleteMessage",
            "403 forbidden",
            cat.delete(&one(&world.text, for_all)),
        ),
        (
            "deleteMessage",
            "403 not_the_author",
            bob.delete(&one(&world.direct_text, for_all)),
        ),
        (
            "deleteMessage",
            "404 message_not_found",
            ann.delete(&one(&nothing, for_all)),
        ),
        (
            "deleteMessage",
            "404 message_not_found",
            ann.delete(&one(&nothing, "")),
        ),
        (
            "deleteMessage",
            "422 validation_failed",
            ann.delete(&one(&world.text, "?forEveryone=yes")),
        ),
        ("openSocket", "400 not_a_websocket", ann.get("/ws")),
    ]
}

fn interactions(world: &World) -> Vec<Refusal> {
    let World {
        ann,
        group,
        text,
        deleted,
        ..
    } = world;
    let one = |id: &str, rest: &str| format!("/conversations/messages/{id}{rest}");
    let nothing = format!("{NOWHERE}1");
    let react = |id: &str, emoji: &str| ann.post(&one(id, "/react"), &json!({"emoji": emoji}));
    let unreact = |id: &str, emoji: &str| ann.delete(&one(id, &format!("/react?emoji={emoji}")));
    let mark = |what: &str, id: &str, message: &str| {
        let body = json!({"conversationId": id, "messageId": message});
        ann.post(&format!("/conversations/messages/{what}"), &body)
    };
    vec![
        ("react", "404 message_not_found", react(&nothing, "x")),
        ("react", "422 message_deleted", react(deleted, "x")),
        ("react", "422 validation_failed", react(text, "two words")),
        ("unreact", "404 message_not_found", unreact(&nothing, "x")),
        ("unreact", "422 message_deleted", unreact(deleted, "x")),
        ("unreact", "422 validation_failed", unreact(text, "")),
        (
            "countReactions",
            "404 message_not_found",
            ann.get(&one(&nothing, "/reactions/stats")),
        ),
        (
            "countReceipts",
            "404 message_not_found",
            ann.get(&one(&nothing, "/read-receipts/stats")),
        ),
        (
            "countReceipts",
            "400 invalid_cursor",
            ann.get(&one(text, "/read-receipts/stats?cursor=%21")),
        ),
        (
            "countReceipts",
            "422 validation_failed",
            ann.get(&one(text, "/read-receipts/stats?limit=0")),
        ),
        (
            "markRead",
            "404 conversation_not_found",
            mark("read", NOWHERE, &nothing),
        ),
        ("markRead", "422 message_not_found", mark("read", group, &nothing)),
        (
            "markUnread",
            "404 conversation_not_found",
            mark("unread", NOWHERE, &nothing),
        ),
        (
            "markUnread",
            "422 message_not_found",
            mark("unread", group, &nothing),
        ),
    ]
}

fn files(world: &World) -> Vec<Refusal> {
    let World { ann, link, .. } = world;
    let upload = |kind: &str| ann.call("POST", "/attachments").header("content-type", kind);
    let broken = b"\x89PNG\r\n\x1a\n and no picture".to_vec();
    let another = link.replace("signature=", "signature=A");
    vec![
        (
            "uploadAttachment",
            "400 malformed_form",
            upload("multipart/form-data").text("no form"),
        ),
        (
            "uploadAttachment",
            "415 unsupported_media_type",
            upload("text/plain").header("content-encoding", "gzip").text("x"),
        ),
        (
            "uploadAttachment",
            "422 validation_failed",
            upload("text/plain").text(""),
        ),
        (
            "uploadAttachment",
            "422 image_unreadable",
            ann.call("POST", "/attachments").body(broken),
        ),
        ("fetchAttachment", "403 link_invalid", ann.get(&another)),
        (
            "fetchAttachment",
            "404 attachment_not_found",
            ann.get("/attachments/nonsense?expires=1&signature=x"),
        ),
        (
            "fetchAttachment",
            "416 range_not_satisfiable",
            ann.get(link).header("range", "bytes=1000000-"),
        ),
        (
            "getAttachmentUrl",
            "404 attachment_not_found",
            ann.get(&format!("/attachments/{NOWHERE}/url")),
        ),
    ]
}

fn users(world: &World) -> Vec<Refusal> {
    let World { ann, backend, .. } = world;
    let subscriptions = "/users/me/push-subscriptions";
    vec![
        (
            "updateMe",
            "422 nameless",
            world.bob.put("/users/me", &json!({"avatar": null})),
        ),
        (
            "updateUser",
            "422 nameless",
            backend.put("/users/nobody", &json!({"avatar": null})),
        ),
        (
            "updateMe",
            "422 validation_failed",
            ann.put("/users/me", &json!({"name": ""})),
        ),
        (
            "updateUser",
            "403 forbidden",
            ann.put("/users/bob", &json!({"name": "x"})),
        ),
        (
            "updateUser",
            "422 validation_failed",
            backend.put("/users/bob", &json!({"status": "GONE"})),
        ),
        (
            "subscribe",
            "422 validation_failed",
            ann.post(
                subscriptions,
                &json!({"endpoint": "https://push.example.org/", "keys": {}}),
            ),
        ),
        (
            "unsubscribe",
            "404 path_not_found",
            ann.delete(&format!("{subscriptions}/nonsense")),
        ),
    ]
}
