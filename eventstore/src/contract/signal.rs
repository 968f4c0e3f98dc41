//! Signals to the servers of tests.

use std::process::Command;

/// Sends a signal to all of these. One that is gone already is no error.
pub(super) fn signal(name: &str, pids: &[u32]) {
    let mut command = Command::new("/bin/sh");
    // The shell's own `kill` is everywhere; the program of that name is not.
    command.args([
        "-c",
        "name=$1; shift; kill -s \"$name\" \"$@\" 2>/dev/null",
        "signal",
        name,
    ]);
    command.args(pids.iter().map(u32::to_string));
    let _ = command.status().expect("a shell can be run");
}
