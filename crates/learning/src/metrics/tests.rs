use protocol::api::{Figure, Metrics};

use super::*;

fn assert_near(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-12, "{got} is not {want}");
}

/// Numbers that only have to differ (Steele et al. 2014, `SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

impl rand_core::TryRng for Numbers {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Six patients of three classes.
const PROBABILITIES: [f32; 18] = [
    0.72, 0.21, 0.07, //
    0.52, 0.31, 0.17, //
    0.32, 0.41, 0.27, //
    0.62, 0.31, 0.07, //
    0.12, 0.22, 0.66, //
    0.12, 0.62, 0.26,
];
const LABELS: [u32; 6] = [0, 0, 1, 1, 2, 2];

const FINE: Histograms = Histograms {
    reach: 12,
    bins_per_unit: 32,
};

fn counted(probabilities: &[f32], labels: &[u32], classes: usize, bins: &Histograms) -> Vec<f64> {
    let mut counts = vec![0; counts_length(classes, bins)];
    for (patient, label) in probabilities.chunks_exact(classes).zip(labels) {
        count(patient, *label, bins, &mut counts).unwrap();
    }
    counts.into_iter().map(|count| count as f64).collect()
}

fn noised(counts: &[f64], classes: usize, bins: &Histograms, deviation: f64) -> Metrics {
    let replicates = Numbers(7);
    let noise = Noise {
        deviation,
        replicates,
    };
    released(counts, classes, bins, noise).unwrap()
}

fn shown(figure: Option<&Figure>) -> f64 {
    figure.and_then(Figure::shown).expect("it is shown").value
}

#[test]
fn exact_figures_are_those_of_a_hand_computation() {
    let metrics = exact(&PROBABILITIES, &LABELS, 3).unwrap();
    assert_eq!(
        metrics.confusion,
        [[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0]].map(|row| row.to_vec())
    );
    assert_near(metrics.accuracy.unwrap(), 4.0 / 6.0);
    // F1: 2·2/(2+3), 2·1/(2+2), 2·1/(2+1).
    assert_near(metrics.macro_f1.unwrap(), (0.8 + 0.5 + 2.0 / 3.0) / 3.0);
    // Class 0: .72 .52 over .32 .62 .12 .12: 7 of 8 pairs. Class 1: .41 .31 over .21 .31 .22 .62: 3 + 2.5 of 8.
    // Class 2: .66 .26 over .07 .17 .27 .07: 4 + 3 of 8.
    assert_near(metrics.macro_auc.unwrap(), (7.0 + 5.5 + 7.0) / 24.0);
    assert_eq!(
        metrics.class_auc,
        [Some(7.0 / 8.0), Some(5.5 / 8.0), Some(7.0 / 8.0)]
    );
}

#[test]
fn calibration_compares_predictions_with_what_happened() {
    // Ten patients with a probability of .75 for class 0, of whom seven are in it.
    let probabilities = [0.75, 0.25].repeat(10);
    let labels = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1];
    let metrics = exact(&probabilities, &labels, 2).unwrap();
    assert_near(metrics.calibration_error.unwrap(), 0.05);
    assert_eq!(metrics.class_auc, [Some(0.5), Some(0.5)]);

    let counts = counted(&probabilities, &labels, 2, &FINE);
    let metrics = noised(&counts, 2, &FINE, 0.0);
    let error = shown(metrics.calibration_error.as_ref());
    assert!((error - 0.05).abs() < 0.003, "{error}");
    // Log-odds of 1.1: the group from 1 to 2.
    let group = metrics.reliability[0][7];
    assert!((group.predicted - 0.8176).abs() < 1e-4);
    assert_eq!((group.patients.value, group.in_class.value), (10.0, 7.0));

    let sure = exact(&[0.0, 1.0].repeat(4), &[0; 4], 2).unwrap();
    assert_near(sure.calibration_error.unwrap(), 1.0);
    assert_eq!(sure.class_auc, [None, None]);
}

#[test]
fn counts_without_noise_give_the_exact_figures_where_no_bin_is_shared() {
    let counts = counted(&PROBABILITIES, &LABELS, 3, &FINE);
    assert_near(counts.iter().sum(), 24.0);
    let summed = noised(&counts, 3, &FINE, 0.0);
    let exact = exact(&PROBABILITIES, &LABELS, 3).unwrap();
    // .31 and .31 of class 1 are one of it and one of the others: bins share as they do.
    let area = shown(summed.macro_auc.as_ref());
    assert!((area - exact.macro_auc.unwrap()).abs() < 1e-3, "{area}");
    assert_near(shown(summed.accuracy.as_ref()), exact.accuracy.unwrap());
    assert_near(shown(summed.macro_f1.as_ref()), exact.macro_f1.unwrap());
    let accuracy = summed.accuracy.unwrap();
    let accuracy = accuracy.shown().unwrap();
    assert_eq!((accuracy.deviation, accuracy.low), (0.0, accuracy.value));
}

