//! Processes of this program in another role: what is measured shares neither memory nor CPU seconds with who
//! measures. The first argument says which role; the task comes in as JSON, and what came of it goes out as JSON.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Has a task done in a process of this role.
///
/// # Errors
/// When it is not done.
pub(crate) async fn carry_out<T: DeserializeOwned>(role: &str, task: &impl Serialize) -> anyhow::Result<T> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg(role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = process.stdin.take().context("a pipe")?;
    stdin.write_all(&serde_json::to_vec(task)?).await?;
    drop(stdin);
    let finished = process.wait_with_output().await?;
    ensure!(finished.status.success(), "{role} failed");
    Ok(serde_json::from_slice(&finished.stdout)?)
}

/// The process of a role.
///
/// # Errors
/// When its task was not done.
pub(crate) async fn run<T: DeserializeOwned, O: Serialize>(
    work: impl AsyncFnOnce(T) -> anyhow::Result<O>,
) -> anyhow::Result<()> {
    let mut task = Vec::new();
    tokio::io::stdin().read_to_end(&mut task).await?;
    let outcome = work(serde_json::from_slice(&task)?).await?;
    let mut stdout = tokio::io::stdout();
    stdout.write_all(&serde_json::to_vec(&outcome)?).await?;
    Ok(stdout.flush().await?)
}
