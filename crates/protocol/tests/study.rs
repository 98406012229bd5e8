//! Which study files are refused, and why.

use privacy::Total;
use protocol::api::Stage;
use protocol::id::{Digest, Header, Purpose};
use protocol::message::MessageError;
use protocol::study::{Manifest, Study, StudyError, Trained};
use testkit::{Draft, Random};

fn refusal(toml: &str) -> StudyError {
    Study::parse(toml.as_bytes()).expect_err("the study cannot be run as it says")
}

/// The setting that the study made by `change` is refused for.
fn setting(change: impl FnOnce(&mut Draft)) -> &'static str {
    let mut draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    change(&mut draft);
    let StudyError::Setting { setting, problem } = refusal(&draft.toml()) else {
        panic!("{:?} is no setting", refusal(&draft.toml()))
    };
    assert!(
        problem
            .chars()
            .next()
            .is_some_and(|first| !first.is_uppercase()),
        "{problem}"
    );
    setting
}

/// The setting that a study is refused for where `this` stands for `that`.
fn replaced(this: &str, that: &str) -> &'static str {
    let toml = Draft::default().toml();
    assert!(toml.contains(this), "{this}");
    match refusal(&toml.replacen(this, that, 1)) {
        StudyError::Setting { setting, .. } => setting,
        error => panic!("{error:?} is no setting"),
    }
}

#[test]
fn the_study_that_the_others_are_made_of_is_accepted() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    Study::parse(draft.toml().as_bytes()).unwrap();
    Study::parse(Draft::default().toml().as_bytes()).unwrap();
}

#[test]
fn a_manifest_survives_its_own_text() {
    let manifest = Draft {
        normalisation: "shared",
        ..Draft::default()
    }
    .make()
    .study
    .manifest()
    .clone();
    let text = toml::to_string(&manifest).unwrap();
    assert_eq!(toml::from_str::<Manifest>(&text).unwrap(), manifest);
    assert_eq!(Study::parse(text.as_bytes()).unwrap().manifest(), &manifest);
}

#[test]
fn the_digest_is_of_the_file_as_it_is() {
    let toml = Draft::default().toml();
    let commented = format!("# approved\n{toml}");
    let digest = |toml: &str| Study::parse(toml.as_bytes()).unwrap().digest();
    assert_eq!(digest(&toml), protocol::id::Digest::of(toml.as_bytes()));
    assert_ne!(digest(&toml), digest(&commented));
}

#[test]
fn bytes_that_are_no_manifest_are_refused() {
    assert_eq!(Study::parse(&[0xff]).unwrap_err(), StudyError::NotText);
    let toml = Draft::default().toml();
    for broken in [
        "",
        "title = 1",
        &toml.replace("title", "titel"),
        &toml.replace("[model]", "[modell]"),
    ] {
        assert!(
            matches!(refusal(broken), StudyError::Malformed(_)),
            "{broken}"
        );
    }
}

#[test]
fn a_roster_and_threshold_that_hide_nobody_are_refused() {
    assert_eq!(
        setting(|draft| (draft.sites, draft.threshold) = (2, 2)),
        "roster"
    );
    assert_eq!(
        setting(|draft| (draft.sites, draft.threshold) = (4_097, 3_000)),
        "roster"
    );
    assert_eq!(
        setting(|draft| (draft.sites, draft.threshold) = (4, 2)),
        "aggregation.threshold"
    );
    assert_eq!(
        setting(|draft| (draft.sites, draft.threshold) = (5, 2)),
        "aggregation.threshold"
    );
    assert_eq!(
        setting(|draft| (draft.sites, draft.threshold) = (5, 6)),
        "aggregation.threshold"
    );
    assert_eq!(
        setting(|draft| draft.honest_survivors = 0),
        "privacy.honest-survivors"
    );
    assert_eq!(
        setting(|draft| draft.honest_survivors = 4),
        "privacy.honest-survivors"
    );
}

