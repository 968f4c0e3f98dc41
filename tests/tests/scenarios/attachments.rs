//! Files: uploaded, looked into, sent, fetched by those who may, and removed.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use tests::bucket::{Bucket, files_below};
use tests::deployment::is_cluster;
use tests::{Answer, Client, Folder, TestServer};

mod fetching;
mod removing;
mod sending;
mod uploading;

/// A deployment that takes files in.
struct Deployment {
    server: TestServer,
    bucket: Option<Bucket>,
}

impl Deployment {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables too.
    async fn with(variables: &[(&'static str, &str)]) -> Self {
        let bucket = if is_cluster() {
            Some(Bucket::start().await)
        } else {
            None
        };
        let mut folder = Folder::new().await;
        folder.variables = bucket.as_ref().map_or_else(Vec::new, Bucket::variables);
        let more = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        folder.variables.extend(more);
        Self {
            server: TestServer::start_on(folder).await,
            bucket,
        }
    }

    /// Another node, or the same when there is one alone.
    async fn another(&self) -> Option<TestServer> {
        let cluster = self.server.folder.cluster()?.clone();
        let mut folder = Folder::of(Some(cluster));
        folder.variables.clone_from(&self.server.folder.variables);
        Some(TestServer::start_on(folder).await)
    }

    /// How many blobs are kept.
    fn blobs(&self) -> usize {
        let folder = match &self.bucket {
            // What it writes down beside an object has a name that begins with a point.
            Some(bucket) => bucket.folder(),
            None => self.server.folder.data().join("blobs"),
        };
        let files = files_below(&folder);
        let is_blob = |path: &&std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            !name.starts_with('.')
        };
        files.iter().filter(is_blob).count()
    }

    /// How many uploads are on their way.
    fn spooled(&self) -> usize {
        files_below(&self.server.folder.data().join("uploads")).len()
    }
}

/// A picture in colours of its own, as PNG.
fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x % 256) as u8, (y % 256) as u8, ((x * y) % 256) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A form with one part.
fn form(part: &str, file_name: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let name = file_name.map_or_else(String::new, |name| format!("; filename=\"{name}\""));
    let head = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"{part}\"{name}\r\n\
         Content-Type: application/x-lie\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--limit--\r\n"].concat()
}

const FORM: &str = "multipart/form-data; boundary=limit";

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}: {value}"))
}

/// What a URL leads to, without a token.
async fn fetch(server: &TestServer, url: &str) -> Answer {
    server.anonymous().get(url).send().await
}

/// Sends a message with these files.
async fn send(client: &Client, conversation: &str, files: Value) -> Answer {
    let body = json!({"conversationId": conversation, "type": "IMAGE", "attachments": files});
    client.post("/conversations/messages", &body).send().await
}

/// Where fresh URLs of a file are.
fn url_path(file: &Value) -> String {
    format!("/attachments/{}/url", text(file, "id"))
}

fn code(answer: &Answer) -> (u16, String) {
    let problem = answer.problem();
    (answer.status, text(&problem, "code").to_owned())
}
