//! The roll: which sites take part in a round, with which keys; and the keys that follow from it.
//!
//! Everything that is derived after the adverts is bound to the whole roll. Sites that were shown different rolls
//! cannot open each other's shares, so an aggregator that splits their view gets no sum.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::agreement::{self, Secret, WeakKey};
use crate::id::{AgreementKey, Digest, Header, InputsDigest, SiteId};
use crate::mask::{MaskKey, MaskSign};
use crate::message::{Advert, Bundle, ShareDigests};
use crate::seed::{Seed, expand};
use crate::shamir::Share;

/// The adverts of a round: `U1` of Bonawitz et al. 2017.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Roll {
    #[n(0)]
    adverts: BTreeMap<SiteId, Advert>,
}

impl Roll {
    /// Puts a site on the roll.
    pub(crate) fn add(&mut self, site: SiteId, advert: Advert) -> Result<(), KeyFault> {
        for key in [&advert.cipher_key, &advert.mask_key] {
            agreement::check(key).map_err(|WeakKey| KeyFault::Weak(site))?;
        }
        let is_taken = |key: &AgreementKey| {
            let mut others = self.adverts.values();
            others.any(|advert| advert.cipher_key == *key || advert.mask_key == *key)
        };
        if advert.cipher_key == advert.mask_key
            || is_taken(&advert.cipher_key)
            || is_taken(&advert.mask_key)
        {
            return Err(KeyFault::Reused(site));
        }
        self.adverts.insert(site, advert);
        Ok(())
    }

    pub(crate) fn get(&self, site: SiteId) -> Option<&Advert> {
        self.adverts.get(&site)
    }

    /// What each site advertised.
    pub(crate) fn adverts(&self) -> &BTreeMap<SiteId, Advert> {
        &self.adverts
    }

    pub(crate) fn len(&self) -> usize {
        self.adverts.len()
    }

    /// What all later keys of the round are bound to.
    pub(crate) fn binding(&self, header: &Header) -> Binding {
        let roll = Digest::of(&crate::codec::encode(self));
        Binding(Digest::of(
            &[BINDING_CONTEXT, &header.digest().0, &roll.0].concat(),
        ))
    }
}

/// Why an advert is not put on the roll: the site that sent it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A key with which nothing is secret.
    #[error("site {0} advertised a key of small order or not in canonical form")]
    Weak(SiteId),
    /// A key that is advertised already.
    #[error("site {0} advertised a key that is already in use in this round")]
    Reused(SiteId),
}

/// The digest of header and roll, and the keys that are derived under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding(Digest);

impl Binding {
    /// The seed of a site's session for one use in this round.
    pub(crate) fn seed(&self, session: &Seed, label: &str) -> Seed {
        session.derive_bound(label, &self.0.0)
    }

    /// The key that encrypts the one bundle from `from` to `to`.
    pub(crate) fn share_key(
        &self,
        mine: &Secret,
        theirs: &AgreementKey,
        from: SiteId,
        to: SiteId,
    ) -> Result<Zeroizing<[u8; 32]>, WeakKey> {
        let agreed = mine.agree(theirs)?;
        let key = expand(SHARE_SALT, agreed.bytes(), &[&self.route(from, to)]);
        Ok(Zeroizing::new(key))
    }

    /// What the encryption of a bundle binds beside its text: round, roll, sender and recipient.
    pub(crate) fn route(&self, from: SiteId, to: SiteId) -> Vec<u8> {
        [
            self.0.0.as_slice(),
            &from.0.to_be_bytes(),
            &to.0.to_be_bytes(),
        ]
        .concat()
    }

    /// The key of the mask between two sites (`s_{u,v}`), the same for both.
    pub(crate) fn pair_mask(
        &self,
        mine: &Secret,
        theirs: &AgreementKey,
        one: SiteId,
        other: SiteId,
    ) -> Result<MaskKey, WeakKey> {
        let agreed = mine.agree(theirs)?;
        let route = self.route(one.min(other), one.max(other));
        Ok(MaskKey::new(expand(PAIR_SALT, agreed.bytes(), &[&route])))
    }

