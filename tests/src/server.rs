//! A server on a data folder of its own, on whatever port is free.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;

use crate::deployment::{Cluster, Mode};
use crate::process::{Finished, Process};
use crate::socket::Socket;
use crate::{Client, eventually, token};

/// What limits how much is asked.
const LIMITS: [&str; 3] = [
    "VERBATIM_RATE_LIMIT_COMMANDS",
    "VERBATIM_RATE_LIMIT_READS",
    "VERBATIM_RATE_LIMIT_FAILURES",
];

/// A temporary folder with a data folder in it, and what is done to that without a server. With
/// `VERBATIM_TEST_KEEP` in the environment, the folder of a failed test stays.
pub struct Folder {
    root: TempDir,
    cluster: Option<Cluster>,
    /// Further variables of what is started on it.
    pub variables: Vec<(&'static str, String)>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("VERBATIM_TEST_KEEP").is_some() {
            self.root.disable_cleanup(true);
            crate::report(&format!(
                "the data of the failed test is in {}",
                self.root.path().display()
            ));
        }
    }
}

/// `verbatim serve` on a [`Folder`]. Both end with this value.
pub struct TestServer {
    // Before the folder, so that it ends before its folder goes.
    process: Option<Process>,
    address: String,
    /// Where its data lies.
    pub folder: Folder,
}

impl Folder {
    /// An empty one of a new deployment, in the mode of this run.
    ///
    /// # Panics
    /// If there is no room for it.
    pub async fn new() -> Self {
        Self::of(match Mode::of_this_run() {
            Mode::Embedded => None,
            Mode::Cluster => Some(Cluster::shared().await),
        })
    }

    /// An empty one for a node of this cluster, or for an embedded node.
    ///
    /// # Panics
    /// If there is no room for it.
    #[must_use]
    pub fn of(cluster: Option<Cluster>) -> Self {
        Self {
            root: TempDir::with_prefix("verbatim-test-").unwrap(),
            cluster,
            variables: Vec::new(),
        }
    }

    /// The cluster that the nodes on it belong to.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The data folder. It does not exist before a server or an import makes it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// A folder beside the data folder, for files of the test.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.root.path()
    }

    /// The secret that the first server on this folder made.
    ///
    /// # Panics
    /// If there was none yet.
    #[must_use]
    pub fn secret(&self) -> String {
        if let Some(cluster) = &self.cluster {
            return cluster.secret.clone();
        }
        std::fs::read_to_string(self.data().join("jwt-secret"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// A token for a user of the default tenant.
    #[must_use]
    pub fn token(&self, user: &str) -> String {
        token::sign(&token::claims(user), &self.secret())
    }

    /// Starts `verbatim ARGS --data FOLDER`.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Process {
        let mut all: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        all.push("--data".into());
        all.push(self.data().into());
        let mut variables = self.cluster.as_ref().map_or_else(Vec::new, Cluster::variables);
        // Tests and the bench ask as much as they can, as few users; what limits that has tests of its own.
        variables.extend(LIMITS.map(|name| (name, "off".to_owned())));
        variables.extend(self.variables.iter().cloned());
        Process::spawn_with(all, &variables)
    }

    /// Runs `verbatim ARGS --data FOLDER` to its end.
    pub async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        self.spawn(args).wait().await
    }

    /// Runs `verbatim import irc FILES`.
    pub async fn import(&self, files: &[PathBuf]) -> Finished {
        self.spawn_import(files).wait().await
    }

    /// Starts `verbatim import irc FILES`.
    #[must_use]
    pub fn spawn_import(&self, files: &[PathBuf]) -> Process {
        let words = ["import", "irc"].map(Into::into);
        self.spawn(words.into_iter().chain(files.iter().cloned()))
    }

    /// Starts `verbatim serve` on a free port, and waits for nothing.
    #[must_use]
    pub fn spawn_server(&self) -> Process {
        self.spawn(["serve", "--listen", "127.0.0.1:0"])
    }
}

impl TestServer {
    /// A server on a new data folder, ready.
    pub async fn start() -> Self {
        Self::start_on(Folder::new().await).await
    }

