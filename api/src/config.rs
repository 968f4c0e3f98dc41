//! What can be configured: flags and `VERBATIM_*` variables, parsed once.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use domain::{TenantId, UserId};
use eventstore::jetstream::DEFAULT_SHARDS;

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

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default).
    Serve(Serve),
    /// Say whether the node that listens here is ready, and fail if it is not.
    Health(Health),
    /// Print a token for a user, signed with this node's secret, and nothing else.
    Token(Token),
    /// Take in messages of another system. An embedded server must not be running.
    Import(Import),
    /// Rebuild the read models and the search index from the log. An embedded server must not be running,
    /// and none on the same data folder.
    Rebuild(Rebuild),
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

/// What a cluster stands on. Every node is given the same.
#[derive(Args, Clone)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// The NATS servers that hold the log, separated by commas: `nats://host:4222`, or `tls://…`. With
    /// them the node is one of a cluster, and the data folder holds its search index alone.
    #[arg(long, env = "VERBATIM_NATS", value_name = "URLS", requires = "database")]
    pub nats: Option<String>,
    /// A credentials file for NATS.
    #[arg(
        long,
        env = "VERBATIM_NATS_CREDENTIALS",
        value_name = "FILE",
        requires = "nats"
    )]
    pub nats_credentials: Option<PathBuf>,
    /// The certificates that NATS servers' are signed by (PEM), instead of the system's.
    #[arg(long, env = "VERBATIM_NATS_CA", value_name = "FILE", requires = "nats")]
    pub nats_ca: Option<PathBuf>,
    /// The certificate that this node shows to NATS (PEM).
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
        requires = "nats",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// What everything of this deployment is named with: JetStream streams, subjects and SQL schemas.
    #[arg(
        long,
        env = "VERBATIM_NAMESPACE",
        value_name = "NAME",
        default_value = "verbatim"
    )]
    pub namespace: String,
    /// Into how many shards the log is made. It never changes after the first start.
    #[arg(long, env = "VERBATIM_SHARDS", value_name = "NUMBER", default_value_t = DEFAULT_SHARDS)]
    pub shards: u16,
    /// How many NATS servers keep a copy of each record.
    #[arg(long, env = "VERBATIM_REPLICAS", value_name = "NUMBER", default_value_t = 1)]
    pub replicas: usize,
    /// The key that wraps the users' keys: 32 bytes, as 64 hexadecimal digits.
    #[arg(long, env = "VERBATIM_MASTER_KEY", value_name = "KEY", hide_env_values = true)]
    pub master_key: Option<MasterKey>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // URLs hold passwords.
        f.debug_struct("Cluster")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// A key of 32 bytes.
#[derive(Clone)]
pub struct MasterKey(pub [u8; 32]);

impl std::str::FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "a master key is 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.is_ascii() {
            return Err(error());
        }
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
        }
        Ok(Self(key))
    }
}

/// How tokens are signed.
#[derive(Args, Clone)]
pub struct Secret {
    /// The HS256 secret that signs tokens, at least 32 bytes. Without it a random one is made once and
    /// kept in the data folder.
    #[arg(
        long,
        env = "VERBATIM_JWT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub jwt_secret: Option<String>,
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
        value_name = "HOST:PORT"
    )]
    pub listen: String,
    /// How tokens are checked.
    #[command(flatten)]
    pub secret: Secret,
    /// What is logged: a filter such as `info` or `api=debug,info`.
    #[arg(long, env = "VERBATIM_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// What the node stands on. Last, because its options have a heading of their own.
    #[command(flatten)]
    pub deployment: Deployment,
}

/// Options of `health`.
#[derive(Args, Clone, Debug)]
pub struct Health {
    /// The address that the node listens on.
    #[arg(
        long,
        env = "VERBATIM_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "HOST:PORT"
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
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let cli = Cli::parse_from(["verbatim", "--listen", "127.0.0.1:0", "--data", "x"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.serve.listen, "127.0.0.1:0");
        let cli = Cli::parse_from(["verbatim", "serve", "--data", "x"]);
        assert!(
            matches!(cli.command, Some(Command::Serve(serve)) if serve.deployment.data.data.ends_with("x"))
        );
    }

    #[test]
    fn a_cluster_needs_both_of_its_stores() {
        let both = [
            "verbatim",
            "serve",
            "--nats",
            "nats://x",
            "--database",
            "postgres://x",
        ];
        assert!(Cli::try_parse_from(both).is_ok());
        for lacking in [&both[..4], &["verbatim", "--database", "postgres://x"]] {
            assert!(Cli::try_parse_from(lacking).is_err(), "{lacking:?}");
        }
    }

    #[test]
    fn a_master_key_is_32_bytes() {
        let text = "00ff".repeat(16);
        assert!(text.parse::<MasterKey>().is_ok_and(|key| key.0[..2] == [0, 255]));
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<MasterKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
        for bad in [
            "",
            "h",
            "-1s",
            "1y",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
