//! End-to-end tests over real sockets, real files and real processes: what they are made of.
//!
//! The scenarios, in `tests/scenarios`, start the binary `verbatim` as a user does and see only what a
//! user sees. So nothing here comes from the server's crates but the private NATS and Postgres that their
//! own tests start too, and everything that answers are compared with (the parser of the IRC logs in [`irc`], the fold in [`model`], the ledgers in [`ledger`]) is written
//! a second time and differently. In reading order: [`process`] and [`server`] run the binary, [`client`]
//! and [`socket`] speak to it, [`shapes`] is what it answers, and [`document`] what it says that it answers.

#![allow(
    clippy::unwrap_used,
    reason = "this is test support: what fails here should end the test, loudly and where it happened"
)]

use std::io::Write;
use std::time::{Duration, Instant};

pub mod answer;
pub mod answers;
pub mod bucket;
pub mod certificates;
pub mod chance;
pub mod client;
pub mod corpus;
pub mod deployment;
pub mod device;
pub mod document;
pub mod irc;
pub mod ledger;
pub mod listener;
pub mod load;
pub mod model;
pub mod nodes;
pub mod process;
pub mod receiver;
pub mod server;
pub mod shapes;
pub mod socket;
pub mod surface;
pub mod token;

pub use answer::Answer;
pub use client::Client;
pub use listener::Listener;
pub use nodes::Nodes;
pub use process::Process;
pub use server::{Folder, TestServer};
pub use socket::{Frame, Socket};

/// How long a test waits for what must come. Long, because the machines that run tests are shared; a
/// test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether what a test does to the server for some seconds is to go on for a minute: `VERBATIM_TEST_LONG`.
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("VERBATIM_TEST_LONG").is_some()
}

/// Tries until it succeeds, and gives the outcome.
///
/// # Panics
/// If it has not succeeded within [`PATIENCE`], with the last reason why not.
pub async fn eventually<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(outcome) => return outcome,
            Err(reason) => assert!(start.elapsed() < PATIENCE, "{what}: not in time: {reason}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes a measurement to standard error, where it is seen although the test passed.
pub fn report(text: &str) {
    let _ = writeln!(std::io::stderr(), "measured: {text}");
}
