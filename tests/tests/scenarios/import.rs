//! IRC logs taken in: what is in the files is what is in the conversations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tests::answers::caught_up;
use tests::irc::{Log, has_word};
use tests::shapes::{Conversation, Message, instant};
use tests::{Client, Folder, TestServer, corpus};

#[tokio::test]
async fn an_import_takes_in_exactly_the_messages_of_real_logs() {
    assert_imported(&corpus::logs()).await;
}

#[tokio::test]
async fn an_import_takes_in_exactly_the_messages_of_odd_logs() {
    assert_imported(&corpus::fixtures()).await;
}

#[tokio::test]
async fn an_import_goes_on_where_a_growing_log_ended_and_the_conversation_goes_on_too() {
    let folder = Folder::new().await;
    let path = corpus::generated(folder.scratch(), "2004-02-01", 40, 3);
    let whole = std::fs::read_to_string(&path).unwrap();
    let half: String = whole.lines().take(20).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&path, half).unwrap();
    folder.import(std::slice::from_ref(&path)).await.succeeded();
    std::fs::write(&path, whole).unwrap();
    folder.import(std::slice::from_ref(&path)).await.succeeded();

    let server = TestServer::start_on(folder).await;
    let log = Log::read(&path);
    assert_taken_in(&server, &log).await;
    let nick = server.client("nick0");
    let chat = conversation(&nick, &log).await.id;
    assert_eq!(nick.say(&chat, "and now live").await.ordinal, 41);
    assert_eq!(server.client("nick1").messages(&chat).await.len(), 41);
}

#[tokio::test]
async fn an_import_into_a_tenant_is_seen_there_alone() {
    let folder = Folder::new().await;
    let path = corpus::generated(folder.scratch(), "2004-02-02", 10, 2);
    let words = ["import", "irc", "--tenant", "acme"].map(Into::into);
    folder
        .run(words.into_iter().chain([path.into_os_string()]))
        .await
        .succeeded();
    let server = TestServer::start_on(folder).await;
    assert!(server.client("nick0").conversations().await.is_empty());
    let claims = tests::token::with(tests::token::claims("nick0"), "tenant", "acme".into());
    let there = server.with_token(&tests::token::sign(&claims, &server.folder.secret()));
    assert_eq!(there.conversations().await.len(), 1);
}

async fn assert_imported(paths: &[PathBuf]) {
    let logs: Vec<_> = paths.iter().map(|path| Log::read(path)).collect();
    let folder = Folder::new().await;
    let import = folder.import(paths).await.succeeded();
    for log in &logs {
        assert_reported(log, &import.stderr);
    }
    let mut server = TestServer::start_on(folder).await;
    for log in &logs {
        assert_taken_in(&server, log).await;
    }
    let found = assert_searchable(&server, &logs).await;

    // A second time there is nothing to do, and nothing changes.
    assert!(server.terminate().await.success());
    server.folder.import(paths).await.succeeded();
    server.restart().await;
    for log in &logs {
        assert_taken_in(&server, log).await;
    }
    assert_eq!(assert_searchable(&server, &logs).await, found);
}

/// Every line that could not be taken in is named, by file and number, and no other.
fn assert_reported(log: &Log, said: &str) {
    let numbers = said.split(['\n', '\r']).filter_map(|said| {
        let (_, rest) = said.split_once(log.file_name())?;
        let digits = |c: char| c.is_ascii_digit();
        let number = rest.trim_start_matches(|c| !digits(c));
        number[..number.find(|c| !digits(c)).unwrap_or(number.len())]
            .parse()
            .ok()
    });
    let reported: BTreeSet<usize> = numbers.collect();
    let expected = log.unread.iter().copied().collect();
    assert_eq!(
        reported,
        expected,
        "lines of {} that were not read",
        log.file_name()
    );
}

