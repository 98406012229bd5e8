//! What the author of a study is told where no dishonest hospital is tolerated.

use protocol::id::Purpose;
use protocol::study::{Study, Survivors};

use super::quorum::needed;

/// A warning and what to do, where a study tolerates no dishonest hospital; `None` where it tolerates one.
#[must_use]
pub fn warning(study: &Study) -> Option<String> {
    let manifest = study.manifest();
    if manifest.tolerates() > 0 {
        return None;
    }
    let (train, evaluate) = (Purpose::Train, Purpose::Evaluate);
    let crowds = [evaluate, train].map(|purpose| manifest.crowd(purpose));
    let crowd = crowds.into_iter().find(|crowd| crowd.tolerates() == 0)?;
    let (sites, needed) = (crowd.sites, needed(crowd.sites, 1));
    let all = if needed == u32::from(sites) {
        ", so none may drop out"
    } else {
        ""
    };
    let fellow = study.epsilon_against(1, Survivors::Fewest);
    let against = if fellow.is_finite() && fellow > manifest.privacy.epsilon {
        format!(
            "; and against a hospital that only knows its own noise, ε is up to {fellow:.2} instead of {}",
            manifest.privacy.epsilon
        )
    } else {
        String::new()
    };
    Some(format!(
        "no dishonest hospital is tolerated: of {sites} hospitals {} must agree, and one that works together with the \
         aggregator can single out another{against}. To tolerate one, take --dishonest-sites 1: {needed} of {sites} must \
         then agree{all}",
        crowd.agreeing
    ))
}

#[cfg(test)]
mod tests {
    use testkit::Draft;

    use super::*;

    fn told(sites: u16, threshold: u16, honest_survivors: u16) -> Option<String> {
        let draft = Draft {
            sites,
            threshold,
            honest_survivors,
            epsilon: 1.0,
            fraction_bits: 16,
            ..Draft::default()
        };
        warning(&draft.make().study)
    }

    #[test]
    fn three_hospitals_of_which_two_agree_are_warned_and_offered_all_three() {
        let told = told(3, 2, 2).unwrap();
        for wanted in [
            "of 3 hospitals 2 must agree",
            "can single out another",
            "ε is up to 1.45 instead of 1",
            "--dishonest-sites 1: 3 of 3 must then agree, so none may drop out",
        ] {
            assert!(told.contains(wanted), "{wanted} is not in {told}");
        }
    }

    #[test]
    fn a_study_that_tolerates_one_is_not_warned() {
        assert_eq!(told(3, 3, 2), None);
        assert_eq!(told(5, 4, 3), None);
        assert!(told(5, 3, 3).unwrap().ends_with("4 of 5 must then agree"));
    }
}
