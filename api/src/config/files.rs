//! Files that the configuration names, looked into before anything is connected to: the clients of NATS and
//! Postgres read them late, some of them without a word about one that is missing or holds nothing.

use std::path::Path;

use async_nats::rustls::RootCertStore;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::auth::keys::{KeyError, KeySet, VerifyingKey};

/// Refuses a file that holds no certificates that others' can be checked with (PEM).
pub(super) fn check_authorities(file: &Path) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store
            .add(certificate)
            .map_err(|_| format!("a certificate in {} cannot be used", file.display()))?;
    }
    Ok(())
}

/// Refuses a file that holds no certificate (PEM).
pub(super) fn check_certificate(file: &Path) -> Result<(), String> {
    certificates(file).map(drop)
}

/// Refuses a file that holds no key (PEM).
pub(super) fn check_key(file: &Path) -> Result<(), String> {
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map(drop)
        .map_err(|_| format!("there is no key in {}", file.display()))
}

/// Refuses a file that holds no public key which tokens can be checked with (PEM).
pub(super) fn check_public_key(file: &Path) -> Result<(), String> {
    told(file, VerifyingKey::of_pem(&read(file)?).map(drop))
}

/// Refuses a file that holds no keys which tokens can be checked with (JWKS).
pub(super) fn check_jwks(file: &Path) -> Result<(), String> {
    let keys = KeySet::of_jwks(&read(file)?);
    told(
        file,
        keys.and_then(|keys| {
            if keys.is_empty() {
                Err(KeyError::NoKey)
            } else {
                Ok(())
            }
        }),
    )
}

fn told(file: &Path, checked: Result<(), KeyError>) -> Result<(), String> {
    checked.map_err(|error| format!("{} cannot be used: {error}", file.display()))
}

/// Refuses a file that cannot be read.
pub(super) fn check_readable(file: &Path) -> Result<(), String> {
    read(file).map(drop)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("there is no certificate in {}", file.display())),
        Ok(found) => Ok(found),
        Err(_) => Err(format!("a certificate in {} cannot be read", file.display())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}
