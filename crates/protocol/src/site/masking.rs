//! Stage mask: the vector under the site's own mask and one mask with each neighbour.

use minicbor::bytes::ByteVec;
use zeroize::Zeroizing;

use super::{
    AggregatorFault, Agreeing, Held, Misuse, Party, PeerFault, SEAL_INFO, SiteError,
    sealed_to_aggregator,
};
use crate::agreement::Secret;
use crate::api::Stage;
use crate::door::{Inbox, Sealed};
use crate::holders::Holders;
use crate::id::SiteId;
use crate::mask::{self, MaskSign};
use crate::message::{Advert, Bundle, MaskedInput};
use crate::noise::Chain;
use crate::pack::{low_bits, pack};
use crate::roll::{Binding, KeyFault, Roll, pair_sign};
use crate::seed::Seed;
use crate::study::Layout;
use crate::{cipher, codec, hpke};

/// A site that has shared its secrets.
#[derive(Debug)]
pub struct Masking {
    pub(super) party: Party,
    pub(super) seed: Seed,
    /// `c^SK`.
    pub(super) cipher: Secret,
    /// `s^SK`.
    pub(super) mask: Secret,
    /// `b`.
    pub(super) self_mask: Seed,
    /// The parts of this site's noise.
    pub(super) noise: Chain,
    pub(super) roll: Roll,
    pub(super) holders: Holders,
    pub(super) binding: Binding,
    pub(super) held: Held,
}

impl Masking {
    /// Opens the shares of the other sites, then adds the parts of this site's noise to `vector`, masks and seals it;
    /// gives the encoded [`MaskedInput`] and the
    /// next stage.
    ///
    /// `vector` has the entries of the layout of the round's purpose, in steps of each section's grid, with the
    /// site's noise but for its parts, each within its section's bound.
    ///
    /// # Errors
    ///
    /// A vector of another length or with an entry beyond its bound: nothing wraps. Fewer sites that shared their secrets
    /// than the threshold, or one that did not advertise. Shares of this site itself, of a site that has none for it or
    /// did not share, of a site twice, that are missing, or that cannot be opened.
    pub fn mask(mut self, inbox: &Inbox, vector: &[i64]) -> Result<(Vec<u8>, Agreeing), SiteError> {
        let layout = self.party.study.layout(self.party.header.purpose);
        let bits = layout.modulus_bits;
        let mut entries = Zeroizing::new(residues(&layout, vector)?);
        self.receive(inbox, layout.parts())?;
        self.noise.apply(MaskSign::Add, &layout, &mut entries);

        let site = self.party.site;
        let own = self.binding.self_mask(site, self.self_mask.bytes());
        mask::apply(&own, MaskSign::Add, bits, &mut entries);
        for other in inbox.sharers.iter().copied() {
            if !self.holders.neighbours(site, other) {
                continue;
            }
            let key = advert(&self.roll, other)?.mask_key;
            let pair = self.binding.pair_mask(&self.mask, &key, site, other);
            let pair = pair.map_err(|_| KeyFault::Weak(other))?;
            mask::apply(&pair, pair_sign(site, other), bits, &mut entries);
        }

        let text = pack(&entries, bits);
        drop(entries);
        let sealed = hpke::seal(
            &self.party.study.manifest().aggregation.key,
            SEAL_INFO,
            &sealed_to_aggregator(&self.party.header, site),
            text,
            &self.binding.seed(&self.seed, "seal to aggregator"),
        )
        .map_err(|_| AggregatorFault::WeakKey)?;
        let input = MaskedInput {
            encapsulated: sealed.encapsulated,
            ciphertext: ByteVec::from(sealed.ciphertext),
        };
        Ok((
            codec::encode(&input),
            Agreeing {
                party: self.party,
                held: self.held,
                holders: self.holders,
                sharers: inbox.sharers.clone(),
            },
        ))
    }

    /// Checks who shared its secrets, and opens what they sent this site.
    fn receive(&mut self, inbox: &Inbox, parts: usize) -> Result<(), SiteError> {
        let (stage, own) = (Stage::Mask, self.party.site);
        let sharers = &inbox.sharers;
        if !sharers.is_sorted_by(|one, next| one < next) || !sharers.contains(&own) {
            return Err(AggregatorFault::Sharers.into());
        }
        for site in sharers {
            advert(&self.roll, *site)?;
        }
        self.party.enough(stage, sharers.len())?;
        self.receive_shares(inbox, parts)?;
        let missing = sharers
            .iter()
            .find(|site| self.holders.holds(own, **site) && !self.held.contains_key(site));
        match missing {
            Some(site) => Err(AggregatorFault::Withheld(*site).into()),
            None => Ok(()),
        }
    }

    fn receive_shares(&mut self, inbox: &Inbox, parts: usize) -> Result<(), SiteError> {
        let stage = Stage::Mask;
        for sealed in &inbox.shares {
            if sealed.site == self.party.site {
                return Err(AggregatorFault::OwnShares.into());
            }
            if inbox.sharers.binary_search(&sealed.site).is_err() {
                let site = sealed.site;
                return Err(AggregatorFault::Stranger { stage, site }.into());
            }
            if !self.holders.holds(self.party.site, sealed.site) {
                return Err(AggregatorFault::NotHolder(sealed.site).into());
            }
            let bundle = self.open(sealed)?;
            if bundle.noise.len() != parts {
                return Err(PeerFault::Noise(sealed.site).into());
            }
            if self.held.insert(sealed.site, bundle).is_some() {
                return Err(AggregatorFault::Twice {
                    stage,
                    site: sealed.site,
                }
                .into());
            }
        }
        Ok(())
    }

    fn open(&self, sealed: &Sealed) -> Result<Bundle, SiteError> {
        let (from, to) = (sealed.site, self.party.site);
        let unreadable = PeerFault::Unreadable(from);
        let their_key = advert(&self.roll, from)?.cipher_key;
        let key = self.binding.share_key(&self.cipher, &their_key, from, to);
        let key = key.map_err(|_| KeyFault::Weak(from))?;
        let route = self.binding.route(from, to);
        let text = cipher::open(&key, cipher::ONLY_NONCE, &route, sealed.bytes.to_vec());
        let bundle = text.and_then(|text| codec::decode(&Zeroizing::new(text)).ok());
        bundle.ok_or(SiteError::Peer(unreadable))
    }
}

fn advert(roll: &Roll, site: SiteId) -> Result<&Advert, AggregatorFault> {
    roll.get(site).ok_or(AggregatorFault::Stranger {
        stage: Stage::Mask,
        site,
    })
}

/// The entries modulo 2 to the power of the layout's bits.
fn residues(layout: &Layout, vector: &[i64]) -> Result<Vec<u32>, Misuse> {
    if vector.len() != layout.length() {
        return Err(Misuse::Length {
            got: vector.len(),
            want: layout.length(),
        });
    }
    let mask = i64::from(low_bits(layout.modulus_bits));
    let mut residues = Vec::with_capacity(vector.len());
    let mut rest = vector;
    for section in &layout.sections {
        let (entries, after) = rest.split_at(section.length);
        rest = after;
        if let Some(entry) = entries
            .iter()
            .position(|value| value.unsigned_abs() > section.bound)
        {
            let (section, bound) = (section.name.name(), section.bound);
            return Err(Misuse::OutOfBounds {
                section,
                entry,
                bound,
            });
        }
        let residue = |value: &i64| u32::try_from(value & mask).expect("at most 32 bits are left");
        residues.extend(entries.iter().map(residue));
    }
    Ok(residues)
}
