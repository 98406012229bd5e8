//! Stage share: the site's secrets, split among its holders.

use minicbor::bytes::ByteVec;

use super::{AggregatorFault, Masking, Party, SiteError, enough};
use crate::agreement::Secret;
use crate::api::Stage;
use crate::codec;
use crate::door::Sealed;
use crate::holders::Holders;
use crate::id::SiteId;
use crate::message::{Advert, Bundle, Commitments, Shares, Signed};
use crate::noise::Chain;
use crate::roll::{Binding, KeyFault, Roll};
use crate::seed::Seed;
use crate::{cipher, shamir};

/// A site that has advertised its keys.
#[derive(Debug)]
pub struct Sharing {
    pub(super) party: Party,
    pub(super) seed: Seed,
    /// `c^SK`.
    pub(super) cipher: Secret,
    /// `s^SK`.
    pub(super) mask: Secret,
    pub(super) advert: Advert,
}

impl Sharing {
    /// Checks all adverts; gives the encoded [`Shares`] for the other sites, and the next stage.
    ///
    /// # Errors
    ///
    /// An advert that is not signed by a site of the roster for this round, a site twice, weak or reused keys, this
    /// site's own advert missing or changed, fewer adverts than the threshold, or too few of this site's holders.
    ///
    /// # Panics
    ///
    /// Never: there are at least the threshold of holders, and at most 255.
    pub fn share(self, adverts: &[Signed]) -> Result<(Vec<u8>, Masking), SiteError> {
        let roll = self.call(adverts)?;
        let binding = roll.binding(&self.party.header);
        let self_mask = binding.seed(&self.seed, "self mask");
        let holders = Holders::draw(&self.party.study, &self.party.header, roll.adverts());
        let own = self.party.site;
        let own_holders = holders.of(own).to_vec();
        enough(Stage::Share, own_holders.len(), holders.threshold())?;
        let split = |secret: &[u8; 32], label: &str| {
            let mut rng = binding.seed(&self.seed, label).rng();
            shamir::split(secret, holders.threshold(), own_holders.len(), &mut rng)
                .expect("there are at least the threshold of holders, and at most 255")
        };
        let seeds = split(self_mask.bytes(), "shares of self mask");
        let keys = split(self.mask.bytes(), "shares of mask key");
        let layout = self.party.study.layout(self.party.header.purpose);
        let noise = Chain::new(binding.seed(&self.seed, "noise"), layout.parts());
        let noise_keys = noise.keys();
        let mut noise_shares: Vec<_> = (1..)
            .zip(&noise_keys)
            .map(|(part, key): (u8, _)| {
                split(key.bytes(), &format!("shares of noise {part}")).into_iter()
            })
            .collect();

        let (mut shares, mut sealed) = (Vec::new(), Vec::new());
        let mut kept = None;
        for (holder, (seed, key)) in own_holders.into_iter().zip(seeds.into_iter().zip(keys)) {
            let noise = noise_shares.iter_mut().filter_map(Iterator::next).collect();
            let bundle = Bundle { seed, key, noise };
            shares.push(binding.share_digests(own, holder, &bundle));
            if holder == own {
                kept = Some((own, bundle));
            } else {
                sealed.push(Sealed {
                    site: holder,
                    bytes: self.seal(&roll, &binding, holder, &bundle)?,
                });
            }
        }
        let commitments = Commitments {
            seed: binding.commitment(own, self_mask.bytes()),
            shares,
            noise: (1..)
                .zip(&noise_keys)
                .map(|(part, key)| binding.noise_commitment(own, part, key.bytes()))
                .collect(),
        };
        let held = kept.into_iter().collect();
        let Self {
            party,
            seed,
            cipher,
            mask,
            ..
        } = self;
        let masking = Masking {
            party,
            seed,
            cipher,
            mask,
            self_mask,
            noise,
            roll,
            holders,
            binding,
            held,
        };
        let shares = Shares {
            commitments,
            sealed,
        };
        Ok((codec::encode(&shares), masking))
    }

    /// The roll that the adverts make.
    fn call(&self, adverts: &[Signed]) -> Result<Roll, SiteError> {
        let mut roll = Roll::default();
        for signed in adverts {
            let stage = Stage::Advertise;
            let advert = signed.open(&self.party.study, &self.party.header, stage)?;
            if roll.get(signed.site).is_some() {
                return Err(AggregatorFault::Twice {
                    stage,
                    site: signed.site,
                }
                .into());
            }
            roll.add(signed.site, advert)?;
        }
        if roll.get(self.party.site) != Some(&self.advert) {
            return Err(AggregatorFault::OwnAdvert.into());
        }
        self.party.enough(Stage::Share, roll.len())?;
        Ok(roll)
    }

    fn seal(
        &self,
        roll: &Roll,
        binding: &Binding,
        to: SiteId,
        bundle: &Bundle,
    ) -> Result<ByteVec, SiteError> {
        let own = self.party.site;
        let key = roll
            .get(to)
            .and_then(|advert| {
                binding
                    .share_key(&self.cipher, &advert.cipher_key, own, to)
                    .ok()
            })
            .ok_or(KeyFault::Weak(to))?;
        let text = codec::encode(bundle);
        Ok(cipher::seal(&key, cipher::ONLY_NONCE, &binding.route(own, to), text).into())
    }
}
