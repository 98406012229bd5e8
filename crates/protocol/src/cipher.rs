//! ChaCha20-Poly1305 (RFC 8439) under keys that seal one message each.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// Bytes by which a ciphertext is longer than its plaintext.
pub(crate) const TAG_LENGTH: usize = 16;

/// A nonce for a key that never seals a second message.
pub(crate) const ONLY_NONCE: [u8; 12] = [0; 12];

/// Encrypts `text` in place, binding `associated`. `key` and `nonce` must never be used together again.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: [u8; 12],
    associated: &[u8],
    mut text: Vec<u8>,
) -> Vec<u8> {
    less_safe(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated),
            &mut text,
        )
        .expect("messages are far shorter than the 256 GiB that RFC 8439 allows");
    text
}

/// Decrypts in place what [`seal`] made; `None` where key, nonce, associated data or a bit is not the same.
pub(crate) fn open(
    key: &[u8; 32],
    nonce: [u8; 12],
    associated: &[u8],
    mut sealed: Vec<u8>,
) -> Option<Vec<u8>> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = less_safe(key)
        .open_in_place(nonce, Aad::from(associated), &mut sealed)
        .ok()?
        .len();
    sealed.truncate(length);
    Some(sealed)
}

fn less_safe(key: &[u8; 32]) -> LessSafeKey {
    let key =
        UnboundKey::new(&CHACHA20_POLY1305, key).expect("a ChaCha20-Poly1305 key has 32 bytes");
    LessSafeKey::new(key)
}
