//! A lost key takes the words with it, and nothing else.

use std::sync::Arc;

use domain::testing::user;
use eventstore::codec::Codec;
use eventstore::log::EventLog;
use eventstore::progress::Progress;
use projections::contract::{History, Home, tenant};
use projections::rebuild;

use crate::memory_log::MemoryLog;
use crate::written::{Keys, Running, write};

pub(crate) async fn an_erased_user_has_no_words_left_and_everything_else_stays<H: Home>() {
    let keys = Arc::new(Keys::default());
    let (log, codec) = (Arc::new(MemoryLog::new(1)), Codec::new(keys.clone()));
    let mut history = History::of(log.epoch(), 0);
    history.profile("ann", "Ann");
    history.profile("bob", "Bob");
    let ids = [
        history.group(1, &["ann", "bob"]),
        history.group(2, &["bob", "ann"]),
    ];
    for id in ids {
        history.send_all(id, &["bob", "ann", "ann"]);
        history.read(id, "bob", 2);
        history.unread(id, "ann", 1);
    }
    write(&log, &codec, &history.pending).await;
    let home = H::fresh().await;
    let store = home.open().await;
    let running = Running::start(&log, &codec, store.clone());
    running.caught_up(&log).await;
    running.stop().await;
    let before = home.dump().await;
    assert!(before.contains("'ann says 2'") && before.contains("'Ann'") && before.contains("'group 1'"));

    keys.lose(&tenant(), &user("ann"));
    let shared: Arc<dyn EventLog> = log.clone();
    rebuild(&*store, &shared, &Codec::new(keys), &Progress::new(1))
        .await
        .unwrap();
    let after = home.dump().await;
    let mut expected = before;
    let words = [
        "'ann says 2'",
        "'ann says 3'",
        "'Ann' 'https://example.org/ann.png' 'ann'",
        // The first group is hers, and so are the words about it.
        "'group 1' 'what it is about' 'https://example.org/group.png'",
        "'group 1'",
    ];
    for word in words {
        assert!(expected.contains(word), "{word}");
        let nulls = vec!["NULL"; word.split("' '").count()].join(" ");
        expected = expected.replace(word, &nulls);
    }
    assert_eq!(after, expected);
    assert!(after.contains("'group 2'") && after.contains("'bob says 1'"));
}