#[test]
fn what_stands_twice_is_refused() {
    let toml = Draft::default().toml();
    let keys: Vec<&str> = toml.split("[[roster]]").skip(1).collect();
    let key = |roster: &str| roster.split("key = ").nth(1).unwrap().trim().to_owned();
    assert_eq!(replaced(&key(keys[0]), &key(keys[1])), "roster.key");
    assert_eq!(replaced("Hospital 0", "Hospital 1"), "roster.name");
    assert_eq!(
        replaced("LOINC//59408-5", "LOINC//8867-4"),
        "cohort.modality.feature.code"
    );
    assert_eq!(replaced("\"medium\"", "\"high\""), "cohort.classes");
}

#[test]
fn a_weak_key_of_the_aggregator_is_refused() {
    let key = Draft::default()
        .make()
        .study
        .manifest()
        .aggregation
        .key
        .to_string();
    assert_eq!(replaced(&key, &"00".repeat(32)), "aggregation.key");
    assert_eq!(replaced(&key, &"ff".repeat(32)), "aggregation.key");
}

#[test]
fn a_budget_that_is_none_is_refused() {
    for epsilon in ["0.0", "-1.0", "-inf", "nan", "100.1", "1e300"] {
        let epsilon = format!("epsilon = {epsilon}");
        assert_eq!(replaced("epsilon = inf", &epsilon), "privacy.epsilon");
    }
    for delta in ["0.0", "1.0", "-1e-6", "nan", "9.9e-13"] {
        assert_eq!(
            replaced("delta = 1e-6", &format!("delta = {delta}")),
            "privacy.delta"
        );
    }
    for clip in [0.0, -1.0, f64::INFINITY, 2e6] {
        assert_eq!(setting(|draft| draft.clip_norm = clip), "privacy.clip-norm");
    }
    for share in ["1.0", "-0.1", "nan"] {
        assert_eq!(
            replaced("metrics-share = 0.1", &format!("metrics-share = {share}")),
            "privacy"
        );
    }
}

#[test]
fn shares_of_the_budget_must_pay_for_what_is_released() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let refused = |this: &str, that: &str| match refusal(&draft.toml().replacen(this, that, 1)) {
        StudyError::Setting { setting, .. } => setting,
        error => panic!("{error:?} is no setting"),
    };
    assert_eq!(
        refused("metrics-share = 0.1", "metrics-share = 0.0"),
        "privacy"
    );
    assert_eq!(
        refused("weight-share = 0.1", "weight-share = 0.0"),
        "privacy"
    );
    assert_eq!(
        refused("moments-share = 0", "moments-share = 0.1"),
        "privacy.moments-share"
    );
    assert_eq!(
        refused("\"reference\"", "\"shared\""),
        "privacy.moments-share"
    );
}

#[test]
fn a_sum_that_could_pass_the_modulus_is_refused() {
    let draft = Draft {
        patients_per_site: 1_000_000,
        fraction_bits: 24,
        ..Draft::default()
    };
    assert!(matches!(
        refusal(&draft.toml()),
        StudyError::Overflow {
            section: "update",
            bits: 33..
        }
    ));
    // The noise counts as well: the same ranges without it fit.
    let draft = Draft {
        patients_per_site: 200,
        fraction_bits: 21,
        ..Draft::default()
    };
    Study::parse(draft.toml().as_bytes()).unwrap();
    let noised = Draft {
        epsilon: 0.05,
        ..draft
    };
    assert!(matches!(
        refusal(&noised.toml()),
        StudyError::Overflow {
            section: "update",
            ..
        }
    ));
}

#[test]
fn noise_that_no_site_can_add_is_refused() {
    let draft = Draft {
        epsilon: 100.0,
        fraction_bits: 1,
        ..Draft::default()
    };
    assert!(matches!(refusal(&draft.toml()), StudyError::Noise { .. }));
}

