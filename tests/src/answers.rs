//! All that a server answers to some users, as one value: two servers with the same log give the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{Client, TestServer, eventually, irc};

/// Asks for everything: each user's list, each conversation as each of its members sees it, all its
/// messages, and searches. Waits until the search index has every message.
///
/// # Panics
/// If an answer is missing or contradicts another.
pub async fn answers(server: &TestServer, users: &[&str], searches: &[&str]) -> Value {
    let mut all = Map::new();
    let mut read = BTreeSet::new();
    for user in users {
        let client = server.client(user);
        let list = list(&client).await;
        for conversation in &list {
            let id = conversation["id"].as_str().unwrap();
            let alone: Value = client
                .get(&format!("/conversations/{id}"))
                .send()
                .await
                .expect(200)
                .json();
            assert_eq!(alone, *conversation, "the list and the conversation disagree");
            if read.insert(id.to_owned()) {
                all.insert(format!("messages of {id}"), messages(&client, id).await);
            }
        }
        let ids: Vec<_> = list.iter().map(|c| c["id"].as_str().unwrap()).collect();
        for words in searches {
            let expected = hits(&all, &ids, words);
            let found = caught_up(&client, words, &expected).await;
            all.insert(format!("{user} searches {words}"), found);
        }
        all.insert(format!("list of {user}"), Value::Array(list));
    }
    Value::Object(all)
}

/// Two sets of answers are the same.
///
/// # Panics
/// If they are not, with the first place where they differ.
pub fn assert_same(one: &Value, other: &Value) {
    if let Some((place, one, other)) = difference(String::new(), one, other) {
        panic!("answers differ at {place}:\n  {one}\n  {other}");
    }
}

/// Waits until a search finds exactly these messages, and gives hits, total and facets. The order of the
/// hits is left out: which of two equally good ones is first is nobody's business.
///
/// # Panics
/// If it does not in time, or if the counts do not add up.
pub async fn caught_up(client: &Client, words: &str, expected: &BTreeSet<String>) -> Value {
    eventually(&format!("the search for {words} is complete"), || async {
        let (hits, last) = client.search_all(words).await;
        let ids: BTreeSet<_> = hits.iter().map(|hit| hit.id.clone()).collect();
        if ids != *expected {
            let extra = ids.difference(expected).next();
            return Err(format!(
                "{} of {} messages; not expected: {extra:?}",
                ids.len(),
                expected.len()
            ));
        }
        let total = last.pagination.total;
        assert_eq!(hits.len(), ids.len(), "a hit came twice");
        assert_eq!(total, Some(ids.len() as u64), "the total of {words}");
        for facet in [
            &last.facets.by_type,
            &last.facets.by_user,
            &last.facets.by_conversation,
        ] {
            assert_eq!(
                facet.values().sum::<u64>(),
                ids.len() as u64,
                "{words}: {facet:?}"
            );
        }
        Ok(json!({"hits": ids, "total": total, "byUser": last.facets.by_user,
            "byConversation": last.facets.by_conversation, "byType": last.facets.by_type}))
    })
    .await
}

async fn list(client: &Client) -> Vec<Value> {
    let mut list = Vec::new();
    let mut query = "limit=50".to_owned();
    loop {
        let answer = client
            .get(&format!("/conversations?{query}"))
            .send()
            .await
            .expect(200);
        let page: Value = answer.json();
        list.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["pagination"]["nextCursor"].as_str() {
            Some(cursor) if page["pagination"]["hasMore"] == true => {
                query = format!("limit=50&cursor={}", crate::client::encode(cursor));
            }
            _ => return list,
        }
    }
}

async fn messages(client: &Client, conversation: &str) -> Value {
    let mut messages = Vec::new();
    let mut query = "limit=100".to_owned();
    loop {
        let path = format!("/conversations/{conversation}/messages?{query}");
        let page: Value = client.get(&path).send().await.expect(200).json();
        let older = page["data"].as_array().unwrap();
        messages.splice(0..0, older.iter().cloned());
        if page["hasMore"] != true {
            return Value::Array(messages);
        }
        query = format!("limit=100&before={}", page["prevCursor"].as_str().unwrap());
    }
}

/// The messages of these conversations that have a word, by the independent tokeniser.
fn hits(answers: &Map<String, Value>, conversations: &[&str], word: &str) -> BTreeSet<String> {
    let messages = conversations
        .iter()
        .flat_map(|id| answers[&format!("messages of {id}")].as_array().unwrap());
    messages
        .filter(|message| irc::has_word(message["content"].as_str().unwrap_or_default(), word))
        .map(|message| message["id"].as_str().unwrap().to_owned())
        .collect()
}

fn difference(place: String, one: &Value, other: &Value) -> Option<(String, String, String)> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            let null = &Value::Null;
            names.into_iter().find_map(|name| {
                let values = (a.get(name).unwrap_or(null), b.get(name).unwrap_or(null));
                difference(format!("{place} / {name}"), values.0, values.1)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| difference(format!("{place} / {index}"), a, b))
        }
        (one, other) if one == other => None,
        (one, other) => Some((place, short(one), short(other))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let head: String = text.chars().take(300).collect();
    value
        .as_array()
        .map_or(head.clone(), |items| format!("{} items: {head}", items.len()))
}
