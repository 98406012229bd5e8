//! Stage advertise: fresh keys for one round.

use super::{AggregatorFault, Misuse, Party, Sharing, SiteError};
use crate::agreement::Secret;
use crate::codec;
use crate::id::{Header, SiteId};
use crate::message::Advert;
use crate::seed::Seed;
use crate::study::Study;

/// The start of a site's part in a round.
#[derive(Clone, Copy, Debug)]
pub struct Advertising;

impl Advertising {
    /// Makes the round's keys; gives the encoded [`Advert`] and the next stage.
    ///
    /// `seed` is the session's: uniform, and never used for another session.
    ///
    /// # Errors
    ///
    /// A header of another study or with a purpose that its plan does not have, and a site that is not in the roster or not
    /// chosen for the round.
    pub fn begin(
        study: &Study,
        header: Header,
        site: SiteId,
        seed: &Seed,
    ) -> Result<(Vec<u8>, Sharing), SiteError> {
        if header.study != study.digest() {
            return Err(Misuse::OtherStudy {
                study: study.digest(),
                round: header.study,
            }
            .into());
        }
        if !study.plan().contains(&header.purpose) {
            return Err(AggregatorFault::NotPlanned(header.purpose).into());
        }
        if study.member(site).is_none() {
            let sites = study.manifest().roster.len();
            return Err(Misuse::NotInRoster { site, sites }.into());
        }
        if !study.takes_part(site, &header) {
            return Err(AggregatorFault::NotInRound(site).into());
        }
        let round = header.digest().0;
        let cipher = Secret::from_seed(&seed.derive_bound("cipher key", &round));
        let mask = Secret::from_seed(&seed.derive_bound("mask key", &round));
        let advert = Advert {
            cipher_key: cipher.public(),
            mask_key: mask.public(),
        };
        let party = Party {
            study: study.clone(),
            header,
            site,
        };
        Ok((
            codec::encode(&advert),
            Sharing {
                party,
                seed: seed.clone(),
                cipher,
                mask,
                advert,
            },
        ))
    }
}