#[test]
fn a_sum_never_passes_the_modulus_of_an_accepted_study() {
    for (sites, threshold) in [(3, 2), (8, 5), (255, 128)] {
        for draft in [
            Draft {
                sites,
                threshold,
                ..Draft::default()
            },
            Draft {
                sites,
                threshold,
                epsilon: 1.0,
                fraction_bits: 10,
                clip_norm: 0.7,
                ..Draft::default()
            },
        ] {
            let study = draft.make().study;
            for purpose in [Purpose::Train, Purpose::Evaluate] {
                let layout = study.layout(purpose);
                for section in &layout.sections {
                    let most = u128::from(section.bound) * u128::from(sites);
                    assert!(most < 1 << (layout.modulus_bits - 1), "{section:?}");
                }
            }
        }
    }
}

#[test]
fn a_patient_of_many_labels_wants_that_much_more_noise_on_every_count() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let toml = draft.toml();
    let study = |labels: u32| {
        let cohort = format!("[cohort]\nlabels-per-patient = {labels}\n");
        Study::parse(toml.replacen("[cohort]\n", &cohort, 1).as_bytes()).unwrap()
    };
    let section =
        |labels, purpose, place: usize| study(labels).layout(purpose).sections[place].clone();
    for (purpose, place, most) in [
        (Purpose::Train, 1, 1.0),
        // One cell of the matrix, and one bin for each of three classes.
        (Purpose::Evaluate, 0, 2.0),
    ] {
        let (one, five) = (section(1, purpose, place), section(5, purpose, place));
        assert!((one.sensitivity - most).abs() < 1e-12);
        assert!((five.sensitivity - 5.0 * most).abs() < 1e-12);
        let wider = five.variance.unwrap() as f64 / one.variance.unwrap() as f64;
        assert!((wider - 25.0).abs() < 0.1, "{wider}");
        assert!(five.bound > 4 * one.bound);
    }
    // The gradients of a patient's labels are clipped as one.
    assert_eq!(section(1, Purpose::Train, 0), section(5, Purpose::Train, 0));
    for labels in ["0", "33"] {
        let cohort = format!("[cohort]\nlabels-per-patient = {labels}\n");
        let StudyError::Setting { setting, .. } = refusal(&toml.replacen("[cohort]\n", &cohort, 1))
        else {
            panic!("{labels} labels are accepted")
        };
        assert_eq!(setting, "cohort.labels-per-patient");
    }
}

#[test]
fn a_hidden_layer_has_units() {
    let linear = "architecture.linear.summary = \"mean-and-trend\"";
    for units in [0, 4_097] {
        let mlp = format!("architecture.mlp = {{ summary = \"mean\", hidden = {units} }}");
        assert_eq!(replaced(linear, &mlp), "model.architecture.mlp.hidden");
    }
}

#[test]
fn a_study_has_at_least_one_round_and_a_step_size() {
    assert_eq!(replaced("rounds = 4", "rounds = 0"), "training.rounds");
    assert_eq!(replaced("rate = 0.5", "rate = 0.0"), "training.optimizer");
    assert_eq!(
        replaced("momentum = 0.9", "momentum = 1.0"),
        "training.optimizer"
    );
    assert_eq!(
        replaced("parameters = 6", "parameters = 0"),
        "model.parameters"
    );
    assert_eq!(
        replaced("patients-per-site = 1000", "patients-per-site = 0"),
        "aggregation.patients-per-site"
    );
    assert_eq!(
        replaced("fraction-bits = 12", "fraction-bits = 25"),
        "aggregation.fraction-bits"
    );
}

#[test]
fn a_cohort_that_does_not_fit_together_is_refused() {
    assert_eq!(
        replaced("history-days = 30", "history-days = 31"),
        "cohort.modality.shape.series.bin-days"
    );
    assert_eq!(
        replaced("history-days = 30", "history-hours = 721"),
        "cohort.modality.shape.series.bin-days"
    );
    assert_eq!(
        replaced("history-days = 30", "history-hours = 0"),
        "cohort.history-days"
    );
    assert_eq!(
        replaced("history-days = 30", "history-hours = 87841"),
        "cohort.history-hours"
    );
    assert_eq!(
        replaced("bin-days = 5", "bin-hours = 7"),
        "cohort.modality.shape.series.bin-hours"
    );
    assert_eq!(
        replaced("bins-per-token = 1", "bins-per-token = 4"),
        "cohort.modality.shape.series.bins-per-token"
    );
    assert_eq!(replaced("train = 0.7", "train = 0.0"), "cohort.split");
    assert_eq!(replaced("tuning = 0.1", "tuning = 0.4"), "cohort.split");
    assert_eq!(replaced("sd = 12", "sd = 0"), "cohort.modality.feature");
    assert_eq!(
        replaced("sd = 12", "sd = 12, encoding = \"years-since\""),
        "cohort.modality.feature.encoding"
    );
    assert_eq!(replaced("low = 20", "low = 250"), "cohort.modality.feature");
    assert_eq!(
        replaced("\"low\", \"medium\", \"high\"", "\"low\""),
        "cohort.classes"
    );
}

