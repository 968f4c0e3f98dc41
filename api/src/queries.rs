//! Handlers of queries: extract, ask the read model, respond.

pub mod conversations;
pub mod messages;
pub mod search;
