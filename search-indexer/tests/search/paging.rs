//! Pages by cursor: nothing is skipped or repeated while messages arrive.

use search_indexer::{SearchCursor, SearchRequest};

use crate::support::{Chat, conversation, ids, request, tenant};

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_messages_arrive() {
    let chat = Chat::new();
    let codec = chat.codec();
    for n in 0..10 {
        // Several messages in one commit: their ranks differ in the last bits.
        let texts = [
            ("ann", "word a"),
            ("bob", "other"),
            ("bob", "word b"),
            ("ann", "word c"),
        ];
        chat.commit(&codec, &tenant("t"), conversation(n % 2), &texts)
            .await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (index, indexer) = chat.index(dir.path()).await;
    let mut expected: Vec<_> = chat
        .sent
        .lock()
        .unwrap()
        .iter()
        .filter(|m| m.text.starts_with("word"))
        .map(|m| m.id)
        .collect();
    expected.reverse();

    let mut found = Vec::new();
    let mut cursor: Option<SearchCursor> = None;
    let mut total = 30;
    loop {
        let own = [conversation(0), conversation(1)];
        let page = index
            .search(&SearchRequest {
                limit: 7,
                cursor,
                ..request("t", &own, "word")
            })
            .unwrap();
        assert_eq!(page.total, total, "all pages together");
        assert_eq!(
            page.facets
                .by_conversation
                .iter()
                .map(|(_, count)| count)
                .sum::<u64>(),
            total
        );
        found.extend(ids(&page));
        chat.say("t", conversation(0), "cyd", "word meanwhile").await;
        total += 1;
        chat.caught_up(&indexer).await;
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse(), Ok(next));
        cursor = Some(next);
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_last_page_says_so_even_when_it_is_full() {
    let chat = Chat::new();
    for _ in 0..4 {
        chat.say("t", conversation(1), "ann", "word").await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    let page = |limit| {
        index
            .search(&SearchRequest {
                limit,
                ..request("t", &[conversation(1)], "word")
            })
            .unwrap()
    };
    assert_eq!(page(4).next, None);
    assert!(page(3).next.is_some());
    assert_eq!(page(0).hits.len(), 1, "a page has at least one hit");
    assert_eq!(page(usize::MAX).hits.len(), 4);
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in [
        "",
        "1",
        "0000000000000001",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "+0000000000000000000000000000001",
        "000000000000000000000000000000AB",
        "000000000000000000000000000000000",
    ] {
        assert!(text.parse::<SearchCursor>().is_err(), "{text}");
    }
}
