//! `verbatim serve`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use domain::{TenantId, UserId};
use tokio::net::{TcpSocket, lookup_host};
use tokio::signal::unix::{SignalKind, signal};

use super::{edge, say, start_logging};
use crate::auth::{Grant, Signer};
use crate::config::Serve;
use crate::node::Node;
use crate::router::router;
use crate::server::{self, Patience};

const SAMPLE_TOKEN_TTL: Duration = Duration::from_secs(12 * 60 * 60);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

pub(super) async fn run(options: Serve) -> anyhow::Result<()> {
    start_logging(&options.log)?;
    // Signals are listened for first: one that comes while the node starts is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let refused = || format!("{} cannot be listened on", options.listen);
    let socket = bind(&options.listen).await.with_context(refused)?;
    let deployment = &options.deployment;
    options.user_id_format.establish();
    let (edge, signer) = edge::open(&options).await?;
    let node = Node::start(deployment).await?;
    let app = node.app(edge).await?;
    let listener = socket.listen(BACKLOG).with_context(refused)?;
    let address = listener.local_addr()?;
    if deployment.is_cluster() {
        say("mode: cluster (a node on NATS and Postgres)");
    } else {
        say("mode: embedded (one node, nothing beside it)");
    }
    say(format_args!("data: {}", node.folder().display()));
    say(format_args!("listening on http://{address}"));
    if signer.is_none() {
        say("tokens come from elsewhere: none that is made here is good here");
    } else if deployment.is_cluster() {
        // A token is as good as a password, and what a node of a cluster prints is kept by whoever runs it.
        say("make a token: verbatim token --user alice --jwt-secret …");
    } else if let Some(signer) = signer.filter(|_| address.ip().is_loopback()) {
        say_try_it(address, &signer)?;
    } else {
        say(format_args!(
            "make a token: verbatim token --user alice --data {}",
            node.folder().display()
        ));
    }

    let stopping = node.stopping().clone();
    let signalled = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        signalled.cancel();
    });
    let router = router(app, &options.access.cors_origin);
    server::serve(listener, router, stopping, Patience::default()).await;
    node.stop().await;
    Ok(())
}

/// Takes an address, and does not listen on it yet: before the node is ready, whoever connects is to be refused
/// and to go to another node, not to wait.
async fn bind(address: &str) -> io::Result<TcpSocket> {
    let mut refused = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in lookup_host(address).await? {
        match bind_to(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind_to(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A node that starts again need not wait until the connections of the last one are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Prints a request that works as it stands.
fn say_try_it(address: SocketAddr, signer: &Signer) -> anyhow::Result<()> {
    let grant = Grant {
        tenant: &TenantId::parse("default")?,
        user: &UserId::parse("alice")?,
        name: Some("Alice"),
        scope: &[],
        ttl: SAMPLE_TOKEN_TTL,
    };
    let token = signer.issue(&grant)?;
    say("try it:");
    say(format_args!(
        "  curl -sS http://{address}/conversations/direct -H 'Authorization: Bearer {token}' \
         -H 'Content-Type: application/json' -d '{{\"recipientId\":\"bob\"}}'"
    ));
    Ok(())
}