#[test]
fn a_patient_is_counted_in_one_cell_and_in_one_bin_a_class() {
    let bins = Histograms::default();
    let mut counts = vec![0; counts_length(2, &bins)];
    count(&[1.0, 0.0], 1, &bins, &mut counts).unwrap();
    let places: Vec<usize> = (0..counts.len())
        .filter(|place| counts[*place] == 1)
        .collect();
    // Row 1, column 0; class 0's others, last bin; class 1's own, first bin.
    let length = bins.bins();
    assert_eq!(places, [2, 4 + 2 * length - 1, 4 + 2 * length]);
    assert_eq!(counts.iter().sum::<i64>(), 3);
}

#[test]
fn of_nobody_there_is_no_figure() {
    let bins = Histograms::default();
    let nobody = noised(&vec![0.0; counts_length(3, &bins)], 3, &bins, 0.0);
    assert_near(nobody.patients.value, 0.0);
    let figures = [
        &nobody.accuracy,
        &nobody.macro_auc,
        &nobody.macro_f1,
        &nobody.calibration_error,
    ];
    assert!(figures.iter().all(|figure| figure.is_none()));
    assert_eq!(nobody.class_auc, [None, None, None]);
    let exact = exact(&[], &[], 3).unwrap();
    assert_eq!(
        (exact.accuracy, exact.macro_auc, exact.macro_f1),
        (None, None, None)
    );
}

#[test]
fn patients_of_one_class_have_no_area_at_all() {
    let bins = Histograms::default();
    let probabilities = [0.8, 0.2, 0.6, 0.4];
    let counts = counted(&probabilities, &[0, 0], 2, &bins);
    let metrics = noised(&counts, 2, &bins, 0.0);
    assert_eq!(
        (metrics.macro_auc, metrics.class_auc),
        (None, vec![None, None])
    );
    assert_near(shown(metrics.accuracy.as_ref()), 1.0);
}

#[test]
fn an_absent_class_is_left_out_of_the_means() {
    let probabilities = [0.9, 0.1, 0.0, 0.2, 0.8, 0.0];
    let metrics = exact(&probabilities, &[0, 1], 3).unwrap();
    assert_near(metrics.macro_auc.unwrap(), 1.0);
    assert_near(metrics.macro_f1.unwrap(), 1.0);
    assert_eq!(metrics.class_auc[2], None);
}

/// Scores of two classes: patients in the class with a probability of `prevalence`, their log-odds by `scores`.
#[expect(clippy::cast_possible_truncation, reason = "probabilities are f32")]
fn population(
    patients: usize,
    prevalence: f64,
    mut scores: impl FnMut(&mut Numbers, f64, f64) -> f64,
) -> (Vec<f32>, Vec<u32>) {
    let mut numbers = Numbers(prevalence.to_bits());
    let centre = (prevalence / (1.0 - prevalence)).ln();
    let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..patients {
        let is_in = numbers.share() < prevalence;
        let side = if is_in { 1.0 } else { -1.0 };
        let score = scores(&mut numbers, centre, side);
        let probability = (1.0 / (1.0 + (-score).exp())) as f32;
        probabilities.extend([1.0 - probability, probability]);
        labels.push(u32::from(is_in));
    }
    (probabilities, labels)
}

type Draw = fn(&mut Numbers, f64, f64) -> f64;

/// Log-odds of an outcome whose prevalence has log-odds `centre`, on this `side`.
const DRAWS: [(&str, Draw); 6] = [
    ("calibrated, area .70", |numbers, centre, side| {
        centre + side * 0.275 + 0.742 * numbers.normal()
    }),
    ("calibrated, area .90", |numbers, centre, side| {
        centre + side * 1.638 + 1.81 * numbers.normal()
    }),
    ("too sure by a factor of 3", |numbers, centre, side| {
        centre + 3.0 * (side * 0.5 + numbers.normal())
    }),
    ("skewed", |numbers, centre, side| {
        centre - 1.0 + 0.6 * side - (1.0 - numbers.share()).ln()
    }),
    ("flat", |numbers, centre, side| {
        centre + side * 0.4 + 3.0 * (numbers.share() - 0.5)
    }),
    ("always a tenth as probable", |numbers, centre, side| {
        centre - 2.3 + side * 0.708 + 1.19 * numbers.normal()
    }),
];

#[test]
fn without_noise_an_area_is_that_of_the_patients_at_any_prevalence() {
    for prevalence in [0.005, 0.01, 0.05, 0.2, 0.5] {
        for (name, draw) in DRAWS {
            let (probabilities, labels) = population(20_000, prevalence, draw);
            let want = exact(&probabilities, &labels, 2).unwrap();
            let want = want.macro_auc.unwrap();
            for bins in [choose(20_000.0, 0.0), Histograms::default()] {
                let counts = counted(&probabilities, &labels, 2, &bins);
                let got = noised(&counts, 2, &bins, 0.0).macro_auc.unwrap();
                let got = *got.shown().unwrap();
                let off = (got.value - want).abs();
                assert!(off < 0.005, "{name}, {prevalence}, {bins:?}: {off}");
                assert_near(got.deviation, 0.0);
            }
        }
    }
}

