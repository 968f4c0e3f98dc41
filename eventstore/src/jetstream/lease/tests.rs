//! One holder at a time, and never none for long.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use tokio::time::{interval, timeout};
use tokio_util::sync::DropGuard;

use super::*;
use crate::contract::nats::NatsServer;
use crate::contract::proxy::{Link, Proxy};
use crate::jetstream::{JetStreamConfig, connect_options};
use crate::lease::InProcessLeases;

/// How soon another holds after a holder died.
const TAKE_OVER: Duration = Duration::from_secs(10);
/// How soon another holds after a holder released.
const HANDED_OVER: Duration = Duration::from_secs(2);

async fn leases_at(url: String) -> JetStreamLeases {
    let client = connect_options().connect(url).await.unwrap();
    let config = JetStreamConfig {
        shards: 1,
        ..JetStreamConfig::new(client, "test")
    };
    JetStreamLeases::new(&JetStreamLog::open(config).await.unwrap())
}

async fn contend(leases: &dyn Leases, within: Duration) -> Lease {
    let lease = timeout(within, leases.contend("projector/0", CancellationToken::new())).await;
    lease
        .expect("it is acquired in time")
        .expect("it is not cancelled")
}

async fn one_after_the_other(first: &dyn Leases, second: &dyn Leases) {
    let lease = contend(first, HANDED_OVER).await;
    assert!(lease.held());
    let waiting = contend(second, TAKE_OVER);
    let handing_over = async {
        let early = timeout(Duration::from_secs(7), std::future::pending::<()>()).await;
        assert!(
            early.is_err() && lease.held(),
            "it is held for as long as it is kept"
        );
        let (lost, term) = (lease.lost(), lease.term());
        lease.release().await;
        assert!(lost.is_cancelled());
        (term, Instant::now())
    };
    let (next, (term, released)) = tokio::join!(waiting, handing_over);
    assert!(next.held() && next.term() > term);
    assert!(
        released.elapsed() < HANDED_OVER,
        "a released lease is taken at once"
    );
    // Another name is another lease, and cancelling ends waiting and holding.
    let (cancel, waits) = (CancellationToken::new(), CancellationToken::new());
    let other = timeout(HANDED_OVER, first.contend("indexer", cancel.clone()))
        .await
        .unwrap()
        .unwrap();
    waits.cancel();
    assert!(second.contend("indexer", waits).await.is_none());
    cancel.cancel();
    timeout(HANDED_OVER, other.lost().cancelled()).await.unwrap();
    assert!(!other.held());
    let _again = timeout(HANDED_OVER, second.contend("indexer", CancellationToken::new()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_lease_goes_to_the_next() {
    let server = NatsServer::start().await;
    let (first, second) = (leases_at(server.url()).await, leases_at(server.url()).await);
    one_after_the_other(&first, &second).await;
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_goes_to_the_next_in_one_process() {
    let leases = InProcessLeases::default();
    one_after_the_other(&leases, &leases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_lease_runs_out() {
    let server = NatsServer::start().await;
    let (first, second) = (leases_at(server.url()).await, leases_at(server.url()).await);
    let lease = contend(&first, HANDED_OVER).await;
    let term = lease.term();
    drop(lease);
    assert!(contend(&second, TAKE_OVER).await.term() > term);
}

/// Contenders that do guarded work, and count who is at it.
struct Guarded {
    inside: Arc<AtomicI64>,
    done: Arc<AtomicU64>,
    _stop: DropGuard,
}

fn guarded(leases: JetStreamLeases, inside: &Arc<AtomicI64>) -> Guarded {
    let (inside, done) = (Arc::clone(inside), Arc::<AtomicU64>::default());
    let stop = CancellationToken::new();
    let guard = stop.clone().drop_guard();
    let (counted, worked) = (Arc::clone(&inside), Arc::clone(&done));
    tokio::spawn(async move {
        while let Some(lease) = leases.contend("guarded", stop.clone()).await {
            let mut work = interval(Duration::from_millis(1));
            loop {
                work.tick().await;
                // As a projector's step: checked, then done without a pause between.
                if !lease.held() {
                    break;
                }
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "another is at it");
                std::thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                done.fetch_add(1, SeqCst);
            }
        }
    });
    Guarded {
        inside: counted,
        done: worked,
        _stop: guard,
    }
}

impl Guarded {
    /// Waits until it works, or works again.
    async fn works(&self, within: Duration) {
        let before = self.done.load(SeqCst);
        let working = async {
            let mut look = interval(Duration::from_millis(5));
            while self.done.load(SeqCst) == before {
                look.tick().await;
            }
        };
        timeout(within, working).await.expect("one holds in time");
        assert!(self.inside.load(SeqCst) <= 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_behind_a_stalled_link_steps_back_before_another_steps_forward() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(&server.url()).await;
    let inside = Arc::default();
    let cut_off = guarded(leases_at(proxy.url()).await, &inside);
    cut_off.works(HANDED_OVER).await;
    for link in [Link::Stalled, Link::Refused] {
        let other = guarded(leases_at(server.url()).await, &inside);
        proxy.set(link);
        other.works(TAKE_OVER).await;
        let stopped = cut_off.done.load(SeqCst);
        proxy.set(Link::Up);
        other.works(HANDED_OVER).await;
        assert_eq!(
            cut_off.done.load(SeqCst),
            stopped,
            "it has lost the lease and knows"
        );
        drop(other);
        cut_off.works(TAKE_OVER).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_their_server_and_their_stream() {
    let mut server = NatsServer::start().await;
    let inside = Arc::default();
    let first = guarded(leases_at(server.url()).await, &inside);
    first.works(HANDED_OVER).await;
    let second = guarded(leases_at(server.url()).await, &inside);
    let either = async || {
        tokio::select! {
            () = first.works(TAKE_OVER) => {}
            () = second.works(TAKE_OVER) => {}
        }
    };
    // A server may lose a stream that it made within the second before it was killed.
    let started = Instant::now();
    while started.elapsed() < 2 * RENEWAL {
        either().await;
    }
    for _ in 0..2 {
        server.kill();
        server.restart().await;
        either().await;
    }
    let context = async_nats::jetstream::new(server.client().await);
    for _ in 0..2 {
        context.delete_stream("test-leases").await.unwrap();
        let deleted = Instant::now();
        while deleted.elapsed() < TAKE_OVER {
            either().await;
        }
    }
}
