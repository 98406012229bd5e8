use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::{any, prop_assert_eq, prop_assert_ne, proptest};
use tempfile::TempDir;

use super::*;

/// A site's folder: its state, and its key next to it.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self, key: KeySource) -> VaultSettings {
        VaultSettings {
            key,
            state: self.path("state"),
        }
    }

    fn with_file(&self, name: &str) -> VaultSettings {
        self.settings(KeySource::File(self.path(name)))
    }

    /// Writes a file for its owner alone.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        crate::durable::replace(&path, text.as_bytes()).unwrap();
        path
    }

    fn with_passphrase(&self, passphrase: &str) -> Surroundings {
        Surroundings {
            passphrase: Some(self.write("passphrase", passphrase)),
            ..Surroundings::default()
        }
    }
}

fn nothing() -> Surroundings {
    Surroundings::default()
}

fn vault(site: &Site) -> Vault {
    Vault::make(&site.with_file("vault.key"), &nothing()).unwrap()
}

const PASSPHRASE: &str = "six words that nobody has said";
const SEED: [u8; 32] = *b"a seed of noise and masks of one";

#[test]
fn a_seed_cannot_be_read_from_what_is_at_rest() {
    let site = Site::new();
    let vault = vault(&site);
    let sealed = vault.seal(b"round 7", &SEED);
    for piece in SEED.windows(4) {
        assert!(!sealed.windows(4).any(|window| window == piece));
    }
    assert_eq!(vault.open(b"round 7", &sealed).unwrap().as_slice(), SEED);
    // Nor with what else is in the state folder, where the key is not.
    let state = std::fs::read(site.path("state/vault.toml")).unwrap();
    let key = std::fs::read(site.path("vault.key")).unwrap();
    for piece in key.trim_ascii().windows(8) {
        assert!(!state.windows(8).any(|window| window == piece));
    }
}

#[test]
fn a_record_that_was_changed_or_moved_is_refused() {
    let site = Site::new();
    let vault = vault(&site);
    let sealed = vault.seal(b"round 7", &SEED);
    for bit in 0..8 * sealed.len() {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(vault.open(b"round 7", &changed).is_err(), "bit {bit}");
    }
    let moved = vault.open(b"round 8", &sealed).unwrap_err();
    assert!(
        moved.to_string().contains("moved from another round"),
        "{moved}"
    );
    for length in 0..sealed.len() {
        assert!(vault.open(b"round 7", &sealed[..length]).is_err());
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert!(matches!(
        vault.open(b"round 7", &longer),
        Err(VaultError::Changed)
    ));
}

#[test]
fn the_same_record_has_the_same_bytes_and_another_has_others() {
    let site = Site::new();
    let vault = vault(&site);
    assert_eq!(vault.seal(b"a", b"secret"), vault.seal(b"a", b"secret"));
    // The border between context and secret is sealed, too.
    for (context, secret) in [
        (&b"as"[..], &b"ecret"[..]),
        (b"b", b"secret"),
        (b"a", b"secre"),
    ] {
        assert_ne!(vault.seal(context, secret), vault.seal(b"a", b"secret"));
    }
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(context in any::<Vec<u8>>(), secret in any::<Vec<u8>>()) {
        let vault = Vault::of(Zeroizing::new([7; 32]));
        let sealed = vault.seal(&context, &secret);
        let opened = vault.open(&context, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), secret.as_slice());
        prop_assert_ne!(sealed, Vault::of(Zeroizing::new([8; 32])).seal(&context, &secret));
    }

    #[test]
    fn no_bytes_are_a_record_by_chance(bytes in any::<Vec<u8>>()) {
        let vault = Vault::of(Zeroizing::new([7; 32]));
        assert!(vault.open(b"", &bytes).is_err());
    }
}

