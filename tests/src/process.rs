//! The binary `verbatim` as a child process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// A running `verbatim`, which ends with this value.
pub struct Process {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// A `verbatim` that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts the binary with these arguments.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::spawn_with(args, &[])
    }

    /// Starts the binary with these arguments and variables. Its configuration comes from them alone:
    /// `VERBATIM_*` variables of the environment are not passed on.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn_with<A: AsRef<OsStr>>(
        args: impl IntoIterator<Item = A>,
        variables: &[(&str, String)],
    ) -> Self {
        let mut command = Command::new(binary());
        command.args(args);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("VERBATIM_") {
                command.env_remove(name);
            }
        }
        command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, read_stdout) = collect(child.stdout.take().unwrap());
        let (stderr, read_stderr) = collect(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
            readers: vec![read_stdout, read_stderr],
        }
    }

    /// What it wrote to standard output so far.
    ///
    /// # Panics
    /// Never in practice: the reader does not panic.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it wrote to standard error so far.
    ///
    /// # Panics
    /// Never in practice: the reader does not panic.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running.
    ///
    /// # Panics
    /// If the operating system does not know it.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end, with SIGTERM.
    ///
    /// # Panics
    /// If the signal cannot be sent.
    pub fn terminate(&self) {
        // The shell's own `kill` is everywhere; the program of that name is not.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        assert!(sent.unwrap().success(), "SIGTERM could not be sent");
    }

    /// Ends it with SIGKILL, at once and wherever it is. True if it was still running.
    ///
    /// # Panics
    /// If the operating system does not know it.
    pub fn kill(&mut self) -> bool {
        let was_running = self.is_running();
        if was_running {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        was_running
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it is still running after five times [`PATIENCE`].
    pub async fn wait(self) -> Finished {
        self.wait_for(5 * PATIENCE).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it is still running after this time.
    pub async fn wait_for(mut self, patience: Duration) -> Finished {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let output = || format!("{}{}", self.stdout(), self.stderr());
            assert!(start.elapsed() < patience, "verbatim does not end:\n{}", output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        Finished {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Finished {
    /// The same, if it ended well.
    ///
    /// # Panics
    /// If it did not.
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "verbatim failed: {self:#?}");
        self
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end on a thread, so that the process never waits for someone to read what it writes.
fn collect(source: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
            sink.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    (text, reader)
}

/// The binary of the profile that this test was built with, beside the folder of the running test, or beside the
/// running program. It is built once per process, which takes no time when it is fresh. `VERBATIM_TEST_BINARY`
/// names another one, and nothing is built.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("VERBATIM_TEST_BINARY") {
            return path.into();
        }
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap();
        let folder = if folder.ends_with("deps") {
            folder.parent().unwrap()
        } else {
            folder
        };
        let profile = match folder.file_name().and_then(OsStr::to_str).unwrap() {
            "debug" => "dev",
            other => other,
        };
        // --workspace, so that features unify as they do for the tests and nothing is built twice.
        let build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()))
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--bin",
                "verbatim",
                "--profile",
                profile,
            ])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status();
        assert!(build.unwrap().success(), "the binary does not build");
        let path = folder.join("verbatim");
        assert!(path.exists(), "no binary at {}", path.display());
        path
    })
}
