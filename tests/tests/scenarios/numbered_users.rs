//! Users with numbers, as the reference has them: `--user-id-format number`.

use serde_json::{Value, json};
use tests::{Folder, TestServer, token};

/// A token as the reference makes them: with a number under `userId`.
fn numbered(folder: &Folder, user: u64) -> String {
    let mut claims = token::claims("");
    let claims = claims.as_object_mut().unwrap();
    claims.remove("sub");
    claims.insert("userId".to_owned(), user.into());
    token::sign(&Value::Object(claims.clone()), &folder.secret())
}

#[tokio::test]
async fn numbers_are_numbers_in_every_answer_and_frame() {
    let mut folder = Folder::new().await;
    folder
        .variables
        .push(("VERBATIM_USER_ID_FORMAT", "number".to_owned()));
    let server = TestServer::start_on(folder).await;
    let (seven, eight) = (numbered(&server.folder, 7), numbered(&server.folder, 8));
    let [ann, ben] = [&seven, &eight].map(|token| server.with_token(token));
    let body = json!({"name": "Numbers", "memberIds": [8, "9", "cid", "007"]});
    let group: Value = ann
        .post("/conversations/group", &body)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(group["ownerId"], 7);
    let ids = group["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| &member["userId"]);
    assert_eq!(
        ids.collect::<Vec<_>>(),
        [&json!(7), &json!(8), &json!(9), &json!("cid"), &json!("007")]
    );
    assert_eq!(group["members"][1]["user"]["id"], 8);
    let id = group["id"].as_str().unwrap();

    let mut socket = tests::Socket::connect(server.address(), &eight).await;
    let sent: Value = ann.post_message(id, "one, two").send().await.expect(201).json();
    assert_eq!(sent["fromUserId"], 7);
    assert_eq!(socket.wait("new_message").await["message"]["fromUserId"], 7);
    let answer = json!({"conversationId": id, "content": "three", "replyToId": sent["id"]});
    let answer: Value = ben
        .post("/conversations/messages", &answer)
        .send()
        .await
        .expect(201)
        .json();
    let path = format!("/conversations/messages/{}", answer["id"].as_str().unwrap());
    let shown: Value = ann.get(&path).send().await.expect(200).json();
    assert_eq!(shown["replyTo"]["fromUserId"], 7);

    let of_sent = format!("/conversations/messages/{}", sent["id"].as_str().unwrap());
    let reacted: Value = ben
        .post(&format!("{of_sent}/react"), &json!({"emoji": "👍"}))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(reacted["reaction"]["userId"], 8);
    assert_eq!(socket.wait("message_reaction_updated").await["userId"], 8);
    let stats: Value = ben
        .get(&format!("{of_sent}/reactions/stats"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(stats["byEmoji"]["👍"]["userIds"], json!([8]));
    let receipts: Value = ben
        .get(&format!("{of_sent}/read-receipts/stats"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(receipts["readBy"][0]["userId"], 8);
    let edited: Value = ann
        .put(&of_sent, &json!({"content": "one"}))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(edited["fromUserId"], 7);
    assert_eq!(socket.wait("message_edited").await["message"]["fromUserId"], 7);
    let history: Value = ann
        .get(&format!("{of_sent}/history"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(history["data"][0]["userId"], 7);

    let added: Value = ann
        .post(
            &format!("/conversations/{id}/members"),
            &json!({"memberIds": [10]}),
        )
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(added["data"][0]["userId"], 10);
    ann.put(
        &format!("/conversations/{id}/members/10/role"),
        &json!({"role": "MODERATOR"}),
    )
    .send()
    .await
    .expect(200);
    let account: Value = ann
        .put("/users/me", &json!({"name": "Ann"}))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(account["id"], 7);
    let direct: Value = ann
        .post("/conversations/direct", &json!({"recipientId": 8}))
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(direct["ownerId"], Value::Null);
    let card = json!({"conversationId": id, "type": "CONTACT", "contact": {"name": "Ben", "userId": 8}});
    let card: Value = ann
        .post("/conversations/messages", &card)
        .send()
        .await
        .expect(201)
        .json();
    assert_eq!(card["contact"], json!({"name": "Ben", "userId": 8}));
    ann.delete(&format!("{of_sent}?forEveryone=true"))
        .send()
        .await
        .expect(200);
    assert_eq!(socket.wait("message_deleted").await["userId"], 7);
}
