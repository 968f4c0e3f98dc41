//! What can be configured: flags and `VERBATIM_*` variables, parsed once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use domain::{TenantId, UserId};

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
    /// Print a token for a user, signed with this node's secret, and nothing else.
    Token(Token),
    /// Take in messages of another system. The server must not be running.
    Import(Import),
    /// Rebuild the read models and the search index from the log. The server must not be running.
    Rebuild(Rebuild),
}

/// Where the data of an embedded node lies.
#[derive(Args, Clone, Debug)]
pub struct Data {
    /// The data folder: log, keys, read models and search index.
    #[arg(long, env = "VERBATIM_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
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
        value_name = "ADDR"
    )]
    pub listen: SocketAddr,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
    /// How tokens are checked.
    #[command(flatten)]
    pub secret: Secret,
    /// What is logged: a filter such as `info` or `api=debug,info`.
    #[arg(long, env = "VERBATIM_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
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
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
}

/// Options of `rebuild`.
#[derive(Args, Clone, Debug)]
pub struct Rebuild {
    /// Give the log a new epoch first: for a log that was restored from a backup. Clients' positions of
    /// the old epoch are refused from then on.
    #[arg(long)]
    pub new_epoch: bool,
    /// Where the data lies.
    #[command(flatten)]
    pub data: Data,
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
        assert_eq!(cli.serve.listen.port(), 0);
        let cli = Cli::parse_from(["verbatim", "serve", "--data", "x"]);
        assert!(matches!(cli.command, Some(Command::Serve(serve)) if serve.data.data.ends_with("x")));
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
