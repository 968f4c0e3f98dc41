//! Certificates of an authority that only the test knows.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A signed certificate and its key (PEM).
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// One that nobody else knows.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate for `localhost`, and for nothing else.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn sign_localhost(&self) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes its own certificate into a folder.
    ///
    /// # Panics
    /// If that cannot be written.
    #[must_use]
    pub fn write_to(&self, folder: &Path) -> PathBuf {
        write(folder, "ca.pem", &self.certificate)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Signed {
    /// Writes both into a folder and gives the settings with which NATS speaks TLS with them.
    ///
    /// # Panics
    /// If they cannot be written.
    #[must_use]
    pub fn settings_of_nats(&self, folder: &Path) -> String {
        let certificate = write(folder, "nats.pem", &self.certificate);
        let key = write(folder, "nats-key.pem", &self.key);
        format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}\n")
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}
