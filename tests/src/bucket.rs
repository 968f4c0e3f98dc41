//! A server that speaks S3, on loopback, with one bucket in a temporary folder.

use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const NAME: &str = "files";
const KEY: &str = "the-key-of-tests";
const SECRET: &str = "the secret of that key";

/// A bucket. It ends with this value.
pub struct Bucket {
    root: TempDir,
    endpoint: String,
    serving: JoinHandle<()>,
}

impl Bucket {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no room for it.
    pub async fn start() -> Self {
        let root = TempDir::with_prefix("verbatim-bucket-").unwrap();
        std::fs::create_dir(root.path().join(NAME)).unwrap();
        let files = s3s_fs::FileSystem::new(root.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    // Whoever goes away in the middle is a server that was killed.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            root,
            endpoint,
            serving,
        }
    }

    /// The variables that make a node keep its files there.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("VERBATIM_BLOBS", format!("s3://{NAME}/uploads")),
            ("VERBATIM_S3_ENDPOINT", self.endpoint.clone()),
            ("VERBATIM_S3_ACCESS_KEY", KEY.to_owned()),
            ("VERBATIM_S3_SECRET_KEY", SECRET.to_owned()),
        ]
    }

    /// Where its objects lie.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.path().join(NAME)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// All files below a folder, which need not exist.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    // What is being deleted meanwhile is not there any more.
    let paths = entries.flatten().map(|entry| entry.path());
    let below = paths.flat_map(|path| match path.is_dir() {
        true => files_below(&path),
        false => vec![path],
    });
    below.collect()
}
