//! Files that nobody may have any more, and that nobody needs.

use serde_json::{Value, json};
use tests::eventually;

use super::{Deployment, code, fetch, png, send, text, url_path};
use crate::erasure::delete_key;

/// Waits until so many blobs are kept.
async fn kept(deployment: &Deployment, count: usize) {
    eventually("what nobody needs is removed", || {
        let found = deployment.blobs();
        std::future::ready(if found == count {
            Ok(())
        } else {
            Err(found.to_string())
        })
    })
    .await;
}

#[tokio::test]
async fn a_file_of_a_deleted_message_is_out_of_reach_at_once() {
    let deployment = Deployment::start().await;
    let server = &deployment.server;
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let file = ann.upload("a.png", png(3, 4)).await;
    let named = json!([{"attachmentId": file["id"]}]);
    let first: Value = send(&ann, &direct, named.clone()).await.expect(201).json();
    let second: Value = send(&ann, &direct, named.clone()).await.expect(201).json();
    let urls = [text(&file, "fileUrl"), text(&file, "thumbnail")];
    let delete = async |message: &Value| {
        let path = format!("/conversations/messages/{}?forEveryone=true", text(message, "id"));
        ann.delete(&path).send().await.expect(200)
    };
    delete(&first).await;
    for url in urls {
        fetch(server, url).await.expect(200);
    }
    let left: Value = delete(&second).await.json();
    assert_eq!(left["attachments"], json!([]));
    for url in urls {
        assert_eq!(
            code(&fetch(server, url).await),
            (404, "attachment_not_found".to_owned())
        );
        let tag = format!("\"{}\"", text(&file, "id"));
        let known = server.anonymous().get(url).header("if-none-match", &tag);
        assert_eq!(known.send().await.status, 404);
    }
    for who in [&ann, &bob] {
        assert_eq!(who.get(&url_path(&file)).send().await.status, 404);
    }
    let again = send(&ann, &direct, named).await;
    assert_eq!(code(&again), (422, "attachment_not_found".to_owned()));
}

#[tokio::test]
async fn what_no_message_needs_is_removed_and_the_rest_stays() {
    let mut deployment = Deployment::with(&[("VERBATIM_UNUSED_UPLOADS_KEPT", "5s")]).await;
    let ann = deployment.server.client("ann");
    let direct = ann.direct("bob").await.id;
    let (used, deleted) = (
        ann.upload("u.png", png(3, 4)).await,
        ann.upload("d.png", png(3, 4)).await,
    );
    send(&ann, &direct, json!([{"attachmentId": used["id"]}]))
        .await
        .expect(201);
    let gone: Value = send(&ann, &direct, json!([{"attachmentId": deleted["id"]}]))
        .await
        .expect(201)
        .json();
    let unused = ann.upload("never.txt", "used").await;
    assert_eq!(deployment.blobs(), 5, "each picture has a thumbnail");
    let path = format!("/conversations/messages/{}?forEveryone=true", text(&gone, "id"));
    ann.delete(&path).send().await.expect(200);
    kept(&deployment, 2).await;
    for file in [&deleted, &unused] {
        eventually("it is as if it never was", || async {
            match ann.get(&url_path(file)).send().await.status {
                404 => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
        assert_eq!(fetch(&deployment.server, text(file, "fileUrl")).await.status, 404);
        let late = send(&ann, &direct, json!([{"attachmentId": file["id"]}])).await;
        assert_eq!(code(&late), (422, "attachment_not_found".to_owned()));
    }
    let late = send(&ann, &direct, json!([{"attachmentId": used["id"]}])).await;
    assert_eq!(code(&late), (422, "attachment_too_old".to_owned()));
    // What was removed stays so, and what is used is there, also when all is folded again.
    deployment.server.rebuild().await;
    let bob = deployment.server.client("bob");
    let urls: Value = bob.get(&url_path(&used)).send().await.expect(200).json();
    fetch(&deployment.server, text(&urls, "fileUrl"))
        .await
        .expect(200);
    assert_eq!(bob.get(&url_path(&unused)).send().await.status, 404);
    assert_eq!(deployment.blobs(), 2);
}

#[tokio::test]
async fn who_is_erased_leaves_no_files() {
    let mut deployment = Deployment::start().await;
    let (ann, bob) = (deployment.server.client("ann"), deployment.server.client("bob"));
    let direct = ann.direct("bob").await.id;
    let file = ann.upload("Quokka.png", png(3, 4)).await;
    send(&ann, &direct, json!([{"attachmentId": file["id"]}]))
        .await
        .expect(201);
    ann.upload("another.txt", "quokka").await;
    let theirs = bob.upload("bob.txt", "wombat").await;
    send(&bob, &direct, json!([{"attachmentId": theirs["id"]}]))
        .await
        .expect(201);
    assert_eq!(deployment.blobs(), 4);
    assert!(deployment.server.terminate().await.success());
    delete_key(&deployment.server.folder, "ann").await;
    deployment.server.folder.run(["rebuild"]).await.succeeded();
    deployment.server.restart().await;
    // At once, and their bytes with the first sweep.
    let bob = deployment.server.client("bob");
    assert_eq!(bob.get(&url_path(&file)).send().await.status, 404);
    assert_eq!(
        fetch(&deployment.server, text(&file, "fileUrl")).await.status,
        404
    );
    kept(&deployment, 1).await;
    let urls: Value = bob.get(&url_path(&theirs)).send().await.expect(200).json();
    assert_eq!(
        fetch(&deployment.server, text(&urls, "fileUrl")).await.text(),
        "wombat"
    );
    let shown = bob.page(&direct, "limit=10").await;
    assert_eq!(shown.data.len(), 2);
}
