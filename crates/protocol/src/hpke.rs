//! Hybrid public key encryption (RFC 9180), base mode, one message a key:
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
//!
//! The ephemeral key is derived from a seed by `DeriveKeyPair`, so that a recorded round can be replayed.

use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::agreement::{Secret, WeakKey};
use crate::cipher;
use crate::id::AgreementKey;
use crate::seed::Seed;

/// A message that only the holder of the recipient's key can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `enc`: the sender's ephemeral public key.
    pub encapsulated: AgreementKey,
    /// The ciphertext and its tag of 16 bytes.
    pub ciphertext: Vec<u8>,
}

/// Encrypts `text` for `recipient`, bound to `info` and `associated` (`SealBase`, RFC 9180, section 6.1). The
/// text is encrypted in place.
///
/// `seed` must not be used for another message.
///
/// # Errors
///
/// A recipient's key of small order.
pub fn seal(
    recipient: &AgreementKey,
    info: &[u8],
    associated: &[u8],
    text: Vec<u8>,
    seed: &Seed,
) -> Result<Sealed, WeakKey> {
    let ephemeral = derive_key_pair(seed.bytes());
    let encapsulated = ephemeral.public();
    let shared = extract_and_expand(&ephemeral, recipient, &encapsulated, recipient)?;
    let (key, nonce) = key_schedule(&shared, info);
    Ok(Sealed {
        encapsulated,
        ciphertext: cipher::seal(&key, nonce, associated, text),
    })
}

/// Decrypts what [`seal`] made (`OpenBase`, RFC 9180, section 6.1), in place.
///
/// # Errors
///
/// A message to another key, with other `info` or `associated`, or altered.
pub fn open(
    recipient: &Secret,
    info: &[u8],
    associated: &[u8],
    sealed: Sealed,
) -> Result<Vec<u8>, CannotOpen> {
    let encapsulated = sealed.encapsulated;
    let shared = extract_and_expand(recipient, &encapsulated, &encapsulated, &recipient.public())
        .map_err(|_| CannotOpen)?;
    let (key, nonce) = key_schedule(&shared, info);
    cipher::open(&key, nonce, associated, sealed.ciphertext).ok_or(CannotOpen)
}

/// The message was sealed to another key, for another round or site, or was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sealed message cannot be opened: it is for another key, round or site, or was altered"
)]
pub struct CannotOpen;

/// `DeriveKeyPair` (RFC 9180, section 7.1.3).
fn derive_key_pair(ikm: &[u8]) -> Secret {
    let prk = labeled_extract(&KEM_SUITE, b"", b"dkp_prk", ikm);
    let mut bytes = Zeroizing::new([0; 32]);
    labeled_expand(&KEM_SUITE, &prk, b"sk", b"", bytes.as_mut());
    Secret::new(*bytes)
}

/// The shared secret of `Encap` and `Decap` (RFC 9180, section 4.1).
fn extract_and_expand(
    mine: &Secret,
    theirs: &AgreementKey,
    encapsulated: &AgreementKey,
    recipient: &AgreementKey,
) -> Result<Zeroizing<[u8; 32]>, WeakKey> {
    let agreed = mine.agree(theirs)?;
    let prk = labeled_extract(&KEM_SUITE, b"", b"eae_prk", agreed.bytes());
    let context = [encapsulated.0, recipient.0].concat();
    let mut shared = Zeroizing::new([0; 32]);
    labeled_expand(
        &KEM_SUITE,
        &prk,
        b"shared_secret",
        &context,
        shared.as_mut(),
    );
    Ok(shared)
}

/// Key and nonce of the first message (`KeySchedule`, RFC 9180, section 5.1, without a pre-shared key).
fn key_schedule(shared: &[u8; 32], info: &[u8]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
    let psk_id_hash = labeled_extract(&SUITE, b"", b"psk_id_hash", b"");
    let info_hash = labeled_extract(&SUITE, b"", b"info_hash", info);
    let context = [
        [MODE_BASE].as_slice(),
        psk_id_hash.as_ref(),
        info_hash.as_ref(),
    ]
    .concat();
    let secret = labeled_extract(&SUITE, shared, b"secret", b"");
    let mut key = Zeroizing::new([0; 32]);
    labeled_expand(&SUITE, &secret, b"key", &context, key.as_mut());
    // The nonce of sequence number 0 is the base nonce itself.
    let mut nonce = [0; 12];
    labeled_expand(&SUITE, &secret, b"base_nonce", &context, &mut nonce);
    (key, nonce)
}

