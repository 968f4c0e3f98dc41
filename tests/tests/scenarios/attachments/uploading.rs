//! What is taken in, and what is not.

use serde_json::{Value, json};
use tests::deployment::is_cluster;
use tests::{Folder, TestServer, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Deployment, FORM, code, fetch, form, png, text, url_path};

#[tokio::test]
async fn a_file_is_what_its_bytes_are() {
    let deployment = Deployment::start().await;
    let server = &deployment.server;
    let ann = server.client("ann");
    let picture = png(640, 480);
    let raw = ann.upload("lies.txt", picture.clone()).await;
    let as_form = ann
        .call("POST", "/attachments")
        .bytes(FORM, form("file", Some("C:\\lies.txt"), &picture))
        .send()
        .await
        .expect(201)
        .json::<Value>();
    for file in [&raw, &as_form] {
        for (field, value) in [
            ("type", json!("IMAGE")),
            ("fileName", json!("lies.txt")),
            ("fileSize", json!(picture.len())),
            ("mimeType", json!("image/png")),
            ("width", json!(640)),
            ("height", json!(480)),
            ("duration", Value::Null),
        ] {
            assert_eq!(file[field], value, "{field}");
        }
        let whole = fetch(server, text(file, "fileUrl")).await.expect(200);
        assert!(whole.body == picture);
        assert_eq!(whole.header("content-type"), "image/png");
        let small = fetch(server, text(file, "thumbnail")).await.expect(200);
        assert_eq!(small.header("content-type"), "image/jpeg");
        let small = image::load_from_memory(&small.body).unwrap();
        assert_eq!((small.width(), small.height()), (320, 240));
    }
    assert_ne!(raw["id"], as_form["id"]);

    let page = ann.upload("page.png", "<html><script>alert(1)</script>").await;
    assert_eq!(
        (&page["type"], &page["mimeType"]),
        (&json!("DOCUMENT"), &json!("text/html"))
    );
    assert!(page.get("thumbnail").is_none() && page.get("width").is_none());
    let saved = fetch(server, text(&page, "fileUrl")).await.expect(200);
    assert!(
        saved
            .header("content-disposition")
            .starts_with("attachment; filename=\"page.png\"")
    );
    assert_eq!(saved.header("x-content-type-options"), "nosniff");
    assert_eq!(
        saved.header("content-security-policy"),
        "default-src 'none'; sandbox"
    );
    let unnamed = ann.call("POST", "/attachments").bytes("image/png", "%PDF-1.7\n");
    let unnamed: Value = unnamed.send().await.expect(201).json();
    assert_eq!(
        (&unnamed["fileName"], &unnamed["type"]),
        (&json!("file.pdf"), &json!("DOCUMENT"))
    );
    assert_eq!((deployment.blobs(), deployment.spooled()), (6, 0));
}

/// A second and a half of silence.
fn sound() -> Vec<u8> {
    let mut bytes =
        b"RIFF\x04\x2f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
    bytes.extend(12_000_u32.to_le_bytes());
    bytes.resize(bytes.len() + 12_000, 128);
    bytes
}

#[tokio::test]
async fn a_sound_says_how_long_it_plays() {
    let deployment = Deployment::start().await;
    let file = deployment.server.client("ann").upload("hello.wav", sound()).await;
    assert_eq!((&file["type"], &file["duration"]), (&json!("AUDIO"), &json!(1.5)));
}

#[tokio::test]
async fn the_same_key_is_the_same_upload() {
    let deployment = Deployment::start().await;
    let ann = deployment.server.client("ann");
    let upload = async |who: &tests::Client, name: &str, bytes: &str| {
        let call = who.call("POST", &format!("/attachments?fileName={name}"));
        let call = call.header("idempotency-key", "upload-1");
        call.bytes("text/plain", bytes).send().await
    };
    let first: Value = upload(&ann, "a.txt", "hello").await.expect(201).json();
    let again: Value = upload(&ann, "a.txt", "hello").await.expect(201).json();
    assert_eq!(first["id"], again["id"]);
    for (name, bytes) in [("a.txt", "other"), ("b.txt", "hello")] {
        let refused = upload(&ann, name, bytes).await;
        assert_eq!(code(&refused), (422, "idempotency_key_reused".to_owned()));
    }
    assert_eq!(deployment.blobs(), 1, "nothing of what was not taken is left");
    let kept = fetch(&deployment.server, text(&again, "fileUrl"))
        .await
        .expect(200);
    assert_eq!(kept.text(), "hello");
    let other: Value = upload(&deployment.server.client("bob"), "a.txt", "hello")
        .await
        .json();
    assert_ne!(first["id"], other["id"]);
}