#[test]
fn a_lottery_chooses_other_sites_in_each_round_and_all_of_them_in_the_end() {
    let draft = Draft {
        sites: 9,
        threshold: 5,
        random: Some(Random {
            sites: 4,
            threshold: 3,
        }),
        ..Draft::default()
    };
    let kit = draft.make();
    let study = &kit.study;
    let mut times = [0_u32; 9];
    for number in 0..200 {
        let header = |purpose| Header {
            study: study.digest(),
            number,
            place: number,
            purpose,
            state: Digest::of(b""),
        };
        let sites = study.participants(&header(Purpose::Train));
        assert!(sites.len() == 4 && sites.is_sorted(), "{sites:?}");
        sites
            .iter()
            .for_each(|site| times[usize::from(site.0)] += 1);
        assert_eq!(study.participants(&header(Purpose::Evaluate)).len(), 9);
    }
    // 200 · 4 / 9 = 89, with a standard deviation of 7.
    assert!(
        times.iter().all(|times| (60..120).contains(times)),
        "{times:?}"
    );
    assert_eq!(study.threshold(Purpose::Train), 3);
    // Whoever was not chosen is turned away, at every stage.
    let header = Header {
        study: study.digest(),
        number: 0,
        place: 0,
        purpose: Purpose::Train,
        state: Digest::of(b""),
    };
    let chosen = study.participants(&header);
    for site in study.sites() {
        let signed = kit.sign(&header, Stage::Advertise, site, Vec::new());
        let want = if chosen.contains(&site) {
            Ok(())
        } else {
            Err(MessageError::NotInRound(site))
        };
        assert_eq!(signed.verify(study, &header, Stage::Advertise), want);
    }
    assert_eq!(study.threshold(Purpose::Evaluate), 5);
    for participants in [
        "{ sites = 2, threshold = 2 }",
        "{ sites = 4, threshold = 2 }",
        "{ sites = 4, threshold = 5 }",
        "{ sites = 10, threshold = 6 }",
    ] {
        let toml = draft
            .toml()
            .replace("{ sites = 4, threshold = 3 }", participants);
        assert!(
            matches!(
                refusal(&toml),
                StudyError::Setting {
                    setting: "training.participants",
                    ..
                }
            ),
            "{participants}"
        );
    }
}

/// Clusters that are found in 1 + 4 rounds, then moved in 5.
const CLUSTERING: &str = "clusters = 3\nrounds = 5\ndimensions = 4\nradius = 2.5\nshare = 0.3";

fn with_clusters(toml: &str, clustering: &str) -> String {
    toml.replace(
        "[aggregation]",
        &format!("[clustering]\n{clustering}\n\n[aggregation]"),
    )
}

#[test]
fn clusters_are_found_after_training_with_noise_that_does_not_grow_with_their_number() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let study = |clustering: &str| {
        Study::parse(with_clusters(&draft.toml(), clustering).as_bytes()).unwrap()
    };
    let three = study(CLUSTERING);
    let rounds = [[Purpose::Seed; 5].as_slice(), &[Purpose::Cluster; 5]].concat();
    assert!(three.plan().ends_with(&rounds));
    assert_eq!(three.plan()[three.plan().len() - 11], Purpose::Evaluate);
    let lengths = |purpose| {
        let sections = three.layout(purpose).sections.into_iter();
        sections.map(|section| section.length).collect::<Vec<_>>()
    };
    assert_eq!(lengths(Purpose::Seed), [16, 64]);
    assert_eq!(lengths(Purpose::Cluster), [3, 12]);
    // As many rounds of four clusters.
    let four = study(&CLUSTERING.replace("clusters = 3", "clusters = 4"));
    let variances = |study: &Study| {
        let sections = study.layout(Purpose::Cluster).sections.into_iter();
        sections.map(|section| section.variance).collect::<Vec<_>>()
    };
    assert_eq!(variances(&three), variances(&four));
}

