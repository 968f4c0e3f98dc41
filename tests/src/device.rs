//! A device that is notified by Web Push: what a browser does, written a second time.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as Verifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::receiver::Call;

/// A device with its keys.
pub struct Device {
    private: PrivateKey,
    auth: [u8; 16],
}

/// So many bytes.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(salt: &[u8], input: &[u8], info: &[&[u8]], length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Salt::new(HKDF_SHA256, salt)
        .extract(input)
        .expand(info, Bytes(length))
        .unwrap()
        .fill(&mut bytes)
        .unwrap();
    bytes
}

impl Device {
    /// A new one.
    ///
    /// # Panics
    /// If there is no chance.
    #[must_use]
    pub fn draw() -> Self {
        Self {
            private: PrivateKey::generate(&ECDH_P256).unwrap(),
            auth: rand::random(),
        }
    }

    fn point(&self) -> Vec<u8> {
        self.private.compute_public_key().unwrap().as_ref().to_vec()
    }

    /// The subscription as a browser hands it out, at this endpoint.
    #[must_use]
    pub fn subscription(&self, endpoint: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"p256dh": encode(&self.point()), "auth": encode(&self.auth)});
        json!({"endpoint": endpoint, "expirationTime": null, "keys": keys})
    }

    /// What the device is told.
    ///
    /// # Panics
    /// If it cannot be opened with the keys of this device.
    #[must_use]
    pub fn open(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (record, rest) = rest.split_at(4);
        assert!(u32::from_be_bytes(record.try_into().unwrap()) as usize >= body.len());
        let (length, rest) = rest.split_at(1);
        let (sender, sealed) = rest.split_at(usize::from(length[0]));
        let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
        let shared = agree(&self.private, peer, (), |shared| Ok(shared.to_vec())).unwrap();
        let own = self.point();
        let input = expand(&self.auth, &shared, &[b"WebPush: info\0", &own, sender], 32);
        let key = expand(salt, &input, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = expand(salt, &input, &[b"Content-Encoding: nonce\0"], 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce).unwrap();
        let mut sealed = sealed.to_vec();
        let text = key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap();
        let end = text.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(text[end], 2, "the end of the last record");
        serde_json::from_slice(&text[..end]).unwrap()
    }
}

/// The claims by which a push service knows the server, whose public key is this one.
///
/// # Panics
/// If they are not signed with it.
#[must_use]
pub fn vapid_claims(call: &Call, public: &str) -> Value {
    let header = call.header("authorization").strip_prefix("vapid t=").unwrap();
    let (token, key) = header.split_once(", k=").unwrap();
    assert_eq!(key, public);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    Verifier::new(&ECDSA_P256_SHA256_FIXED, decode(public))
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    serde_json::from_slice(&decode(signed.split_once('.').unwrap().1)).unwrap()
}
