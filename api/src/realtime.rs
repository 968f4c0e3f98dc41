//! Live delivery: the hub follows the log and hands each frame to the sockets that it concerns, the
//! socket speaks with one client.
//!
//! A frame is encoded once, whatever the number of sockets it goes to. A socket that cannot keep up is
//! closed with a code that tells it to come back, and no other socket notices.

mod audience;
mod frame;
mod hub;
mod session;
mod socket;

pub use hub::{Hub, Starting};
pub use socket::upgrade;