#[test]
fn clusters_that_cannot_be_found_are_refused() {
    for (this, that, setting) in [
        ("clusters = 3", "clusters = 1", "clustering.clusters"),
        ("clusters = 3", "clusters = 65", "clustering.clusters"),
        ("rounds = 5", "rounds = 0", "clustering.rounds"),
        ("dimensions = 4", "dimensions = 0", "clustering.dimensions"),
        ("radius = 2.5", "radius = 0.0", "clustering.radius"),
        ("radius = 2.5", "radius = inf", "clustering.radius"),
        ("share = 0.3", "share = 0.0", "clustering.share"),
        ("share = 0.3", "share = nan", "clustering.share"),
        // Metrics have a tenth.
        ("share = 0.3", "share = 0.9", "privacy"),
    ] {
        let toml = with_clusters(&Draft::default().toml(), &CLUSTERING.replace(this, that));
        match refusal(&toml) {
            StudyError::Setting { setting: got, .. } => assert_eq!(got, setting, "{that}"),
            error => panic!("{error:?} is no setting"),
        }
    }
}

/// What all planned rounds of a study cost together, as ε at its δ.
fn planned_epsilon(toml: &str) -> f64 {
    let study = Study::parse(toml.as_bytes()).expect("a study that can be run");
    let rounds = study.plan().into_iter();
    // Charged one by one, as a ledger does.
    let total = Total::of(rounds.map(|purpose| study.cost(purpose)));
    let promise = study.promise().expect("its ε is finite");
    assert!(promise.covers(&total) && promise.covers(&study.planned_cost()));
    let [one, other] = [total, study.planned_cost()].map(|total| total.epsilon(promise.delta));
    assert!((one / other - 1.0).abs() < 1e-9, "{one} {other}");
    one
}

#[test]
fn every_algorithm_costs_the_budget_and_no_more() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 19,
        patients_per_site: 200,
        rounds: 12,
        ..Draft::default()
    };
    let gradient = "algorithm.gradient = { batch = \"all\" }";
    let averaging = "algorithm.averaging = { steps = 7, batch = \"all\", weighting = \"sites\", \
                     change-norm = 1.0, control-variates = \"scaffold\", \
                     optimizer.momentum = { rate = 0.1, momentum = 0.0 } }";
    let stopping = format!("{gradient}\nstopping = {{ every = 3, patience = 2 }}");
    let adaptive =
        "weight-share = 0.1\nadaptive-clip = { quantile = 0.5, rate = 0.2, share = 0.1 }";
    let sampled = |toml: String| {
        let toml = toml.replace("batch = \"all\"", "batch.sampled = { rate = 0.05 }");
        let manifest: Manifest = toml::from_str(&toml).unwrap();
        let multiplier = manifest.needed_noise_multiplier().unwrap().unwrap().get();
        toml.replace(
            "delta =",
            &format!("noise-multiplier = {multiplier}\ndelta ="),
        )
    };
    for toml in [
        draft.toml(),
        sampled(draft.toml()),
        sampled(draft.toml().replace(gradient, averaging)),
        sampled(draft.toml().replace("weight-share = 0.1", adaptive)),
        draft.toml().replace(gradient, averaging),
        draft.toml().replace(gradient, &stopping),
        draft.toml().replace("weight-share = 0.1", adaptive),
        with_clusters(&draft.toml(), CLUSTERING),
        sampled(with_clusters(&draft.toml(), CLUSTERING)),
    ] {
        let epsilon = planned_epsilon(&toml);
        assert!((0.998..=1.0).contains(&epsilon), "{epsilon} of {toml}");
    }
}

