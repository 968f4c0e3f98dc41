//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): HChaCha20 makes a subkey of the key and the first 16 bytes
//! of a nonce, and what is left is ChaCha20-Poly1305 (RFC 8439), here that of aws-lc.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};
use rand::Rng;

/// Bytes of a nonce: those that make the subkey, and the rest.
const PREFIX_BYTES: usize = 16;
const REST_BYTES: usize = 8;

/// Seals and opens under a key of 256 bits.
#[derive(Clone)]
pub struct Cipher([u8; 32]);

/// The subkey of nonces with the same first 16 bytes. No two texts may be sealed with the same rest.
pub struct Subkey(LessSafeKey);

impl Cipher {
    /// Under this key.
    #[must_use]
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    /// The subkey of nonces that begin like this.
    #[must_use]
    pub fn subkey(&self, prefix: &[u8; 16]) -> Subkey {
        let key = hchacha::<R20>(&self.0.into(), &(*prefix).into());
        // The cipher refuses only keys of another length.
        #[allow(clippy::expect_used, reason = "a subkey has the length of a key")]
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("a key of 32 bytes");
        Subkey(LessSafeKey::new(key))
    }

    /// Seals a text, bound to something: a random nonce, the ciphertext, and its tag.
    #[must_use]
    pub fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Vec<u8> {
        let mut nonce = [0; PREFIX_BYTES + REST_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let (prefix, rest) = halves(&nonce);
        let mut text = plain.to_vec();
        self.subkey(prefix).seal(*rest, bound_to, &mut text);
        [&nonce[..], &text].concat()
    }

    /// What was sealed, bound to this; `None` when it was not, or is damaged.
    #[must_use]
    pub fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_first_chunk()?;
        let (prefix, rest) = halves(nonce);
        let mut text = ciphertext.to_vec();
        let subkey = self.subkey(prefix);
        let opened = subkey
            .0
            .open_in_place(nonce_of(*rest), Aad::from(bound_to), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl Subkey {
    /// Seals a text in its place and adds its tag. `rest` is what follows the prefix in the nonce.
    pub fn seal(&self, rest: [u8; 8], bound_to: &[u8], text: &mut Vec<u8>) {
        let sealed = self
            .0
            .seal_in_place_append_tag(nonce_of(rest), Aad::from(bound_to), text);
        if sealed.is_err() {
            // Only a text beyond 256 GiB: whatever it was, it does not get out.
            text.clear();
        }
    }
}

fn halves(nonce: &[u8; PREFIX_BYTES + REST_BYTES]) -> (&[u8; PREFIX_BYTES], &[u8; REST_BYTES]) {
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
        let (prefix, rest) = halves(&nonce);
        let mut sealed = text.to_vec();
        let cipher = Cipher::new(&key);
        cipher.subkey(prefix).seal(*rest, &bound_to, &mut sealed);
        assert_eq!(sealed[..4], [0xbd, 0x6d, 0x17, 0x9d]);
        assert_eq!(
            sealed[text.len()..],
            [
                0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf,
                0x49
            ]
        );
        let sealed = [&nonce[..], &sealed].concat();
        assert_eq!(cipher.open(&sealed, &bound_to).as_deref(), Some(&text[..]));
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
