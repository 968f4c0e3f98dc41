//! How costs grow: with the messages of a conversation, its members, the conversations of a user, and all
//! messages. Each is a curve, and what it shows is its shape: nothing stands beside it.

use std::time::Instant;

use anyhow::ensure;

use super::{Run, cold_start, search};
use crate::deployment::{Deployment, Mode};
use crate::figures::{Curve, Row};
use crate::latencies::Latencies;
use crate::load::{Outcome, Pace, Plan, Room, to_f64};
use crate::protocol::Protocol;
use crate::requests::Requests;
use crate::seed::Seed;
use crate::socket::Socket;

const MESSAGES: &str = "messages in the conversation";
const MEMBERS: &str = "members";
const OF_USER: &str = "conversations of the user";
const IN_ALL: &str = "messages in all";

const SEND: (&str, &str) = ("send to ack at 50/s, p50", "ms");
const FIRST: (&str, &str) = ("first send after a start", "ms");
const PAGE: (&str, &str) = ("newest page, p50", "ms");
const CPU: (&str, &str) = ("CPU time of a message", "ms");
const LIST: (&str, &str) = ("conversation list, p50", "ms");
const CONNECT: (&str, &str) = ("socket connected, p50", "ms");
const SEARCH: (&str, &str) = ("search with facets, p50", "ms");
const START: (&str, &str) = ("start until ready", "ms");

/// Sends a second where nothing is to wait for anything else.
const PER_SECOND: f64 = 50.0;
/// Members of a conversation, where that is not what grows.
const PEOPLE: usize = 10;
/// Conversations that all messages are in.
const CONVERSATIONS: usize = 100;
/// Small conversations there are several of, lest the sends make one large.
const SMALL: usize = 30;
/// Sockets that are opened, one after another.
const SOCKETS: usize = 50;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let mut deployment = Deployment::start(run.mode).await;
    let mut rows = by_messages(run, &mut deployment).await?;
    rows.extend(by_members(run, &mut deployment).await?);
    rows.extend(by_conversations(run, &mut deployment).await?);
    drop(deployment);
    rows.extend(by_all_messages(run).await?);
    Ok(rows)
}

