//! The log to read models: what people read, folded from events and kept in SQL.
//!
//! In reading order: [`store`] is the port and [`view`] what its queries answer; [`fold`] turns commits
//! into row changes, with a module per read model ([`conversations`], [`members`], [`messages`],
//! [`users`], [`commands`]).

pub mod commands;
pub mod conversations;
pub mod fold;
pub mod members;
pub mod messages;
pub mod store;
pub mod users;
pub mod view;

pub use store::{ApplyError, Batch, ProjectionStore, ReadModel, StoreError};
pub use view::{
    ConversationPage, ConversationView, ListCursor, MemberView, Memberships, MessagePage, MessageRange,
    MessageView, Profile, Receipt,
};
