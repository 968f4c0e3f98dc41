//! The commands of the binary.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use rustix::fs::Mode;
use tracing_subscriber::EnvFilter;

use crate::auth::{Grant, Signer};
use crate::config::{Cli, Command, Data, ImportFormat, Secret, Token};
use crate::folder::token_secret;

mod dead_letters;
mod edge;
mod health;
mod import;
mod rebuild;
mod serve;
mod vapid_key;

/// What commands that print their own progress log.
const QUIET: &str = "warn,sqlx=error,async_nats=off";

/// Runs what the command line asks for.
///
/// # Errors
/// Whatever keeps it from being done, with its causes.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    // Logs, keys and read models hold what people wrote: whoever made the folder, they are their owner's.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    match cli.command {
        None => serve::run(cli.serve).await,
        Some(Command::Serve(serve)) => serve::run(*serve).await,
        Some(Command::Health(health)) => health::run(health).await,
        Some(Command::Token(token)) => print_token(&token),
        Some(Command::Import(import)) => {
            let ImportFormat::Irc(irc) = import.format;
            import::run(irc).await
        }
        Some(Command::Rebuild(rebuild)) => rebuild::run(rebuild).await,
        Some(Command::VapidKey) => {
            vapid_key::run();
            Ok(())
        }
        Some(Command::DeadLetters(letters)) => dead_letters::run(letters).await,
    }
}

/// Logs to standard error, so that standard output stays what a command prints.
fn start_logging(filter: &str) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter).context("the log filter cannot be read")?)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!(error))
}

/// Writes an error and its causes to standard error, a line each, for people: without what is of use in its
/// source alone.
pub fn tell_failure(error: &anyhow::Error) {
    let mut told = format!("Error: {error}\n");
    for cause in error.chain().skip(1) {
        told.push_str(&format!("Caused by: {cause}\n"));
    }
    let _ = std::io::stderr().lock().write_all(told.as_bytes());
}

/// Writes a line to standard output. A reader that has gone is no reason to end.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The secret that was given, or the one in the data folder.
fn secret_of(secret: &Secret, data: &Data) -> anyhow::Result<String> {
    Ok(match &secret.jwt_secret {
        Some(secret) => secret.as_str().to_owned(),
        None => token_secret(&data.data)?,
    })
}

fn print_token(token: &Token) -> anyhow::Result<()> {
    let grant = Grant {
        tenant: &token.tenant,
        user: &token.user,
        name: token.name.as_deref(),
        scope: &token.scope,
        ttl: token.ttl,
    };
    say(Signer::new(&secret_of(&token.secret, &token.data)?)?.issue(&grant)?);
    Ok(())
}
