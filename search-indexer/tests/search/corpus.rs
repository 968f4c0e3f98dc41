//! Random corpora: what is found equals a scan by an independent tokeniser, and facets add up.

use std::collections::BTreeMap;

use proptest::prelude::*;
use search_indexer::{SearchError, SearchRequest};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::support::{Chat, Sent, conversation, ids, request, tenant};

/// The words of a text, folded: taken apart as a whole and split where no letter, digit or mark is.
fn folded_words(text: &str) -> Vec<String> {
    let apart: String = text.to_lowercase().nfd().collect();
    apart
        .split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .map(|word| {
            word.chars()
                .filter(|c| !is_combining_mark(*c))
                .collect::<String>()
        })
        .map(|word| word.replace('đ', "d").replace('ß', "ss"))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The words of a text as they are written, in one spelling.
fn exact_words(text: &str) -> Vec<String> {
    let composed: String = text.to_lowercase().nfc().collect();
    composed
        .split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c))
        .map(str::to_owned)
        .collect()
}

fn matches(message: &Sent, word: &str) -> bool {
    if folded_words(word) == [word.to_owned()] {
        folded_words(&message.text).iter().any(|there| there == word)
    } else {
        exact_words(&message.text).iter().any(|there| there == word)
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[ab]{1,2}",
        "[áđßa]{1,2}",
        Just("A\u{301}".to_owned()),
        Just("ĐA".to_owned())
    ];
    prop::collection::vec((word, prop_oneof![" ", ", ", "-", "! "]), 1..6)
        .prop_map(|words| words.into_iter().map(|(word, gap)| word + &gap).collect())
}

fn commit() -> impl Strategy<Value = (u8, u8, Vec<(u8, String)>)> {
    (0..2_u8, 0..4_u8, prop::collection::vec((0..3_u8, text()), 1..5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hits_equal_a_scan_and_facets_add_up(
        commits in prop::collection::vec(commit(), 1..30),
        words in prop::collection::vec("[ab]{1,2}|[áđß]|aá", 8),
        own in prop::collection::btree_set(0..4_u8, 0..4),
        limit in 1..20_usize,
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let chat = Chat::new();
            let codec = chat.codec();
            let dir = tempfile::tempdir().unwrap();
            let index = search_indexer::SearchIndex::open(dir.path()).unwrap();
            let indexer = chat.follow(&index).await;
            for (number, (of, place, messages)) in commits.iter().enumerate() {
                let users: Vec<_> = messages.iter().map(|(user, _)| format!("u{user}")).collect();
                let messages: Vec<_> =
                    users.iter().zip(messages).map(|(user, (_, text))| (user.as_str(), text.as_str())).collect();
                chat.commit(&codec, &tenant(&format!("t{of}")), conversation(*place), &messages).await;
                if number % 7 == 0 {
                    indexer.commit_now().await.unwrap();
                }
            }
            chat.caught_up(&indexer).await;
            let own: Vec<_> = own.into_iter().map(conversation).collect();
            let sent = chat.sent.lock().unwrap().clone();
            for word in words {
                let mut expected: Vec<_> = sent
                    .iter()
                    .filter(|m| m.tenant == tenant("t0") && own.contains(&m.id.conversation) && matches(m, &word))
                    .collect();
                expected.reverse();
                let page = index.search(&SearchRequest { limit, ..request("t0", &own, &word) }).unwrap();
                let newest: Vec<_> = expected.iter().take(limit).map(|m| m.id).collect();
                assert_eq!(ids(&page), newest, "{word:?}");
                assert_eq!(page.total, expected.len() as u64);
                assert_eq!(page.next.is_some(), expected.len() > limit);
                let mut users = BTreeMap::new();
                let mut conversations = BTreeMap::new();
                for message in &expected {
                    *users.entry(message.user.clone()).or_insert(0_u64) += 1;
                    *conversations.entry(message.id.conversation).or_insert(0_u64) += 1;
                }
                assert_eq!(page.facets.by_user.into_iter().collect::<BTreeMap<_, _>>(), users);
                assert_eq!(page.facets.by_conversation.into_iter().collect::<BTreeMap<_, _>>(), conversations);
                assert_eq!(page.facets.by_type.iter().map(|(_, count)| count).sum::<u64>(), page.total);
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_breaks_the_index_or_a_query(texts in prop::collection::vec(".{1,40}", 1..5), query in ".{0,60}") {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let chat = Chat::new();
            for text in texts.iter().filter(|text| !text.contains('\0')) {
                chat.say("t", conversation(1), "ann", text).await;
            }
            let dir = tempfile::tempdir().unwrap();
            let (index, _indexer) = chat.index(dir.path()).await;
            let own = [conversation(1)];
            match index.search(&request("t", &own, &query)) {
                Ok(_) | Err(SearchError::EmptyQuery | SearchError::TooManyWords) => {}
                Err(error) => panic!("{error}"),
            }
            // Every text finds itself.
            for message in chat.sent.lock().unwrap().iter() {
                match index.search(&request("t", &own, &message.text)) {
                    Ok(page) => assert!(ids(&page).contains(&message.id), "{:?}", message.text),
                    Err(error) => assert_eq!(error, SearchError::EmptyQuery),
                }
            }
        });
    }
}
