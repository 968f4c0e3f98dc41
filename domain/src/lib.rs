//! Commands to events: the rules of a conversation and of a user.
//!
//! Everything here is pure: no async, no I/O, no clock and no randomness. Time and identity arrive in a
//! [`Context`]; a decision is a function from a folded state and a command to events or a refusal.
//! In reading order: [`ids`] and [`values`] are the words, [`aggregate`] is the shape that every
//! aggregate has, [`conversation`] and [`user`] are the aggregates.

pub mod aggregate;
pub mod conversation;
pub mod folding;
pub mod ids;
pub mod permission;
pub mod push;
pub mod testing;
pub mod user;
pub mod values;

pub use aggregate::{Aggregate, Context};
pub use ids::{
    AttachmentId, ClientId, CommandId, CommitId, ConversationId, EventId, Fingerprint, MessageId, PushId,
    TenantId, UserId,
};
pub use values::{Ordinal, Private, Timestamp};