#[test]
fn a_wrong_or_lost_key_is_told_apart_from_damage() {
    let site = Site::new();
    let settings = site.with_file("vault.key");
    vault(&site);
    let path = site.path("vault.key");
    let right = std::fs::read_to_string(&path).unwrap();

    site.write("vault.key", &"ab".repeat(32));
    let error = Vault::unlock_in(&settings, &nothing()).unwrap_err();
    assert!(matches!(error, VaultError::OtherKey { .. }), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = Vault::unlock_in(&settings, &nothing()).unwrap_err();
    assert!(
        error.to_string().contains("restore it from its own backup"),
        "{error}"
    );
    assert!(!path.exists(), "a lost key is not made again in silence");
    for odd in ["", "ab", "no key at all", &"ab".repeat(100)] {
        site.write("vault.key", odd);
        assert!(Vault::unlock_in(&settings, &nothing()).is_err(), "{odd}");
    }
    site.write("vault.key", &right);
    assert!(Vault::unlock_in(&settings, &nothing()).is_ok());

    let other = Vault::of(Zeroizing::new([9; 32])).seal(b"round 7", &SEED);
    let vault = Vault::unlock_in(&settings, &nothing()).unwrap();
    let error = vault.open(b"round 7", &other).unwrap_err();
    assert!(matches!(error, VaultError::OtherVault { .. }), "{error}");
}

#[test]
fn a_vault_is_made_once_and_never_in_silence() {
    let site = Site::new();
    let settings = site.with_file("vault.key");
    let error = Vault::unlock_in(&settings, &nothing()).unwrap_err();
    assert!(error.to_string().contains("`host vault init`"), "{error}");
    assert!(!site.path("state").exists() && !site.path("vault.key").exists());
    let made = vault(&site);
    let error = Vault::make(&settings, &nothing()).unwrap_err();
    assert!(matches!(error, VaultError::Made(_)), "{error}");
    assert_eq!(
        Vault::unlock_in(&settings, &nothing()).unwrap().id(),
        made.id()
    );

    let file = site.path("state/vault.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    let key = whole.find("key = \"01").unwrap() + 60;
    let digit = &whole[key..=key];
    let other = if digit == "0" { "1" } else { "0" };
    let flipped = [&whole[..key], other, &whole[key + 1..]].concat();
    for damaged in ["", "wrapped = []", &whole[..whole.len() - 9], &flipped] {
        std::fs::write(&file, damaged).unwrap();
        let error = Vault::unlock_in(&settings, &nothing()).unwrap_err();
        assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_key_that_lies_with_the_state_or_that_others_can_read_is_refused() {
    let site = Site::new();
    std::fs::create_dir_all(site.path("state/deep")).unwrap();
    symlink(site.path("state/deep"), site.path("elsewhere")).unwrap();
    for name in [
        "state/vault.key",
        "state/deep/../vault.key",
        "elsewhere/vault.key",
    ] {
        let error = Vault::make(&site.with_file(name), &nothing()).unwrap_err();
        assert!(
            matches!(error, VaultError::Inside { .. }),
            "{name}: {error}"
        );
    }
    vault(&site);
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(site.path("vault.key"), Permissions::from_mode(mode)).unwrap();
        let error = Vault::unlock_in(&site.with_file("vault.key"), &nothing()).unwrap_err();
        assert!(error.to_string().contains("run `chmod 600`"), "{error}");
    }
}

#[test]
fn a_key_file_that_is_made_is_for_its_owner_alone() {
    let site = Site::new();
    vault(&site);
    let mode = std::fs::metadata(site.path("vault.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_systemd_credential_opens_the_vault() {
    let site = Site::new();
    let settings = site.settings(KeySource::Credential("wardround".to_owned()));
    std::fs::create_dir(site.path("credentials")).unwrap();
    let surroundings = Surroundings {
        credentials: Some(site.path("credentials")),
        ..Surroundings::default()
    };
    for surroundings in [&nothing(), &surroundings] {
        let error = Vault::make(&settings, surroundings).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("LoadCredentialEncrypted=wardround"),
            "{error}"
        );
    }
    site.write("credentials/wardround", &format!("{}\n", "cd".repeat(32)));
    let made = Vault::make(&settings, &surroundings).unwrap();
    assert_eq!(
        Vault::unlock_in(&settings, &surroundings).unwrap().id(),
        made.id()
    );
    for name in ["../wardround", "a/b", "", ".."] {
        let settings = site.settings(KeySource::Credential(name.to_owned()));
        let error = Vault::unlock_in(&settings, &surroundings).unwrap_err();
        assert!(
            matches!(error, VaultError::CredentialName(_)),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_passphrase_opens_the_vault_and_another_does_not() {
    let site = Site::new();
    let settings = site.settings(KeySource::Passphrase);
    let error = Vault::make(&settings, &site.with_passphrase("too short")).unwrap_err();
    assert!(matches!(error, VaultError::Short(9)), "{error}");
    let made = Vault::make(&settings, &site.with_passphrase(PASSPHRASE)).unwrap();
    // The end of the file's last line is none of the passphrase.
    let right = site.with_passphrase(&format!("{PASSPHRASE}\n"));
    assert_eq!(Vault::unlock_in(&settings, &right).unwrap().id(), made.id());
    let wrong = site.with_passphrase("six words that somebody has said");
    let error = Vault::unlock_in(&settings, &wrong).unwrap_err();
    assert!(matches!(error, VaultError::OtherPassphrase), "{error}");
    let file = site.with_file("vault.key");
    site.write("vault.key", &"ab".repeat(32));
    let error = Vault::unlock_in(&file, &nothing()).unwrap_err();
    assert!(
        matches!(error, VaultError::OtherKind("a key file")),
        "{error}"
    );
}

#[test]
fn weak_or_absurd_parameters_of_a_passphrase_are_refused() {
    let site = Site::new();
    let settings = site.settings(KeySource::Passphrase);
    let surroundings = site.with_passphrase(PASSPHRASE);
    Vault::make(&settings, &surroundings).unwrap();
    let file = site.path("state/vault.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [
        ("memory-kib = 65536", "memory-kib = 8"),
        ("memory-kib = 65536", "memory-kib = 4294967295"),
        ("passes = 3", "passes = 1"),
        ("passes = 3", "passes = 4294967295"),
        ("lanes = 4", "lanes = 0"),
        ("salt = \"", "salt = \"00"),
    ] {
        let changed = whole.replace(from, to);
        assert_ne!(changed, whole, "{from}");
        std::fs::write(&file, changed).unwrap();
        let error = Vault::unlock_in(&settings, &surroundings).unwrap_err();
        assert!(matches!(error, VaultError::Parameters(_)), "{to}: {error}");
    }
}

#[test]
fn after_rekeying_the_new_key_opens_what_the_old_one_sealed_and_the_old_one_nothing() {
    let site = Site::new();
    let old = site.with_file("vault.key");
    let sealed = vault(&site).seal(b"round 7", &SEED);
    let new = site.settings(KeySource::Passphrase);
    let surroundings = Surroundings {
        new_passphrase: site.with_passphrase(PASSPHRASE).passphrase,
        ..Surroundings::default()
    };
    let asked = site.with_passphrase(PASSPHRASE);
    let open = |settings: &VaultSettings, surroundings: &Surroundings| {
        let vault = Vault::unlock_in(settings, surroundings)?;
        vault.open(b"round 7", &sealed)
    };
    let rekeying = Vault::rekey(&old, &new.key, &surroundings).unwrap();
    // A crash here leaves both.
    assert_eq!(open(&old, &nothing()).unwrap().as_slice(), SEED);
    assert_eq!(open(&new, &asked).unwrap().as_slice(), SEED);
    rekeying.finish().unwrap();
    assert_eq!(open(&new, &asked).unwrap().as_slice(), SEED);
    assert!(matches!(
        open(&old, &nothing()),
        Err(VaultError::OtherKind(_))
    ));

    // One that was not finished is followed by another, and no third key is left.
    let third = site.with_file("third.key");
    let _ = Vault::rekey(&new, &third.key, &asked).unwrap();
    let fourth = site.with_file("fourth.key");
    let _ = Vault::rekey(&third, &fourth.key, &nothing())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(open(&fourth, &nothing()).unwrap().as_slice(), SEED);
    assert!(open(&third, &nothing()).is_err() && open(&new, &asked).is_err());
}

#[test]
fn nothing_that_is_printed_tells_a_key() {
    let vault = Vault::of(Zeroizing::new([0xab; 32]));
    let printed = format!("{vault:?}");
    assert!(
        !printed.contains("171") && !printed.contains("abab"),
        "{printed}"
    );
}
