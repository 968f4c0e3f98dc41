//! Who is added to a conversation while being online hears its messages, on whichever node.

use std::time::Instant;

use tests::deployment::is_cluster;
use tests::{Nodes, report};

const TIMES: usize = 100;
const MESSAGES: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_added_on_one_node_hears_everything_on_the_other() {
    if !is_cluster() {
        return;
    }
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let mut bob = nodes.other().socket("bob").await;
    let (start, mut slowest) = (Instant::now(), std::time::Duration::ZERO);
    for round in 0..TIMES {
        let chat = ann.group(&format!("Group {round}"), &["bob"]).await.id;
        let mut sent = Vec::new();
        for number in 0..MESSAGES {
            sent.push(ann.say(&chat, &format!("{number} of {round}")).await);
        }
        let waiting = Instant::now();
        for message in sent {
            assert_eq!(bob.new_message().await, message, "round {round}");
        }
        slowest = slowest.max(waiting.elapsed());
    }
    // Behind this nothing that came twice can still be on its way.
    let last = ann.group("The last", &["bob"]).await.id;
    let said = ann.say(&last, "the end").await;
    assert_eq!(bob.new_message().await, said);
    assert!(!bob.has("new_message"), "a message came twice");
    report(&format!(
        "added {TIMES} times while online, {MESSAGES} messages each, in {:?}; the last of them at most {slowest:?} after its answer",
        start.elapsed()
    ));
}
