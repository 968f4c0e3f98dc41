//! Following the log: resuming, refusing another log, stopping at what cannot be decoded, waiting for
//! what is away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use eventstore::{Epoch, EventLog, ResumeError, Stream};
use search_indexer::{SearchIndex, StartError, Status};
use tokio_util::sync::CancellationToken;

use crate::support::{Chat, MemoryLog, conversation, ids, request, tenant, until, user};

fn count(index: &SearchIndex, text: &str) -> u64 {
    index
        .search(&request("t", &[conversation(1)], text))
        .unwrap()
        .total
}

#[tokio::test]
async fn it_resumes_where_it_was_and_takes_in_nothing_twice() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        for _ in 0..5 {
            chat.say("t", conversation(1), "ann", "word").await;
        }
        let cancel = CancellationToken::new();
        let index = SearchIndex::open(dir.path()).unwrap();
        let indexer = chat.try_follow(&index, cancel.clone()).await.unwrap();
        if round != 2 {
            chat.caught_up(&indexer).await;
            assert_eq!(count(&index, "word"), round * 5);
        }
        cancel.cancel();
        assert_eq!(indexer.stopped().await.reason, "it was shut down");
        assert_eq!(
            indexer.status(),
            Status::Stopped {
                reason: "it was shut down".to_owned()
            }
        );
        assert!(indexer.commit_now().await.is_err());
    }
}

#[tokio::test]
async fn the_end_commits_what_was_taken_in() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(dir.path()).unwrap();
    let indexer = chat.follow(&index).await;
    // The first one is committed soon; the second one then has a second to wait, and does not get it.
    for (n, author) in ["ann", "bob"].iter().enumerate() {
        chat.say("t", conversation(1), author, "word").await;
        until("it is read", || {
            chat.keys.found.load(Ordering::SeqCst) == n as u64 + 1
        })
        .await;
        if n == 0 {
            until("it is committed", || index.messages() == 1).await;
        }
    }
    drop(indexer);
    until("it is committed", || index.messages() == 2).await;
}

#[tokio::test]
async fn a_message_is_found_within_about_a_second() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(dir.path()).unwrap();
    let indexer = chat.follow(&index).await;
    for sequence in 1..=3 {
        chat.say("t", conversation(1), "ann", "word").await;
        let position = chat.log.position(0, sequence);
        assert!(
            indexer
                .progress()
                .reached(position, Duration::from_secs(10))
                .await
        );
        assert_eq!(count(&index, "word"), sequence);
    }
}

#[tokio::test]
async fn a_second_indexer_on_one_index_is_refused() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    assert!(matches!(
        chat.try_follow(&index, CancellationToken::new()).await,
        Err(StartError::Busy)
    ));
}

#[tokio::test]
async fn an_answer_says_how_far_the_index_is() {
    let chat = Chat::new();
    chat.say("t", conversation(1), "ann", "word").await;
    let dir = tempfile::tempdir().unwrap();
    let (index, indexer) = chat.index(dir.path()).await;
    let indexed = || {
        index
            .search(&request("t", &[conversation(1)], "word"))
            .unwrap()
            .indexed
    };
    assert_eq!(indexed(), [chat.log.position(0, 1)]);

    // What changes nothing needs no commit to be taken in.
    let sequence = chat.mark_read("t", conversation(1), "ann").await;
    chat.caught_up(&indexer).await;
    assert_eq!(indexed(), [chat.log.position(0, sequence)]);
}

