//! What a private Postgres needs of the system: its binaries, an account, and its processes by id.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the folder of the server's binaries; `scripts/test` sets it.
const BINARIES: &str = "VERBATIM_TEST_POSTGRES_BIN";

/// Where Debian keeps the binaries of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of the server's binaries: the one that is named, the one on PATH, Debian's newest.
pub(super) fn binaries() -> PathBuf {
    if let Some(named) = std::env::var_os(BINARIES) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<_> = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|version| version.ok()?.file_name().into_string().ok()?.parse::<u32>().ok())
        .collect();
    debian.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
    let debian = debian
        .into_iter()
        .map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .unwrap_or_else(|| {
            panic!("no Postgres: run scripts/test, which installs one, or name its folder in {BINARIES}")
        })
}

/// Who runs the server. Postgres refuses to run as root, so root's tests run it as somebody else.
#[derive(Debug)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    pub(super) fn of_servers() -> Self {
        const ROOT: u32 = 0;
        // The owner of a process's folder there is the user it runs as.
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == ROOT);
        if !is_root {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = |wanted: &str| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let is_wanted = fields.next() == Some(wanted);
                let mut ids = fields.skip(1).map(|field| field.parse().ok());
                is_wanted.then_some((ids.next()??, ids.next()??))
            })
        };
        let found = ["postgres", "nobody"].into_iter().find_map(ids);
        Self(Some(found.expect("a user that is not root: postgres or nobody")))
    }

    /// Hands a folder over to it.
    pub(super) fn own(&self, folder: &Path) {
        if let Some((user, group)) = self.0 {
            chown(folder, Some(user), Some(group)).expect("an own folder can be handed over");
        }
    }

    /// Writes a file that is its alone.
    pub(super) fn write(&self, file: &Path, text: &str) {
        std::fs::write(file, text).expect("an own folder can be written");
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).expect("an own file can be closed");
        self.own(file);
    }

    /// A command that it runs in this folder.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env("HOME", folder);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

/// State and parent of a process. A zombie has ended, and only its parent has not looked yet.
fn state_of(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

pub(super) fn is_running(pid: u32) -> bool {
    state_of(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| state_of(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}
