//! Encryption for a device: RFC 8291, in one record of `aes128gcm` (RFC 8188).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac::{self, HMAC_SHA256};

const RECORD_BYTES: u32 = 4_096;
const SALT_BYTES: usize = 16;
const POINT_BYTES: usize = 65;
const HEADER_BYTES: usize = SALT_BYTES + 4 + 1 + POINT_BYTES;
const TAG_BYTES: usize = 16;
/// What ends the last record, before its padding.
const LAST: u8 = 2;
/// The most bytes of a text: with its header, its end and its tag it is what every push service takes.
pub const MAX_TEXT: usize = RECORD_BYTES as usize - HEADER_BYTES - 1 - TAG_BYTES;

/// Encrypts a text for a device with this key and secret. `None` when the key is none, or the text too long.
#[must_use]
pub fn encrypt(text: &[u8], point: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let own = PrivateKey::generate(&ECDH_P256).ok()?;
    encrypt_with(text, (point, secret), &own, rand::random())
}

/// Whether these bytes are a point that something can be encrypted for.
#[must_use]
pub fn is_point(bytes: &[u8]) -> bool {
    let own = PrivateKey::generate(&ECDH_P256);
    bytes.len() == POINT_BYTES && own.is_ok_and(|own| agreed(&own, bytes).is_some())
}

fn agreed(own: &PrivateKey, point: &[u8]) -> Option<Vec<u8>> {
    let point = UnparsedPublicKey::new(&ECDH_P256, point);
    agree(own, point, Unspecified, |shared| Ok(shared.to_vec())).ok()
}

fn encrypt_with(
    text: &[u8],
    (point, secret): (&[u8], &[u8]),
    own: &PrivateKey,
    salt: [u8; SALT_BYTES],
) -> Option<Vec<u8>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let own_point = own.compute_public_key().ok()?;
    let shared = agreed(own, point)?;
    let info = [b"WebPush: info\0", point, own_point.as_ref()].concat();
    let input = derive::<32>(secret, &shared, &info);
    let key = derive::<16>(&salt, &input, b"Content-Encoding: aes128gcm\0");
    let nonce = derive::<12>(&salt, &input, b"Content-Encoding: nonce\0");

    let mut sealed = Vec::with_capacity(text.len() + 1 + TAG_BYTES);
    sealed.extend_from_slice(text);
    sealed.push(LAST);
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .ok()?;

    let mut body = Vec::with_capacity(HEADER_BYTES + sealed.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(u8::try_from(own_point.as_ref().len()).ok()?);
    body.extend_from_slice(own_point.as_ref());
    body.extend_from_slice(&sealed);
    Some(body)
}

/// HKDF with SHA-256 (RFC 5869), of at most 32 bytes: one block.
fn derive<const LENGTH: usize>(salt: &[u8], input: &[u8], info: &[u8]) -> [u8; LENGTH] {
    let extracted = hmac::sign(&hmac::Key::new(HMAC_SHA256, salt), input);
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, extracted.as_ref()));
    context.update(info);
    context.update(&[1]);
    let block = context.sign();
    let mut derived = [0; LENGTH];
    derived.copy_from_slice(&block.as_ref()[..LENGTH]);
    derived
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc_is_encrypted_as_it_says() {
        let own = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let point =
            bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let secret = bytes("BTBZMqHH6r4Tts7J_aSIgg");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(text, (&point, &secret), &own, salt).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w\
             EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn a_record_is_never_longer_than_push_services_take() {
        let point =
            bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let longest = encrypt(&vec![b'x'; MAX_TEXT], &point, &[7; 16]).unwrap();
        assert_eq!(longest.len(), 4_096);
        assert!(encrypt(&vec![b'x'; MAX_TEXT + 1], &point, &[7; 16]).is_none());
        assert!(encrypt(b"x", &point[..64], &[7; 16]).is_none());
        assert!(!is_point(&[4; 65]));
    }
}
