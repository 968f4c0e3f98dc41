//! What a cluster shows beyond one node: several nodes at work at once, and the links and the servers
//! between them going away. In embedded mode there is nothing to be seen here.

mod contention;
mod database;
mod links;
mod memberships;
mod refusals;
mod repeats;
mod silence;
mod tls;
mod upgrade;
