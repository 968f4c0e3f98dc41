//! What no value shows by itself: whether all that was given goes together.

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use eventstore::jetstream::servers::Servers;

use super::attachments::BlobPlace;
use super::secret::DatabaseUrl;
use super::{CLUSTER, files};
use crate::auth::jwks::JwksSource;

/// Refuses what does not go together: options of a cluster where there is none, for a node that was meant to
/// be one of a cluster would start by itself, on an empty folder; two ways to say as whom one connects;
/// a cluster without a secret for its tokens; and files that hold nothing of use.
pub(super) fn check(command: &Command, matches: &ArgMatches) -> Result<(), String> {
    if let Some((name, matches)) = matches.subcommand() {
        return command
            .find_subcommand(name)
            .map_or(Ok(()), |command| check(command, matches));
    }
    check_tokens(matches)?;
    check_blobs(matches)?;
    if given(matches, "nats").is_none() {
        return check_embedded(command, matches);
    }
    let login = matches.get_one("nats").is_some_and(Servers::have_login);
    if login && given(matches, "nats_credentials").is_some() {
        return Err(
            "--nats names a user, password or token, and --nats-credentials a file that says who connects: one of \
             them is too much"
                .to_owned(),
        );
    }
    // Not every command has to do with tokens. Only the command knows: optimised builds of clap answer for an
    // argument that there is none of as for one that was not given.
    let takes_secret = command
        .get_arguments()
        .any(|argument| argument.get_id() == "jwt_secret");
    let has_keys = ["jwt_secret", "jwt_public_key", "jwt_jwks"]
        .iter()
        .any(|id| given(matches, id).is_some());
    if takes_secret && !has_keys {
        return Err(
            "the nodes of a cluster (--nats or VERBATIM_NATS) sign and check tokens with one secret: say which \
             (--jwt-secret or VERBATIM_JWT_SECRET), or with which public keys nodes check them (--jwt-public-key \
             or --jwt-jwks)"
                .to_owned(),
        );
    }
    check_files(matches)
}

/// Where it was said what this argument is, if it was.
fn given(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    let source = matches
        .try_contains_id(id)
        .is_ok()
        .then(|| matches.value_source(id));
    source
        .flatten()
        .filter(|source| *source != ValueSource::DefaultValue)
}

fn check_embedded(command: &Command, matches: &ArgMatches) -> Result<(), String> {
    let of_a_cluster = command
        .get_arguments()
        .filter(|arg| arg.get_help_heading() == Some(CLUSTER));
    for arg in of_a_cluster {
        let flag = format!("--{}", arg.get_long().unwrap_or_default());
        let name = match given(matches, arg.get_id().as_str()) {
            None => continue,
            Some(ValueSource::EnvVariable) => arg
                .get_env()
                .map_or(flag, |name| format!("the variable {}", name.to_string_lossy())),
            Some(_) => flag,
        };
        return Err(format!(
            "{name} is for the nodes of a cluster, and this one is embedded: say where the cluster's NATS servers \
             are (--nats or VERBATIM_NATS), or leave it out"
        ));
    }
    Ok(())
}

/// Refuses options about a JWKS where there is none, and keys in files that are none.
fn check_tokens(matches: &ArgMatches) -> Result<(), String> {
    let jwks = matches.try_get_one::<JwksSource>("jwt_jwks").ok().flatten();
    if jwks.is_none() && given(matches, "jwt_jwks_refresh").is_some() {
        return Err(
            "--jwt-jwks-refresh says how often a JWKS is read, and there is none (--jwt-jwks)".to_owned(),
        );
    }
    if let Some(JwksSource::File(file)) = jwks {
        files::check_jwks(file).map_err(|reason| format!("--jwt-jwks: {reason}"))?;
    }
    let keys = matches.try_get_many::<PathBuf>("jwt_public_key").ok().flatten();
    for file in keys.into_iter().flatten() {
        files::check_public_key(file).map_err(|reason| format!("--jwt-public-key: {reason}"))?;
    }
    Ok(())
}

/// Refuses options about a bucket where there is none.
fn check_blobs(matches: &ArgMatches) -> Result<(), String> {
    let place = matches.try_get_one::<BlobPlace>("blobs").ok().flatten();
    if matches!(place, Some(BlobPlace::Bucket { .. })) {
        return Ok(());
    }
    let of_a_bucket = [
        ("s3_endpoint", "--s3-endpoint"),
        ("s3_region", "--s3-region"),
        ("s3_access_key", "--s3-access-key"),
        ("s3_secret_key", "--s3-secret-key"),
    ];
    match of_a_bucket.iter().find(|(id, _)| given(matches, id).is_some()) {
        Some((_, flag)) => Err(format!(
            "{flag} is about a bucket, and there is none (--blobs s3://bucket/prefix)"
        )),
        None => Ok(()),
    }
}

type Check = fn(&Path) -> Result<(), String>;

fn check_files(matches: &ArgMatches) -> Result<(), String> {
    let checks: [(&str, &str, Check); 4] = [
        ("nats_credentials", "--nats-credentials", files::check_readable),
        ("nats_ca", "--nats-ca", files::check_authorities),
        ("nats_cert", "--nats-cert", files::check_certificate),
        ("nats_key", "--nats-key", files::check_key),
    ];
    for (id, flag, check) in checks {
        if let Ok(Some(file)) = matches.try_get_one::<PathBuf>(id) {
            check(file).map_err(|reason| format!("{flag}: {reason}"))?;
        }
    }
    if let Ok(Some(database)) = matches.try_get_one::<DatabaseUrl>("database") {
        database
            .check_files()
            .map_err(|reason| format!("--database: {reason}"))?;
    }
    Ok(())
}
