//! Handlers of queries: extract, ask the read model, respond.

pub mod attachments;
pub mod conversations;
pub mod members;
pub mod message;
pub mod messages;
pub mod search;
pub mod users;
