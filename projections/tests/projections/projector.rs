//! The projector over a log: it resumes, tries again, stops, and says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::ConversationId;
use domain::testing::user;
use eventstore::codec::Codec;
use eventstore::envelope::Commit;
use eventstore::log::EventLog;
use eventstore::subject::Stream;
use projections::contract::{History, Home, tenant};
use projections::{ProjectionStore, ProjectorStatus, ReadModel};

use crate::home::SqliteHome;
use crate::memory_log::MemoryLog;
use crate::written::{DEADLINE, Keys, Running, write};

fn busy_history(log: &MemoryLog) -> Vec<Commit> {
    let mut history = History::of(log.epoch(), 0);
    let names = ["ann", "bob", "cid", "dan"];
    let ids: Vec<_> = (1..=5).map(|number| history.group(number, &names)).collect();
    for round in 0..60 {
        let id = ids[round % ids.len()];
        history.send_all(id, &[names[round % 4], names[round % 3]]);
        history.read(id, names[round % 2], 1 + round as u64 / 10);
        history.profile(names[round % 4], &format!("name {round}"));
    }
    history.pending
}

async fn tables_at_once<H: Home>(log: &Arc<MemoryLog>, codec: &Codec) -> String {
    let home = H::fresh().await;
    let running = Running::start(log, codec, home.open().await);
    running.caught_up(log).await;
    running.stop().await;
    home.dump().await
}

async fn until(running: &Running, wanted: impl Fn(&ProjectorStatus) -> bool) -> ProjectorStatus {
    let polling = async {
        loop {
            let status = running.projector.statuses().worst();
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, polling).await.unwrap()
}

pub(crate) async fn what_is_appended_is_readable_when_the_progress_says_so<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(4)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let running = Running::start(&log, &codec, store.clone());
    let mut history = History::of(log.epoch(), 0);
    let id = history.group(1, &["ann", "bob"]);
    write(&log, &codec, &history.pending).await;
    for expected in 1..20 {
        history.pending.clear();
        history.send(id, "bob");
        write(&log, &codec, &history.pending).await;
        running.caught_up(&log).await;
        assert_eq!(
            store.unread(&tenant(), &user("ann"), id).await.unwrap(),
            Some(expected)
        );
    }
    assert_eq!(
        running.projector.statuses().all(),
        vec![ProjectorStatus::Running; 4]
    );
    running.stop().await;
}

pub(crate) async fn a_projector_that_is_killed_again_and_again_ends_with_the_same_tables<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(2)), Codec::new(Arc::new(Keys::default())));
    let commits = busy_history(&log);
    let home = H::fresh().await;
    for (round, part) in commits.chunks(9).enumerate() {
        write(&log, &codec, part).await;
        let running = Running::start(&log, &codec, home.open().await);
        // Sometimes before it began, sometimes in the middle, sometimes when it was done.
        match round % 4 {
            3 => running.caught_up(&log).await,
            turns => {
                for _ in 0..turns * 7 {
                    tokio::task::yield_now().await;
                }
            }
        }
        running.abort().await;
    }
    let running = Running::start(&log, &codec, home.open().await);
    running.caught_up(&log).await;
    running.stop().await;
    assert_eq!(home.dump().await, tables_at_once::<H>(&log, &codec).await);
}

pub(crate) async fn two_projectors_on_one_store_take_in_everything_once<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let [one, other] = [(); 2].map(|()| Running::start(&log, &codec, store.clone()));
    write(&log, &codec, &busy_history(&log)).await;
    one.caught_up(&log).await;
    other.caught_up(&log).await;
    one.stop().await;
    other.stop().await;
    assert_eq!(home.dump().await, tables_at_once::<H>(&log, &codec).await);
}

