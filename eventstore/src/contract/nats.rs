//! A private NATS server, or a cluster of them: on free ports, in folders of their own, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

pub use self::cluster::NatsCluster;
use super::signal::signal;

mod cluster;

/// The variable that names the server's binary; `scripts/test` sets it.
const BINARY: &str = "VERBATIM_TEST_NATS_SERVER";

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a server that starts is looked at.
const START_POLL: Duration = Duration::from_millis(5);

/// A server with JetStream that syncs every record to disk, as Verbatim wants it to be run.
#[derive(Debug)]
pub struct NatsServer {
    folder: TempDir,
    settings: String,
    port: u16,
    process: Child,
}

impl NatsServer {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    /// When no binary is found or it does not start: the test cannot go on.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a server whose configuration has these lines at its end, and waits until it takes connections.
    ///
    /// # Panics
    /// Like [`Self::start`].
    pub async fn start_with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (process, port) = launch(folder.path(), None, settings).await;
        Self {
            folder,
            settings: settings.to_owned(),
            port,
            process,
        }
    }

    /// The server that the tests of this process share; it ends with the process. Each test takes a
    /// namespace of its own.
    ///
    /// # Panics
    /// Like [`Self::start`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<(NatsServer, Child)> = OnceCell::const_new();
        let (server, _) = SHARED
            .get_or_init(|| async {
                let server = Self::start().await;
                let watcher = server.watched();
                (server, watcher)
            })
            .await;
        server
    }

    /// A shell that ends the server and deletes its folder when this process is gone, however it went:
    /// then the pipe it reads from is closed. What is shared is never dropped.
    fn watched(&self) -> Child {
        Command::new("/bin/sh")
            .args(["-c", "read -r _; kill -KILL \"$1\"; rm -rf \"$2\"", "watch"])
            .arg(self.process.id().to_string())
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be run")
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it takes connections.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Its address and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A new connection, which is made again whenever the server is back.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn client(&self) -> Client {
        ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .connect(self.url())
            .await
            .expect("a private nats-server answers")
    }

    /// Ends it as a crash does (SIGKILL). Its folder stays.
    ///
    /// # Panics
    /// When its process cannot be ended.
    pub fn kill(&mut self) {
        self.process.kill().expect("an own process can be ended");
        self.process.wait().expect("an own process can be waited for");
    }

    /// Starts it again after [`Self::kill`], in the same folder and on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        (self.process, self.port) = launch(self.folder.path(), Some(self.port), &self.settings).await;
    }

    /// Stops it where it is (SIGSTOP): its connections stand, and nothing comes by them.
    pub fn freeze(&self) {
        signal("STOP", &[self.process.id()]);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        signal("CONT", &[self.process.id()]);
    }

    /// Where it keeps what it stores. To be copied only after [`Self::kill`].
    #[must_use]
    pub fn store(&self) -> PathBuf {
        store(self.folder.path())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // One that has ended already cannot be ended again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn store(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Starts a server in a folder and returns it with its port, a free one if none is given. The lines are
/// further settings.
async fn launch(folder: &Path, port: Option<u16>, lines: &str) -> (Child, u16) {
    let (config, log) = (folder.join("nats.conf"), folder.join("nats.log"));
    let listen = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    // JSON strings are strings of the server's configuration too.
    let settings = format!(
        "listen: \"127.0.0.1:{listen}\"\nports_file_dir: {:?}\njetstream {{ store_dir: {:?}, sync_interval: always }}\n{lines}",
        folder.display().to_string(),
        store(folder).display().to_string(),
    );
    std::fs::write(&config, settings).expect("a temporary folder can be written");
    // What a server said before it was killed may be why it does not come back.
    let output = std::fs::OpenOptions::new().create(true).append(true).open(&log);
    let output = output.expect("a temporary folder can be written");
    let mut process = Command::new(binary())
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .expect("the nats-server binary can be run");
    // The server writes this file once it listens, and JetStream was started before that.
    let ports = folder.join(format!("nats-server_{}.ports", process.id()));
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let written = std::fs::read_to_string(&ports).ok();
        if let Some(port) = written.as_deref().and_then(listening_port) {
            return (process, port);
        }
        if process.try_wait().is_ok_and(|status| status.is_some()) || Instant::now() > deadline {
            let _ = process.kill();
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("the private nats-server did not start:\n{log}");
        }
        sleep(START_POLL).await;
    }
}

/// The port in a file that reads `{"nats":["nats://127.0.0.1:4222"],…}`; none while it is half written.
fn listening_port(text: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(text).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}

/// The server's binary: the one that `scripts/test` names, the one that it fetched, the one on PATH.
/// It fetches one only when the one on PATH is too old, so a fetched one goes first.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os(BINARY) {
        return named.into();
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/nats-server");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(fetched)
        .chain(std::env::split_paths(&path).map(|folder| folder.join("nats-server")))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("no nats-server: run scripts/test, which fetches one, or name its binary in {BINARY}")
        })
}
