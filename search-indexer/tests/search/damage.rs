//! An index that cannot be used is discarded and filled again; a folder that cannot be used is an error.

use std::path::Path;

use search_indexer::{OpenError, Origin, SearchIndex};
use tokio_util::sync::CancellationToken;

use crate::support::{Chat, conversation, request};

async fn filled(dir: &Path) -> Chat {
    let chat = Chat::new();
    for _ in 0..10 {
        chat.say("t", conversation(1), "ann", "word").await;
    }
    fill(&chat, dir).await;
    chat
}

async fn fill(chat: &Chat, dir: &Path) -> Origin {
    let cancel = CancellationToken::new();
    let index = SearchIndex::open(dir).unwrap();
    let indexer = chat.try_follow(&index, cancel.clone()).await.unwrap();
    chat.caught_up(&indexer).await;
    assert_eq!(
        index
            .search(&request("t", &[conversation(1)], "word"))
            .unwrap()
            .total,
        10
    );
    cancel.cancel();
    indexer.stopped().await;
    index.origin().clone()
}

#[tokio::test]
async fn a_new_one_is_created_and_an_old_one_opened() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("not/there/yet");
    assert_eq!(*SearchIndex::open(&dir).unwrap().origin(), Origin::Created);
    assert_eq!(*SearchIndex::open(&dir).unwrap().origin(), Origin::Opened);
}

#[tokio::test]
async fn one_of_another_version_is_discarded_and_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let chat = filled(dir.path()).await;
    let meta = dir.path().join("meta.json");
    let text = std::fs::read_to_string(&meta).unwrap();
    let other = text.replace(r#"\"version\":"#, r#"\"version\":9"#);
    assert_ne!(text, other);
    std::fs::write(&meta, other).unwrap();
    assert!(matches!(fill(&chat, dir.path()).await, Origin::Discarded { .. }));
    assert_eq!(fill(&chat, dir.path()).await, Origin::Opened);
}

#[tokio::test]
async fn however_a_file_is_damaged_opening_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("whole");
    let chat = filled(&dir).await;
    let files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let damaged = folder.path().join("damaged");
    for file in files {
        for damage in ["gone", "empty", "cut", "garbage"] {
            copy(&dir, &damaged);
            let path = damaged.join(&file);
            let bytes = std::fs::read(&path).unwrap();
            match damage {
                "gone" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, []).unwrap(),
                "cut" => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                _ => std::fs::write(&path, vec![0xA5; bytes.len()]).unwrap(),
            }
            let index = SearchIndex::open(&damaged).unwrap();
            match index.origin() {
                // What opening does not read may still fail a search, but no more than that.
                Origin::Opened => drop(index.search(&request("t", &[conversation(1)], "word"))),
                Origin::Discarded { .. } => {
                    drop(index);
                    fill(&chat, &damaged).await;
                }
                Origin::Created => panic!("{file:?} {damage}: it was there"),
            }
            std::fs::remove_dir_all(&damaged).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_nothing_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(SearchIndex::open(&file), Err(OpenError::Io { .. })));
    assert!(matches!(
        SearchIndex::open(&file.join("in")),
        Err(OpenError::Io { .. })
    ));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}
