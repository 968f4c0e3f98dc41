//! The log to read models: what people read, folded from events and kept in SQL.
//!
//! In reading order: [`store`] is the port and [`view`] what its queries answer; [`fold`] turns commits
//! into row changes, with a module per read model ([`conversations`], [`members`], [`messages`],
//! [`users`], [`notify`], [`commands`]); [`intake`] takes a run of commits into a store, [`projector`] does so for as
//! [`users`], [`commands`], [`attachments`]); [`intake`] takes a run of commits into a store, [`projector`] does so for as
//! long as the log grows, and [`rebuild()`] fills a new generation beside the live one. [`store::sqlite`] is
//! the store of an embedded node, [`store::postgres`] that of a cluster.

pub mod attachments;
pub mod commands;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod conversations;
mod feed;
pub mod fold;
pub mod intake;
pub mod members;
pub mod messages;
pub mod notify;
pub mod projector;
pub mod rebuild;
pub mod store;
pub mod users;
pub mod view;

pub use feed::FeedError;
pub use projector::{Projector, ProjectorStatus, ProjectorStatuses};
pub use rebuild::rebuild;
pub use store::postgres::{PostgresConfig, PostgresReadModel};
pub use store::sqlite::SqliteReadModel;
pub use store::{ApplyError, Batch, ProjectionStore, ReadModel, StoreError};
pub use view::{
    ConversationPage, ConversationView, ListCursor, MemberView, Membership, MembershipChange,
    MembershipChanges, Memberships, MessagePage, MessageRange, MessageView, Profile, Receipt,
};
