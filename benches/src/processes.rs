//! What processes cost: CPU time and memory, as the kernel tells it.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How often a process that comes to its end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Lets this process, and those it starts, have as many open files as the system permits: a socket is one.
pub(crate) fn raise_limits() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // With the old limit, the scenarios of many sockets say so themselves.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// CPU seconds that a process has used so far, in user mode and in the kernel, with those of its children that
/// have ended.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    // Fields 14 to 17, counted in hundredths of a second; the second field may hold spaces.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(4);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Memory of a process that is in RAM, in KiB.
pub(crate) fn rss_kib(pid: u32) -> f64 {
    status_kib(pid, "VmRSS:")
}

/// The most memory of a process that was in RAM so far, in KiB.
pub(crate) fn peak_kib(pid: u32) -> f64 {
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// Does something while a process comes to its end, and says what that process used: CPU seconds, and the most
/// memory in KiB.
pub(crate) async fn watch<T>(pid: u32, work: impl Future<Output = T>) -> (T, f64, f64) {
    let mut work = std::pin::pin!(work);
    let (mut cpu, mut peak) = (0.0, 0.0);
    loop {
        tokio::select! {
            done = &mut work => return (done, cpu, peak),
            () = tokio::time::sleep(LOOK) => {
                cpu = cpu_seconds(pid).max(cpu);
                peak = peak_kib(pid).max(peak);
            }
        }
    }
}
