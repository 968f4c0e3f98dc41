//! Properties of appends whose outcome stayed unknown: sending the same again ends it, and the record
//! is there once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fixture::{
    append, appended, assert_same, at_once, conversation, in_time, is_conflict, payload, pushed, reads,
    stream_of,
};
use super::{Home, Loss, LostAcks};
use crate::log::{Append, AppendError, EventLog, Expected};

/// Sent, stored, not acknowledged: the resend is answered by the first one's acknowledgement or by a
/// conflict behind which the record is found.
pub async fn an_append_whose_acknowledgement_was_lost_is_there_once<H: Home>() {
    let home = H::fresh().await;
    let log = LostAcks::new(home.open().await);
    for (stream, with_head) in [(conversation(1), true), (reads(1), false)] {
        let first = pushed(&log, &stream, payload("first")).await;
        let expected = if with_head {
            Expected::Head(first.sequence)
        } else {
            Expected::Any
        };
        let append = append(&stream, expected, payload("second"));
        log.lose_next(Loss::Answer);
        let unknown = log.append(append.clone()).await;
        assert!(matches!(unknown, Err(AppendError::Unknown(_))), "{unknown:?}");

        let head = log.head(&stream).await.unwrap();
        match log.append(append.clone()).await {
            Ok(again) => assert_eq!(again.sequence, head),
            Err(AppendError::Conflict) if with_head => {}
            Err(error) => panic!("the resend ended in {error}"),
        }
        let found = stream_of(&log, &stream).await;
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].sequence, &found[1].payload), (head, &append.payload));
    }
}

/// Sent, never arrived: the resend is the append.
pub async fn an_append_that_was_lost_arrives_when_it_is_sent_again<H: Home>() {
    let home = H::fresh().await;
    let log = LostAcks::new(home.open().await);
    for (stream, expected) in [(conversation(1), Expected::Head(0)), (reads(1), Expected::Any)] {
        let append = append(&stream, expected, payload("at last"));
        log.lose_next(Loss::Append);
        log.lose_next(Loss::Append);
        for _ in 0..2 {
            assert!(matches!(
                log.append(append.clone()).await,
                Err(AppendError::Unknown(_))
            ));
            assert_eq!(log.head(&stream).await.unwrap(), 0);
        }
        let record = appended(&log, append).await;
        assert_same(&stream_of(&log, &stream).await, &[record]);
    }
}

/// Sent, under way for so long that it was sent again: the late one changes nothing.
pub async fn an_append_that_arrives_late_is_there_once<H: Home>() {
    let home = H::fresh().await;
    let log = LostAcks::new(home.open().await);
    for (stream, expected) in [(conversation(1), Expected::Head(0)), (reads(1), Expected::Any)] {
        let append = append(&stream, expected, payload("twice"));
        log.lose_next(Loss::Late);
        assert!(log.append(append.clone()).await.is_err());
        assert_eq!(log.head(&stream).await.unwrap(), 0, "absence proves nothing");
        let record = appended(&log, append).await;
        for late in log.deliver_late().await {
            match late {
                Ok(late) => assert_eq!(late.sequence, record.sequence),
                Err(error) => assert!(matches!(error, AppendError::Conflict), "{error}"),
            }
        }
        assert_same(&stream_of(&log, &stream).await, &[record]);
    }
}

/// Sent, lost, and meanwhile another was faster: the resend is a conflict, and so is whatever of it
/// still arrives.
pub async fn an_append_that_was_lost_gives_way_to_another<H: Home>() {
    let home = H::fresh().await;
    let log = LostAcks::new(home.open().await);
    for (n, loss) in [(1, Loss::Append), (2, Loss::Late)] {
        let stream = conversation(n);
        let slow = append(&stream, Expected::Head(0), payload("slow"));
        log.lose_next(loss);
        assert!(log.append(slow.clone()).await.is_err());
        let fast = pushed(&log, &stream, payload("fast")).await;
        assert!(is_conflict(&log.append(slow).await));
        for late in log.deliver_late().await {
            assert!(is_conflict(&late));
        }
        assert_same(&stream_of(&log, &stream).await, &[fast]);
    }
}

/// Appenders that share a stream and lose half of their acknowledgements, each following the rule (the
/// same again until an acknowledgement or a conflict, then a look at the tail): every commit is there
/// once, and each appender's in its order.
pub async fn many_appenders_that_lose_acknowledgements_lose_and_double_nothing<H: Home>() {
    const APPENDERS: u64 = 4;
    const EACH: usize = 25;
    let home = H::fresh().await;
    let lossy = Arc::new(LostAcks::new(home.open().await));
    let mut turn = 0_usize;
    lossy.lose_when(move |_| {
        turn += 1;
        [
            None,
            Some(Loss::Answer),
            None,
            Some(Loss::Append),
            Some(Loss::Late),
            None,
        ][turn % 6]
    });
    let stream = conversation(1);
    let log: Arc<dyn EventLog> = Arc::clone(&lossy) as _;
    at_once(&log, APPENDERS, |log, n| {
        let (stream, lossy) = (stream.clone(), Arc::clone(&lossy));
        async move {
            for i in 0..EACH {
                commit(
                    log.as_ref(),
                    append(&stream, Expected::Any, payload(format!("{n}.{i}"))),
                )
                .await;
                if i % 5 == 0 {
                    lossy.deliver_late().await;
                }
            }
        }
    })
    .await;
    lossy.deliver_late().await;

    let mut expected: BTreeMap<_, _> = (0..APPENDERS)
        .map(|n| {
            (
                n,
                (0..EACH).map(|i| payload(format!("{n}.{i}"))).collect::<Vec<_>>(),
            )
        })
        .collect();
    for record in stream_of(log.as_ref(), &stream).await.into_iter().rev() {
        let of = expected
            .values_mut()
            .find(|left| left.last() == Some(&record.payload));
        of.unwrap_or_else(|| panic!("{:?} is doubled or out of order", record.payload))
            .pop();
    }
    assert!(expected.values().all(Vec::is_empty), "lost: {expected:?}");
}

/// Appends at the stream's head, wherever others move it, until the payload is there.
async fn commit(log: &dyn EventLog, template: Append) {
    let mut head = log.head(&template.stream).await.unwrap();
    loop {
        // The same bytes with the same expectation are the same append; another expectation is another.
        let attempt = append(&template.stream, Expected::Head(head), template.payload.clone());
        let outcome = in_time(async {
            loop {
                match log.append(attempt.clone()).await {
                    Err(AppendError::Unknown(_)) => {}
                    outcome => return outcome,
                }
            }
        })
        .await;
        match outcome {
            Ok(_) => return,
            Err(AppendError::Conflict) => {
                let mut tail = log.read_stream(&template.stream, head, usize::MAX).await.unwrap();
                if tail.iter().any(|record| record.payload == template.payload) {
                    return;
                }
                // Whatever is in the way may not be there to be read yet.
                head = tail.pop().map_or(head, |newest| newest.sequence);
            }
            Err(error) => panic!("{error}"),
        }
    }
}
