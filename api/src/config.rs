//! What can be configured: flags and `VERBATIM_*` variables, parsed once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use domain::{TenantId, UserId};
use eventstore::Namespace;
use eventstore::jetstream::DEFAULT_SHARDS;
use eventstore::jetstream::servers::Servers;
use eventstore::subject::PARTITIONS;
use tracing_subscriber::EnvFilter;

use self::access::Access;
use self::attachments::Storage;
use self::notifications::Notifications;
use self::secret::{DatabaseUrl, MasterKey, TokenSecret, Unrepeated};
use self::tokens::Tokens;
use crate::wire::user_ids::UserIdFormat;

pub mod access;
pub mod attachments;
mod checks;
mod files;
pub mod notifications;
pub mod secret;
pub mod tokens;

/// What is logged when nothing else is said. The database driver's notices are of no use to those who run a
/// node, and its warnings show statements. What the NATS client says is told by the node itself, once.
pub const DEFAULT_LOG: &str = "info,sqlx=error,async_nats=off";
/// A hundred years.
const MOST_SECONDS: u64 = 100 * 366 * 24 * 60 * 60;
/// The most copies that NATS keeps.
const MOST_REPLICAS: u64 = 5;

/// An event-sourced chat backend: one binary that never loses an acknowledged message.
#[derive(Debug, Parser)]
#[command(name = "verbatim", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without one, the server runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The server's options, for when no command is given.
    #[command(flatten)]
    pub serve: Serve,
}

impl Cli {
    /// What the arguments and variables of this process say.
    ///
    /// # Errors
    /// What is wrong with them, or what was asked for instead: the help, or the version.
    pub fn read() -> Result<Self, clap::Error> {
        Self::read_from(std::env::args_os())
    }

    fn read_from<A: Into<std::ffi::OsString> + Clone>(
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(args)?;
        checks::check(&command, &matches)
            .map_err(|reason| command.error(ErrorKind::ArgumentConflict, reason))?;
        Self::from_arg_matches(&matches)
    }
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default).
    Serve(Box<Serve>),
    /// Say whether the node that listens here is ready, and fail if it is not.
    Health(Health),
    /// Print a token for a user, signed with this node's secret, and nothing else.
    Token(Token),
    /// Take in messages of another system. An embedded server must not be running.
    Import(Import),
    /// Rebuild the read models and the search index from the log. An embedded server must not be running,
    /// and none on the same data folder.
    Rebuild(Rebuild),
    /// Print a new pair of keys for Web Push.
    VapidKey,
    /// Look after notifications that could not be delivered. Servers may be running.
    DeadLetters(DeadLetters),
}

/// Where the data of an embedded node lies.
#[derive(Args, Clone, Debug)]
pub struct Data {
    /// The data folder: log, keys, read models and search index.
    #[arg(long, env = "VERBATIM_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
}

/// What a node stands on: a data folder alone, or NATS and Postgres beside it.
#[derive(Args, Clone, Debug)]
pub struct Deployment {
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
    /// What a cluster stands on.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What the node acts as if it did not know.
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

impl Deployment {
    /// Whether the node is one of a cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        self.cluster.nats.is_some()
    }
}

/// What a node acts as if it did not know.
#[derive(Args, Clone, Debug)]
pub struct Rehearsal {
    /// Event types that this node cannot decode, as if it were older than they are: to rehearse a rolling
    /// upgrade.
    #[arg(
        long,
        env = "VERBATIM_UNKNOWN_TYPES",
        value_name = "TYPES",
        value_delimiter = ',',
        hide = true
    )]
    pub unknown_types: Vec<String>,
}

/// The heading of a cluster's options in the help.
const CLUSTER: &str = "Cluster";

