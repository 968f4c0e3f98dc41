//! Taking turns: how the actors of one stream on several nodes share it.
//!
//! Whoever appended last needs only to decide and to append again; everyone else has to read what it
//! appended first, and comes too late every time, for as long as it goes on without a pause. So an
//! actor that has appended often in a row rests for a moment, long enough for another to read, decide
//! and append; then that one is the one who is ahead.

use std::time::Duration;

use tokio::time::Instant;

/// Own appends in a row before a rest, where other nodes append to the stream too.
const SHARED_STREAK: u32 = 32;
/// Own appends in a row before a rest, where no other node was seen: one that was never let in is not.
const STREAK: u32 = 256;
/// How long a rest is, and a pause after which nobody needs one.
const BREATH: Duration = Duration::from_millis(12);
/// How long another node's commit makes a stream a shared one.
const SHARED: Duration = Duration::from_secs(60);
/// The first pause after a conflict; it doubles up to the longest, and two fit into a breath.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(4);
/// How long a turn tries to get in before its commands are given up as too contended.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct Turns {
    /// Own appends since the stream was last left to others.
    streak: u32,
    /// When the last of them was acknowledged.
    appended: Option<Instant>,
    /// When another node's commit was last seen.
    shared: Option<Instant>,
}

impl Turns {
    /// Before a turn: rests when it is time to.
    pub(super) async fn breathe(&mut self) {
        let shared = self.shared.is_some_and(|seen| seen.elapsed() < SHARED);
        let idle = self.appended.is_none_or(|appended| appended.elapsed() >= BREATH);
        if idle {
            self.streak = 0;
        } else if self.streak >= if shared { SHARED_STREAK } else { STREAK } {
            tokio::time::sleep(BREATH).await;
            self.streak = 0;
        }
    }

    /// An append of this actor was acknowledged.
    pub(super) fn appended(&mut self) {
        self.streak += 1;
        self.appended = Some(Instant::now());
    }

    /// Another node's commit was met.
    pub(super) fn met_another(&mut self) {
        self.streak = 0;
        self.shared = Some(Instant::now());
    }
}

/// What a turn does between its attempts.
pub(super) struct Contention {
    pause: Duration,
    deadline: Instant,
}

impl Contention {
    pub(super) fn new() -> Self {
        Self {
            pause: FIRST_PAUSE,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Waits before the next attempt; `false` when there should be none.
    pub(super) async fn pause(&mut self) -> bool {
        super::rest(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Instant::now() < self.deadline
    }
}
