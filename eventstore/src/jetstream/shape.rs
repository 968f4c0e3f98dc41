//! How a shard's JetStream stream is configured, and how one that exists differs from that.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};
use serde_json::{Map, Value};

use crate::log::Epoch;
use crate::subject::PARTITIONS;

/// The metadata that holds the log's epoch.
const EPOCH: &str = "verbatim.epoch";
/// The metadata that holds into how many shards the log is made.
const SHARDS: &str = "verbatim.shards";

/// How long a message id is remembered.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// What operators may set as they like: it changes nothing that the log relies on. The metadata is
/// compared by itself. A log is made uncompressed: see `docs/adr/0008-keep-the-log-uncompressed.md`.
const FREE: [&str; 4] = ["compression", "description", "placement", "metadata"];

/// No limit, as the server spells it.
const UNLIMITED: i64 = -1;

/// What all shards of a log have in common.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) namespace: String,
    pub(super) shards: u16,
    pub(super) replicas: usize,
}

impl Shape {
    /// The name of a shard's JetStream stream.
    pub(super) fn name(&self, shard: u16) -> String {
        format!("{}-evt-{shard}", self.namespace)
    }

    /// How a shard is made.
    pub(super) fn config(&self, shard: u16, epoch: Epoch) -> Config {
        let Self {
            namespace,
            shards,
            replicas,
        } = self;
        let owned = (0..PARTITIONS).filter(|partition| partition % shards == shard);
        Config {
            name: self.name(shard),
            subjects: owned
                .map(|partition| format!("{namespace}.evt.{partition}.>"))
                .collect(),
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            max_messages: UNLIMITED,
            max_messages_per_subject: UNLIMITED,
            max_bytes: UNLIMITED,
            max_message_size: -1,
            max_consumers: -1,
            // Were there ever a limit, history would not make room for what is new.
            discard: DiscardPolicy::New,
            num_replicas: *replicas,
            duplicate_window: DUPLICATE_WINDOW,
            deny_delete: true,
            deny_purge: true,
            allow_direct: true,
            compression: Some(Compression::None),
            republish: Some(Republish {
                source: format!("{namespace}.evt.>"),
                destination: format!("{namespace}.live.>"),
                headers_only: false,
            }),
            metadata: [(EPOCH, epoch.to_string()), (SHARDS, shards.to_string())]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
            ..Config::default()
        }
    }

    /// In what a shard differs from how this log would make it, in words; nothing when it does not.
    /// The epoch is not compared.
    pub(super) fn differences(&self, shard: u16, found: &Config) -> Option<String> {
        let shards = found.metadata.get(SHARDS).map_or("none", String::as_str);
        if shards != self.shards.to_string() {
            return Some(format!("{SHARDS} is {shards}, not {}", self.shards));
        }
        let (wanted, found) = (fields(&self.config(shard, Epoch::draw())), fields(found));
        let keys: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
        let differences: Vec<_> = keys
            .into_iter()
            .filter(|key| !FREE.contains(&key.as_str()) && wanted.get(*key) != found.get(*key))
            .map(|key| {
                format!(
                    "{key} is {}, not {}",
                    spelled(found.get(key)),
                    spelled(wanted.get(key))
                )
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

/// The epoch of the log that a shard belongs to.
pub(super) fn epoch(config: &Config) -> Option<Epoch> {
    config.metadata.get(EPOCH)?.parse().ok()
}

/// Makes a shard one of another incarnation of the log.
pub(super) fn set_epoch(config: &mut Config, epoch: Epoch) {
    config.metadata.insert(EPOCH.to_owned(), epoch.to_string());
}

/// The configuration as the server spells it, with the subjects in one order.
fn fields(config: &Config) -> Map<String, Value> {
    let mut config = config.clone();
    config.subjects.sort_unstable();
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn spelled(value: Option<&Value>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(Value::Array(subjects)) => format!("a list of {}", subjects.len()),
        Some(value) => value.to_string(),
    }
}