/// `LabeledExtract` (RFC 9180, section 4); HKDF-Extract is HMAC with the salt as its key (RFC 5869).
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [VERSION, suite, label, ikm] {
        mac.update(part);
    }
    let tag = mac.sign();
    Zeroizing::new(tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes"))
}

/// `LabeledExpand` (RFC 9180, section 4).
fn labeled_expand(suite: &[u8], prk: &[u8; 32], label: &[u8], info: &[u8], out: &mut [u8]) {
    let length = u16::try_from(out.len())
        .expect("keys are short")
        .to_be_bytes();
    let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk);
    prk.expand(&[&length, VERSION, suite, label, info], Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
}

/// A length of HKDF's output.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;
/// `"KEM" ‖ kem_id`: DHKEM(X25519, HKDF-SHA256).
const KEM_SUITE: [u8; 5] = *b"KEM\x00\x20";
/// `"HPKE" ‖ kem_id ‖ kdf_id ‖ aead_id`: the same, HKDF-SHA256, ChaCha20-Poly1305.
const SUITE: [u8; 10] = *b"HPKE\x00\x20\x00\x01\x00\x03";

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes32(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 9180, appendix A.2.1: base mode, sequence number 0.
    #[test]
    fn a_message_is_sealed_as_in_rfc_9180_appendix_a_2() {
        let seed = Seed::new(bytes32(
            "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
        ));
        let recipient = AgreementKey(bytes32(
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        ));
        let secret = Secret::new(bytes32(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ));
        let text = b"Beauty is truth, truth beauty";
        let (info, associated) = (b"Ode on a Grecian Urn", b"Count-0");

        let sealed = seal(&recipient, info, associated, text.to_vec(), &seed).unwrap();

        let encapsulated = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
        let ciphertext = concat!(
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db",
            "21993c62ce81883d2dd1b51a28"
        );
        assert_eq!(secret.public(), recipient);
        assert_eq!(sealed.encapsulated.to_string(), encapsulated);
        assert_eq!(hex::encode(&sealed.ciphertext), ciphertext);
        assert_eq!(open(&secret, info, associated, sealed).unwrap(), text);
    }

    /// RFC 9180, appendix A.2.1: `skEm`, `shared_secret`, `key` and `base_nonce`.
    #[test]
    fn keys_are_derived_as_in_rfc_9180_appendix_a_2() {
        let ephemeral = derive_key_pair(&bytes32(
            "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
        ));
        let recipient = AgreementKey(bytes32(
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        ));
        let shared =
            extract_and_expand(&ephemeral, &recipient, &ephemeral.public(), &recipient).unwrap();
        let (key, nonce) = key_schedule(&shared, b"Ode on a Grecian Urn");

        assert_eq!(
            hex::encode(ephemeral.bytes()),
            "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"
        );
        assert_eq!(
            hex::encode(*shared),
            "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"
        );
        assert_eq!(
            hex::encode(*key),
            "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"
        );
        assert_eq!(hex::encode(nonce), "5c4d98150661b848853b547f");
    }

    #[test]
    fn a_message_opens_only_as_it_was_sealed() {
        let secret = Secret::new([7; 32]);
        let sealed = seal(
            &secret.public(),
            b"info",
            b"site 1",
            b"text".to_vec(),
            &Seed::new([1; 32]),
        )
        .unwrap();
        assert_eq!(
            open(&secret, b"other", b"site 1", sealed.clone()),
            Err(CannotOpen)
        );
        assert_eq!(
            open(&secret, b"info", b"site 2", sealed.clone()),
            Err(CannotOpen)
        );
        assert_eq!(
            open(&Secret::new([8; 32]), b"info", b"site 1", sealed.clone()),
            Err(CannotOpen)
        );
        for bit in 0..sealed.ciphertext.len() * 8 {
            let mut flipped = sealed.clone();
            flipped.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&secret, b"info", b"site 1", flipped), Err(CannotOpen));
        }
        let short = Sealed {
            ciphertext: vec![0; 3],
            ..sealed
        };
        assert_eq!(open(&secret, b"info", b"site 1", short), Err(CannotOpen));
        let weak = Sealed {
            encapsulated: AgreementKey([0; 32]),
            ..sealed
        };
        assert_eq!(open(&secret, b"info", b"site 1", weak), Err(CannotOpen));
    }
}