    /// A server on this data folder, ready.
    pub async fn start_on(folder: Folder) -> Self {
        let mut server = Self {
            process: None,
            address: String::new(),
            folder,
        };
        server.restart().await;
        server
    }

    /// A further node of the same cluster.
    ///
    /// # Panics
    /// If the server is not one of a cluster.
    pub async fn another(&self) -> Self {
        let cluster = self.folder.cluster().unwrap().clone();
        Self::start_on(Folder::of(Some(cluster))).await
    }

    /// Starts it again on the same data, ending it with SIGKILL if it runs.
    ///
    /// # Panics
    /// If it ends, or is not ready in time.
    pub async fn restart(&mut self) {
        self.kill();
        let mut process = self.folder.spawn_server();
        self.address = eventually("the server says where it listens", || {
            let found = address_in(&process.stdout());
            assert!(
                found.is_some() || process.is_running(),
                "the server ended:\n{}{}",
                process.stdout(),
                process.stderr()
            );
            std::future::ready(found.ok_or_else(|| format!("{}{}", process.stdout(), process.stderr())))
        })
        .await;
        self.process = Some(process);
        let nobody = self.anonymous();
        eventually("the server is ready", || async {
            match nobody.get("/ready").try_send().await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.text()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Waits until the read models have taken in everything that was acknowledged to anyone. A user's
    /// reads wait for that user's own writes alone.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn settled(&self) {
        let nobody = self.anonymous();
        eventually("the read models have caught up", || async {
            let ready: serde_json::Value = nobody.get("/ready").send().await.expect_any(&[200]).json();
            let behind = &ready["behind"]["read_models"];
            if *behind == 0 {
                Ok(())
            } else {
                Err(behind.to_string())
            }
        })
        .await;
    }

    /// Ends it with SIGKILL, if it runs.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it with SIGTERM and says how it ended.
    ///
    /// # Panics
    /// If it does not run, or does not end in time.
    pub async fn terminate(&mut self) -> ExitStatus {
        let process = self.process.take().unwrap();
        process.terminate();
        process.wait().await.status
    }

    /// Whether it was started, and neither killed nor terminated since.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    ///
    /// # Panics
    /// If there is none.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// `host:port` where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client that says nothing of who it is.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(&self.address, None)
    }

    /// A client with this token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(&self.address, Some(token))
    }

    /// A client of this user of the default tenant.
    #[must_use]
    pub fn client(&self, user: &str) -> Client {
        self.with_token(&self.folder.token(user))
    }

    /// A connected socket of this user of the default tenant.
    pub async fn socket(&self, user: &str) -> Socket {
        Socket::connect(&self.address, &self.folder.token(user)).await
    }

    /// A connected socket of a client that comes back with the cursor of the last frame it was given.
    ///
    /// # Panics
    /// If it does not come about.
    pub async fn resume(&self, user: &str, cursor: &str) -> Socket {
        let mut socket = Socket::try_resume(&self.address, &self.folder.token(user), cursor)
            .await
            .unwrap();
        socket.wait("connected").await;
        socket
    }

    /// Stops the server, rebuilds read models and index from the log, and starts it again.
    ///
    /// # Panics
    /// If one of the three fails.
    pub async fn rebuild(&mut self) {
        let status = self.terminate().await;
        assert!(status.success(), "the server ended badly: {status}");
        self.folder.run(["rebuild"]).await.succeeded();
        self.restart().await;
    }
}

/// Where a server listens, once it has said so.
#[must_use]
pub fn address_in(stdout: &str) -> Option<String> {
    stdout.lines().find_map(|line| {
        let (_, address) = line.split_once("listening on http://")?;
        Some(address.split_whitespace().next()?.to_owned())
    })
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(process) = self.process.take().filter(|_| std::thread::panicking()) else {
            return;
        };
        // The last words only: what led to a failed test is at the end.
        let stderr = process.stderr();
        let lines: Vec<_> = stderr.lines().collect();
        let last = &lines[lines.len().saturating_sub(40)..];
        crate::report(&format!(
            "the server of the failed test said:\n{}",
            last.join("\n")
        ));
    }
}
