//! What stands before the node: who is let in, as the options say.

use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::secret_of;
use crate::app::Edge;
use crate::auth::keys::{KeySet, VerifyingKey};
use crate::auth::{Authenticator, Jwks, Signer};
use crate::config::Serve;
use crate::config::notifications::Notifications;
use crate::effects::Settings;
use crate::effects::push::Push;
use crate::effects::webhook::Webhook;
use crate::limits::Limits;

/// Reads the keys, those that are somewhere else among them. The signer is there when tokens that are made
/// here are good here.
pub(super) async fn open(options: &Serve) -> anyhow::Result<(Edge, Option<Signer>)> {
    let (tokens, deployment) = (&options.tokens, &options.deployment);
    // First, because nothing is made yet when it cannot be read.
    let jwks = match &tokens.jwt_jwks {
        Some(source) => {
            let refused = || format!("the keys of tokens cannot be read from {source}");
            Some(Jwks::open(source.clone()).await.with_context(refused)?)
        }
        None => None,
    };
    let mut keys = Vec::new();
    for file in &tokens.jwt_public_key {
        keys.push(public_key(file)?);
    }
    let shares_secret = options.secret.jwt_secret.is_some() || !tokens.have_keys();
    let (shared, signer) = if shares_secret {
        let secret = secret_of(&options.secret, &deployment.data)?;
        keys.push(VerifyingKey::of_secret(&secret)?);
        let signer = Signer::new(&secret)?;
        (secret.into_bytes(), Some(signer))
    } else if let Some(master) = &deployment.cluster.master_key {
        (master.0.to_vec(), None)
    } else {
        // Nothing but cursors and URLs comes of it: whoever has it makes no tokens.
        (secret_of(&options.secret, &deployment.data)?.into_bytes(), None)
    };
    let edge = Edge {
        authenticator: Authenticator::new(KeySet::new(keys), jwks.clone(), tokens.rules()).into(),
        jwks: jwks.map(|jwks| (jwks, tokens.jwt_jwks_refresh)),
        cursor_key: derived(b"verbatim cursor\0", &shared),
        link_key: derived(b"verbatim attachment\0", &shared),
        storage: options.storage.clone(),
        limits: Limits::new(options.access.rates()).into(),
        edit_window: options.edit_window.map(|seconds| seconds * 1_000),
        notifications: notifying(&options.notifications)?,
    };
    Ok((edge, signer))
}

/// Who is told of messages; `None` when nobody is.
fn notifying(options: &Notifications) -> anyhow::Result<Option<Settings>> {
    let webhook = options
        .webhook_url
        .clone()
        .map(|url| Webhook::new(url, options.webhook_secret.clone()));
    let push = options
        .vapid_key
        .clone()
        .zip(options.vapid_subject.clone())
        .map(|(key, subject)| Push::new(key, subject, options.push_allow_private));
    let webhook = webhook.transpose().context("the webhook cannot be called")?;
    let push = push.transpose().context("push services cannot be called")?;
    Ok((webhook.is_some() || push.is_some()).then(|| Settings {
        webhook,
        push: push.map(Into::into),
        attempts: options.notify_attempts,
        max_age: options.notify_max_age,
    }))
}

fn public_key(file: &Path) -> anyhow::Result<VerifyingKey> {
    let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    VerifyingKey::of_pem(&pem).with_context(|| format!("{} cannot be used", file.display()))
}

/// A key for one purpose: derived from what all nodes have, so that each takes what the others made.
fn derived(purpose: &[u8], secret: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(purpose)
        .chain_update(secret)
        .finalize()
        .into()
}
