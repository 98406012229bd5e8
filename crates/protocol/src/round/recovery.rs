//! Putting secrets together from shares of which some may be wrong.

use zeroize::Zeroizing;

use super::{SumError, Suspect};
use crate::id::SiteId;
use crate::shamir::{self, Place, Share};

/// A share that a holder opened.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) holder: SiteId,
    /// Its place among the holders.
    pub(super) place: Place,
    pub(super) share: &'a Share,
    pub(super) origin: Origin,
}

/// Whether a share is the one that its dealer committed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Dealer,
    Unknown,
}

/// Puts the secrets of one round together, and remembers which shares were wrong.
#[derive(Debug)]
pub(super) struct Recovery {
    threshold: usize,
    suspects: Vec<Suspect>,
}

impl Recovery {
    pub(super) fn new(threshold: usize) -> Self {
        let suspects = Vec::new();
        Self {
            threshold,
            suspects,
        }
    }

    /// The dealer's secret, from the shares that it committed to, if `is_right` accepts it.
    pub(super) fn recover(
        &mut self,
        dealer: SiteId,
        opened: &[Opened<'_>],
        is_right: impl Fn(&[u8; 32]) -> bool,
    ) -> Result<Zeroizing<[u8; 32]>, SumError> {
        let threshold = self.threshold;
        let (right, wrong): (Vec<_>, Vec<_>) = opened
            .iter()
            .partition(|opened| opened.origin == Origin::Dealer);
        let wrong: Vec<SiteId> = wrong.into_iter().map(|opened| opened.holder).collect();
        if right.len() < threshold {
            let (site, opened) = (dealer, opened.len());
            return Err(SumError::WrongShares {
                site,
                wrong,
                opened,
                threshold,
            });
        }
        self.suspects
            .extend(wrong.into_iter().map(|holder| Suspect { holder, dealer }));
        let shares = right.into_iter().map(|opened| (opened.place, opened.share));
        let shares: Vec<_> = shares.take(threshold).collect();
        let secret = shamir::reconstruct(threshold, &shares).map_err(|_| SumError::Damaged)?;
        if is_right(&secret) {
            Ok(secret)
        } else {
            Err(SumError::WrongSecret(dealer))
        }
    }

    pub(super) fn into_suspects(mut self) -> Vec<Suspect> {
        self.suspects.sort_unstable();
        self.suspects.dedup();
        self.suspects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    const SECRET: [u8; 32] = [9; 32];
    const DEALER: SiteId = SiteId(40);

    /// What nine holders opened of a secret that five give, where those named opened something else.
    fn recover(recovery: &mut Recovery, liars: &[u16]) -> Result<(), SumError> {
        let holders: Vec<SiteId> = (0..9).map(SiteId).collect();
        let mut rng = Seed::new([1; 32]).rng();
        let mut shares = shamir::split(&SECRET, 5, holders.len(), &mut rng).unwrap();
        for liar in liars {
            shares[usize::from(*liar)].0[3] ^= 0x40;
        }
        let origin = |holder: SiteId| {
            if liars.contains(&holder.0) {
                Origin::Unknown
            } else {
                Origin::Dealer
            }
        };
        let opened = holders.into_iter().zip(&shares);
        let opened: Vec<_> = opened
            .map(|(holder, share)| Opened {
                holder,
                place: Place::new(usize::from(holder.0)).unwrap(),
                share,
                origin: origin(holder),
            })
            .collect();
        let secret = recovery.recover(DEALER, &opened, |secret| *secret == SECRET)?;
        assert_eq!(*secret, SECRET);
        Ok(())
    }

    #[test]
    fn a_secret_is_found_as_long_as_a_threshold_of_shares_is_right() {
        for liars in [
            &[][..],
            &[0],
            &[8],
            &[0, 1, 2, 3],
            &[5, 6, 7, 8],
            &[0, 3, 5, 8],
        ] {
            let mut recovery = Recovery::new(5);
            recover(&mut recovery, liars).unwrap();
            let suspects = recovery.into_suspects();
            let named: Vec<u16> = suspects.iter().map(|suspect| suspect.holder.0).collect();
            assert_eq!(named, liars);
        }
        let error = recover(&mut Recovery::new(5), &[0, 1, 2, 3, 4]).unwrap_err();
        let wrong = (0..5).map(SiteId).collect();
        assert_eq!(
            error,
            SumError::WrongShares {
                site: DEALER,
                wrong,
                opened: 9,
                threshold: 5
            }
        );
    }

    #[test]
    fn a_dealer_that_shared_something_else_is_named() {
        let holders = [SiteId(0), SiteId(1), SiteId(2)];
        let shares = shamir::split(&[1; 32], 2, 3, &mut Seed::new([1; 32]).rng()).unwrap();
        let opened = holders.into_iter().zip(&shares);
        let opened: Vec<_> = opened
            .map(|(holder, share)| Opened {
                holder,
                place: Place::new(usize::from(holder.0)).unwrap(),
                share,
                origin: Origin::Dealer,
            })
            .collect();
        let error = Recovery::new(2)
            .recover(DEALER, &opened, |secret| *secret == SECRET)
            .unwrap_err();
        assert_eq!(error, SumError::WrongSecret(DEALER));
    }
}