#[test]
fn noise_of_a_sites_own_steps_is_enough_without_other_sites() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let averaging = "algorithm.averaging = { steps = 5, batch = \"all\", weighting = \"patients\", \
                     change-norm = 1.0, optimizer.momentum = { rate = 0.1, momentum = 0.0 } }";
    let gradient = "algorithm.gradient = { batch = \"all\" }";
    let of = |toml: &str| {
        let study = Study::parse(toml.as_bytes()).unwrap();
        study.layout(Purpose::Train)
    };
    let pooled = of(&draft.toml()).sections[0].added_variance().unwrap() as f64;
    let layout = of(&draft.toml().replace(gradient, averaging));
    assert!(
        layout
            .sections
            .iter()
            .all(|section| section.variance.is_none())
    );
    let alone = layout.local.unwrap().gradient.variance.unwrap() as f64;
    // Five steps for one, and no second site's noise.
    assert!(
        (alone / pooled / 10.0 - 1.0).abs() < 0.01,
        "{alone} {pooled}"
    );
}

#[test]
fn settings_that_cannot_be_accounted_for_together_are_refused() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let refused = |this: &str, that: &str| match refusal(&draft.toml().replacen(this, that, 1)) {
        StudyError::Setting { setting, .. } => setting,
        error => panic!("{error:?} is no setting"),
    };
    let gradient = "gradient = { batch = \"all\" }";
    let averaging = |batch: &str| {
        format!(
            "averaging = {{ steps = 2, {batch}, weighting = \"sites\", change-norm = 1.0, \
             optimizer.momentum = {{ rate = 0.1, momentum = 0.0 }} }}"
        )
    };
    let shuffled = averaging("batch.shuffled = { patients = 4 }");
    assert_eq!(refused(gradient, &shuffled), "training.algorithm.batch");
    let adaptive =
        "weight-share = 0.1\nadaptive-clip = { quantile = 0.5, rate = 0.2, share = 0.1 }";
    let toml = draft.toml().replace("weight-share = 0.1", adaptive);
    let toml = toml.replace(gradient, &averaging("batch = \"all\""));
    assert!(matches!(
        refusal(&toml),
        StudyError::Setting {
            setting: "privacy.adaptive-clip",
            ..
        }
    ));
}

#[test]
fn algorithms_that_fit_nothing_are_refused() {
    let averaging = |settings: &str| {
        let common = "batch = \"all\", weighting = \"sites\"";
        format!("averaging = {{ {common}, {settings} }}")
    };
    let gradient = "gradient = { batch = \"all\" }";
    let descent = "optimizer.momentum = { rate = 0.1, momentum = 0.0 }";
    let momentum = "optimizer.momentum = { rate = 0.1, momentum = 0.5 }";
    let setting = "training.algorithm.averaging";
    for (settings, refused) in [
        (format!("steps = 0, change-norm = 1.0, {descent}"), setting),
        (format!("steps = 1, change-norm = 0.0, {descent}"), setting),
        (
            format!("steps = 1, change-norm = 1.0, proximal = -1.0, {descent}"),
            setting,
        ),
        (
            format!("steps = 1, change-norm = 1.0, control-variates = \"scaffold\", {momentum}"),
            setting,
        ),
        (
            "steps = 1, change-norm = 1.0, optimizer.momentum = { rate = 0.0, momentum = 0.0 }"
                .to_owned(),
            "training.algorithm.averaging.optimizer",
        ),
    ] {
        assert_eq!(
            replaced(gradient, &averaging(&settings)),
            refused,
            "{settings}"
        );
    }
    for batch in [
        "sampled = { rate = 0.0 }",
        "sampled = { rate = 1.5 }",
        "shuffled = { patients = 0 }",
    ] {
        let batch = format!("gradient = {{ batch.{batch} }}");
        assert_eq!(replaced(gradient, &batch), "training.algorithm.batch");
    }
    let stopping = |text: &str| replaced("rounds = 4", &format!("rounds = 4\nstopping = {text}"));
    assert_eq!(stopping("{ every = 0, patience = 1 }"), "training.stopping");
    assert_eq!(stopping("{ every = 1, patience = 0 }"), "training.stopping");
}

