//! Who may have a file, and how much of it.

use serde_json::{Value, json};

use super::{Deployment, code, fetch, png, send, text, url_path};

#[tokio::test]
async fn a_file_is_had_in_parts() {
    let deployment = Deployment::start().await;
    let server = &deployment.server;
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let file = server.client("ann").upload("tệp \"1\".bin", bytes.clone()).await;
    let url = text(&file, "fileUrl");
    let anyone = server.anonymous();
    let whole = fetch(server, url).await.expect(200);
    assert!(whole.body == bytes);
    let tag = whole.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", text(&file, "id")));
    for (header, value) in [
        ("accept-ranges", "bytes"),
        ("content-length", "200000"),
        ("content-type", "application/octet-stream"),
        ("cache-control", "private, no-cache"),
        (
            "content-disposition",
            "attachment; filename=\"t_p _1_.bin\"; filename*=UTF-8''t%E1%BB%87p%20%221%22%2Ebin",
        ),
    ] {
        assert_eq!(whole.header(header), value, "{header}");
    }
    for (range, bounds) in [
        ("bytes=0-0", 0..1),
        ("bytes=199990-", 199_990..200_000),
        ("bytes=-5", 199_995..200_000),
    ] {
        let part = anyone.get(url).header("range", range).send().await.expect(206);
        let told = format!("bytes {}-{}/200000", bounds.start, bounds.end - 1);
        assert_eq!(part.header("content-range"), told);
        assert_eq!(part.header("content-length"), bounds.len().to_string());
        assert_eq!(part.body, bytes[bounds], "{range}");
        let stale = anyone
            .get(url)
            .header("range", range)
            .header("if-range", "\"other\"");
        stale.send().await.expect(200);
    }
    let beyond = anyone.get(url).header("range", "bytes=200000-").send().await;
    assert_eq!(code(&beyond), (416, "range_not_satisfiable".to_owned()));
    assert_eq!(beyond.header("content-range"), "bytes */200000");
    let known = anyone
        .get(url)
        .header("if-none-match", &tag)
        .send()
        .await
        .expect(304);
    assert!(known.body.is_empty() && known.header("etag") == tag);
    let head = anyone.call("HEAD", url).send().await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("200000", 0));
}

#[tokio::test]
async fn a_url_is_good_as_it_was_given_and_for_its_time() {
    let deployment = Deployment::with(&[("VERBATIM_ATTACHMENT_URL_LIFETIME", "1s")]).await;
    let server = &deployment.server;
    let ann = server.client("ann");
    let (file, other) = (
        ann.upload("a.png", png(3, 4)).await,
        ann.upload("b.png", png(3, 4)).await,
    );
    let (url, id) = (text(&file, "fileUrl"), text(&file, "id"));
    let signed = url.split_once('?').unwrap().1;
    for (bad, status, expected) in [
        (format!("/attachments/{id}"), 403, "link_invalid"),
        (
            format!("/attachments/{}?{signed}", text(&other, "id")),
            403,
            "link_invalid",
        ),
        (format!("{url}&variant=thumbnail"), 403, "link_invalid"),
        (format!("{url}&variant=huge"), 403, "link_invalid"),
        (
            format!("{}0", url.replace("expires=", "expires=9")),
            403,
            "link_invalid",
        ),
        (format!("{url}&expires=1"), 400, "invalid_query"),
        (
            format!("/attachments/nonsense?{signed}"),
            404,
            "attachment_not_found",
        ),
    ] {
        assert_eq!(
            code(&fetch(server, &bad).await),
            (status, expected.to_owned()),
            "{bad}"
        );
    }
    let ended = tests::eventually("the URL ends", || async {
        let answer = fetch(server, url).await;
        match answer.status {
            403 => Ok(code(&answer).1),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(ended, "link_expired");
    let fresh: Value = ann.get(&url_path(&file)).send().await.expect(200).json();
    assert!(text(&fresh, "expiresAt").ends_with('Z'));
    assert_ne!(text(&fresh, "fileUrl"), url);
}

#[tokio::test]
async fn a_url_is_for_members_alone() {
    let deployment = Deployment::with(&[("VERBATIM_PUBLIC_URL", "https://chat.example.org/api/")]).await;
    let server = &deployment.server;
    let client = |user: &str| server.client(user);
    let ann = client("ann");
    let group = ann.group("Garden", &["bob", "cid"]).await.id;
    let file = ann.upload("a.png", png(3, 4)).await;
    let public = "https://chat.example.org/api/attachments/";
    assert!(text(&file, "fileUrl").starts_with(public) && text(&file, "thumbnail").starts_with(public));
    let path = url_path(&file);
    let may = async |user: &str| {
        server.settled().await;
        match client(user).get(&path).send().await {
            answer if answer.status == 200 => true,
            answer => {
                assert_eq!(code(&answer), (404, "attachment_not_found".to_owned()));
                false
            }
        }
    };
    assert!(may("ann").await && !may("bob").await);
    let sent: Value = send(&ann, &group, json!([{"attachmentId": file["id"]}]))
        .await
        .expect(201)
        .json();
    for (user, expected) in [("ann", true), ("bob", true), ("cid", true), ("dan", false)] {
        assert_eq!(may(user).await, expected, "{user}");
    }
    let nobody = server.anonymous().get(&path).send().await;
    assert_eq!(nobody.status, 401);
    let of_nothing = format!("/attachments/{}/url", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(
        code(&ann.get(&of_nothing).send().await),
        (404, "attachment_not_found".to_owned())
    );
    // Removed, gone, hidden; and back again.
    ann.delete(&format!("/conversations/{group}/members/bob"))
        .send()
        .await
        .expect(204);
    let hide = format!("/conversations/messages/{}", text(&sent, "id"));
    client("cid").delete(&hide).send().await.expect(204);
    assert!(!may("bob").await && !may("cid").await && may("ann").await);
    let members = json!({"memberIds": ["bob"]});
    ann.post(&format!("/conversations/{group}/members"), &members)
        .send()
        .await
        .expect(201);
    assert!(may("bob").await);
}
