//! A rebuilt index equals the live one, but for what was erased; and no crash loses both.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eventstore::{EventLog, Progress, Stream};
use search_indexer::{Origin, RebuildError, Rebuilt, SearchIndex, SearchPage, SearchRequest};
use tokio_util::sync::CancellationToken;

use crate::support::{Chat, conversation, request, tenant, user};

async fn rebuild(chat: &Chat, dir: &Path, cancel: CancellationToken) -> Result<Rebuilt, RebuildError> {
    let log = Arc::clone(&chat.log) as Arc<dyn EventLog>;
    search_indexer::rebuild(dir, log, chat.codec(), Progress::new(1), cancel).await
}

async fn small_talk() -> Chat {
    let chat = Chat::new();
    for n in 0..200_u8 {
        let text = format!("word{} and word{} secret{}", n % 7, n % 3, n % 2);
        chat.say(
            "t",
            conversation(n % 3),
            if n % 2 == 0 { "ann" } else { "bob" },
            &text,
        )
        .await;
    }
    chat
}

fn answers(index: &SearchIndex) -> Vec<SearchPage> {
    let own = [conversation(0), conversation(2)];
    let mut answers = Vec::new();
    for text in ["word0", "and", "\"word1 and\"", "secret1", "nothing"] {
        let mut cursor = None;
        loop {
            let page = index
                .search(&SearchRequest {
                    cursor,
                    ..request("t", &own, text)
                })
                .unwrap();
            cursor = page.next;
            answers.push(page);
            if cursor.is_none() {
                break;
            }
        }
    }
    answers
}

/// The index of a chat at the folder `live`, closed.
async fn live(chat: &Chat, folder: &Path) -> (PathBuf, Vec<SearchPage>) {
    let dir = folder.join("live");
    let cancel = CancellationToken::new();
    let index = SearchIndex::open(&dir).unwrap();
    let indexer = chat.try_follow(&index, cancel.clone()).await.unwrap();
    chat.caught_up(&indexer).await;
    cancel.cancel();
    indexer.stopped().await;
    (dir, answers(&index))
}

#[tokio::test]
async fn rebuilt_equals_live() {
    let chat = small_talk().await;
    let folder = tempfile::tempdir().unwrap();
    let (dir, before) = live(&chat, folder.path()).await;
    assert_eq!(
        rebuild(&chat, &dir, CancellationToken::new()).await.unwrap(),
        Rebuilt { messages: 200 }
    );
    let index = SearchIndex::open(&dir).unwrap();
    assert_eq!(*index.origin(), Origin::Opened);
    assert_eq!(answers(&index), before);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );

    // And it goes on from there.
    let indexer = chat.follow(&index).await;
    chat.say("t", conversation(0), "ann", "word0").await;
    chat.caught_up(&indexer).await;
    assert_eq!(index.messages(), 201);
}

#[tokio::test]
async fn nothing_of_an_erased_user_is_left_after_a_rebuild() {
    let chat = small_talk().await;
    let folder = tempfile::tempdir().unwrap();
    let (dir, before) = live(&chat, folder.path()).await;
    assert!(
        before
            .iter()
            .any(|page| page.facets.by_user.iter().any(|(who, _)| *who == user("bob")))
    );
    chat.keys.erase(&tenant("t"), &user("bob"));
    assert_eq!(
        rebuild(&chat, &dir, CancellationToken::new()).await.unwrap(),
        Rebuilt { messages: 100 }
    );
    let index = SearchIndex::open(&dir).unwrap();
    for page in answers(&index) {
        assert!(page.facets.by_user.iter().all(|(who, _)| *who == user("ann")));
    }
    // Only bob said it, and no file knows the word.
    for file in std::fs::read_dir(&dir).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"secret1"));
    }
}

#[tokio::test]
async fn a_rebuild_that_fails_leaves_the_index_as_it_was() {
    let chat = small_talk().await;
    let folder = tempfile::tempdir().unwrap();
    let (dir, before) = live(&chat, folder.path()).await;

    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert!(matches!(
        rebuild(&chat, &dir, cancelled).await,
        Err(RebuildError::Cancelled)
    ));
    assert!(folder.path().join("live.next").exists());
    assert_eq!(answers(&SearchIndex::open(&dir).unwrap()), before);
    assert!(
        !folder.path().join("live.next").exists(),
        "the unfinished one is gone"
    );

    chat.log.push(
        Stream::Conversation(tenant("t"), conversation(1)),
        Bytes::from_static(b"{}"),
    );
    assert!(matches!(
        rebuild(&chat, &dir, CancellationToken::new()).await,
        Err(RebuildError::Decode(_))
    ));
    assert_eq!(answers(&SearchIndex::open(&dir).unwrap()), before);
}

#[tokio::test]
async fn a_swap_that_was_cut_off_is_finished() {
    let chat = small_talk().await;
    let folder = tempfile::tempdir().unwrap();
    let (dir, before) = live(&chat, folder.path()).await;
    let next = folder.path().join("live.next");
    let rebuilt = folder.path().join("rebuilt");

    // Cut before, within and after the deletion of the old one.
    for cut in ["before", "within", "after"] {
        rebuild(&chat, &rebuilt, CancellationToken::new()).await.unwrap();
        std::fs::rename(&rebuilt, &next).unwrap();
        match cut {
            "before" => {}
            "within" => std::fs::remove_file(dir.join("meta.json")).unwrap(),
            _ => std::fs::remove_dir_all(&dir).unwrap(),
        }
        let index = SearchIndex::open(&dir).unwrap();
        assert_eq!(*index.origin(), Origin::Opened, "{cut}");
        assert_eq!(answers(&index), before, "{cut}");
        assert!(!next.exists());
    }
}
