//! For each operation a request that is right, and another one.

use serde_json::{Value, json};
use tests::client::encode;
use tests::device::Device;

use super::{NOWHERE, Request, World};

/// A request that the operation carries out.
pub(super) fn right(operation: &str, world: &World) -> Request {
    let World {
        group, text, theirs, ..
    } = world;
    let conversation = |rest: &str| format!("/conversations/{group}{rest}");
    let message = |rest: &str| format!("/conversations/messages/{text}{rest}");
    let none = Value::Null;
    let (path, body) = match operation {
        "listConversations" => (
            "/conversations?limit=5&type=GROUP&archived=false".to_owned(),
            none,
        ),
        "countConversations" => ("/conversations/stats".to_owned(), none),
        "getConversation" => (conversation(""), none),
        "openDirectConversation" => ("/conversations/direct".to_owned(), json!({"recipientId": "dan"})),
        "createGroup" => (
            "/conversations/group".to_owned(),
            json!({"name": "Orchard", "memberIds": ["bob", 7]}),
        ),
        "updateGroup" => (
            conversation(""),
            json!({"name": "Orchard", "avatar": "https://example.org/a.png"}),
        ),
        "archiveConversation" => (conversation("/archive"), none),
        "unarchiveConversation" => (conversation("/unarchive"), none),
        "muteConversation" => (
            conversation("/mute"),
            json!({"mutedUntil": "2100-01-31T12:00:00+07:00"}),
        ),
        "unmuteConversation" => (conversation("/unmute"), none),
        "leaveGroup" => (conversation("/leave"), none),
        "listMembers" => (conversation("/members?limit=2"), none),
        "addMembers" => (
            conversation("/members"),
            json!({"memberIds": ["dan"], "role": "MODERATOR"}),
        ),
        "removeMember" => (conversation("/members/cat"), none),
        "changeRole" => (conversation("/members/cat/role"), json!({"role": "ADMIN"})),
        "listMessages" => (conversation(&format!("/messages?limit=3&around={text}")), none),
        "countMessages" => (conversation("/messages/stats"), none),
        "searchMessages" => ("/conversations/messages/search?q=tomatoes".to_owned(), none),
        "sendMessage" => {
            let body =
                json!({"conversationId": group, "content": "Hello!", "replyToId": text, "tempId": "t"});
            ("/conversations/messages".to_owned(), body)
        }
        "getMessage" => (message(""), none),
        "editMessage" => (message(""), json!({"content": "cucumbers"})),
        "deleteMessage" => (message(""), none),
        "getHistory" => (message("/history"), none),
        "react" => (message("/react"), json!({"emoji": "👍"})),
        "unreact" => (message(&format!("/react?emoji={}", encode("👍"))), none),
        "countReactions" => (message("/reactions/stats"), none),
        "countReceipts" => (message("/read-receipts/stats"), none),
        "markRead" => (
            "/conversations/messages/read".to_owned(),
            json!({"conversationId": group}),
        ),
        "markUnread" => {
            let body = json!({"conversationId": group, "messageId": theirs});
            ("/conversations/messages/unread".to_owned(), body)
        }
        "uploadAttachment" => ("/attachments?fileName=plan.txt".to_owned(), json!({"beds": 4})),
        "fetchAttachment" => (world.link.clone(), none),
        "getAttachmentUrl" => (format!("/attachments/{}/url", world.attachment), none),
        "updateMe" => ("/users/me".to_owned(), json!({"name": "Annie", "avatar": null})),
        "updateUser" => (
            "/users/dan".to_owned(),
            json!({"name": "Dan", "status": "ACTIVE"}),
        ),
        "getPushKey" => ("/push/public-key".to_owned(), none),
        "listSubscriptions" => ("/users/me/push-subscriptions".to_owned(), none),
        "subscribe" => {
            let device = Device::draw().subscription("https://push.example.org/one");
            ("/users/me/push-subscriptions".to_owned(), device)
        }
        "unsubscribe" => (format!("/users/me/push-subscriptions/{NOWHERE}"), none),
        "listUsers" => ("/users?ids=ann,bob".to_owned(), none),
        "openSocket" => ("/ws".to_owned(), none),
        "getHealth" => ("/health".to_owned(), none),
        "getReadiness" => ("/ready".to_owned(), none),
        "getMetrics" => ("/metrics".to_owned(), none),
        "getDocument" => ("/openapi.json".to_owned(), none),
        "getPage" => ("/docs".to_owned(), none),
        "getStyle" => ("/docs/docs.css".to_owned(), none),
        "getScript" => ("/docs/docs.js".to_owned(), none),
        unknown => panic!("{unknown} has no request here: write one, and what it refuses below"),
    };
    Request { path, body }
}

/// Another one, which would be right, too, were it not for the key that it comes with.
pub(super) fn other(operation: &str, world: &World) -> Request {
    let mut request = right(operation, world);
    match operation {
        "openDirectConversation" => request.body = json!({"recipientId": "eve"}),
        "createGroup" => request.body["name"] = "Meadow".into(),
        "muteConversation" => request.body = json!({}),
        "addMembers" => request.body["memberIds"] = json!(["eve"]),
        "sendMessage" => request.body["content"] = "Goodbye!".into(),
        "uploadAttachment" => request.body["beds"] = 5.into(),
        "subscribe" => request.body["endpoint"] = "https://push.example.org/other".into(),
        "react" => request.body["emoji"] = "❤️".into(),
        "markRead" => request.body["messageId"] = world.theirs.as_str().into(),
        "deleteMessage" => request.path = format!("/conversations/messages/{}", world.theirs),
        unknown => panic!("{unknown} takes a key that can be used for something else: say for what"),
    }
    request
}
