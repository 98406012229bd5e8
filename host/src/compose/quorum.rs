//! How many sites have to agree and how many of those are promised to be honest, where a draft does not say.
//!
//! Rounds of `n` sites of which `T` agree tolerate up to `c` dishonest ones where `2T > n + c`: no two lists of survivors are
//! signed then, whatever the aggregator says (docs/PROTOCOL.md, section 1). Noise is sized for the `h = T − c` honest ones
//! of the fewest that a sum is opened of.

use protocol::study::Crowd;

use super::ComposeError;

/// What a draft says of its rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    /// Sites of the roster.
    pub(super) sites: u16,
    /// `aggregation.threshold`.
    pub(super) threshold: Option<u16>,
    /// `training.participants.random`: the sites of a training round, and its threshold.
    pub(super) random: Option<(u16, u16)>,
    /// `privacy.honest-survivors`.
    pub(super) honest: Option<u16>,
    /// Dishonest sites that the study is to tolerate, where its author asks for a number.
    pub(super) dishonest: Option<u16>,
}

/// What the study says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quorum {
    /// `aggregation.threshold`.
    pub(super) threshold: u16,
    /// `privacy.honest-survivors`.
    pub(super) honest: u16,
}

/// A kind of rounds.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    sites: u16,
    agreeing: u16,
    /// The setting that says how many agree.
    setting: &'static str,
}

impl Stated {
    /// Fills in what is not stated: the least threshold of two thirds that tolerates the dishonest sites that are asked for;
    /// and where none are asked for, as many as a tenth of the sites, rounded up, as far as the threshold tolerates them.
    ///
    /// # Errors
    ///
    /// More dishonest sites than the rounds can tolerate, and a number of them beside another number of honest ones.
    pub(super) fn complete(self) -> Result<Quorum, ComposeError> {
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => self.least_threshold()?,
        };
        let all = Rounds {
            sites: self.sites,
            agreeing: threshold,
            setting: "aggregation.threshold",
        };
        let some = self.random.map(|(sites, agreeing)| Rounds {
            sites,
            agreeing,
            setting: "training.participants.random.threshold",
        });
        let kinds = || std::iter::once(all).chain(some);
        let fewest = kinds().map(|rounds| rounds.agreeing).min().unwrap_or(0);
        let most = kinds().map(Rounds::tolerate).min().unwrap_or(0);
        let dishonest = match self.dishonest {
            None => self.sites.div_ceil(10).min(most),
            Some(dishonest) => {
                kinds().try_for_each(|rounds| rounds.check(dishonest))?;
                dishonest
            }
        };
        let honest = fewest.saturating_sub(dishonest);
        match (self.honest, self.dishonest) {
            (Some(stated), Some(dishonest)) if stated != honest => Err(ComposeError::OtherHonest {
                dishonest,
                fewest,
                honest,
                stated,
            }),
            (stated, _) => Ok(Quorum {
                threshold,
                honest: stated.unwrap_or(honest),
            }),
        }
    }

    fn least_threshold(self) -> Result<u16, ComposeError> {
        let two_thirds = (2 * u32::from(self.sites)).div_ceil(3);
        let dishonest = self.dishonest.unwrap_or(0);
        let needed = needed(self.sites, dishonest);
        if needed > u32::from(self.sites) {
            return Err(ComposeError::TooManyDishonest {
                dishonest,
                sites: self.sites,
                most: self.sites.saturating_sub(1),
            });
        }
        Ok(u16::try_from(two_thirds.max(needed)).unwrap_or(self.sites))
    }
}

impl Rounds {
    /// The most dishonest sites that these rounds tolerate. A threshold that is none is refused when the study is read.
    fn tolerate(self) -> u16 {
        let crowd = Crowd {
            sites: self.sites,
            agreeing: self.agreeing,
            dishonest: 0,
        };
        crowd.most_dishonest().unwrap_or(0)
    }

    fn check(self, dishonest: u16) -> Result<(), ComposeError> {
        let Self {
            sites,
            agreeing,
            setting,
        } = self;
        let (most, needed) = (self.tolerate(), needed(sites, dishonest));
        if dishonest <= most {
            Ok(())
        } else if needed > u32::from(sites) {
            Err(ComposeError::TooManyDishonest {
                dishonest,
                sites,
                most: sites.saturating_sub(1),
            })
        } else {
            Err(ComposeError::LowThreshold {
                dishonest,
                sites,
                agreeing,
                setting,
                needed,
                most,
            })
        }
    }
}

