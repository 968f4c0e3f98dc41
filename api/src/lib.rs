//! The edge and the composition root: HTTP, WebSocket and the command line.
//!
//! In reading order: [`config`] is what can be configured, [`folder`] the data folder, [`node`] composes
//! the stations of an embedded node, [`app`] is what handlers see, [`server`] accepts connections, [`router`] lists every
//! route, [`commands`] and [`queries`] are the handlers, [`realtime`] the sockets, [`attachments`] what files are taken
//! in and kept with, [`effects`] what goes out, [`openapi`] describes them all and [`web`] shows that to people. What
//! stands before the handlers is in [`auth`], [`limits`], [`cors`] and [`request`]. Only [`error`] knows status
//! codes, and only [`node`] names concrete adapters.

pub mod app;
pub mod attachments;
pub mod auth;
pub mod cli;
pub mod commands;
pub mod config;
pub mod consistency;
pub mod cors;
pub mod effects;
pub mod error;
pub mod extract;
pub mod figures;
pub mod folder;
pub mod health;
pub mod import;
pub mod json;
pub mod limits;
pub mod node;
pub mod openapi;
pub mod queries;
pub mod realtime;
pub mod request;
pub mod router;
pub mod server;
pub mod standing;
pub mod web;
pub mod wire;
