//! Live delivery: feeds listen to the log, the hub hands each frame to the sockets that it concerns, a
//! session speaks with one client.
//!
//! A node listens to the conversations of its own sockets' users and to no others. A frame is encoded
//! once, whatever the number of sockets it goes to. A socket that cannot keep up is closed with a code
//! that tells it to come back, and no other socket notices. Who comes back with the cursor of the last
//! frame is given what lies between, read from the log.
//!
//! In reading order: `feeds`, `hub`, `audience`, `looks`, then `socket`, `session`, `cursor`, `resume`,
//! and `frame`.

mod audience;
mod crowds;
mod cursor;
mod feeds;
mod frame;
mod hub;
mod looks;
mod resume;
mod session;
pub mod socket;

pub use cursor::Cursors;

pub use hub::{Hub, Starting};
