//! Fan-out: one conversation whose members are all connected; beside a bare loop that sends one shared
//! frame of the same size to as many sockets.

use super::Run;
use crate::bare::Bare;
use crate::deployment::Deployment;
use crate::figures::{Aim, Row};
use crate::load::{Pace, Plan};
use crate::protocol::Protocol;
use crate::seed::Seed;
use crate::socket::Socket;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let sizes: &[usize] = if run.is_quick { &[200] } else { &[1_000, 5_000] };
    let mut rows = Vec::new();
    for size in sizes {
        let mut row = Row::new(format!("deliveries/s to {size} members"), Aim::Part(0.7));
        for _ in 0..run.times() {
            let seed = Seed {
                conversations: 1,
                messages: *size,
                members: *size,
                shared: 0,
            };
            let (mut deployment, mut rooms) = Deployment::start_with(run.mode, seed).await?;
            rooms[0].senders = 1;
            let mut plan = Plan {
                servers: vec![deployment.node.address().to_owned()],
                protocol: Protocol::Verbatim,
                secret: deployment.node.folder.secret(),
                rooms,
                pace: Pace::InFlight(4),
                warm_up: 1.0,
                seconds: run.seconds(),
            };
            let frame_bytes = frame_bytes(&deployment, &plan).await?;
            row.note("bytes of a frame", crate::load::to_f64(frame_bytes as u64));
            let before = deployment.cpu();
            let ours = plan.carry_out().await?;
            for (name, seconds) in deployment.cpu().since(before) {
                row.note(name, seconds);
            }
            row.note("send to ack p50 ms", ours.to_ack.p50);
            row.note("CPU s of the clients", ours.cpu);
            row.ours.push(ours.deliveries_per_second());
            drop(deployment);
            let bare = Bare::start(frame_bytes).await?;
            plan.servers = vec![bare.address.clone()];
            row.baseline.push(plan.carry_out().await?.deliveries_per_second());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// How large the frame of a message is on a member's socket.
async fn frame_bytes(deployment: &Deployment, plan: &Plan) -> anyhow::Result<usize> {
    let room = &plan.rooms[0];
    let token = deployment.node.folder.token(&room.members[1]);
    let mut socket = Socket::open(deployment.node.address(), "/ws", Some(&token)).await?;
    socket.next().await?;
    let content = "m0 is a message of the length that people write in chats";
    deployment
        .node
        .client(&room.members[0])
        .say(&room.id, content)
        .await;
    Ok(socket.next().await?.len())
}
