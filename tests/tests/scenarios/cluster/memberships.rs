//! Who is added to a conversation while being online hears its messages, on whichever node.

use std::time::Instant;

use eventstore::contract::proxy::{Link, Proxy};
use tests::deployment::{Cluster, is_cluster};
use tests::{Folder, Nodes, Socket, TestServer, report};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_on_one_node_hears_nothing_more_on_the_other() {
    if !is_cluster() {
        return;
    }
    let nodes = Nodes::start().await;
    let ann = nodes.one().client("ann");
    let bob = nodes.one().client("bob");
    let direct = ann.direct("bob").await.id;
    let mut socket = nodes.other().socket("bob").await;
    for round in 0..TIMES {
        let chat = ann.group(&format!("Group {round}"), &["bob"]).await.id;
        let heard = ann.say(&chat, "while bob is here").await;
        assert_eq!(socket.new_message().await, heard, "round {round}");
        let path = format!("/conversations/{chat}/leave");
        bob.call("DELETE", &path).send().await.expect(204);
        ann.say(&chat, "when bob is gone").await;
        // What comes next is the next that bob may hear; in another shard perhaps, so the last word is
        // left to the end.
        let after = ann.say(&direct, "elsewhere").await;
        assert_eq!(socket.new_message().await, after, "round {round}");
        bob.get(&format!("/conversations/{chat}/messages"))
            .send()
            .await
            .expect(404);
    }
    for shard in 0..8 {
        let chat = ann.group(&format!("Last {shard}"), &["bob"]).await.id;
        let said = ann.say(&chat, "the end").await;
        assert_eq!(socket.new_message().await, said);
    }
    assert!(!socket.has("new_message"), "bob heard what was not for bob");
}

/// Who comes online just then knows of the new group by what is read, before its node hears that anyone was
/// added. All the others who are online there must hear of it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_added_hears_everything_though_another_comes_before_the_announcement() {
    if !is_cluster() {
        return;
    }
    let near = TestServer::start().await;
    let cluster = near.folder.cluster().unwrap();
    let proxy = Proxy::start(&cluster.nats).await;
    let behind = Cluster {
        nats: proxy.url(),
        ..cluster.clone()
    };
    let far = TestServer::start_on(Folder::of(Some(behind))).await;
    let (ann, members) = (near.client("ann"), ["bob", "cat", "dan"]);
    let mut sockets = Vec::new();
    for name in members {
        sockets.push((name, far.socket(name).await));
    }
    // Announcements wait in the link, and the read models do not.
    proxy.set(Link::Stalled);
    let (mut chats, mut late) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let newcomer = format!("eve{number}");
        let all = [&members[..], &[&*newcomer]].concat();
        chats.push(ann.group(&format!("Group {number}"), &all).await.id);
        let token = near.folder.token(&newcomer);
        late.push(Socket::try_connect(far.address(), &token).await.unwrap());
    }
    proxy.set(Link::Up);
    let mut said = Vec::new();
    for (chat, socket) in chats.iter().zip(&mut late) {
        socket.wait("connected").await;
        let message = ann.say(chat, "welcome").await;
        assert_eq!(socket.new_message().await, message);
        said.push(message);
    }
    for (name, socket) in &mut sockets {
        let mut heard = Vec::new();
        for _ in &said {
            heard.push(socket.new_message().await);
        }
        // They are of several shards, which have no order among them.
        heard.sort_by_key(|message| said.iter().position(|said| said.id == message.id));
        assert!(heard == said, "{name} heard {heard:?}");
    }
}
