//! A bare server that takes files in: a handler that writes each body to a file, and syncs it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::Bare;

/// The first argument of its process; the second is the folder of the files.
pub(crate) const COMMAND: &str = "serve-bare-uploads";

impl Bare {
    /// Starts one that writes into this folder.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn taking_files(folder: &std::path::Path) -> anyhow::Result<Self> {
        Self::spawn([COMMAND, &folder.to_string_lossy()]).await
    }
}

/// The process of it.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(2).context("a folder")?);
    let router = Router::new()
        .route("/attachments", post(take))
        .with_state(Arc::new(folder));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(&listener.local_addr()?.to_string());
    Ok(axum::serve(listener, router).await?)
}

async fn take(State(folder): State<Arc<PathBuf>>, body: Body) -> StatusCode {
    match write(&folder, body).await {
        Ok(()) => StatusCode::CREATED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn write(folder: &std::path::Path, body: Body) -> anyhow::Result<()> {
    let path = folder.join(format!("{:032x}", rand::random::<u128>()));
    let mut file = tokio::fs::File::create(path).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece?).await?;
    }
    file.flush().await?;
    Ok(file.sync_all().await?)
}