/// What a cluster stands on. Every node is given the same. Without `--nats`, none of it may be given.
#[derive(Args, Clone)]
#[command(next_help_heading = CLUSTER)]
pub struct Cluster {
    /// The NATS servers that hold the log, separated by commas: `nats://host:4222`, or `tls://…` for TLS.
    /// `nats://user:password@host` or `nats://token@host` says as whom the node connects to all of them.
    /// With them the node is one of a cluster, and the data folder holds its search index alone.
    #[arg(
        long,
        env = "VERBATIM_NATS",
        value_name = "URLS",
        requires_all = ["database", "master_key"],
        hide_env_values = true,
        value_parser = Unrepeated::<Servers>::default()
    )]
    pub nats: Option<Servers>,
    /// A credentials file for NATS.
    #[arg(long, env = "VERBATIM_NATS_CREDENTIALS", value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,
    /// The certificates that NATS servers' are signed by (PEM), instead of the system's. With it, TLS is
    /// required.
    #[arg(long, env = "VERBATIM_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// The certificate that this node shows to NATS (PEM). With it, TLS is required.
    #[arg(long, env = "VERBATIM_NATS_CERT", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, env = "VERBATIM_NATS_KEY", value_name = "FILE", requires = "nats_cert")]
    pub nats_key: Option<PathBuf>,
    /// The Postgres database of the read models and keys: `postgres://user:password@host/database`, with
    /// `?sslmode=verify-full&sslrootcert=…` for TLS.
    #[arg(
        long,
        env = "VERBATIM_DATABASE",
        value_name = "URL",
        hide_env_values = true,
        value_parser = Unrepeated::<DatabaseUrl>::default()
    )]
    pub database: Option<DatabaseUrl>,
    /// What everything of this deployment is named with: JetStream streams, subjects and SQL schemas. 1 to
    /// 32 letters, digits, `_` and `-`; neither `pg` nor beginning with `pg_`.
    #[arg(
        long,
        env = "VERBATIM_NAMESPACE",
        value_name = "NAME",
        default_value = "verbatim"
    )]
    pub namespace: Namespace,
    /// Into how many shards the log is made, 1 to 256. It never changes after the first start.
    #[arg(
        long,
        env = "VERBATIM_SHARDS",
        value_name = "NUMBER",
        default_value_t = DEFAULT_SHARDS,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(PARTITIONS))
    )]
    pub shards: u16,
    /// How many NATS servers keep a copy of each record, 1 to 5.
    #[arg(
        long,
        env = "VERBATIM_REPLICAS",
        value_name = "NUMBER",
        default_value_t = 1,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_REPLICAS)
    )]
    pub replicas: usize,
    /// The key that wraps the users' keys: 32 bytes, as 64 hexadecimal digits.
    #[arg(
        long,
        env = "VERBATIM_MASTER_KEY",
        value_name = "KEY",
        hide_env_values = true,
        value_parser = Unrepeated::<MasterKey>::default()
    )]
    pub master_key: Option<MasterKey>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("nats", &self.nats)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// How tokens are signed.
#[derive(Args, Clone)]
pub struct Secret {
    /// The HS256 secret that signs tokens, at least 32 bytes. Without it a random one is made once and
    /// kept in the data folder; a cluster needs it, or other keys that tokens are checked with.
    #[arg(
        long,
        env = "VERBATIM_JWT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        value_parser = Unrepeated::<TokenSecret>::default()
    )]
    pub jwt_secret: Option<TokenSecret>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// Options of the server.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "VERBATIM_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "HOST:PORT",
        value_parser = parse_address
    )]
    pub listen: String,
    /// What tokens are signed with.
    #[command(flatten)]
    pub secret: Secret,
    /// How tokens are checked.
    #[command(flatten)]
    pub tokens: Tokens,
    /// Who may ask how much.
    #[command(flatten)]
    pub access: Access,
    /// Where files are kept.
    #[command(flatten)]
    pub storage: Storage,
    /// For how many seconds after it was sent a message may be edited; for ever when this is not given.
    #[arg(
        long,
        env = "VERBATIM_EDIT_WINDOW",
        value_name = "SECONDS",
        value_parser = RangedU64ValueParser::<u64>::new().range(1..=MOST_SECONDS)
    )]
    pub edit_window: Option<u64>,
    /// How user ids are written in answers and frames: as texts, or whole numbers as numbers, as clients of the
    /// reference expect.
    #[arg(
        long,
        env = "VERBATIM_USER_ID_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub user_id_format: UserIdFormat,
    /// What is logged: a filter such as `info` or `api=debug,info`.
    #[arg(
        long,
        env = "VERBATIM_LOG",
        default_value = DEFAULT_LOG,
        value_name = "FILTER",
        value_parser = parse_filter
    )]
    pub log: String,
    /// What the node stands on. Last but one, because its options have a heading of their own.
    #[command(flatten)]
    pub deployment: Deployment,
    /// Who is told of messages while they are away. Last, for the same reason.
    #[command(flatten)]
    pub notifications: Notifications,
}

