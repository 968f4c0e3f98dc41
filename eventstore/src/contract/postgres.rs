//! A private Postgres server: on a free port, in a folder of its own, gone when it is dropped.
//!
//! A shell watches over each server. It waits on a pipe that the test process holds the other end of, and
//! ends the server and deletes its folder when the pipe closes. So a server never outlives its tests,
//! however they end, and the one that all tests of a process share needs nobody to drop it.

use std::io::{PipeWriter, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use self::system::{Account, binaries, children_of, is_running};
use super::signal::signal;

mod system;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The user who is asked for a password, when there is one.
const GUARDED: &str = "guarded";

/// How often a server that starts or ends is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How often another port is tried when someone else was quicker.
const ATTEMPTS: usize = 5;

/// Starts the server with the arguments and waits for a word: `fast` shuts it down in order, `gone` says
/// that it was killed, and the end of the pipe, without a word, is the end of the test: the server is ended at
/// once and its folder ($1) deleted.
const WATCH: &str = r#"
folder=$1
shift
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
echo "$server" >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
word=
read -r word
case $word in
    fast) kill -INT "$server" ;;
    gone) ;;
    *) kill -QUIT "$server" ;;
esac
wait "$server"
[ -n "$word" ] || rm -rf "$folder" 2>/dev/null
exit 0
"#;

/// A server whose locale sorts as people do and not by bytes, so that whatever needs an order must name it.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    watcher: Child,
    /// What the watcher reads from; the end of it is the end of the server.
    pipe: PipeWriter,
    pid: u32,
}

