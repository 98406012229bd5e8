//! Stage mask: the vector under the site's own mask and one mask with each neighbour.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    AggregatorFault, Agreeing, Held, Misuse, Party, PeerFault, SEAL_INFO, SiteError,
    sealed_to_aggregator,
};
use crate::agreement::Secret;
use crate::api::Stage;
use crate::chunk::{ChunkError, Chunking, ENTRIES};
use crate::door::{Inbox, Sealed};
use crate::holders::Holders;
use crate::hpke::Sender;
use crate::id::{AgreementKey, ChunkDigest, InputsDigest, SiteId};
use crate::mask::{MaskSign, Masks};
use crate::message::{Advert, Bundle, MaskedInput, sites_digest};
use crate::noise::Chain;
use crate::pack::pack;
use crate::roll::{Binding, KeyFault, Roll, pair_sign};
use crate::seed::Seed;
use crate::study::Layout;
use crate::{cipher, codec};

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
    /// Opens the shares of the other sites, then adds the parts of this site's noise to `vector` and masks it; gives the
    /// encoded [`MaskedInput`] to sign, what makes the sealed chunks that it announces, and the next stage.
    ///
    /// `vector` has the entries of the layout of the round's purpose, in steps of each section's grid, with the
    /// site's noise but for its parts, each within its section's bound. `inputs` are the patients that it was computed
    /// from.
    ///
    /// # Errors
    ///
    /// A vector of another length or with an entry beyond its bound: nothing wraps. Fewer sites that shared their secrets
    /// than the threshold, or one that did not advertise. Shares of this site itself, of a site that has none for it or
    /// did not share, of a site twice, that are missing, or that cannot be opened.
    pub fn mask(
        mut self,
        inbox: &Inbox,
        vector: &[i64],
        inputs: &InputsDigest,
    ) -> Result<(Vec<u8>, Upload, Agreeing), SiteError> {
        let layout = self.party.study.layout(self.party.header.purpose);
        check(&layout, vector)?;
        self.receive(inbox, layout.parts())?;
        let noise = self.noise.drawn(&layout);
        let masks = self.masks(&inbox.sharers)?;
        let upload = self.seal(Chunking::of(&layout), vector, &noise, &masks)?;
        let input = self.announce(&upload, &inbox.sharers, inputs);
        let Self {
            party,
            held,
            holders,
            ..
        } = self;
        let agreeing = Agreeing {
            party,
            held,
            holders,
            sharers: inbox.sharers.clone(),
        };
        Ok((codec::encode(&input), upload, agreeing))
    }

    /// The site's own mask and one with each neighbour that shared its secrets.
    fn masks(&self, sharers: &[SiteId]) -> Result<Masks, SiteError> {
        let site = self.party.site;
        let mut masks = Masks::default();
        let own = self.binding.self_mask(site, self.self_mask.bytes());
        masks.push(&own, MaskSign::Add);
        let neighbours = sharers.iter().copied();
        for other in neighbours.filter(|other| self.holders.neighbours(site, *other)) {
            let key = advert(&self.roll, other)?.mask_key;
            let pair = self.binding.pair_mask(&self.mask, &key, site, other);
            let pair = pair.map_err(|_| KeyFault::Weak(other))?;
            masks.push(&pair, pair_sign(site, other));
        }
        Ok(masks)
    }

    /// Noises, masks, packs and seals chunk by chunk, so that each is in the cache from its first step to its last.
    fn seal(
        &self,
        chunking: Chunking,
        vector: &[i64],
        noise: &[u32],
        masks: &Masks,
    ) -> Result<Upload, AggregatorFault> {
        let key = &self.party.study.manifest().aggregation.key;
        let seed = self.binding.seed(&self.seed, "seal to aggregator");
        let sender = Sender::new(key, SEAL_INFO, &seed);
        let sender = sender.map_err(|_| AggregatorFault::WeakKey)?;
        let associated = sealed_to_aggregator(&self.party.header, self.party.site);
        let mut entries = Zeroizing::new(vec![0; ENTRIES.min(vector.len())]);
        // There need not be noise that may go off the sum again.
        let mut noise = noise.chunks(ENTRIES);
        let sealed = (0..).zip(vector.chunks(ENTRIES)).map(|(number, values)| {
            let entries = &mut entries[..values.len()];
            for (entry, value) in entries.iter_mut().zip(values) {
                *entry = low_word(*value);
            }
            for (entry, noise) in entries.iter_mut().zip(noise.next().unwrap_or_default()) {
                *entry = entry.wrapping_add(*noise);
            }
            masks.apply(ENTRIES * number as usize, chunking.bits(), entries);
            sender.seal(number, &associated, pack(entries, chunking.bits()))
        });
        Ok(Upload {
            chunking,
            encapsulated: sender.encapsulated(),
            sealed: sealed.collect(),
        })
    }

    fn announce(&self, upload: &Upload, sharers: &[SiteId], inputs: &InputsDigest) -> MaskedInput {
        let Party { header, site, .. } = &self.party;
        let commitment = self
            .binding
            .inputs_commitment(&self.seed, *site, inputs, &header.state);
        MaskedInput {
            encapsulated: upload.encapsulated,
            sharers: sites_digest(sharers),
            commitment,
            chunks: upload
                .sealed
                .iter()
                .map(|chunk| ChunkDigest::of(chunk))
                .collect(),
        }
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

/// The masked vector of a site in sealed chunks. What is sealed is no secret, and shorter than the vector.
pub struct Upload {
    chunking: Chunking,
    encapsulated: AgreementKey,
    sealed: Vec<Vec<u8>>,
}

impl Upload {
    /// The sealed chunk with this number, as the [`MaskedInput`] announces it.
    ///
    /// # Errors
    ///
    /// A number that the vector does not have.
    pub fn chunk(&self, number: u32) -> Result<&[u8], ChunkError> {
        let place = usize::try_from(number).ok();
        let sealed = place.and_then(|place| self.sealed.get(place));
        let count = self.chunking.count();
        sealed
            .map(Vec::as_slice)
            .ok_or(ChunkError::Number { number, count })
    }

    /// All sealed chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.sealed.iter().map(Vec::as_slice)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("chunking", &self.chunking)
            .finish_non_exhaustive()
    }
}

fn advert(roll: &Roll, site: SiteId) -> Result<&Advert, AggregatorFault> {
    roll.get(site).ok_or(AggregatorFault::Stranger {
        stage: Stage::Mask,
        site,
    })
}

/// Refuses a vector of another length or with an entry beyond its section's bound.
fn check(layout: &Layout, vector: &[i64]) -> Result<(), Misuse> {
    if vector.len() != layout.length() {
        return Err(Misuse::Length {
            got: vector.len(),
            want: layout.length(),
        });
    }
    let mut rest = vector;
    for section in &layout.sections {
        let (entries, after) = rest.split_at(section.length);
        rest = after;
        let is_beyond = |value: &i64| value.unsigned_abs() > section.bound;
        // Without an early end the loop is one of vectors; that an entry is beyond is rare.
        if entries
            .iter()
            .fold(false, |any, value| any | is_beyond(value))
        {
            return Err(Misuse::OutOfBounds {
                section: section.name.name(),
                entry: entries.iter().position(is_beyond).unwrap_or_default(),
                bound: section.bound,
            });
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value modulo 2^32 is what is wanted"
)]
fn low_word(value: i64) -> u32 {
    value as u32
}
