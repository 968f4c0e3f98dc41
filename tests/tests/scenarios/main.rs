//! What the system shows from outside: a module per scenario, each against real `verbatim` processes with
//! data folders of their own.

#![allow(
    clippy::unwrap_used,
    reason = "what is not there ends the scenario, and the line says which expectation it was"
)]

mod any_order;
mod architecture;
mod attachments;
mod attack;
mod bad_frames;
mod bad_input;
mod bad_tokens;
mod changes;
mod cluster;
mod cluster_kills;
mod cluster_own_writes;
mod cluster_replicas;
mod cluster_restore;
mod compose;
mod conversations;
mod crowds;
mod delivery;
mod drain;
mod edge;
mod endpoints;
mod erasure;
mod groups;
mod import;
mod keeping;
mod kills;
mod large;
mod messages;
mod notifications;
mod numbered_users;
mod ordering;
mod own_writes;
mod permissions;
mod push;
mod repeats;
mod resuming;
mod search;
mod slow_reader;
mod sockets;
mod start;
mod unread;
mod users;
