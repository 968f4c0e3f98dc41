//! The index over logs in memory: what it finds, what it never shows, and what it survives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod corpus;
mod damage;
mod following;
mod paging;
mod permission;
mod rebuilding;
mod support;
mod words;