/// The least `T` with `2T > n + c`.
pub(super) fn needed(sites: u16, dishonest: u16) -> u32 {
    (u32::from(sites) + u32::from(dishonest)) / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sites: u16) -> Stated {
        Stated {
            sites,
            threshold: None,
            random: None,
            honest: None,
            dishonest: None,
        }
    }

    fn made(stated: Stated) -> (u16, u16) {
        let Quorum { threshold, honest } = stated.complete().unwrap();
        (threshold, honest)
    }

    fn refused(stated: Stated) -> String {
        stated.complete().unwrap_err().to_string()
    }

    #[test]
    fn a_tenth_may_be_dishonest_where_two_thirds_tolerate_that() {
        for (sites, want) in [
            (3, (2, 2)),
            (4, (3, 2)),
            (5, (4, 3)),
            (6, (4, 3)),
            (10, (7, 6)),
            (20, (14, 12)),
            (100, (67, 57)),
            (4_096, (2_731, 2_321)),
        ] {
            assert_eq!(made(of(sites)), want, "{sites} sites");
        }
    }

    #[test]
    fn what_is_made_tolerates_what_is_asked_for_and_no_less_would() {
        for sites in 3..=40 {
            for dishonest in 0..sites {
                let (threshold, honest) = made(Stated {
                    dishonest: Some(dishonest),
                    ..of(sites)
                });
                assert!(threshold <= sites && 2 * threshold > sites + dishonest);
                assert_eq!(honest, threshold - dishonest);
                let two_thirds = (2 * sites).div_ceil(3);
                assert!(threshold == two_thirds || 2 * (threshold - 1) <= sites + dishonest);
            }
        }
    }

    #[test]
    fn what_is_stated_stays() {
        let stated = Stated {
            threshold: Some(5),
            ..of(5)
        };
        assert_eq!(made(stated), (5, 4));
        let honest = Some(2);
        assert_eq!(made(Stated { honest, ..stated }), (5, 2));
        let dishonest = Some(3);
        assert_eq!(
            made(Stated {
                honest,
                dishonest,
                ..stated
            }),
            (5, 2)
        );
        assert_eq!(
            refused(Stated {
                honest: Some(5),
                dishonest,
                ..stated
            }),
            "3 dishonest sites leave 2 honest ones of the 5 that agree at the fewest, and the draft states \
             privacy.honest-survivors = 5: state one of the two"
        );
    }

    #[test]
    fn rounds_of_some_sites_bound_what_is_tolerated() {
        let some = Stated {
            random: Some((4, 3)),
            threshold: Some(8),
            ..of(10)
        };
        assert_eq!(made(some), (8, 2));
        assert_eq!(
            refused(Stated {
                dishonest: Some(2),
                ..some
            }),
            "2 dishonest sites are too many for rounds of 4 sites of which 3 agree, since two lists of survivors could \
             both be signed: take training.participants.random.threshold = 4, or at most 1 dishonest"
        );
        assert!(
            refused(Stated {
                dishonest: Some(4),
                ..some
            })
            .contains("at most 3 of 4 sites")
        );
    }

    #[test]
    fn what_cannot_be_tolerated_is_refused_with_what_can() {
        let asked = |dishonest, threshold| Stated {
            dishonest: Some(dishonest),
            threshold,
            ..of(5)
        };
        assert_eq!(
            refused(asked(2, Some(3))),
            "2 dishonest sites are too many for rounds of 5 sites of which 3 agree, since two lists of survivors could \
             both be signed: take aggregation.threshold = 4, or at most 0 dishonest"
        );
        for threshold in [None, Some(3), Some(5)] {
            assert_eq!(
                refused(asked(5, threshold)),
                "at most 4 of 5 sites can be dishonest, not 5: someone has to add noise"
            );
        }
    }

    /// A threshold that no study may have is for the study's reader to refuse.
    #[test]
    fn a_threshold_that_is_none_is_left_to_be_refused() {
        for threshold in [0, 2, 9] {
            let stated = Stated {
                threshold: Some(threshold),
                ..of(5)
            };
            assert_eq!(stated.complete().unwrap().threshold, threshold);
        }
    }
}
