//! A conversation of 200,000 messages opens as one of ten does.

use std::time::{Duration, Instant};

use tests::{Folder, TestServer, corpus, report};

const MESSAGES: u64 = 200_000;

/// Far above what it takes: the machines that run this are shared and the build is not optimised. The
/// measured times are printed.
const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn after_a_crash_a_large_conversation_takes_commands_and_shows_its_end() {
    let folder = Folder::new().await;
    let log = corpus::generated(folder.scratch(), "2004-03-01", MESSAGES as usize, 50);
    let start = Instant::now();
    folder.import(&[log]).await.succeeded();
    let took = start.elapsed();
    report(&format!(
        "{MESSAGES} messages imported in {took:?}, {:.0}/s",
        MESSAGES as f64 / took.as_secs_f64()
    ));

    let mut server = TestServer::start_on(folder).await;
    let nick = server.client("nick7");
    let chat = nick.conversations().await.remove(0).id;
    nick.say(&chat, "before the crash").await;
    server.kill();

    let start = Instant::now();
    server.restart().await;
    let ready = start.elapsed();
    let nick = server.client("nick7");
    let start = Instant::now();
    let sent = nick.say(&chat, "after the crash").await;
    let command = start.elapsed();
    let start = Instant::now();
    let page = nick.page(&chat, "limit=50").await;
    let latest = start.elapsed();
    report(&format!(
        "with {MESSAGES} messages, after a crash: ready {ready:?}, first command {command:?}, latest page {latest:?}"
    ));
    assert!(ready.max(command).max(latest) < BOUND);

    assert_eq!(sent.ordinal, MESSAGES + 2);
    assert_eq!(page.data.len(), 50);
    assert_eq!(page.data[49], sent);
    assert_eq!(page.data[48].content.as_deref(), Some("before the crash"));
    let imported = page.data[47].content.as_ref().unwrap();
    assert_eq!(*imported, format!("message {} of 2004-03-01", MESSAGES - 1));
    assert!(
        page.data
            .iter()
            .map(|m| m.ordinal)
            .eq(MESSAGES - 47..=MESSAGES + 2)
    );
    // Far back is as near as the end.
    let middle = nick
        .page(&chat, &format!("limit=5&before={}", page.data[0].id))
        .await;
    assert!(
        middle
            .data
            .iter()
            .map(|m| m.ordinal)
            .eq(MESSAGES - 52..MESSAGES - 47)
    );
}