async fn by_messages(run: Run, deployment: &mut Deployment) -> anyhow::Result<Vec<Row>> {
    let curves = [
        Curve::new("first-send-by-messages", FIRST, MESSAGES),
        Curve::new("page-by-messages", PAGE, MESSAGES),
        Curve::new("send-by-messages", SEND, MESSAGES),
    ];
    let (names, sizes): (&[_], &[_]) = if run.is_quick {
        (&["small", "middle"], &[10, 1_000])
    } else {
        (&["small", "middle", "large"], &[10, 10_000, 1_000_000])
    };
    let seed = |messages: usize| Seed {
        conversations: (1_000 / messages).clamp(1, SMALL),
        messages,
        members: PEOPLE,
        shared: 0,
    };
    let seeds: Vec<_> = names
        .iter()
        .copied()
        .zip(sizes.iter().copied().map(seed))
        .collect();
    let rooms = deployment.take_in(&seeds).await?;
    let mut rows = at(sizes, curves);
    for _ in 0..run.times() {
        for (rooms, [first, page, send]) in rooms.iter().zip(&mut rows) {
            let (room, someone) = (&rooms[0].id, &rooms[0].members[0]);
            deployment.node.terminate().await;
            deployment.node.restart().await;
            first.ours.push(first_send(deployment, room, someone).await?);
            let path = format!("/conversations/{room}/messages?limit=50");
            page.ours.push(ask(run, deployment, someone, vec![path]).await?);
            send.ours.push(calm_sends(run, deployment, rooms).await?);
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

async fn by_members(run: Run, deployment: &mut Deployment) -> anyhow::Result<Vec<Row>> {
    let curves = [
        Curve::new("send-by-members", SEND, MEMBERS),
        Curve::new("cpu-by-members", CPU, MEMBERS),
    ];
    let sizes: &[_] = if run.is_quick { &[2, 10] } else { &[2, 10, 100] };
    let mut rooms = Vec::with_capacity(sizes.len());
    for size in sizes {
        rooms.push(deployment.rooms(1, *size, 1).await);
    }
    let mut rows = at(sizes, curves);
    for _ in 0..run.times() {
        for (rooms, [send, cpu]) in rooms.iter().zip(&mut rows) {
            send.ours.push(calm_sends(run, deployment, rooms).await?);
            let before = deployment.cpu();
            // Everything counts, as it does for the CPU.
            let sent = sends(run, deployment, rooms, Pace::InFlight(4), 0.0).await?;
            let seconds = deployment.cpu().all_since(before);
            cpu.ours.push(seconds * 1_000.0 / to_f64(sent.acknowledged));
            cpu.note("deliveries/s", sent.deliveries_per_second());
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

async fn by_conversations(run: Run, deployment: &mut Deployment) -> anyhow::Result<Vec<Row>> {
    let curves = [
        Curve::new("list-by-conversations", LIST, OF_USER),
        Curve::new("connect-by-conversations", CONNECT, OF_USER),
    ];
    let sizes: &[_] = if run.is_quick { &[10, 100] } else { &[10, 1_000] };
    let seed = |conversations, shared| Seed {
        conversations,
        messages: PEOPLE,
        members: 1,
        shared,
    };
    // One person is in the few alone, and one in all.
    let few = ("few", seed(sizes[0], 2));
    let more = ("more", seed(sizes[1] - sizes[0], 1));
    deployment.take_in(&[few, more]).await?;
    let mut rows = at(sizes, curves);
    for _ in 0..run.times() {
        for (user, [list, connect]) in ["s1", "s0"].into_iter().zip(&mut rows) {
            let path = "/conversations?limit=20".to_owned();
            list.ours.push(ask(run, deployment, user, vec![path]).await?);
            connect.ours.push(connects(deployment, user).await?);
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

async fn by_all_messages(run: Run) -> anyhow::Result<Vec<Row>> {
    let curves = [
        Curve::new("start-by-all-messages", START, IN_ALL),
        Curve::new("search-by-all-messages", SEARCH, IN_ALL),
        Curve::new("send-by-all-messages", SEND, IN_ALL),
    ];
    let mut sizes = if run.is_quick {
        vec![2_000, 20_000]
    } else {
        vec![100_000, 1_000_000]
    };
    if run.is_huge && run.mode == Mode::Embedded {
        sizes.push(10_000_000);
    }
    let mut deployment = Deployment::start(run.mode).await;
    let mut rows = at(&sizes, curves);
    for (size, [start, searches, send]) in sizes.iter().zip(&mut rows) {
        // The same conversations, that go on.
        let seed = Seed {
            conversations: CONVERSATIONS,
            messages: size / CONVERSATIONS,
            members: PEOPLE,
            shared: 1,
        };
        let rooms = deployment.take_in(&[("room", seed)]).await?.concat();
        for _ in 0..run.times() {
            start.ours.push(starts(&mut deployment).await?);
            searches
                .ours
                .push(ask(run, &deployment, "s0", search::paths()).await?);
            send.ours.push(calm_sends(run, &deployment, &rooms[..1]).await?);
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

/// A row of each curve at each point.
fn at<const CURVES: usize>(points: &[usize], curves: [Curve; CURVES]) -> Vec<[Row; CURVES]> {
    points
        .iter()
        .map(|point| curves.map(|curve| Row::at(curve, *point)))
        .collect()
}

/// Seconds before it counts, and for which it does: there are many points.
const fn duration(run: Run) -> (f64, f64) {
    if run.is_quick { (0.25, 0.5) } else { (1.0, 4.0) }
}

/// How long a node takes from its start until it is ready, in ms.
async fn starts(deployment: &mut Deployment) -> anyhow::Result<f64> {
    deployment.node.terminate().await;
    let node = cold_start::Node::start(&deployment.node.folder).await?;
    let took = node.ready_after;
    node.end(false).await;
    deployment.node.restart().await;
    Ok(took.as_secs_f64() * 1_000.0)
}

/// How long a send takes where one member of each room sends, and all sends are few: half take less, in ms.
async fn calm_sends(run: Run, deployment: &Deployment, rooms: &[Room]) -> anyhow::Result<f64> {
    let (warm_up, _) = duration(run);
    let sent = sends(run, deployment, rooms, Pace::PerSecond(PER_SECOND), warm_up).await?;
    Ok(sent.to_ack.p50)
}

/// The same at this pace.
async fn sends(
    run: Run,
    deployment: &Deployment,
    rooms: &[Room],
    pace: Pace,
    warm_up: f64,
) -> anyhow::Result<Outcome> {
    let one_sends = |room: &Room| Room {
        senders: 1,
        ..room.clone()
    };
    let plan = Plan {
        protocol: Protocol::Verbatim,
        servers: vec![deployment.node.address().to_owned()],
        secret: deployment.node.folder.secret(),
        rooms: rooms.iter().map(one_sends).collect(),
        pace,
        warm_up,
        seconds: duration(run).1,
    };
    plan.carry_out().await
}

/// How long an answer takes where one client asks for one thing after another: half take less, in ms.
async fn ask(run: Run, deployment: &Deployment, user: &str, paths: Vec<String>) -> anyhow::Result<f64> {
    let (warm_up, seconds) = duration(run);
    let requests = Requests {
        server: deployment.node.address().to_owned(),
        token: deployment.node.folder.token(user),
        paths,
        clients: 1,
        per_second: None,
        warm_up,
        seconds,
    };
    Ok(requests.carry_out().await?.latencies.p50)
}

/// How long it takes until a socket is connected: half take less, in ms.
async fn connects(deployment: &Deployment, user: &str) -> anyhow::Result<f64> {
    let token = deployment.node.folder.token(user);
    let mut latencies = Latencies::default();
    for _ in 0..SOCKETS {
        let begun = Instant::now();
        Socket::open(deployment.node.address(), "/ws", Some(&token))
            .await?
            .next()
            .await?;
        latencies.record(begun.elapsed());
    }
    Ok(latencies.summary().p50)
}

/// How long a send takes until it is acknowledged, in ms.
async fn first_send(deployment: &Deployment, room: &str, user: &str) -> anyhow::Result<f64> {
    let token = deployment.node.folder.token(user);
    let mut socket = Socket::open(deployment.node.address(), "/ws", Some(&token)).await?;
    socket.next().await?;
    let begun = Instant::now();
    let data = format!(r#"{{"conversationId":"{room}","content":"the first"}}"#);
    socket
        .send(format!(r#"{{"event":"send_message","id":1,"data":{data}}}"#))
        .await?;
    let mut answer = socket.next().await?;
    while !answer.starts_with(r#"{"event":"ack""#) {
        answer = socket.next().await?;
    }
    ensure!(
        answer.contains(r#""success":true"#),
        "a send was refused: {answer}"
    );
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}