#[test]
fn bins_in_probabilities_would_miss_a_rare_outcome_and_those_in_log_odds_do_not() {
    let (probabilities, labels) = population(20_000, 0.01, DRAWS[1].1);
    let wide = exact(&probabilities, &labels, 2).unwrap();
    let twentieths: Vec<f32> = probabilities
        .iter()
        .map(|p| (p * 20.0).floor() / 20.0)
        .collect();
    let binned = exact(&twentieths, &labels, 2).unwrap();
    assert!(wide.class_auc[1].unwrap() - binned.class_auc[1].unwrap() > 0.05);
}

#[test]
fn noise_is_told_and_where_it_is_too_much_figures_are_withheld() {
    let (probabilities, labels) = population(5_000, 0.3, DRAWS[1].1);
    let bins = choose(5_000.0, 10.0);
    let counts = counted(&probabilities, &labels, 2, &bins);
    let metrics = noised(&counts, 2, &bins, 10.0);
    assert_near(metrics.patients.deviation, 20.0);
    assert_near(metrics.confusion[1][0].deviation, 10.0);
    let area = *metrics.macro_auc.as_ref().unwrap().shown().unwrap();
    assert!(area.deviation > 0.001 && area.deviation < MOST_DEVIATION);
    assert!(area.low < area.value - area.deviation && area.value + area.deviation < area.high);

    let metrics = noised(&counts, 2, &bins, 1_000.0);
    let figures = [
        metrics.accuracy,
        metrics.macro_auc,
        metrics.macro_f1,
        metrics.calibration_error,
    ];
    for figure in figures {
        let Some(Figure::Withheld { withheld }) = figure else {
            panic!("{figure:?} is not withheld");
        };
        assert!(withheld.contains("epsilon"), "{withheld}");
    }
}

/// Two models of the same patients, noised alike: one that is right and one that is as wrong.
#[test]
fn whether_a_figure_is_withheld_does_not_follow_from_its_value() {
    let (probabilities, labels) = population(2_000, 0.5, DRAWS[1].1);
    let turned: Vec<f32> = probabilities.iter().map(|p| 1.0 - p).collect();
    let bins = choose(2_000.0, 10.0);
    let is_shown = |figure: &Option<Figure>| figure.as_ref().unwrap().shown().is_some();
    let mut seen = std::collections::BTreeSet::new();
    for step in 0..40 {
        let noise = f64::from(step) * 2.0;
        let shown = [&probabilities, &turned].map(|probabilities| {
            let counts = counted(probabilities, &labels, 2, &bins);
            let metrics = noised(&counts, 2, &bins, noise);
            [
                &metrics.accuracy,
                &metrics.macro_auc,
                &metrics.macro_f1,
                &metrics.calibration_error,
            ]
            .map(is_shown)
        });
        assert_eq!(shown[0], shown[1], "{noise}");
        seen.insert(shown[0]);
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn negative_noisy_counts_give_figures_from_0_to_1() {
    let bins = Histograms {
        reach: 2,
        bins_per_unit: 2,
    };
    let mut counts: Vec<f64> = (0..7)
        .cycle()
        .take(counts_length(3, &bins))
        .map(|step| f64::from(step) - 2.4)
        .collect();
    for _ in 0..counts.len() {
        counts.rotate_left(1);
        for noise in [0.0, 0.01, 3.0] {
            let metrics = noised(&counts, 3, &bins, noise);
            for figure in [metrics.accuracy, metrics.macro_auc, metrics.macro_f1] {
                let Some(Figure::Shown(estimate)) = figure else {
                    continue;
                };
                let ends = [estimate.low, estimate.value, estimate.high];
                assert!(ends.iter().all(|end| (0.0..=1.0).contains(end)));
                assert!(ends.is_sorted(), "{ends:?}");
            }
        }
    }
}

#[test]
fn the_same_counts_have_the_same_figures() {
    let (probabilities, labels) = population(5_000, 0.3, DRAWS[0].1);
    let bins = Histograms::default();
    let counts = counted(&probabilities, &labels, 2, &bins);
    assert_eq!(
        noised(&counts, 2, &bins, 3.0),
        noised(&counts, 2, &bins, 3.0)
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let bins = Histograms::default();
    let length = Err(MetricsError::Length { got: 5, want: 6 });
    assert_eq!(exact(&[0.5; 5], &[0; 3], 2).map(|_| ()), length);
    let label = exact(&[0.5; 2], &[2], 2).map(|_| ());
    assert_eq!(
        label,
        Err(MetricsError::Label {
            label: 2,
            classes: 2
        })
    );
    let mut counts = vec![0; counts_length(2, &bins)];
    assert_eq!(
        count(&[0.5, f32::NAN], 0, &bins, &mut counts),
        Err(MetricsError::Probability { class: 1 })
    );
    assert!(counts.iter().all(|count| *count == 0));
    let mut counts = vec![0.0; counts_length(2, &bins)];
    counts[3] = f64::NAN;
    let noise = Noise {
        deviation: 0.0,
        replicates: Numbers(0),
    };
    assert_eq!(
        released(&counts, 2, &bins, noise),
        Err(MetricsError::Count { entry: 3 })
    );
}
