//! Words, phrases, diacritics and scripts without spaces.

use domain::MessageId;
use search_indexer::{SearchError, SearchIndex};

use crate::support::{Chat, conversation, ids, request};

struct Said {
    index: SearchIndex,
    messages: Vec<MessageId>,
    _indexer: search_indexer::Indexer,
    _dir: tempfile::TempDir,
}

async fn said(texts: &[&str]) -> Said {
    let chat = Chat::new();
    let mut messages = Vec::new();
    for text in texts {
        messages.push(chat.say("t", conversation(1), "ann", text).await);
    }
    let dir = tempfile::tempdir().unwrap();
    let (index, indexer) = chat.index(dir.path()).await;
    Said {
        index,
        messages,
        _indexer: indexer,
        _dir: dir,
    }
}

impl Said {
    /// Which of the texts are found, by their numbers.
    fn find(&self, text: &str) -> Vec<usize> {
        let page = self
            .index
            .search(&request("t", &[conversation(1)], text))
            .unwrap();
        let mut found: Vec<_> = ids(&page)
            .iter()
            .map(|id| self.messages.iter().position(|sent| sent == id).unwrap())
            .collect();
        assert!(found.is_sorted_by(|a, b| a > b), "newest first");
        found.reverse();
        found
    }
}

#[tokio::test]
async fn all_words_must_match_and_phrases_in_order() {
    let said = said(&[
        "the quick brown fox",
        "quick, the fox!",
        "brown the quick",
        "a a b",
        "a b a",
    ])
    .await;
    assert_eq!(said.find("quick the"), [0, 1, 2]);
    assert_eq!(said.find("\"the quick\""), [0, 2]);
    assert_eq!(said.find("\"QUICK the fox\""), [1]);
    assert_eq!(said.find("\"the quick\" fox"), [0]);
    assert_eq!(said.find("\"a a\""), [3]);
    assert_eq!(said.find("\"a b a\""), [4]);
    assert_eq!(said.find("slow"), [0_usize; 0]);
    assert_eq!(said.find("the-quick"), [0, 1, 2], "punctuation is no quote");
}

#[tokio::test]
async fn a_word_with_diacritics_is_found_as_written_and_one_without_in_every_spelling() {
    let said = said(&[
        "con cá",
        "con ca",
        "Đường phố",
        "duong pho",
        "CÁ",
        "đường pho",
        "ca\u{301}",
    ])
    .await;
    assert_eq!(said.find("ca"), [0, 1, 4, 6]);
    assert_eq!(said.find("cá"), [0, 4, 6]);
    assert_eq!(said.find("ca\u{301}"), [0, 4, 6]);
    assert_eq!(said.find("duong"), [2, 3, 5]);
    assert_eq!(said.find("đường"), [2, 5]);
    assert_eq!(said.find("\"duong pho\""), [2, 3, 5]);
    assert_eq!(said.find("\"đường pho\""), [2, 5], "a phrase may mix the two");
    assert_eq!(said.find("\"đường phố\""), [2]);
    assert_eq!(said.find("\"duong phố\""), [2]);
}

#[tokio::test]
async fn any_part_of_a_text_without_spaces_is_found() {
    let said = said(&["東京都に行く", "京都", "東 京", "학교에서", "東京tower"]).await;
    assert_eq!(said.find("京"), [0, 1, 2, 4]);
    assert_eq!(said.find("京都"), [0, 1]);
    assert_eq!(said.find("東京都"), [0]);
    assert_eq!(said.find("東京"), [0, 4]);
    assert_eq!(said.find("\"東 京\""), [0, 2, 4]);
    assert_eq!(said.find("학교"), [3]);
    assert_eq!(said.find("\"京 tower\""), [4]);
    assert_eq!(said.find("都行"), [0_usize; 0]);
}

#[tokio::test]
async fn the_longest_words_are_found() {
    let long = "x".repeat(10_000);
    let grown = "\u{FB2C}".repeat(10_000);
    let said = said(&[&long, &grown, "x"]).await;
    assert_eq!(said.index.messages(), 3);
    assert_eq!(said.find("x"), [2]);
    assert_eq!(said.find(&"x".repeat(999)), [0_usize; 0]);
}

#[tokio::test]
async fn a_query_without_words_or_with_too_many_is_refused() {
    let said = said(&["x"]).await;
    let error = |text: &str| {
        said.index
            .search(&request("t", &[conversation(1)], text))
            .unwrap_err()
    };
    assert_eq!(error(" ?! "), SearchError::EmptyQuery);
    assert_eq!(error(&"x".repeat(1_001)), SearchError::QueryTooLong);
    assert_eq!(error(&"東".repeat(66)), SearchError::TooManyWords);
}