async fn conversation(client: &Client, log: &Log) -> Conversation {
    let mut list = client.conversations().await;
    list.retain(|c| c.name.as_ref().is_some_and(|name| name.contains(log.date())));
    assert_eq!(list.len(), 1, "one conversation for {}", log.file_name());
    list.remove(0)
}

async fn assert_taken_in(server: &TestServer, log: &Log) {
    let nicks = log.nicks();
    let first = log.messages[0].nick.as_str();
    let chat = conversation(&server.client(first), log).await;
    assert_eq!(
        (chat.kind.as_str(), chat.member_count),
        ("GROUP", nicks.len() as u64)
    );
    let kept = server.client(first).messages(&chat.id).await;
    assert_eq!(kept.len(), log.messages.len(), "messages of {}", log.file_name());

    let mut ids = BTreeMap::new();
    for (index, (kept, said)) in kept.iter().zip(&log.messages).enumerate() {
        assert_eq!(kept.ordinal, index as u64 + 1);
        assert_eq!(kept.from_user_id, said.nick);
        let content = kept.content.as_deref().unwrap();
        let same = content.trim() == said.text || said.action && content.ends_with(&said.text);
        assert!(same, "{content:?} instead of {:?}", said.text);
        assert_written_then(kept, log, said.clock);
        let answered: Option<usize> = kept.reply_to_id.as_ref().map(|id| ids[id]);
        match answered {
            Some(line) => assert!(said.answers.contains(&line), "line {} answers {line}", said.line),
            None => assert!(said.answers.is_empty(), "line {} lost its link", said.line),
        }
        ids.insert(kept.id.clone(), said.line);
    }
    let last = log.messages.last().unwrap();
    for nick in [first, &log.messages[log.messages.len() / 2].nick, &last.nick] {
        let unread = conversation(&server.client(nick), log).await.unread_count;
        assert_eq!(
            unread,
            log.unread_by(nick) as u64,
            "what {nick} has not read of {}",
            log.file_name()
        );
    }
}

/// The original time: on the log's day, or on the next one where it runs past midnight, and at that
/// minute. The early logs have a clock of twelve hours.
fn assert_written_then(message: &Message, log: &Log, (hour, minute): (u8, u8)) {
    let at = instant(&message.created_at);
    let day = instant(&format!("{}T00:00:00Z", log.date())).date();
    let next = day.next_day().unwrap();
    assert!(
        [day, next].contains(&at.date()),
        "{} in {}",
        message.created_at,
        log.file_name()
    );
    assert_eq!(
        (at.hour() % 12, at.minute()),
        (hour % 12, minute),
        "{} in {}",
        message.created_at,
        log.file_name()
    );
}

/// Searching finds what the independent tokeniser finds, for members of one and of several logs.
async fn assert_searchable(server: &TestServer, logs: &[Log]) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    let mut askers: BTreeSet<&str> = logs.iter().map(|log| log.messages[0].nick.as_str()).collect();
    let everyone: BTreeSet<_> = logs.iter().flat_map(Log::nicks).collect();
    let presence = |nick: &&&str| logs.iter().filter(|log| log.nicks().contains(**nick)).count();
    askers.extend(everyone.iter().max_by_key(presence));
    for word in ["gstreamer", "ubuntu", "xyzzyq"] {
        for nick in &askers {
            let client = server.client(nick);
            let mut expected = BTreeSet::new();
            for log in logs.iter().filter(|log| log.nicks().contains(nick)) {
                let kept = client.messages(&conversation(&client, log).await.id).await;
                let with_word = |index: &usize| has_word(&log.messages[*index].text, word);
                expected.extend(
                    (0..kept.len())
                        .filter(with_word)
                        .map(|index| kept[index].id.clone()),
                );
            }
            found.push(caught_up(&client, word, &expected).await);
        }
    }
    assert!(
        found.iter().any(|hits| hits["total"].as_u64() > Some(0)),
        "nothing to find in these logs"
    );
    found
}
