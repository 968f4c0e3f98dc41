//! Who may ask how much, and from which pages.

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::cors::Origin;
use crate::limits::{Rate, Rates};

/// The most proxies that may stand before a node.
const MOST_PROXIES: u64 = 8;

/// Who may ask how much, and from which pages.
#[derive(Args, Clone, Debug)]
pub struct Access {
    /// How many commands a user may give on this node, over HTTP and sockets together: so many a second (s),
    /// minute (m) or hour (h), and how many at once; or off.
    #[arg(
        long,
        env = "VERBATIM_RATE_LIMIT_COMMANDS",
        value_name = "RATE",
        default_value = "20/s:200"
    )]
    pub rate_limit_commands: Rate,
    /// How many reads a user may ask for on this node, likewise.
    #[arg(
        long,
        env = "VERBATIM_RATE_LIMIT_READS",
        value_name = "RATE",
        default_value = "50/s:500"
    )]
    pub rate_limit_reads: Rate,
    /// How many bad tokens are answered as such to an address, likewise. Good ones are taken from there all
    /// the same.
    #[arg(
        long,
        env = "VERBATIM_RATE_LIMIT_FAILURES",
        value_name = "RATE",
        default_value = "2/s:100"
    )]
    pub rate_limit_failures: Rate,
    /// How many proxies stand before the node, each of which adds to `X-Forwarded-For` whom it speaks for.
    /// With 0, the address that connects is the client's.
    #[arg(
        long,
        env = "VERBATIM_TRUSTED_PROXIES",
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = RangedU64ValueParser::<u8>::new().range(0..=MOST_PROXIES)
    )]
    pub trusted_proxies: u8,
    /// The web pages that may use the API, by their origin: `https://chat.example.com`, or `*` for all. May
    /// be repeated, or hold several with commas between them. Without it, those of the same origin alone.
    #[arg(
        long,
        env = "VERBATIM_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origin: Vec<Origin>,
}

impl Access {
    /// What the limits are.
    #[must_use]
    pub const fn rates(&self) -> Rates {
        Rates {
            commands: self.rate_limit_commands,
            reads: self.rate_limit_reads,
            failures: self.rate_limit_failures,
            proxies: self.trusted_proxies,
        }
    }
}