impl PostgresServer {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    /// When no binaries are found or it does not start: the test cannot go on.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a server that speaks TLS with this certificate and key (PEM).
    ///
    /// # Panics
    /// Like [`Self::start`].
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        Self::start_with(Some((certificate, key))).await
    }

    async fn start_with(tls: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let account = Account::of_servers();
        account.own(folder.path());
        init(folder.path(), &account);
        let mut settings = Vec::new();
        if let Some((certificate, key)) = tls {
            settings.push("ssl=on".to_owned());
            for (setting, name, pem) in [
                ("ssl_cert_file", "server.crt", certificate),
                ("ssl_key_file", "server.key", key),
            ] {
                let file = folder.path().join(name);
                account.write(&file, pem);
                settings.push(format!("{setting}={}", file.display()));
            }
        }
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Ok(running) = launch(folder.path(), &account, port, &settings).await {
                return Self {
                    folder,
                    port,
                    settings,
                    running: Some(running),
                };
            }
        }
        panic!("the private Postgres did not start:\n{}", log_of(folder.path()));
    }

    /// The server that the tests of this process share; it ends with the process. Each test takes a
    /// [`fresh_namespace`].
    ///
    /// # Panics
    /// Like [`Self::start`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Its processes: the server and everything it started.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.running.as_ref().map_or_else(Vec::new, Running::processes)
    }

    /// Where it takes connections.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(self.port)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Makes a user who may do everything and is asked for this password. Unlike the others, who are asked for
    /// none.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn make_user_with_password(&self, password: &str) -> String {
        let mut connection = PgConnection::connect(&self.url()).await.expect("it answers");
        let make = format!("CREATE ROLE {GUARDED} SUPERUSER LOGIN PASSWORD '{password}'");
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(make))
            .execute(&mut connection)
            .await;
        made.expect("a user can be made");
        GUARDED.to_owned()
    }

    /// Ends it as a crash does: SIGKILL to the server and everything it started. Its folder stays.
    ///
    /// # Panics
    /// When its processes cannot be ended.
    pub async fn kill(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let all = running.processes();
        signal("KILL", &all);
        for pid in all {
            while is_running(pid) {
                sleep(POLL).await;
            }
        }
        running.end(Some("gone"));
    }

    /// Stops it where it is (SIGSTOP), with everything it started: its connections stand, new ones are taken
    /// by the operating system alone, and nothing is answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        signal(name, &self.running.as_ref().expect("the server runs").processes());
    }

    /// Shuts it down in order. Its folder stays.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Some("fast"));
        }
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`], in the same folder and on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.stop();
        let started = launch(
            self.folder.path(),
            &Account::of_servers(),
            self.port,
            &self.settings,
        )
        .await;
        match started {
            Ok(running) => self.running = Some(running),
            Err(()) => panic!(
                "the private Postgres did not start again:\n{}",
                log_of(self.folder.path())
            ),
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // One that a failed test left frozen would not hear that it is to end.
            signal("CONT", &running.processes());
            running.end(None);
        }
    }
}

impl Running {
    /// The server and everything it started. It goes first itself, so that nothing new is started.
    fn processes(&self) -> Vec<u32> {
        let mut all = children_of(self.pid);
        all.insert(0, self.pid);
        all
    }

    /// Tells the watcher how to end, and waits until it has.
    fn end(mut self, word: Option<&str>) {
        if let Some(word) = word {
            // A watcher that is gone has ended its server already.
            let _ = writeln!(self.pipe, "{word}");
        }
        drop(self.pipe);
        let _ = self.watcher.wait();
    }
}

/// A namespace that no other test of this process uses.
#[must_use]
pub fn fresh_namespace() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Upper case and a hyphen, so that a name that is not quoted somewhere does not go unnoticed.
    format!("Test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn url_of(port: u16) -> String {
    format!("postgres://verbatim@127.0.0.1:{port}/postgres")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Makes a database in the folder. It sorts by ICU where the server can, and else as glibc's C.UTF-8 does.
fn init(folder: &Path, account: &Account) {
    let icu = ["--locale-provider=icu", "--icu-locale=en-US"];
    let mut said = String::new();
    for provider in [&icu[..], &[]] {
        let output = account
            .command(&binaries().join("initdb"), folder)
            .arg("--pgdata")
            .arg(folder.join("data"))
            .args([
                "--username=verbatim",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ])
            .arg("--locale=C.UTF-8")
            .args(provider)
            .output()
            .expect("initdb can be run");
        if output.status.success() {
            guard(&folder.join("data/pg_hba.conf"));
            return;
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        let _ = std::fs::remove_dir_all(folder.join("data"));
    }
    panic!("initdb failed, as {account:?} in {}:\n{said}", folder.display());
}

/// Has one user asked for a password: the first line that fits a connection decides.
fn guard(rules: &Path) {
    let others = std::fs::read_to_string(rules).expect("what initdb wrote can be read");
    let rule = format!("host all {GUARDED} all scram-sha-256\n");
    // Written in place, so that it stays its owner's.
    std::fs::write(rules, rule + &others).expect("what initdb wrote can be written");
}

/// Starts a server on this port; an error when it ends instead, as when someone else has the port.
async fn launch(folder: &Path, account: &Account, port: u16, settings: &[String]) -> Result<Running, ()> {
    let pid_file = folder.join("pid");
    let _ = std::fs::remove_file(&pid_file);
    let mut running = spawn(folder, account, port, settings);
    let deadline = Instant::now() + START_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(pid) = written_in(&pid_file) {
            running.pid = pid;
            if answers(port, folder).await {
                return Ok(running);
            }
            if !is_running(pid) {
                break;
            }
        }
        sleep(POLL).await;
    }
    running.end(Some("fast"));
    Err(())
}

fn spawn(folder: &Path, account: &Account, port: u16, more: &[String]) -> Running {
    let port_setting = format!("port={port}");
    let settings = [
        &*port_setting,
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=on",
        "synchronous_commit=on",
        "max_connections=300",
        "shared_buffers=64MB",
        "log_min_messages=warning",
        "log_min_error_statement=panic",
    ];
    let mut command = account.command(Path::new("/bin/sh"), folder);
    command
        .args(["-c", WATCH, "watch"])
        .arg(folder)
        .arg(binaries().join("postgres"))
        .arg("-D")
        .arg(folder.join("data"));
    for setting in settings.into_iter().chain(more.iter().map(String::as_str)) {
        command.args(["-c", setting]);
    }
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let watcher = command
        // So that what interrupts the tests ends the server through the pipe alone, and in order.
        .process_group(0)
        .stdin(reader)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be run");
    Running {
        watcher,
        pipe,
        pid: 0,
    }
}

fn written_in(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether it is the server of this folder that answers there.
async fn answers(port: u16, folder: &Path) -> bool {
    let asking = async {
        let mut connection = PgConnection::connect(&url_of(port)).await.ok()?;
        let data: String = sqlx::query_scalar("SHOW data_directory")
            .fetch_one(&mut connection)
            .await
            .ok()?;
        let _ = connection.close().await;
        Some(Path::new(&data) == folder.join("data"))
    };
    tokio::time::timeout(Duration::from_secs(5), asking)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}

#[cfg(test)]
mod tests;
