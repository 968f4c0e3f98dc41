//! The executor on real logs: many clients, repeats, stale nodes, lost acknowledgements, bounds,
//! snapshots and read marks; and on a log in memory whose time and faults the test decides.

#![allow(clippy::unwrap_used, reason = "a test and what supports it fail by panicking")]

/// Makes a test of each scenario on each of the two logs.
macro_rules! on_both_logs {
    ($($scenario:ident),* $(,)?) => {
        mod embedded {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::executor::world::World::embedded().await).await;
            }
        )*}
        mod jetstream {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario($crate::executor::world::World::jetstream().await).await;
            }
        )*}
    };
}

mod executor {
    mod history;
    mod logs;
    mod stores;
    mod world;

    mod away;
    mod bounds;
    mod contention;
    mod lag;
    mod lifecycle;
    mod lost_acks;
    mod marks;
    mod messages;
    mod parts;
    mod repeats;
    mod simulation;
    mod snapshots;
    mod stale;
    mod undecodable;
}
