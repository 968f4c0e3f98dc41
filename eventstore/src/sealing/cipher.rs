//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): HChaCha20 makes a subkey of the key and the first 16 bytes
//! of a nonce, and what is left is ChaCha20-Poly1305 (RFC 8439), here that of aws-lc.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};

/// Bytes of a nonce: those that make the subkey, and the rest.
const PREFIX_BYTES: usize = 16;
const REST_BYTES: usize = 8;
const NONCE_BYTES: usize = PREFIX_BYTES + REST_BYTES;

/// Seals and opens under a key of 256 bits.
#[derive(Clone)]
pub struct Cipher([u8; 32]);

/// Seals many texts at little cost: the first part of their nonces is drawn once and its subkey kept, and the
/// rest is a counter. What it seals opens as everything else does.
pub struct Sealer {
    prefix: [u8; PREFIX_BYTES],
    subkey: LessSafeKey,
    count: u64,
}

impl Cipher {
    /// Under this key.
    #[must_use]
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    /// A sealer with nonces of its own.
    #[must_use]
    pub fn sealer(&self) -> Sealer {
        let prefix = rand::random();
        Sealer {
            prefix,
            subkey: self.subkey(&prefix),
            count: 0,
        }
    }

    /// Seals a text, bound to something: a random nonce, the ciphertext, and its tag.
    #[must_use]
    pub fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let (prefix, _) = halves(&nonce);
        seal(&self.subkey(prefix), &nonce, plain, bound_to)
    }

    fn subkey(&self, prefix: &[u8; PREFIX_BYTES]) -> LessSafeKey {
        let key = hchacha::<R20>(&self.0.into(), &(*prefix).into());
        #[allow(clippy::expect_used, reason = "a subkey has the length of a key")]
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("a key of 32 bytes");
        LessSafeKey::new(key)
    }

    /// What was sealed, bound to this; `None` when it was not, or is damaged.
    #[must_use]
    pub fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk()?;
        let (prefix, rest) = halves(nonce);
        let mut text = ciphertext.to_vec();
        let subkey = self.subkey(prefix);
        let opened = subkey.open_in_place(nonce_of(*rest), Aad::from(bound_to), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl Sealer {
    /// Seals the next text, bound to something: its nonce, the ciphertext, and its tag.
    #[must_use]
    pub fn seal(&mut self, plain: &[u8], bound_to: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        nonce[PREFIX_BYTES..].copy_from_slice(&self.count.to_be_bytes());
        self.count += 1;
        seal(&self.subkey, &nonce, plain, bound_to)
    }
}

fn seal(subkey: &LessSafeKey, nonce: &[u8; NONCE_BYTES], plain: &[u8], bound_to: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(NONCE_BYTES + plain.len() + CHACHA20_POLY1305.tag_len());
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(plain);
    let (_, rest) = halves(nonce);
    let text = &mut sealed[NONCE_BYTES..];
    match subkey.seal_in_place_separate_tag(nonce_of(*rest), Aad::from(bound_to), text) {
        Ok(tag) => sealed.extend_from_slice(tag.as_ref()),
        // Only a text beyond 256 GiB: whatever it was, it does not get out.
        Err(_) => sealed.clear(),
    }
    sealed
}

fn halves(nonce: &[u8; NONCE_BYTES]) -> (&[u8; PREFIX_BYTES], &[u8; REST_BYTES]) {
    let (prefix, rest) = nonce.split_at(PREFIX_BYTES);
    let (Some(prefix), Some(rest)) = (prefix.first_chunk(), rest.first_chunk()) else {
        unreachable!("the two have the lengths of the parts");
    };
    (prefix, rest)
}

/// Four zeros before the rest.
fn nonce_of(rest: [u8; REST_BYTES]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&rest);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the draft, appendix A.3.1.
    #[test]
    fn seals_as_the_draft_says() {
        let text =
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let key: [u8; 32] = std::array::from_fn(|byte| 0x80 + u8::try_from(byte).unwrap());
        let nonce: [u8; 24] = std::array::from_fn(|byte| 0x40 + u8::try_from(byte).unwrap());
        let bound_to = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let (prefix, _) = halves(&nonce);
        let cipher = Cipher::new(&key);
        let sealed = seal(&cipher.subkey(prefix), &nonce, text, &bound_to);
        assert_eq!(sealed[24..28], [0xbd, 0x6d, 0x17, 0x9d]);
        assert_eq!(
            sealed[24 + text.len()..],
            [
                0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf,
                0x49
            ]
        );
        assert_eq!(cipher.open(&sealed, &bound_to).as_deref(), Some(&text[..]));
    }

    #[test]
    fn a_sealer_never_uses_a_nonce_twice() {
        let cipher = Cipher::new(&[7; 32]);
        let mut sealer = cipher.sealer();
        let [one, two] = [(); 2].map(|()| sealer.seal(b"hello", b"here"));
        let other = cipher.sealer().seal(b"hello", b"here");
        assert!(one[..24] != two[..24] && one[..24] != other[..24]);
        for sealed in [one, two, other] {
            assert_eq!(cipher.open(&sealed, b"here"), Some(b"hello".to_vec()));
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let cipher = Cipher::new(&[7; 32]);
        let sealed = cipher.seal(b"hello", b"here");
        assert_eq!(cipher.open(&sealed, b"here"), Some(b"hello".to_vec()));
        assert_ne!(sealed, cipher.seal(b"hello", b"here"), "another nonce");
        assert_eq!(cipher.open(&sealed, b"there"), None);
        assert_eq!(Cipher::new(&[8; 32]).open(&sealed, b"here"), None);
        for byte in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[byte] ^= 1;
            assert_eq!(cipher.open(&damaged, b"here"), None, "byte {byte}");
            assert_eq!(cipher.open(&sealed[..byte], b"here"), None, "{byte} bytes");
        }
    }
}
