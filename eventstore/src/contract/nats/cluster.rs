//! A private cluster of NATS servers that keep copies of each other's streams.

use std::net::TcpListener;
use std::process::Child;

use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::{Client, ConnectOptions, jetstream};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::launch;
use crate::contract::signal::signal;

/// How long the servers may take to find each other and to elect a leader.
const FORM_TIMEOUT: Duration = Duration::from_secs(60);

/// How often that is tried, and how long an answer may take.
const FORM_POLL: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The variable with which the folders of a failed test stay.
const KEEP: &str = "VERBATIM_TEST_KEEP";

/// Servers that form one cluster.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    folder: TempDir,
    settings: String,
    port: u16,
    process: Child,
}

impl NatsCluster {
    /// Starts so many servers and waits until a stream with a copy on each of them can be made.
    ///
    /// # Panics
    /// When no binary is found or the cluster does not form: the test cannot go on.
    pub async fn start(size: usize) -> Self {
        // All are held at once, so that none is given twice.
        let held: Vec<_> = (0..size)
            .map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"))
            .collect();
        let routes: Vec<_> = held
            .iter()
            .map(|listener| listener.local_addr().expect("a bound port").to_string())
            .collect();
        drop(held);
        let urls: Vec<_> = routes.iter().map(|route| format!("\"nats://{route}\"")).collect();
        let mut servers = Vec::with_capacity(size);
        for (number, route) in routes.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let settings = format!(
                "server_name: \"{}\"\ncluster {{\n  name: \"private\"\n  listen: \"{route}\"\n  routes: [{}]\n}}\n",
                name(number),
                urls.join(", "),
            );
            let (process, port) = launch(folder.path(), None, &settings).await;
            servers.push(Server {
                folder,
                settings,
                port,
                process,
            });
        }
        let cluster = Self { servers };
        cluster.form().await;
        cluster
    }

    /// Where the servers take connections, separated by commas.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<_> = self.servers.iter().map(Server::url).collect();
        urls.join(",")
    }

    /// A new connection to whichever server answers.
    ///
    /// # Panics
    /// When none does.
    pub async fn client(&self) -> Client {
        let servers: Vec<_> = self.servers.iter().map(Server::url).collect();
        ConnectOptions::new()
            .connection_timeout(ANSWER_TIMEOUT)
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .connect(servers)
            .await
            .expect("a private nats-server answers")
    }

    /// The server that leads a stream, if one does just now.
    pub async fn leader(&self, stream: &str) -> Option<usize> {
        let asked = async {
            let context = jetstream::new(self.client().await);
            context
                .get_stream(stream)
                .await
                .ok()?
                .cached_info()
                .cluster
                .clone()?
                .leader
        };
        let leader = timeout(ANSWER_TIMEOUT, asked).await.ok()??;
        (0..self.servers.len()).find(|number| name(*number) == leader)
    }

    /// Whether a stream has a leader just now, and all of its other copies are as new. Until then a further
    /// server that goes away may be one too many.
    pub async fn is_whole(&self, stream: &str) -> bool {
        let asked = async {
            let context = jetstream::new(self.client().await);
            let info = context.get_stream(stream).await.ok()?.cached_info().clone();
            info.cluster
        };
        let Ok(Some(cluster)) = timeout(ANSWER_TIMEOUT, asked).await else {
            return false;
        };
        let others = self.servers.len() - 1;
        cluster.leader.is_some()
            && cluster.replicas.len() == others
            && cluster
                .replicas
                .iter()
                .all(|replica| replica.current && !replica.offline)
    }

    /// Ends a server as a crash does (SIGKILL). Its folder stays.
    ///
    /// # Panics
    /// When its process cannot be ended.
    pub fn kill(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.process.kill().expect("an own process can be ended");
        server.process.wait().expect("an own process can be waited for");
    }

    /// Starts a server again after [`Self::kill`], in the same folder and on the same ports.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self, number: usize) {
        let server = &mut self.servers[number];
        let started = launch(server.folder.path(), Some(server.port), &server.settings).await;
        server.process = started.0;
    }

    /// Stops a server where it is (SIGSTOP): its connections stand, and nothing comes by them.
    pub fn freeze(&self, number: usize) {
        signal("STOP", &[self.servers[number].process.id()]);
    }

    /// Lets it go on (SIGCONT), believing what it believed before.
    pub fn thaw(&self, number: usize) {
        signal("CONT", &[self.servers[number].process.id()]);
    }

    /// Waits until a stream can be made that every server has a copy of.
    async fn form(&self) {
        let context = jetstream::new(self.client().await);
        let deadline = Instant::now() + FORM_TIMEOUT;
        loop {
            let probe = Config {
                name: "probe".to_owned(),
                storage: StorageType::Memory,
                num_replicas: self.servers.len(),
                ..Config::default()
            };
            let made = timeout(ANSWER_TIMEOUT, context.create_stream(probe)).await;
            if let Ok(Ok(_)) = made {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "the NATS cluster does not form: {made:?}"
            );
            sleep(FORM_POLL).await;
        }
        while !matches!(
            timeout(ANSWER_TIMEOUT, context.delete_stream("probe")).await,
            Ok(Ok(_))
        ) {
            assert!(Instant::now() < deadline, "the NATS cluster does not stay");
            sleep(FORM_POLL).await;
        }
    }
}

impl Server {
    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be ended again.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() && std::env::var_os(KEEP).is_some() {
            self.folder.disable_cleanup(true);
        }
    }
}

fn name(number: usize) -> String {
    format!("server-{number}")
}
