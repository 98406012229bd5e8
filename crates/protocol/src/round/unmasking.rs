//! Stage unmask: shares open the sum's masks and the noise that it does not need, and nothing else.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::recovery::{Opened, Origin, Recovery};
use super::{Accepted, At, Round, SiteFault, SumError};
use crate::agreement::Secret;
use crate::api::Stage;
use crate::door::{Messages, Survivors};
use crate::id::{Digest, SiteId};
use crate::mask::{MaskSign, Masks};
use crate::message::{Advert, Commitments, OpenedShare, Opening, Signed};
use crate::noise::{self, Chain};
use crate::pack::Total;
use crate::roll::{Binding, Secrets, pair_sign};
use crate::seed::Seed;
use crate::shamir::Place;
use crate::study::Layout;

/// The state of a round in which sites open the sum's masks.
#[derive(Debug, Encode, Decode)]
pub struct Unmasking {
    #[n(0)]
    pub(super) commitments: BTreeMap<SiteId, Commitments>,
    #[n(1)]
    pub(super) total: Total,
    #[n(2)]
    pub(super) statements: BTreeMap<SiteId, Signed>,
    /// The announcement of each survivor.
    #[n(4)]
    pub(super) inputs: BTreeMap<SiteId, Signed>,
    /// What each site opened.
    #[n(3)]
    pub(super) openings: BTreeMap<SiteId, Opening>,
}

impl At for Unmasking {
    const STAGE: Stage = Stage::Unmask;
}

/// What a round reveals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The exact sum of the survivors' vectors, in steps of each section's grid.
    pub values: Vec<i64>,
    /// Whose vectors are in it, in ascending order.
    pub survivors: Vec<SiteId>,
    /// Shares that were found wrong; the sum is exact without them.
    pub suspects: Vec<Suspect>,
}

/// A wrong share: either of the two sites is at fault, and no more can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suspect {
    /// Who opened it: perhaps not as it was received.
    pub holder: SiteId,
    /// Whose secret it is of: perhaps it sent a wrong share.
    pub dealer: SiteId,
}

impl Round<Unmasking> {
    /// All adverts, for a site that starts anew.
    #[must_use]
    pub fn adverts(&self) -> Messages {
        self.encoded_adverts()
    }

    /// The sites whose vectors are in the sum.
    #[must_use]
    pub fn survivors(&self) -> Survivors {
        super::survivors(&self.state.inputs)
    }

    /// The signed statements of the sites that agreed, for each of them.
    #[must_use]
    pub fn statements(&self) -> Messages {
        super::messages(self.state.statements.values())
    }

    /// Takes an [`Opening`].
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, of a site that did not agree, or
    /// that does not open exactly what the sum needs.
    pub fn accept(&mut self, signed: &Signed) -> Result<Accepted, SiteFault> {
        if self.accepted_before(Stage::Unmask, signed)? {
            return Ok(Accepted::Again);
        }
        let opening: Opening = self.body(signed)?;
        let held = self.holders().held_by(signed.site).iter().copied();
        let seeds = held.clone().filter(|site| self.survives(*site));
        let keys = held.filter(|site| self.is_dropped(*site));
        let is_noise_opened = self.last_part(self.state.inputs.len()).is_some();
        let fits = sites(&opening.seeds).eq(seeds.clone())
            && sites(&opening.keys).eq(keys)
            && sites(&opening.noise).eq(seeds.filter(|_| is_noise_opened));
        if !fits {
            return Err(SiteFault::Openings(signed.site));
        }
        self.state.openings.insert(signed.site, opening);
        Ok(self.receive(signed))
    }

    /// Takes the masks off the sum, and the noise that it does not need with so many survivors.
    ///
    /// Every share, and every secret, is checked against what its site advertised or committed to. Wrong shares are
    /// left out, and named in [`Sum::suspects`].
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold, a secret of which too few shares are right or that is not what its site is
    /// bound to, a sum that honest sites cannot add up to.
    pub fn close(mut self) -> Result<Sum, SumError> {
        self.enough()?;
        let survivors: Vec<SiteId> = self.notes.reported(Stage::Mask).collect();
        let layout = self.study().layout(self.header().purpose);
        let (bits, binding) = (layout.modulus_bits, self.notes.roll.binding(self.header()));
        let mut total = std::mem::take(&mut self.state.total.0);
        let mut recovery = Recovery::new(self.holders().threshold());
        let mut masks = Masks::default();
        for site in &survivors {
            let seed = self.recover_seed(&mut recovery, &binding, *site)?;
            masks.push(&binding.self_mask(*site, &seed), MaskSign::Subtract);
        }
        let shared: Vec<SiteId> = self.notes.reported(Stage::Share).collect();
        for dropped in shared.into_iter().filter(|site| self.is_dropped(*site)) {
            let secret = self.recover_key(&mut recovery, &binding, dropped)?;
            let neighbours = survivors
                .iter()
                .filter(|site| self.holders().neighbours(dropped, **site));
            for site in neighbours {
                let theirs = self.advert(*site)?.mask_key;
                let pair = binding.pair_mask(&secret, &theirs, dropped, *site);
                let pair = pair.map_err(|_| SumError::Damaged)?;
                masks.push(&pair, pair_sign(*site, dropped).opposite());
            }
        }
        masks.apply_on_all_cores(bits, &mut total);
        if let Some(part) = self.last_part(survivors.len()) {
            let chain = |site: &SiteId| {
                let key = self.recover_noise(&mut recovery, &binding, *site, part)?;
                Ok(Chain::new(Seed::new(*key), part.into()))
            };
            let chains: Vec<Chain> = survivors
                .iter()
                .map(chain)
                .collect::<Result<_, SumError>>()?;
            noise::take_off(&chains, &layout, &mut total);
        }
        let values = Total(total).centred(bits);
        check(&layout, &values, survivors.len())?;
        Ok(Sum {
            values,
            survivors,
            suspects: recovery.into_suspects(),
        })
    }