pub(crate) async fn what_is_away_for_a_while_is_tried_again<H: Home>() {
    let keys = Arc::new(Keys::default());
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(keys.clone()));
    write(&log, &codec, &busy_history(&log)).await;
    log.fail_reads(2);
    keys.fail(2);
    let home = H::fresh().await;
    // A codec that remembers no key.
    let running = Running::start(&log, &Codec::new(keys), home.open().await);
    until(&running, |status| {
        matches!(status, ProjectorStatus::Retrying { .. })
    })
    .await;
    running.caught_up(&log).await;
    until(&running, |status| *status == ProjectorStatus::Running).await;
    running.stop().await;
    assert_eq!(home.dump().await, tables_at_once::<H>(&log, &codec).await);
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(Arc::new(Keys::default())));
    let home = SqliteHome::fresh().await;
    let store = home.open().await;
    let running = Running::start(&log, &codec, store.clone());
    store.close().await.unwrap();
    write(&log, &codec, &busy_history(&log)).await;
    until(&running, |status| {
        matches!(status, ProjectorStatus::Retrying { .. })
    })
    .await;
    running.stop().await;
}

pub(crate) async fn what_cannot_be_decoded_stops_its_shard_and_no_other<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(2)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::of(log.epoch(), 0);
    let of_shard = |shard: u16| {
        let stream = |number| Stream::Conversation(tenant(), ConversationId::from_bytes([number; 16]));
        (1..)
            .find(|number| log.shard_of(&stream(*number)) == shard)
            .unwrap()
    };
    let [one, two] = [0, 1].map(|shard| history.group(of_shard(shard), &["ann", "bob"]));
    history.send(one, "bob");
    write(&log, &codec, &history.pending).await;
    let bad = log.push(
        Stream::Conversation(tenant(), one),
        Bytes::from_static(b"{\"v\":9}"),
    );
    history.pending.clear();
    history.send(one, "bob");
    history.send(two, "bob");
    write(&log, &codec, &history.pending).await;

    let running = Running::start(&log, &codec, store.clone());
    let status = until(&running, |status| *status != ProjectorStatus::Running).await;
    let ProjectorStatus::Stopped { reason } = status else {
        panic!("{status:?}")
    };
    assert!(reason.contains(&format!("sequence {bad} of shard 0")), "{reason}");
    assert_eq!(
        store.unread(&tenant(), &user("ann"), one).await.unwrap(),
        Some(1),
        "all before it is there"
    );
    assert!(running.projector.progress().get(0) < bad);
    let end = log.position(1, log.end(1).await.unwrap());
    assert!(running.projector.progress().reached(end, DEADLINE).await);
    assert_eq!(store.unread(&tenant(), &user("ann"), two).await.unwrap(), Some(1));
    assert_eq!(running.projector.statuses().all()[1], ProjectorStatus::Running);
    running.stop().await;
}

pub(crate) async fn a_commit_that_does_not_follow_stops_the_projector<H: Home>() {
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(Arc::new(Keys::default())));
    let home = H::fresh().await;
    let mut history = History::of(log.epoch(), 0);
    let id = history.group(1, &["ann"]);
    history.send(id, "nobody");
    write(&log, &codec, &history.pending).await;
    let running = Running::start(&log, &codec, home.open().await);
    let status = until(&running, |status| *status != ProjectorStatus::Running).await;
    let ProjectorStatus::Stopped { reason } = status else {
        panic!("{status:?}")
    };
    assert!(reason.contains("never a member"), "{reason}");
    running.stop().await;
}

pub(crate) async fn a_store_of_another_log_is_never_resumed<H: Home>() {
    let codec = Codec::new(Arc::new(Keys::default()));
    let (log, restored) = (Arc::new(MemoryLog::new(1)), Arc::new(MemoryLog::new(1)));
    let home = H::fresh().await;
    let store = home.open().await;
    write(&log, &codec, &busy_history(&log)).await;
    let running = Running::start(&log, &codec, store.clone());
    running.caught_up(&log).await;
    running.stop().await;
    let before = home.dump().await;
    write(&restored, &codec, &busy_history(&restored)).await;
    let running = Running::start(&restored, &codec, store.clone());
    assert!(running.projector.verify().await.is_err());
    until(&running, |status| {
        matches!(status, ProjectorStatus::Stopped { .. })
    })
    .await;
    running.stop().await;
    assert_eq!(home.dump().await, before);
    assert_eq!(store.checkpoint(0).await.unwrap().unwrap().epoch, log.epoch());
}
