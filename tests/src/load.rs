//! Clients that send without a pause while their servers come and go, each with a [`Ledger`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ledger::{Broken, Ledger};
use crate::{Client, Folder, Socket};

/// The pause of a client that sends calmly.
const CALM: Duration = Duration::from_millis(20);

/// How a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over HTTP, one after the other.
    Http,
    /// The same, with a pause after each.
    Calm,
    /// Over a WebSocket, with so many not yet acknowledged at a time.
    Socket(usize),
}

/// Clients at work.
pub struct Load {
    addresses: watch::Sender<Vec<String>>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts clients that wait for servers on this folder, or on its cluster. Who they are must be members.
    #[must_use]
    pub fn start(folder: &Folder, conversations: &[String], users: &[(&str, Way)]) -> Self {
        let (addresses, current) = watch::channel(Vec::new());
        let (stop, count) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let worker = |(number, (user, way)): (usize, &(&str, Way))| {
            let mut ledger = Ledger::new(user, conversations);
            if *way == Way::Calm {
                ledger.pause = CALM;
            }
            let places = Places {
                current: current.clone(),
                next: number,
            };
            tokio::spawn(work(
                ledger,
                folder.token(user),
                *way,
                places,
                Arc::clone(&stop),
                Arc::clone(&count),
            ))
        };
        let workers = users.iter().enumerate().map(worker).collect();
        Self {
            addresses,
            stop,
            count,
            workers,
        }
    }

    /// Tells the clients where the server is, or that there is none.
    pub fn server_at(&self, address: Option<&str>) {
        self.servers_at(address);
    }

    /// Tells the clients where there are servers. They spread over them, and one whose session has broken
    /// goes to the next server.
    pub fn servers_at<'a>(&self, addresses: impl IntoIterator<Item = &'a str>) {
        let addresses = addresses.into_iter().map(str::to_owned).collect();
        self.addresses.send_replace(addresses);
    }

    /// How many texts were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until so many more texts were acknowledged.
    ///
    /// # Panics
    /// If a client has failed, or if it takes too long.
    pub async fn more(&self, texts: u64) {
        let goal = self.count.load(Ordering::Relaxed) + texts;
        crate::eventually("the clients go on", || {
            let now = self.count.load(Ordering::Relaxed);
            assert!(
                self.workers.iter().all(|worker| !worker.is_finished()),
                "a client has failed"
            );
            std::future::ready(if now >= goal {
                Ok(())
            } else {
                Err(format!("{now} of {goal}"))
            })
        })
        .await;
    }

    /// Lets every client learn the fate of what it has sent, and gives the ledgers. A server must be there.
    ///
    /// # Panics
    /// If a client failed.
    pub async fn finish(self) -> Vec<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledgers = Vec::new();
        for worker in self.workers {
            let ledger = tokio::time::timeout(2 * crate::PATIENCE, worker).await;
            ledgers.push(ledger.expect("a client does not get through").unwrap());
        }
        ledgers
    }
}

/// Where a client finds servers.
struct Places {
    current: watch::Receiver<Vec<String>>,
    next: usize,
}

impl Places {
    fn next(&mut self) -> Option<String> {
        let current = self.current.borrow();
        let place = current.get(self.next.checked_rem(current.len())?).cloned();
        self.next += 1;
        place
    }
}

/// One client: a session after the other, until it is enough.
async fn work(
    mut ledger: Ledger,
    token: String,
    way: Way,
    mut places: Places,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> Ledger {
    let counted = AtomicU64::new(0);
    let enough = |ledger: &Ledger| {
        let now = ledger.acknowledged.len() as u64;
        count.fetch_add(now - counted.swap(now, Ordering::Relaxed), Ordering::Relaxed);
        stop.load(Ordering::Relaxed)
    };
    loop {
        let outcome = match (places.next(), way) {
            (None, _) => Err(Broken),
            (Some(server), Way::Http | Way::Calm) => {
                ledger
                    .send_http(&Client::new(&server, Some(&token)), &enough)
                    .await
            }
            (Some(server), Way::Socket(window)) => match Socket::try_connect(&server, &token).await {
                Ok(mut socket) => ledger.send_socket(&mut socket, window, &enough).await,
                Err(_) => Err(Broken),
            },
        };
        if outcome.is_ok() {
            return ledger;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