#[tokio::test]
async fn another_log_is_refused() {
    let chat = Chat::new();
    chat.say("t", conversation(1), "ann", "one").await;
    chat.say("t", conversation(1), "ann", "two").await;
    let dir = tempfile::tempdir().unwrap();
    let (index, indexer) = chat.index(dir.path()).await;
    drop(indexer);
    let refused = async |chat: &Chat| match chat.try_follow(&index, CancellationToken::new()).await {
        Err(StartError::Foreign(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    };

    let recreated = chat.over(MemoryLog::of(Epoch::draw(), chat.log.records()));
    assert!(matches!(
        refused(&recreated).await,
        ResumeError::ForeignEpoch { .. }
    ));

    let backup = chat.over(MemoryLog::of(chat.log.epoch(), chat.log.records()[..1].to_vec()));
    assert!(matches!(
        refused(&backup).await,
        ResumeError::ForeignCommit { sequence: 2, .. }
    ));
    backup.say("t", conversation(1), "ann", "another two").await;
    assert!(matches!(
        refused(&backup).await,
        ResumeError::ForeignCommit { sequence: 2, .. }
    ));
    assert_eq!(index.messages(), 2);
}

#[tokio::test]
async fn what_cannot_be_decoded_stops_it_and_is_never_skipped() {
    let chat = Chat::new();
    chat.say("t", conversation(1), "ann", "before").await;
    let bad = chat.log.push(
        Stream::Conversation(tenant("t"), conversation(1)),
        Bytes::from_static(b"{secret"),
    );
    chat.say("t", conversation(1), "ann", "after").await;
    let dir = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(dir.path()).unwrap();
    let indexer = chat.follow(&index).await;
    let stopped = indexer.stopped().await;
    assert!(stopped.reason.contains(&format!("sequence {bad}")), "{stopped}");
    assert!(!stopped.reason.contains("secret"));
    assert_eq!((count(&index, "before"), count(&index, "after")), (1, 0));
    assert_eq!(indexer.progress().get(0), bad - 1);
}

#[tokio::test]
async fn it_waits_for_a_log_that_is_away() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    chat.log.set_away(true);
    let index = SearchIndex::open(dir.path()).unwrap();
    let indexer = chat.follow(&index).await;
    until("it retries", || {
        matches!(indexer.status(), Status::Retrying { .. })
    })
    .await;
    chat.log.set_away(false);
    chat.say("t", conversation(1), "ann", "one").await;
    chat.caught_up(&indexer).await;
    assert_eq!(indexer.status(), Status::Running);

    chat.log.set_away(true);
    until("it retries", || {
        matches!(indexer.status(), Status::Retrying { .. })
    })
    .await;
    chat.say("t", conversation(1), "ann", "two").await;
    chat.log.set_away(false);
    chat.caught_up(&indexer).await;
    assert_eq!(index.messages(), 2);
}

#[tokio::test]
async fn it_waits_for_keys_that_are_away() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    chat.say("t", conversation(1), "ann", "one").await;
    chat.keys.away.store(true, Ordering::SeqCst);
    let index = SearchIndex::open(dir.path()).unwrap();
    let indexer = chat.follow(&index).await;
    until("it retries", || {
        matches!(indexer.status(), Status::Retrying { .. })
    })
    .await;
    assert_eq!(index.messages(), 0);
    chat.keys.away.store(false, Ordering::SeqCst);
    chat.caught_up(&indexer).await;
    assert_eq!(count(&index, "one"), 1);
}

#[tokio::test]
async fn what_a_user_wrote_is_not_taken_in_once_the_key_is_gone() {
    let chat = Chat::new();
    chat.say("t", conversation(1), "ann", "word").await;
    let kept = chat.say("t", conversation(1), "bob", "word").await;
    chat.keys.erase(&tenant("t"), &user("ann"));
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    let page = index.search(&request("t", &[conversation(1)], "word")).unwrap();
    assert_eq!(
        (ids(&page), page.total, page.facets.by_user),
        (vec![kept], 1, vec![(user("bob"), 1)])
    );
}

#[tokio::test]
async fn searches_run_beside_it() {
    let chat = Chat::new();
    let dir = tempfile::tempdir().unwrap();
    let (index, indexer) = chat.index(dir.path()).await;
    for round in 1..=20 {
        chat.say("t", conversation(1), "ann", "word").await;
        chat.caught_up(&indexer).await;
        let page = index
            .query(request("t", &[conversation(1)], "word"))
            .await
            .unwrap();
        assert_eq!(page.total, round);
        indexer.commit_now().await.unwrap();
    }
}
