//! SIGKILL at random moments: what was acknowledged is there, once and in order, and everything that is
//! answered can be made again from the log.

use std::time::Duration;

use tests::answers::{answers, assert_same};
use tests::chance::{pause, random};
use tests::irc::Log;
use tests::ledger::check;
use tests::load::{Load, Way};
use tests::{Folder, TestServer, corpus, report};

/// Kills of an import, of a starting server and of a serving one: more than twenty together.
const KILLS: [usize; 3] = [6, 6, 18];

const USERS: [(&str, Way); 5] = [
    ("ann", Way::Http),
    ("bob", Way::Http),
    ("cat", Way::Socket(1)),
    ("dan", Way::Socket(16)),
    ("eve", Way::Socket(16)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_doubled_or_disordered_by_kills() {
    let folder = Folder::new().await;
    let logs = ["2004-05-01", "2004-05-02"].map(|date| corpus::generated(folder.scratch(), date, 10_000, 30));
    let killed = kill_imports(&folder, &logs).await;
    folder.import(&logs).await.succeeded();

    let mut server = TestServer::start_on(folder).await;
    let names: Vec<_> = USERS.iter().map(|(name, _)| *name).collect();
    let ann = server.client("ann");
    let mut chats = vec![
        ann.group("Garden", &names).await.id,
        ann.group("Kitchen", &names).await.id,
    ];
    let load = Load::start(&server.folder, &chats, &USERS);
    for round in 0..KILLS[2] {
        load.server_at(Some(server.address()));
        load.more(random(1, 150)).await;
        if round % 3 == 0 {
            server.client("bob").read(&chats[round % 2], None).await;
        }
        pause(Duration::from_millis(20)).await;
        server.kill();
        load.server_at(None);
        if round % 3 == 1 {
            // Killed again before it is ready, wherever it is then.
            let mut starting = server.folder.spawn_server();
            pause(Duration::from_millis(300)).await;
            assert!(
                starting.kill(),
                "the server ended by itself: {}",
                starting.stderr()
            );
        }
        server.restart().await;
    }
    load.server_at(Some(server.address()));
    let ledgers = load.finish().await;
    let total: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    report(&format!(
        "{} kills, {killed} of them of imports; {total} sends acknowledged",
        killed + KILLS[1] + KILLS[2]
    ));

    server.settled().await;
    let ann = server.client("ann");
    for chat in &chats {
        check(&ledgers, chat, &ann.acknowledged_messages(chat).await);
    }
    assert_imported(&server, &logs).await;

    chats.extend(
        server
            .client("nick1")
            .conversations()
            .await
            .into_iter()
            .map(|c| c.id),
    );
    assert_eq!(chats.len(), 4);
    let users = ["ann", "bob", "dan", "nick1", "nick2"];
    let searches = ["word3", "eve", "9999", "nothing"];
    let live = answers(&server, &users, &searches).await;
    server.rebuild().await;
    assert_same(&live, &answers(&server, &users, &searches).await);
}

/// Kills imports of these logs wherever they are; gives how many it was.
async fn kill_imports(folder: &Folder, logs: &[std::path::PathBuf]) -> usize {
    let mut killed = 0;
    // An import that was through before its moment came is started again and finds nothing to do; so
    // moments draw nearer.
    let mut latest = 600_000;
    while killed < KILLS[0] {
        let mut import = folder.spawn_import(logs);
        pause(Duration::from_micros(latest)).await;
        if import.kill() {
            killed += 1;
        } else {
            latest = latest * 2 / 3;
        }
    }
    killed
}

async fn assert_imported(server: &TestServer, logs: &[std::path::PathBuf]) {
    for path in logs {
        let log = Log::read(path);
        let client = server.client("nick1");
        let list = client.conversations().await;
        let chat = list
            .iter()
            .find(|c| c.name.as_ref().is_some_and(|name| name.contains(log.date())))
            .unwrap();
        let kept = client.messages(&chat.id).await;
        assert!(kept.iter().map(|m| m.ordinal).eq(1..=log.messages.len() as u64));
        let kept = kept
            .iter()
            .map(|m| (m.from_user_id.as_str(), m.content.as_deref().unwrap()));
        assert!(
            kept.eq(log
                .messages
                .iter()
                .map(|said| (said.nick.as_str(), said.text.as_str())))
        );
    }
}