/// A small PNG that says it has 50,000 pixels on each side.
fn bomb() -> Vec<u8> {
    let mut bytes = png(1, 1);
    bytes[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let sum = !bytes[12..29].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| match sum & 1 {
            1 => sum >> 1 ^ 0xEDB8_8320,
            _ => sum >> 1,
        })
    });
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[tokio::test]
async fn what_is_not_taken_leaves_nothing() {
    let deployment = Deployment::start().await;
    let ann = deployment.server.client("ann");
    let refused = async |path: &str, media_type: &str, bytes: Vec<u8>| {
        let call = ann.call("POST", path);
        code(&call.bytes(media_type, bytes).send().await)
    };
    let half = png(64, 64)[..100].to_vec();
    let long = format!("/attachments?fileName={}", "x".repeat(501));
    let at = "/attachments";
    for (path, media_type, bytes, status, expected) in [
        (at, "image/png", bomb(), 422, "image_too_large"),
        (at, "image/png", half, 422, "image_unreadable"),
        (at, "image/png", vec![], 422, "validation_failed"),
        (&*long, "text/plain", b"x".to_vec(), 422, "validation_failed"),
        (at, FORM, form("other", Some("a"), b"x"), 422, "validation_failed"),
        (at, FORM, b"--limit--\r\n".to_vec(), 422, "validation_failed"),
        (at, FORM, b"no form".to_vec(), 400, "malformed_form"),
        (
            at,
            FORM,
            form("file", Some("a"), b"x")[..90].to_vec(),
            400,
            "malformed_form",
        ),
        (at, "multipart/form-data", b"x".to_vec(), 400, "malformed_form"),
    ] {
        let told = refused(path, media_type, bytes).await;
        assert_eq!(told, (status, expected.to_owned()), "{media_type}");
    }
    let two = [&form("file", Some("a"), b"x")[..], b"--limit--\r\n"].concat();
    let two = String::from_utf8(two)
        .unwrap()
        .replacen("--limit--\r\n--limit--", &second_part(), 1);
    assert_eq!(
        refused(at, FORM, two.into()).await,
        (422, "validation_failed".to_owned())
    );
    let packed = ann.call("POST", at).header("content-encoding", "gzip");
    let packed = packed.bytes("text/plain", "x").send().await;
    assert_eq!(code(&packed), (415, "unsupported_media_type".to_owned()));
    for (media_type, length) in [(FORM, 101 * 1024 * 1024), ("video/mp4", 100 * 1024 * 1024 + 1)] {
        let answer = announced(&deployment, media_type, length).await;
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"),
            "{answer}"
        );
    }
    let nobody = deployment.server.anonymous().call("POST", at);
    assert_eq!(code(&nobody.bytes("text/plain", "x").send().await).0, 401);
    assert_eq!((deployment.blobs(), deployment.spooled()), (0, 0));
}

/// The answer to an upload that is announced and never comes.
async fn announced(deployment: &Deployment, media_type: &str, length: usize) -> String {
    let server = &deployment.server;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {media_type}\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n",
        server.folder.token("ann")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn second_part() -> String {
    "--limit\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\ny\r\n--limit--".to_owned()
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let mut deployment = Deployment::start().await;
    let begin = async |deployment: &Deployment| {
        let server = &deployment.server;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = format!(
            "POST /attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000000\r\n\r\n",
            server.folder.token("ann")
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![7; 600_000]).await.unwrap();
        eventually("the upload has begun", || {
            let begun = if deployment.spooled() == 1 {
                Ok(())
            } else {
                Err(String::new())
            };
            std::future::ready(begun)
        })
        .await;
        stream
    };
    let left = |deployment: &Deployment| (deployment.blobs(), deployment.spooled());
    drop(begin(&deployment).await);
    eventually("nothing is left", || {
        let left = left(&deployment);
        std::future::ready(if left == (0, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        })
    })
    .await;
    // A server that ends in the middle clears up when it starts again.
    let mut stream = begin(&deployment).await;
    deployment.server.kill();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(left(&deployment), (0, 1));
    deployment.server.restart().await;
    assert_eq!(left(&deployment), (0, 0));
    // A node of a cluster that was killed projects again when its lease has run out.
    let ann = deployment.server.client("ann");
    let file = eventually("uploads are taken again", || async {
        let call = ann
            .call("POST", "/attachments")
            .header("idempotency-key", "whole");
        let answer = call.bytes("text/plain", "whole").send().await;
        match answer.status {
            201 => Ok(answer.json::<Value>()),
            _ => Err(answer.text()),
        }
    })
    .await;
    ann.get(&url_path(&file)).send().await.expect(200);
    assert_eq!(left(&deployment), (1, 0));
}

#[tokio::test]
async fn a_cluster_that_was_not_told_where_takes_no_files() {
    if !is_cluster() {
        return;
    }
    let server = TestServer::start_on(Folder::new().await).await;
    let ann = server.client("ann");
    let upload = ann.call("POST", "/attachments").bytes("text/plain", "x");
    assert_eq!(code(&upload.send().await), (404, "attachments_off".to_owned()));
}