    /// The key of a site's own mask, from its seed (`b_u`).
    pub(crate) fn self_mask(&self, site: SiteId, seed: &[u8; 32]) -> MaskKey {
        MaskKey::new(expand(SELF_SALT, seed, &[&self.route(site, site)]))
    }

    /// What `dealer` publishes of the shares that it gives `holder`, before any is opened.
    pub(crate) fn share_digests(
        &self,
        dealer: SiteId,
        holder: SiteId,
        bundle: &Bundle,
    ) -> ShareDigests {
        ShareDigests {
            seed: self.share_digest(Secrets::Seed, dealer, holder, &bundle.seed),
            key: self.share_digest(Secrets::Key, dealer, holder, &bundle.key),
            noise: (1..)
                .zip(&bundle.noise)
                .map(|(part, share)| self.share_digest(Secrets::Noise(part), dealer, holder, share))
                .collect(),
        }
    }

    /// What `dealer` publishes of one share. A share is uniform by itself, so this tells nothing of it.
    pub(crate) fn share_digest(
        &self,
        of: Secrets,
        dealer: SiteId,
        holder: SiteId,
        share: &Share,
    ) -> Digest {
        let (salt, part) = match of {
            Secrets::Seed => (SEED_SHARE_SALT, None),
            Secrets::Key => (KEY_SHARE_SALT, None),
            Secrets::Noise(part) => (NOISE_SHARE_SALT, Some(part)),
        };
        let route = self.route(dealer, holder);
        Digest(expand(salt, &share.0, &[&route, part.as_slice()]))
    }

    /// What a site publishes of its self-mask seed before it is opened.
    pub(crate) fn commitment(&self, site: SiteId, seed: &[u8; 32]) -> Digest {
        Digest(expand(COMMITMENT_SALT, seed, &[&self.route(site, site)]))
    }

    /// What a site publishes of that from which its vector was computed. The seed is uniform, so this tells nothing.
    pub(crate) fn inputs_commitment(
        &self,
        session: &Seed,
        site: SiteId,
        inputs: &InputsDigest,
        state: &Digest,
    ) -> Digest {
        let bound = [&self.route(site, site), inputs.0.0.as_slice(), &state.0];
        Digest(expand(INPUTS_SALT, session.bytes(), &bound))
    }

    /// What a site publishes of the key of a part of its noise before it is opened.
    pub(crate) fn noise_commitment(&self, site: SiteId, part: u8, key: &[u8; 32]) -> Digest {
        let route = self.route(site, site);
        Digest(expand(NOISE_COMMITMENT_SALT, key, &[&route, &[part]]))
    }
}

/// Which of a site's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// The seed of its self mask: opened where it survived.
    Seed,
    /// Its secret mask key: opened where it dropped out.
    Key,
    /// The key of this part of its noise, from 1: opened where it survived and this is the last part to go.
    Noise(u8),
}

/// How `site` applies the mask it has with `other`: the two signs are opposite, so the masks cancel in the sum
/// (Bonawitz et al. 2017, section 4.1: `Δ_{u,v}`).
pub(crate) fn pair_sign(site: SiteId, other: SiteId) -> MaskSign {
    if site > other {
        MaskSign::Add
    } else {
        MaskSign::Subtract
    }
}

const BINDING_CONTEXT: &[u8] = b"wardround/1 roll";
const SHARE_SALT: &str = "wardround/1 share";
const PAIR_SALT: &str = "wardround/1 pair mask";
const SELF_SALT: &str = "wardround/1 self mask";
const SEED_SHARE_SALT: &str = "wardround/1 share of self mask commitment";
const KEY_SHARE_SALT: &str = "wardround/1 share of mask key commitment";
const NOISE_SHARE_SALT: &str = "wardround/1 share of noise commitment";
const NOISE_COMMITMENT_SALT: &str = "wardround/1 noise commitment";
const COMMITMENT_SALT: &str = "wardround/1 self mask commitment";
const INPUTS_SALT: &str = "wardround/1 inputs commitment";
