//! A sum carries the noise that its survivors promise, and little more.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::id::Purpose;
use protocol::study::{Crowd, Section, Study};
use testkit::{Draft, noise};

/// Seven sites, of which five survive at the least and three of those are promised to be honest.
fn draft() -> Draft {
    Draft {
        sites: 7,
        threshold: 5,
        honest_survivors: 3,
        parameters: 20_000,
        epsilon: 1.0,
        fraction_bits: 12,
        patients_per_site: 100,
        ..Draft::default()
    }
}

/// Every survivor adds what the honest ones have to have, dishonest ones too if they do as they should.
#[test]
fn the_noise_of_a_sum_is_what_its_survivors_need() {
    let kept = Draft {
        excess_noise: "kept",
        ..draft()
    };
    for survivors in 5..=7_u16 {
        let (all, honest) = (f64::from(survivors), f64::from(survivors - 2));
        let (got, want) = (noise::excess(&draft(), survivors), (all / honest).sqrt());
        // The deviation of a standard deviation of 20,000 samples is a two-hundredth.
        assert!(
            (got / want - 1.0).abs() < 0.02,
            "{survivors}: {got}, {want}"
        );
        let (got, want) = (noise::excess(&kept, survivors), (all / 3.0).sqrt());
        assert!(
            (got / want - 1.0).abs() < 0.02,
            "{survivors}: {got}, {want}"
        );
    }
}

/// The keys of the parts are shared with a site's holders, which are not all sites.
#[test]
fn the_noise_of_a_sum_of_many_sites_is_what_its_survivors_need() {
    let crowd = Crowd {
        sites: 40,
        agreeing: 36,
        dishonest: 2,
    };
    let draft = Draft {
        sites: 40,
        threshold: 36,
        honest_survivors: 34,
        graph: crowd.least(),
        parameters: 5_000,
        ..draft()
    };
    assert!(draft.graph.is_some());
    for survivors in [37, 40] {
        let got = noise::excess(&draft, survivors);
        let want = (f64::from(survivors) / f64::from(survivors - 2)).sqrt();
        assert!(
            (got / want - 1.0).abs() < 0.04,
            "{survivors}: {got}, {want}"
        );
    }
}

#[test]
fn noise_is_cut_so_that_honest_survivors_always_have_enough() {
    for (sites, threshold, honest) in [(3, 2, 1), (5, 3, 3), (7, 5, 3), (24, 13, 13), (60, 40, 9)] {
        let draft = Draft {
            sites,
            threshold,
            honest_survivors: honest,
            epsilon: 2.0,
            fraction_bits: 12,
            patients_per_site: 100,
            ..Draft::default()
        };
        let study = draft.make().study;
        let kept = Draft {
            excess_noise: "kept",
            ..draft
        };
        let kept = kept.make().study;
        for purpose in [Purpose::Train, Purpose::Evaluate] {
            let before = kept.layout(purpose).sections;
            for (section, before) in study.layout(purpose).sections.iter().zip(before) {
                assert_eq!(before.parts, []);
                assert_eq!(section.added_variance(), before.variance);
                check(section, sites, threshold, honest);
            }
        }
    }
}

fn check(section: &Section, sites: u16, threshold: u16, honest: u16) {
    let promised = (section.sensitivity / section.mu.unwrap().get() / section.grid).powi(2);
    let mut least = f64::INFINITY;
    for survivors in threshold..=sites {
        let stays = section.site_variance(survivors.into()).unwrap() as f64;
        let of_honest = f64::from(survivors - (threshold - honest)) * stays;
        assert!(
            of_honest >= promised * (1.0 - 1e-12),
            "{survivors} survivors"
        );
        assert!(stays <= least);
        least = stays;
    }
    // Where all survive there is no excess but for rounding.
    let of_honest = f64::from(sites - (threshold - honest)) * least;
    let rounding = f64::from(sites) + 16.0 * f64::from(sites);
    assert!(of_honest < promised + rounding, "{of_honest} {promised}");
    for part in &section.parts {
        assert!(part.variance == 0 || part.variance >= 16);
    }
}

#[test]
fn where_there_is_nothing_to_take_off_no_keys_are_shared() {
    let parts = |draft: Draft| {
        let study = Study::parse(draft.toml().as_bytes()).unwrap();
        study.layout(Purpose::Train).parts()
    };
    assert_eq!(parts(draft()), 2);
    assert_eq!(
        parts(Draft {
            excess_noise: "kept",
            ..draft()
        }),
        0
    );
    assert_eq!(
        parts(Draft {
            epsilon: f64::INFINITY,
            ..draft()
        }),
        0
    );
    assert_eq!(
        parts(Draft {
            threshold: 7,
            ..draft()
        }),
        0
    );
    let averaging = "algorithm.averaging = { steps = 5, batch = \"all\", weighting = \"patients\", \
                     change-norm = 1.0, optimizer.momentum = { rate = 0.1, momentum = 0.0 } }";
    let gradient = "algorithm.gradient = { batch = \"all\" }";
    let toml = Draft {
        fraction_bits: 16,
        ..draft()
    }
    .toml();
    let study = Study::parse(toml.replace(gradient, averaging).as_bytes()).unwrap();
    assert_eq!(study.layout(Purpose::Train).parts(), 0);
    assert_eq!(study.layout(Purpose::Evaluate).parts(), 2);
}