    /// Whether a site's vector is in the sum.
    fn survives(&self, site: SiteId) -> bool {
        self.notes.has_reported(Stage::Mask, site)
    }

    /// Whether a site shared its secrets, but its vector is not in the sum.
    fn is_dropped(&self, site: SiteId) -> bool {
        self.notes.has_reported(Stage::Share, site) && !self.survives(site)
    }

    /// The last part of each survivor's noise that goes off the sum, from 1; `None` where all of them stay.
    fn last_part(&self, survivors: usize) -> Option<u8> {
        let layout = self.study().layout(self.header().purpose);
        let parts = u8::try_from(layout.parts_off(survivors)).ok();
        parts.filter(|parts| *parts > 0)
    }

    fn advert(&self, site: SiteId) -> Result<&Advert, SumError> {
        self.notes.roll.get(site).ok_or(SumError::Damaged)
    }

    fn recover_seed(
        &self,
        recovery: &mut Recovery,
        binding: &Binding,
        site: SiteId,
    ) -> Result<Zeroizing<[u8; 32]>, SumError> {
        let want = self.commitments(site)?.seed;
        let opened = self.opened(binding, Secrets::Seed, site)?;
        recovery.recover(site, &opened, |seed| binding.commitment(site, seed) == want)
    }

    fn recover_noise(
        &self,
        recovery: &mut Recovery,
        binding: &Binding,
        site: SiteId,
        part: u8,
    ) -> Result<Zeroizing<[u8; 32]>, SumError> {
        let want = committed(&self.commitments(site)?.noise, part)?;
        let opened = self.opened(binding, Secrets::Noise(part), site)?;
        recovery.recover(site, &opened, |key| {
            binding.noise_commitment(site, part, key) == want
        })
    }

    fn recover_key(
        &self,
        recovery: &mut Recovery,
        binding: &Binding,
        site: SiteId,
    ) -> Result<Secret, SumError> {
        let want = self.advert(site)?.mask_key;
        let opened = self.opened(binding, Secrets::Key, site)?;
        let key = recovery.recover(site, &opened, |key| Secret::new(*key).public() == want)?;
        Ok(Secret::new(*key))
    }

    /// The opened shares of one of the dealer's secrets, each compared with what the dealer committed to.
    fn opened(
        &self,
        binding: &Binding,
        of: Secrets,
        dealer: SiteId,
    ) -> Result<Vec<Opened<'_>>, SumError> {
        let holders = self.holders().of(dealer).iter().copied();
        let digests = holders.zip(&self.commitments(dealer)?.shares);
        let mut opened = Vec::new();
        for (place, (holder, digests)) in digests.enumerate() {
            let place = Place::new(place).ok_or(SumError::Damaged)?;
            let Some(opening) = self.state.openings.get(&holder) else {
                continue;
            };
            let (shares, want) = match of {
                Secrets::Seed => (&opening.seeds, digests.seed),
                Secrets::Key => (&opening.keys, digests.key),
                Secrets::Noise(part) => (&opening.noise, committed(&digests.noise, part)?),
            };
            let share = shares.iter().find(|opened| opened.site == dealer);
            let share = &share.ok_or(SumError::Damaged)?.share;
            let is_committed = binding.share_digest(of, dealer, holder, share) == want;
            let origin = if is_committed {
                Origin::Dealer
            } else {
                Origin::Unknown
            };
            opened.push(Opened {
                holder,
                place,
                share,
                origin,
            });
        }
        Ok(opened)
    }

    fn commitments(&self, site: SiteId) -> Result<&Commitments, SumError> {
        self.state.commitments.get(&site).ok_or(SumError::Damaged)
    }
}

/// Refuses a sum that survivors within their bounds cannot add up to.
fn check(layout: &Layout, values: &[i64], survivors: usize) -> Result<(), SumError> {
    let mut rest = values;
    for section in &layout.sections {
        let (entries, after) = rest
            .split_at_checked(section.length)
            .ok_or(SumError::Damaged)?;
        rest = after;
        let most = section.reach().saturating_mul(survivors as u64);
        let is_beyond = |value: &i64| value.unsigned_abs() > most;
        // Without an early end the loop is one of vectors; that an entry is beyond is rare.
        if entries
            .iter()
            .fold(false, |any, value| any | is_beyond(value))
        {
            return Err(SumError::OutOfRange {
                section: section.name.name(),
                entry: entries.iter().position(is_beyond).unwrap_or_default(),
                survivors,
            });
        }
    }
    Ok(())
}

/// What was committed to of a part of a site's noise, from 1.
fn committed(digests: &[Digest], part: u8) -> Result<Digest, SumError> {
    let digest = usize::from(part)
        .checked_sub(1)
        .and_then(|at| digests.get(at));
    digest.copied().ok_or(SumError::Damaged)
}

fn sites(opened: &[OpenedShare]) -> impl Iterator<Item = SiteId> {
    opened.iter().map(|opened| opened.site)
}