/// Options of `health`.
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// The address that the node listens on.
    #[arg(
        long,
        env = "VERBATIM_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "HOST:PORT",
        value_parser = parse_address
    )]
    pub listen: String,
}

/// Options of `token`.
#[derive(Args, Clone, Debug)]
pub struct Token {
    /// The user the token is for.
    #[arg(long, value_name = "ID")]
    pub user: UserId,
    /// What the user is called.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The tenant the user belongs to.
    #[arg(long, default_value = "default", value_name = "TENANT")]
    pub tenant: TenantId,
    /// What the token allows beside being the user; may be repeated.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// How long it is valid: a number with s, m, h or d.
    #[arg(long, default_value = "12h", value_name = "TIME", value_parser = parse_duration)]
    pub ttl: Duration,
    /// Where the secret lies.
    #[command(flatten)]
    pub data: Data,
    /// How the token is signed.
    #[command(flatten)]
    pub secret: Secret,
    /// Where a cluster's log is, in the environment of its nodes. A secret that is drawn here would be none of
    /// theirs, so one must be given.
    #[arg(
        long,
        env = "VERBATIM_NATS",
        value_name = "URLS",
        hide = true,
        value_parser = Unrepeated::<Servers>::default()
    )]
    pub nats: Option<Servers>,
}

/// Options of `import`.
#[derive(Args, Clone, Debug)]
pub struct Import {
    /// The format of the files.
    #[command(subcommand)]
    pub format: ImportFormat,
}

/// The formats that can be taken in.
#[derive(Clone, Debug, Subcommand)]
pub enum ImportFormat {
    /// IRC logs with lines `[hh:mm] <nick> text`: each file becomes a group. Reply links are read from
    /// the `.annotation.txt` beside a `.raw.txt`.
    Irc(ImportIrc),
}

/// Options of `import irc`.
#[derive(Args, Clone, Debug)]
pub struct ImportIrc {
    /// The log files, named after their date: `YYYY-MM-DD….raw.txt`.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The tenant to import into.
    #[arg(long, default_value = "default", value_name = "TENANT")]
    pub tenant: TenantId,
    /// What to import into.
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Options of `rebuild`.
#[derive(Args, Clone, Debug)]
pub struct Rebuild {
    /// Give the log a new epoch first: for a log that was restored from a backup. Clients' positions of
    /// the old epoch are refused from then on.
    #[arg(long)]
    pub new_epoch: bool,
    /// Go on without the keys of users, which are lost: what was written under them stays unreadable.
    #[arg(long)]
    pub new_keys: bool,
    /// What to rebuild.
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Options of `dead-letters`.
#[derive(Args, Clone, Debug)]
pub struct DeadLetters {
    /// What to do with them.
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

/// What can be done with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Print them, the oldest first.
    List(List),
    /// Deliver them after all, however old they are.
    Replay(Replay),
}

/// Options of `dead-letters list`.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// Print a JSON object for each, on a line of its own.
    #[arg(long)]
    pub json: bool,
    /// Whose they are.
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Options of `dead-letters replay`.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// The ids of those to deliver.
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Whose they are.
    #[command(flatten)]
    pub deployment: Deployment,
}

/// What can be listened on or connected to, once the host is resolved.
fn parse_address(text: &str) -> Result<String, String> {
    let is_host = |host: &str| !host.is_empty() && !host.contains([':', '[', ']', '/', '@', ' ']);
    let is_named = || {
        text.rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
    };
    // With an address of IPv6 in brackets.
    if text.parse::<SocketAddr>().is_ok() || is_named() {
        Ok(text.to_owned())
    } else {
        Err("it is no host and port such as 127.0.0.1:8080, [::1]:8080 or localhost:8080".to_owned())
    }
}

/// A filter that says something: an empty one would log nothing but errors.
fn parse_filter(text: &str) -> Result<String, String> {
    if text.split(',').all(|directive| directive.trim().is_empty()) {
        return Err("it is empty; \"off\" logs nothing".to_owned());
    }
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || format!("{text:?} is not a time such as 30s, 15m, 12h or 7d");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(error()),
    };
    let number: u64 = digits.parse().map_err(|_| error())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(error)
}

#[cfg(test)]
mod tests;
