//! Hybrid public key encryption (RFC 9180), base mode, any number of messages under one encapsulated key:
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
//!
//! The ephemeral key is derived from a seed by `DeriveKeyPair`, so that a recorded round can be replayed. The caller
//! numbers the messages, so that one of them can be made or opened again without those before it.

use std::fmt;

use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::agreement::{Secret, WeakKey};
use crate::cipher;
use crate::id::AgreementKey;
use crate::seed::Seed;

/// Seals messages that only the holder of the recipient's key can read.
#[derive(Debug)]
pub struct Sender {
    encapsulated: AgreementKey,
    context: Context,
}

impl Sender {
    /// Encapsulates a key for `recipient`, bound to `info` (`SetupBaseS`, RFC 9180, section 5.1.1).
    ///
    /// `seed` must not be used for another sender.
    ///
    /// # Errors
    ///
    /// A recipient's key of small order.
    pub fn new(recipient: &AgreementKey, info: &[u8], seed: &Seed) -> Result<Self, WeakKey> {
        let ephemeral = derive_key_pair(seed.bytes());
        let encapsulated = ephemeral.public();
        let shared = extract_and_expand(&ephemeral, recipient, &encapsulated, recipient)?;
        Ok(Self {
            encapsulated,
            context: Context::new(&shared, info),
        })
    }

    /// `enc`: the ephemeral public key, which the recipient needs.
    #[must_use]
    pub fn encapsulated(&self) -> AgreementKey {
        self.encapsulated
    }

    /// Encrypts `text`, in place, as the message with this sequence number, bound to `associated`; the result is longer
    /// by a tag of 16 bytes (`ContextS.Seal`, RFC 9180, section 5.2).
    ///
    /// **A number must be used for one text only**: two texts under one nonce show their difference. The same text under
    /// its number again gives the same bytes.
    #[must_use]
    pub fn seal(&self, sequence: u32, associated: &[u8], text: Vec<u8>) -> Vec<u8> {
        let Context { key, .. } = &self.context;
        cipher::seal(key, self.context.nonce(sequence), associated, text)
    }
}

/// Opens what a [`Sender`] sealed.
#[derive(Debug)]
pub struct Recipient(Context);

impl Recipient {
    /// Takes the sender's encapsulated key (`SetupBaseR`, RFC 9180, section 5.1.1).
    ///
    /// # Errors
    ///
    /// A key of small order.
    pub fn new(
        secret: &Secret,
        encapsulated: &AgreementKey,
        info: &[u8],
    ) -> Result<Self, CannotOpen> {
        let shared = extract_and_expand(secret, encapsulated, encapsulated, &secret.public());
        let shared = shared.map_err(|_| CannotOpen)?;
        Ok(Self(Context::new(&shared, info)))
    }

    /// Decrypts the message with this sequence number, in place (`ContextR.Open`, RFC 9180, section 5.2).
    ///
    /// # Errors
    ///
    /// A message to another key, with another number, other `info` or `associated`, or altered.
    pub fn open(
        &self,
        sequence: u32,
        associated: &[u8],
        sealed: Vec<u8>,
    ) -> Result<Vec<u8>, CannotOpen> {
        let Self(context) = self;
        let nonce = context.nonce(sequence);
        cipher::open(&context.key, nonce, associated, sealed).ok_or(CannotOpen)
    }
}

/// The message was sealed to another key, for another round, site or place, or was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sealed message cannot be opened: it is for another key, round, site or place, or was altered"
)]
pub struct CannotOpen;

/// The encryption context of RFC 9180, section 5; never printed.
struct Context {
    key: Zeroizing<[u8; 32]>,
    base_nonce: [u8; 12],
}

impl Context {
    /// `KeySchedule` (RFC 9180, section 5.1, without a pre-shared key).
    fn new(shared: &[u8; 32], info: &[u8]) -> Self {
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
        let mut base_nonce = [0; 12];
        labeled_expand(&SUITE, &secret, b"base_nonce", &context, &mut base_nonce);
        Self { key, base_nonce }
    }

