//! The parts of the executor that are not seen from outside.

use std::time::Duration;

use domain::{CommandId, ConversationId, Fingerprint, TenantId};
use proptest::prelude::*;

use super::known::KnownCommands;
use super::registry::{Queue, Registry};
use crate::facts::CommandFact;
use crate::subject::Stream;

fn stream() -> Stream {
    Stream::Conversation(TenantId::parse("t").unwrap(), ConversationId::from_bytes([1; 16]))
}

fn fact(sequence: u64) -> CommandFact {
    CommandFact {
        fingerprint: Fingerprint::from_bytes([0; 16]),
        sequence,
    }
}

/// An actor that only says what it gets.
fn listen(mut queue: Queue<u32>, heard: tokio::sync::mpsc::UnboundedSender<Vec<u32>>) {
    tokio::spawn(async move {
        loop {
            let messages = queue.next(100).await;
            if messages.is_empty() {
                return;
            }
            heard.send(messages).unwrap();
        }
    });
}

#[tokio::test(start_paused = true)]
async fn an_idle_actor_ends_and_the_next_message_starts_another() {
    let registry = Registry::default();
    let mut started = 0;
    for round in 1..=5 {
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        assert!(
            registry
                .send(&stream(), round, |queue| {
                    started += 1;
                    listen(queue, heard);
                })
                .is_ok()
        );
        assert_eq!(hears.recv().await, Some(vec![round]));
        assert_eq!(hears.recv().await, None, "it ends when it is idle");
        assert_eq!(started, round);
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_gets_everything_although_the_registry_is_gone() {
    let registry = Registry::default();
    let mut queues = Vec::new();
    for message in 0..250 {
        assert!(
            registry
                .send(&stream(), message, |queue| queues.push(queue))
                .is_ok()
        );
    }
    drop(registry);
    let mut queue = queues.pop().unwrap();
    let start = tokio::time::Instant::now();
    let mut got = Vec::new();
    loop {
        let messages = queue.next(100).await;
        if messages.is_empty() {
            break;
        }
        got.extend(messages);
    }
    assert_eq!(got, (0..250).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), Duration::ZERO, "and ends at once");
}

#[tokio::test]
async fn an_actor_that_panicked_is_replaced() {
    let registry = Registry::default();
    assert!(registry.send(&stream(), 1, drop).is_ok());
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    assert!(registry.send(&stream(), 2, |queue| listen(queue, heard)).is_ok());
    assert_eq!(hears.recv().await, Some(vec![2]));
}

#[test]
fn a_full_queue_says_so() {
    let registry = Registry::default();
    let mut queues = Vec::new();
    let sent = (0..2_000).take_while(|n| registry.send(&stream(), *n, |queue| queues.push(queue)).is_ok());
    assert_eq!(sent.count(), 1_024);
}

#[test]
fn commands_do_not_pile_up_while_nobody_asks_for_them() {
    let id = |sequence: u64| CommandId::from_bytes(u128::from(sequence).to_be_bytes());
    let mut known = KnownCommands::default();
    for sequence in 1..=10_000 {
        known.insert(id(sequence), fact(sequence));
        known.shed(sequence.saturating_sub(10));
    }
    let kept = (1..=10_000).filter(|sequence| known.get(id(*sequence)).is_some());
    assert!(kept.count() < 300);
}

/// What may happen to the commands that an actor knows.
#[derive(Clone, Debug)]
enum Step {
    /// A commit with this command is folded.
    Fold(u8),
    /// The read model was asked, and is this far behind the head.
    Forget(u64),
    /// The read model is said to be this far behind the head.
    Shed(u64),
    /// The stretch is learnt again, from this far behind the floor.
    Learn(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u8>().prop_map(Step::Fold),
        1 => (0..600_u64).prop_map(Step::Forget),
        1 => (0..600_u64).prop_map(Step::Shed),
        1 => (0..600_u64).prop_map(Step::Learn),
    ]
}

proptest! {
    #[test]
    fn every_command_above_the_floor_is_known(steps in prop::collection::vec(step(), 0..2_000)) {
        let id = |command: u8| CommandId::from_bytes([command; 16]);
        let mut log: Vec<u8> = Vec::new();
        let mut known = KnownCommands::default();
        for step in steps {
            let head = log.len() as u64;
            match step {
                Step::Fold(command) => {
                    log.push(command);
                    known.insert(id(command), fact(head + 1));
                }
                Step::Forget(behind) => known.forget(head.saturating_sub(behind)),
                Step::Shed(behind) => known.shed(head.saturating_sub(behind)),
                Step::Learn(behind) => {
                    let from = known.floor.saturating_sub(behind);
                    for sequence in from + 1..=known.floor.min(head) {
                        known.insert(id(log[usize::try_from(sequence).unwrap() - 1]), fact(sequence));
                    }
                    known.floor = from;
                }
            }
        }
        for (command, sequence) in log.iter().zip(1_u64..) {
            if sequence > known.floor {
                let newest = log.iter().rposition(|other| other == command).unwrap() as u64 + 1;
                prop_assert_eq!(known.get(id(*command)), Some(fact(newest)));
            }
        }
    }
}
