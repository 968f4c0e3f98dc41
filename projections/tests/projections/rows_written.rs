//! How many rows a message, a read and a reaction write: as many in a group of 10,000 as in one of 10.

use std::collections::BTreeMap;

use projections::contract::History;

use crate::home::Counting;

/// What is written of each table, by what was done.
type Written = Vec<(&'static str, BTreeMap<String, i64>)>;

async fn written_in_a_group_of<H: Counting>(members: usize) -> Written {
    let home = H::fresh().await;
    let store = home.open().await;
    let mut history = History::default();
    let names: Vec<_> = (0..members).map(|number| format!("user{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let group = history.group(1, &names);
    history.send(group, names[1]);
    history.settle(&*store).await;
    home.count_writes().await;

    let mut written = Vec::new();
    let message = history.send(group, names[0]);
    history.settle(&*store).await;
    written.push(("a message", home.take_writes().await));
    history.read(group, names[5], 2);
    history.settle(&*store).await;
    written.push(("a read", home.take_writes().await));
    history.react(message, names[6], "👍");
    history.settle(&*store).await;
    written.push(("a reaction", home.take_writes().await));
    history.unreact(message, names[6], "👍");
    history.settle(&*store).await;
    written.push(("a reaction that is taken back", home.take_writes().await));
    written
}

pub(crate) async fn large_groups_write_as_few_rows_as_small_ones<H: Counting>() {
    let small = written_in_a_group_of::<H>(10).await;
    let large = written_in_a_group_of::<H>(10_000).await;
    assert_eq!(small, large);
    for (what, tables) in &large {
        let rows: i64 = tables.values().sum();
        // The checkpoint is one of them.
        assert!((2..=4).contains(&rows), "{what} writes {rows} rows: {tables:?}");
    }
}
