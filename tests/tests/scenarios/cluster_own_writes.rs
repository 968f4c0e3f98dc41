//! One reads what one wrote, also when one has since written elsewhere: in a conversation of another shard.

use tests::TestServer;
use tests::deployment::is_cluster;

/// Enough for each of four shards to have some, most likely.
const CHATS: usize = 8;
const PAIRS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_read_after_a_later_one_in_another_shard() {
    if !is_cluster() {
        return;
    }
    let server = TestServer::start().await;
    let ann = server.client("ann");
    let mut chats = Vec::new();
    for number in 0..CHATS {
        chats.push(ann.group(&format!("group {number}"), &["bob"]).await.id);
    }
    let mut missed = Vec::new();
    for number in 0..PAIRS {
        let one = &chats[number % CHATS];
        let other = &chats[(number + 1 + number / CHATS % (CHATS - 1)) % CHATS];
        let text = format!("text {number}");
        for (chat, content) in [(one, text.as_str()), (other, "something else")] {
            // The answer does not wait for the read model; the reads that follow do.
            let call = ann.post_message(chat, content).header("prefer", "respond-async");
            call.send().await.expect(201);
        }
        let page = ann.page(one, "limit=50").await;
        if page
            .data
            .iter()
            .all(|message| message.content.as_ref() != Some(&text))
        {
            missed.push(number);
        }
    }
    assert!(missed.is_empty(), "{} of {PAIRS} were not read", missed.len());
}
