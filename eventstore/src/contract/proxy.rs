//! A TCP proxy on the loopback whose link can be cut, stalled, swallowed and refused.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// Bytes that are carried at a time: few, so that a cut falls into the middle of things.
const CHUNK: usize = 4 * 1024;

/// What the link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It carries everything.
    Up,
    /// It carries nothing, and keeps what is sent until it carries again. Connections stay open.
    Stalled,
    /// It takes bytes and loses them. Connections are closed when it does anything else.
    Swallowing,
    /// Connections are closed, and new ones as soon as they are made.
    Refused,
}

/// The proxy. Dropped, it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<(Link, u64)>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy in front of an address like `127.0.0.1:4222`; a scheme before it is left out.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(target: &str) -> Self {
        let target = target.rsplit('/').next().unwrap_or(target).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (link, seen) = watch::channel((Link::Up, 0));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let mut seen = seen.clone();
                let link = seen.borrow_and_update().0;
                if link == Link::Refused {
                    continue;
                }
                let target = target.clone();
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(&target).await {
                        carry(client, server, seen).await;
                    }
                });
            }
        });
        Self {
            address,
            link,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Where it takes connections.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as the address of a NATS server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Says what the link does from now on.
    pub fn set(&self, link: Link) {
        self.link.send_modify(|now| now.0 = link);
    }

    /// Closes all connections; new ones can be made.
    pub fn cut(&self) {
        self.link.send_modify(|now| now.1 += 1);
    }
}

async fn carry(client: TcpStream, server: TcpStream, link: watch::Receiver<(Link, u64)>) {
    // What is small goes at once, as it would without a proxy.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // When one direction ends, both do.
    tokio::select! {
        () = pump(from_client, to_server, link.clone()) => {}
        () = pump(from_server, to_client, link) => {}
    }
}

/// Carries one direction until it ends or the link closes it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<(Link, u64)>) {
    let cuts = link.borrow().1;
    let mut swallowed = false;
    let mut held: Vec<u8> = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let (now, cut) = *link.borrow_and_update();
        if cut != cuts || now == Link::Refused || (swallowed && now != Link::Swallowing) {
            return;
        }
        if now == Link::Up && !held.is_empty() {
            if to.write_all(&held).await.is_err() {
                return;
            }
            held.clear();
            continue;
        }
        tokio::select! {
            changed = link.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if now != Link::Stalled => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if now == Link::Swallowing => swallowed = true,
                // It goes out only if the link still carries.
                Ok(length) => held.extend_from_slice(&buffer[..length]),
            },
        }
    }
}