    /// `ComputeNonce` (RFC 9180, section 5.2): the base nonce xor the number, most significant byte first.
    fn nonce(&self, sequence: u32) -> [u8; 12] {
        let mut nonce = self.base_nonce;
        for (byte, number) in nonce[8..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

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

    /// RFC 9180, appendix A.2.1.1: base mode, every sequence number that it lists.
    #[test]
    fn messages_are_sealed_as_in_rfc_9180_appendix_a_2() {
        let seed = Seed::new(bytes32(
            "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
        ));
        let recipient = AgreementKey(bytes32(
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
        ));
        let secret = Secret::new(bytes32(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ));
        let encapsulated = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
        let (text, info) = (b"Beauty is truth, truth beauty", b"Ode on a Grecian Urn");
        let listed = [
            (
                0,
                "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
            ),
            (
                1,
                "6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c",
            ),
            (
                2,
                "71146bd6795ccc9c49ce25dda112a48f202ad220559502cef1f34271e0cb4b02b4f10ecac6f48c32f878fae86b",
            ),
            (
                4,
                "63357a2aa291f5a4e5f27db6baa2af8cf77427c7c1a909e0b37214dd47db122bb153495ff0b02e9e54a50dbe16",
            ),
            (
                255,
                "18ab939d63ddec9f6ac2b60d61d36a7375d2070c9b683861110757062c52b8880a5f6b3936da9cd6c23ef2a95c",
            ),
            (
                256,
                "7a4a13e9ef23978e2c520fd4d2e757514ae160cd0cd05e556ef692370ca53076214c0c40d4c728d6ed9e727a5b",
            ),
        ];

        let sender = Sender::new(&recipient, info, &seed).unwrap();
        assert_eq!(secret.public(), recipient);
        assert_eq!(sender.encapsulated().to_string(), encapsulated);
        let opener = Recipient::new(&secret, &sender.encapsulated(), info).unwrap();
        for (sequence, ciphertext) in listed {
            let associated = format!("Count-{sequence}");
            let sealed = sender.seal(sequence, associated.as_bytes(), text.to_vec());
            assert_eq!(hex::encode(&sealed), ciphertext, "{sequence}");
            let opened = opener.open(sequence, associated.as_bytes(), sealed);
            assert_eq!(opened.unwrap(), text);
        }
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
        let context = Context::new(&shared, b"Ode on a Grecian Urn");

        assert_eq!(
            hex::encode(ephemeral.bytes()),
            "f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"
        );
        assert_eq!(
            hex::encode(*shared),
            "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"
        );
        assert_eq!(
            hex::encode(*context.key),
            "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"
        );
        assert_eq!(hex::encode(context.base_nonce), "5c4d98150661b848853b547f");
        assert_eq!(hex::encode(context.nonce(256)), "5c4d98150661b848853b557f");
    }

    #[test]
    fn a_message_opens_only_as_it_was_sealed() {
        let secret = Secret::new([7; 32]);
        let sender = Sender::new(&secret.public(), b"info", &Seed::new([1; 32])).unwrap();
        let sealed = sender.seal(3, b"site 1", b"text".to_vec());
        let key = sender.encapsulated();
        let open = |secret: &Secret, info: &[u8], sequence, associated: &[u8], sealed: &[u8]| {
            Recipient::new(secret, &key, info)
                .unwrap()
                .open(sequence, associated, sealed.to_vec())
        };
        assert_eq!(
            open(&secret, b"info", 3, b"site 1", &sealed).unwrap(),
            b"text"
        );
        let refused = [
            open(&secret, b"other", 3, b"site 1", &sealed),
            open(&secret, b"info", 4, b"site 1", &sealed),
            open(&secret, b"info", 3, b"site 2", &sealed),
            open(&Secret::new([8; 32]), b"info", 3, b"site 1", &sealed),
            open(&secret, b"info", 3, b"site 1", &[0; 3]),
        ];
        assert_eq!(refused, [const { Err(CannotOpen) }; 5]);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&secret, b"info", 3, b"site 1", &flipped);
            assert_eq!(opened, Err(CannotOpen));
        }
        let weak = Recipient::new(&secret, &AgreementKey([0; 32]), b"info");
        assert_eq!(weak.unwrap_err(), CannotOpen);
    }
}
