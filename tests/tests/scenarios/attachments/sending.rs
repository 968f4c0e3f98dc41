//! Files on their way with messages.

use serde_json::{Value, json};
use tests::eventually;

use super::{Deployment, code, fetch, png, send, text, url_path};

/// A file as it is shown, without its URLs, which are others each time.
fn facts(file: &Value) -> Value {
    let mut file = file.clone();
    for field in ["fileUrl", "thumbnail"] {
        let url = file[field].take();
        assert!(url.as_str().unwrap().starts_with("/attachments/"), "{url}");
    }
    file
}

#[tokio::test]
async fn a_file_is_shown_wherever_its_message_is() {
    let mut deployment = Deployment::start().await;
    let another = deployment.another().await;
    let (one, other) = (&deployment.server, another.as_ref().unwrap_or(&deployment.server));
    let (ann, bob) = (one.client("ann"), other.client("bob"));
    let direct = ann.direct("bob").await.id;
    let mut socket = other.socket("bob").await;
    let picture = png(400, 200);
    let file = ann.upload("ảnh.png", picture.clone()).await;
    assert_eq!(bob.get(&url_path(&file)).send().await.status, 404, "not sent yet");
    let link = json!({"type": "DOCUMENT", "fileName": "b.pdf", "fileUrl": "https://example.org/b.pdf"});
    // By its id; as it was answered; and beside a link.
    let files = json!([{"attachmentId": file["id"]}, file, link]);
    let body = json!({"conversationId": direct, "type": "IMAGE", "content": "quokkas", "attachments": files});
    let sent: Value = other
        .client("ann")
        .post("/conversations/messages", &body)
        .send()
        .await
        .expect(201)
        .json();
    let heard = socket.wait("new_message").await["message"].take();
    let id = text(&sent, "id").to_owned();
    other.settled().await;
    let alone: Value = bob
        .get(&format!("/conversations/messages/{id}"))
        .send()
        .await
        .expect(200)
        .json();
    let page: Value = bob
        .get(&format!("/conversations/{direct}/messages"))
        .send()
        .await
        .expect(200)
        .json();
    let found = eventually("it is found", || async {
        let found: Value = bob
            .get("/conversations/messages/search?q=quokkas")
            .send()
            .await
            .expect(200)
            .json();
        found["data"].get(0).cloned().ok_or_else(|| found.to_string())
    })
    .await;
    for message in [&sent, &heard, &alone, &page["data"][0], &found] {
        let shown = message["attachments"].as_array().unwrap();
        assert_eq!(shown.len(), 3);
        assert_eq!((facts(&shown[0]), facts(&shown[1])), (facts(&file), facts(&file)));
        assert_eq!(shown[2], link);
        for url in ["fileUrl", "thumbnail"] {
            let fetched = fetch(other, text(&shown[0], url)).await.expect(200);
            assert!(url != "fileUrl" || fetched.body == picture);
        }
    }
    let list = bob.conversations().await;
    assert_eq!(list[0].last_message.as_deref(), Some("quokkas"));
    let stats: Value = bob
        .get(&format!("/conversations/{direct}/messages/stats"))
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(stats["attachments"], 3);
    let urls: Value = bob.get(&url_path(&file)).send().await.expect(200).json();
    assert!(fetch(one, text(&urls, "fileUrl")).await.expect(200).body == picture);
    fetch(one, text(&urls, "thumbnail")).await.expect(200);

    // What was folded once is folded again as it was.
    drop(another);
    deployment.server.rebuild().await;
    let again = deployment.server.client("bob").messages(&direct).await;
    assert_eq!(again.len(), 1);
    let urls: Value = deployment
        .server
        .client("bob")
        .get(&url_path(&file))
        .send()
        .await
        .expect(200)
        .json();
    fetch(&deployment.server, text(&urls, "fileUrl"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_socket_sends_files_and_is_given_what_it_missed() {
    let deployment = Deployment::start().await;
    let server = &deployment.server;
    let ann = server.client("ann");
    let direct = ann.direct("bob").await.id;
    let mut bob = server.socket("bob").await;
    ann.say(&direct, "first").await;
    let cursor = loop {
        let frame = bob.next().await.unwrap();
        if frame.event == "new_message" {
            break frame.cursor.unwrap();
        }
    };
    drop(bob);
    let file = ann.upload("a.png", png(30, 20)).await;
    let mut socket = server.socket("ann").await;
    let body =
        json!({"conversationId": direct, "type": "IMAGE", "attachments": [{"attachmentId": file["id"]}]});
    socket.emit("send_message", &body).await;
    let sent = socket.wait("message_sent").await["message"].take();
    let mut back = server.resume("bob", &cursor).await;
    let missed = back.wait("new_message").await["message"].take();
    for message in [sent, missed] {
        let shown = &message["attachments"][0];
        assert_eq!(facts(shown), facts(&file));
        fetch(server, text(shown, "fileUrl")).await.expect(200);
    }
}

#[tokio::test]
async fn only_an_upload_of_ones_own_can_be_sent() {
    let deployment = Deployment::start().await;
    let server = &deployment.server;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let theirs = bob.upload("a.png", png(3, 4)).await;
    let mine = ann.upload("a.png", png(3, 4)).await;
    let nowhere = json!({"attachmentId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    let named = json!({"attachmentId": theirs["id"]});
    for files in [json!([nowhere]), json!([named]), json!([mine, named])] {
        let refused = send(&ann, &direct, files).await;
        assert_eq!(code(&refused), (422, "attachment_not_found".to_owned()));
    }
    let many = vec![json!({"attachmentId": mine["id"]}); 11];
    for files in [json!(many), json!([{"attachmentId": 7}]), json!([7]), json!("x")] {
        let refused = send(&ann, &direct, files).await;
        assert_eq!(code(&refused), (422, "validation_failed".to_owned()));
    }
    assert!(ann.messages(&direct).await.is_empty());
    send(&ann, &direct, json!(many[..10])).await.expect(201);
}
