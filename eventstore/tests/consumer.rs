//! Resuming from a checkpoint: in the log it was taken in, and in no other.

#![allow(clippy::unwrap_used, reason = "a test and what supports it fail by panicking")]

use std::path::Path;

use domain::{CommitId, ConversationId, TenantId};
use eventstore::codec::assemble;
use eventstore::consumer::verify;
use eventstore::contract::nats::NatsServer;
use eventstore::embedded::EmbeddedLog;
use eventstore::jetstream::{JetStreamConfig, JetStreamLog};
use eventstore::{Append, Checkpoint, Epoch, EventLog, Expected, ResumeError, Stream};

/// Appends commits with these ids and returns the checkpoint behind the last of them.
async fn appended(log: &dyn EventLog, ids: impl IntoIterator<Item = u8>) -> Checkpoint {
    let stream = Stream::Conversation(TenantId::parse("t").unwrap(), ConversationId::from_bytes([1; 16]));
    let shard = log.shard_of(&stream);
    let mut checkpoint = Checkpoint::start(log.epoch(), shard);
    for id in ids {
        let commit_id = CommitId::from_bytes([id; 16]);
        let payload = assemble(
            commit_id,
            domain::Timestamp::from_millis(1),
            &[r#"{"type":"t"}"#.to_owned()],
        );
        let append = Append {
            stream: stream.clone(),
            expected: Expected::Any,
            commit_id,
            payload,
        };
        let sequence = log.append(append).await.unwrap().sequence;
        checkpoint = Checkpoint {
            sequence,
            commit_id: Some(commit_id),
            ..checkpoint
        };
    }
    checkpoint
}

async fn a_checkpoint_is_resumed_in_its_own_log_alone(log: &dyn EventLog) {
    let start = Checkpoint::start(log.epoch(), 0);
    verify(log, &start).await.unwrap();
    let early = appended(log, 1..=3).await;
    let late = appended(log, 4..=5).await;
    for checkpoint in [&start, &early, &late] {
        verify(log, checkpoint).await.unwrap();
    }

    let epoch = Epoch::draw();
    for checkpoint in [Checkpoint { epoch, ..start }, Checkpoint { epoch, ..early }] {
        let refused = verify(log, &checkpoint).await.unwrap_err();
        assert!(
            matches!(refused, ResumeError::ForeignEpoch { checkpoint, log: here, .. } if checkpoint == epoch && here == log.epoch())
        );
    }

    let sequence = late.sequence;
    let foreign = [
        // Another commit is there, or none yet, or none was seen where there must have been one.
        Checkpoint {
            commit_id: early.commit_id,
            ..late
        },
        Checkpoint {
            sequence: sequence + 1,
            ..late
        },
        Checkpoint {
            sequence: sequence + 1_000,
            ..late
        },
        Checkpoint { sequence: 0, ..late },
        Checkpoint {
            commit_id: None,
            ..late
        },
    ];
    for checkpoint in foreign {
        let refused = verify(log, &checkpoint).await.unwrap_err();
        assert!(
            matches!(refused, ResumeError::ForeignCommit { sequence, .. } if sequence == checkpoint.sequence),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn in_an_embedded_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(&folder.path().join("log.db")).await.unwrap();
    a_checkpoint_is_resumed_in_its_own_log_alone(&log).await;
}

#[tokio::test]
async fn in_a_log_on_jetstream() {
    let server = NatsServer::start().await;
    let log = JetStreamLog::open(JetStreamConfig::new(server.client().await, "consumer"))
        .await
        .unwrap();
    a_checkpoint_is_resumed_in_its_own_log_alone(&log).await;
}

/// Takes a copy of a log that is not open.
fn back_up(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_was_restored_from_a_backup_is_not_resumed() {
    let (folder, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("log.db");
    let log = EmbeddedLog::open(&path).await.unwrap();
    let early = appended(&log, 1..=3).await;
    log.close().await;
    back_up(folder.path(), backup.path());
    let log = EmbeddedLog::open(&path).await.unwrap();
    let late = appended(&log, 4..=5).await;
    log.close().await;

    back_up(backup.path(), folder.path());
    let restored = EmbeddedLog::open(&path).await.unwrap();
    verify(&restored, &early).await.unwrap();
    assert!(matches!(
        verify(&restored, &late).await,
        Err(ResumeError::ForeignCommit { sequence: 5, .. })
    ));
    // It goes another way from here, as far as the old one and further.
    appended(&restored, 6..=9).await;
    assert!(matches!(
        verify(&restored, &late).await,
        Err(ResumeError::ForeignCommit { sequence: 5, .. })
    ));
    verify(&restored, &early).await.unwrap();
    restored.close().await;

    let epoch = EmbeddedLog::renew_epoch(&path).await.unwrap();
    let renewed = EmbeddedLog::open(&path).await.unwrap();
    assert_eq!(renewed.epoch(), epoch);
    assert!(matches!(
        verify(&renewed, &early).await,
        Err(ResumeError::ForeignEpoch { .. })
    ));
    verify(&renewed, &Checkpoint::start(epoch, 0)).await.unwrap();
}
