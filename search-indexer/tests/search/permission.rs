//! Nothing outside the tenant and the asker's conversations shows in any number.

use domain::conversation::MessageKind;
use domain::{Timestamp, UserId};
use search_indexer::{Facets, Filters, SearchPage};

use crate::support::{Chat, conversation, ids, request, tenant, user};

fn users(page: &SearchPage) -> Vec<(UserId, u64)> {
    page.facets.by_user.clone()
}

/// Two tenants with a conversation of the same name, and one more each.
async fn two_tenants() -> Chat {
    let chat = Chat::new();
    chat.say("acme", conversation(1), "ann", "apple pie").await;
    chat.say("acme", conversation(1), "bob", "apple tart").await;
    chat.say("acme", conversation(2), "cyd", "apple juice").await;
    chat.say("acme", conversation(2), "cyd", "apple cake").await;
    chat.say("evil", conversation(1), "eve", "apple of discord").await;
    chat.say("evil", conversation(3), "ann", "apple again").await;
    chat
}

#[tokio::test]
async fn hits_totals_and_facets_are_those_of_the_own_conversations() {
    let chat = two_tenants().await;
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    assert_eq!(index.messages(), 6, "no tenant's message replaces another's");

    let page = index
        .search(&request("acme", &[conversation(1)], "apple"))
        .unwrap();
    assert_eq!(page.total, 2);
    assert_eq!(users(&page), [(user("ann"), 1), (user("bob"), 1)]);
    assert_eq!(page.facets.by_conversation, [(conversation(1), 2)]);
    assert_eq!(page.facets.by_type, [(MessageKind::Text, 2)]);

    let both = [conversation(1), conversation(2), conversation(2)];
    let page = index.search(&request("acme", &both, "apple")).unwrap();
    assert_eq!(page.total, 4);
    assert_eq!(
        users(&page),
        [(user("cyd"), 2), (user("ann"), 1), (user("bob"), 1)]
    );
    assert_eq!(
        page.facets.by_conversation,
        [(conversation(1), 2), (conversation(2), 2)]
    );

    let page = index.search(&request("evil", &both, "apple")).unwrap();
    assert_eq!((page.total, users(&page)), (1, vec![(user("eve"), 1)]));
    let page = index.search(&request("nobody", &both, "apple")).unwrap();
    assert_eq!((page.total, page.facets), (0, Facets::default()));
}

#[tokio::test]
async fn without_conversations_nothing_is_found() {
    let chat = two_tenants().await;
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    for conversations in [&[][..], &[conversation(9)]] {
        let page = index.search(&request("acme", conversations, "apple")).unwrap();
        assert_eq!(
            (page.hits, page.total, page.facets, page.next),
            (vec![], 0, Facets::default(), None)
        );
    }
}

#[tokio::test]
async fn filters_narrow_hits_total_and_facets_alike() {
    let chat = two_tenants().await;
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    let both = [conversation(1), conversation(2)];
    let found = |filters: Filters| {
        let page = index.search(&filters_request(&both, filters)).unwrap();
        assert_eq!(
            page.facets.by_user.iter().map(|(_, count)| count).sum::<u64>(),
            page.total
        );
        assert_eq!(page.hits.len() as u64, page.total);
        page
    };
    fn filters_request(
        conversations: &[domain::ConversationId],
        filters: Filters,
    ) -> search_indexer::SearchRequest {
        search_indexer::SearchRequest {
            filters,
            ..request("acme", conversations, "apple")
        }
    }

    let page = found(Filters {
        user: Some(user("cyd")),
        ..Filters::default()
    });
    assert_eq!((page.total, users(&page)), (2, vec![(user("cyd"), 2)]));
    let page = found(Filters {
        user: Some(user("eve")),
        ..Filters::default()
    });
    assert_eq!(page.total, 0);
    let page = found(Filters {
        kind: Some(MessageKind::Text),
        ..Filters::default()
    });
    assert_eq!(page.total, 4);
    let page = found(Filters {
        conversation: Some(conversation(1)),
        ..Filters::default()
    });
    assert_eq!(page.facets.by_conversation, [(conversation(1), 2)]);
    let page = found(Filters {
        conversation: Some(conversation(3)),
        ..Filters::default()
    });
    assert_eq!(page.total, 0, "a filter opens nothing");

    // The messages were sent at 0, 1, 2 and 3 seconds.
    let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1_000));
    let page = found(Filters {
        sent_from: at(1),
        sent_before: at(3),
        ..Filters::default()
    });
    assert_eq!(users(&page), [(user("bob"), 1), (user("cyd"), 1)]);
    let page = found(Filters {
        sent_from: at(3),
        ..Filters::default()
    });
    assert_eq!(ids(&page).len(), 1);
    let page = found(Filters {
        sent_before: at(0),
        ..Filters::default()
    });
    assert_eq!(page.total, 0);
}

/// Frequent words are found by way of the conversations, rare ones by way of the words: with the same scope.
#[tokio::test]
async fn frequent_words_have_the_same_scope_as_rare_ones() {
    let chat = Chat::new();
    let codec = chat.codec();
    for n in 0..4_u8 {
        let of = tenant(if n < 2 { "acme" } else { "evil" });
        let messages: Vec<_> = (0..400)
            .map(|m| ("ann", if m == 7 { "frequent rare" } else { "frequent" }))
            .collect();
        chat.commit(&codec, &of, conversation(n % 2), &messages).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let (index, _indexer) = chat.index(dir.path()).await;
    for (word, matches) in [("frequent", 400), ("rare", 1)] {
        let page = index.search(&request("acme", &[conversation(0)], word)).unwrap();
        assert_eq!(page.total, matches, "{word}");
        assert_eq!(page.facets.by_conversation, [(conversation(0), matches)]);
        assert_eq!(users(&page), [(user("ann"), matches)]);
        let outside = index.search(&request("acme", &[conversation(9)], word)).unwrap();
        assert_eq!((outside.total, outside.facets), (0, Facets::default()));
    }
}
