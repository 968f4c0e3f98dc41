//! Taking in messages of other systems.

pub mod irc;