#[test]
fn sampled_patients_need_the_noise_that_their_epsilon_asks() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        ..Draft::default()
    };
    let sampled = draft
        .toml()
        .replace("batch = \"all\"", "batch.sampled = { rate = 0.05 }");
    let stated = |toml: &str, multiplier: f64| {
        toml.replace(
            "delta =",
            &format!("noise-multiplier = {multiplier}\ndelta ="),
        )
    };
    for refused in [
        sampled.clone(),
        stated(&sampled, 0.6),
        stated(&sampled, -1.0),
        stated(&draft.toml(), 9.0),
    ] {
        match refusal(&refused) {
            StudyError::Setting { setting, .. } => assert_eq!(setting, "privacy.noise-multiplier"),
            error => panic!("{error}"),
        }
    }
    let manifest: Manifest = toml::from_str(&sampled).unwrap();
    let needed = manifest.needed_noise_multiplier().unwrap().unwrap().get();
    Study::parse(stated(&sampled, needed).as_bytes()).unwrap();
    Study::parse(stated(&sampled, 2.0 * needed).as_bytes()).unwrap();
    assert!(matches!(
        refusal(&stated(&sampled, needed * 0.99)),
        StudyError::Setting { .. }
    ));
    // Far less than all patients would need in each step.
    let all = draft.make().study.layout(Purpose::Train).sections[0]
        .mu
        .unwrap();
    assert!(needed < 0.6 / all.get(), "{needed} and {}", 1.0 / all.get());
}

#[test]
fn a_study_trains_all_weights_from_its_seed_unless_it_says_otherwise() {
    let toml = Draft::default().toml();
    let model = |toml: &str| {
        let study = Study::parse(toml.as_bytes()).unwrap();
        study.manifest().model.clone()
    };
    let plain = model(&toml);
    assert_eq!((plain.initial_weights, plain.trained), (None, Trained::All));

    let digest = Digest::of(b"weights");
    let warm = toml.replace(
        "initial-seed = 1\n",
        &format!("initial-seed = 1\ninitial-weights = \"{digest}\"\ntrained.blocks = [\"head\", \"norm\"]\n"),
    );
    let warm = model(&warm);
    assert_eq!(warm.initial_weights, Some(digest));
    let blocks = ["head", "norm"].map(str::to_owned).to_vec();
    assert_eq!(warm.trained, Trained::Blocks(blocks));
}

#[test]
fn blocks_that_are_none_or_stand_twice_are_refused() {
    for blocks in ["[]", "[\"head\", \"head\"]"] {
        let change = format!("initial-seed = 1\ntrained.blocks = {blocks}\n");
        assert_eq!(
            replaced("initial-seed = 1\n", &change),
            "model.trained.blocks"
        );
    }
}

#[test]
fn a_history_is_stated_once_in_days_or_in_hours() {
    let text = Draft::default().toml();
    let parse = |from: &str, to: &str| Study::parse(text.replacen(from, to, 1).as_bytes());
    let days = parse("", "").unwrap();
    let hours = parse("history-days = 30", "history-hours = 720").unwrap();
    assert_eq!(days.manifest().cohort, hours.manifest().cohort);
    let hours = parse("bin-days = 5", "bin-hours = 120").unwrap();
    assert_eq!(days.manifest().cohort, hours.manifest().cohort);
    assert!(parse("bin-days = 5", "bin-hours = 8").is_ok());
    for (from, to, what) in [
        (
            "history-days = 30",
            "history-days = 30\nhistory-hours = 720",
            "history-days and history-hours are both stated",
        ),
        (
            "history-days = 30",
            "",
            "history-days or history-hours is missing",
        ),
        (
            "bin-days = 5",
            "bin-days = 5, bin-hours = 120",
            "bin-days and bin-hours are both stated",
        ),
        ("bin-days = 5, ", "", "bin-days or bin-hours is missing"),
        ("history-days = 30", "history-dayz = 30", "history-dayz"),
    ] {
        let refused = parse(from, to).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
}
