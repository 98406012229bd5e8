//! The look as one HTML page that needs no network. maud escapes every text, wherever it comes from.

use maud::{DOCTYPE, Markup, html};
use protocol::door::Distribution;
use protocol::study::Feature;

use super::{Found, Look, finding, proposal, short};
use crate::coverage::{Doubt, percent};
use crate::patients::describe;

/// Nothing is loaded, and no script runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
    table{border-collapse:collapse;width:100%;font-size:13px}th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid #d8dee4}\
    th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}\
    .doubt{border-left:4px solid #b35900;background:#fff6ea;padding:.5rem .8rem;margin:.4rem 0}\
    .features{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1rem}\
    figure{margin:0;border:1px solid #d8dee4;border-radius:6px;padding:.6rem}figcaption{font-size:13px}\
    svg{width:100%;height:auto}code,pre{font-size:12px}pre{overflow-x:auto;background:#f6f8fa;padding:.8rem}\
    .stay{color:#57606a}";

/// The page.
#[must_use]
pub fn page(title: &str, looks: &[(Look<'_>, Vec<Doubt>)]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Data check: " (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Data check: " (title) }
                p.stay { "Made from patients without protection: this page stays at the site." }
                @for (look, doubts) in looks { (section(look, doubts)) }
            }
        }
    };
    page.into_string()
}

fn section(look: &Look<'_>, doubts: &[Doubt]) -> Markup {
    let report = &look.checked.report;
    let findings: Vec<(Found<'_>, Vec<String>)> = look
        .features()
        .map(|found| (found, finding::of_feature(found, report)))
        .collect();
    let nothing = doubts.is_empty() && findings.iter().all(|(_, findings)| findings.is_empty());
    html! {
        h2 { (look.name) }
        p { (describe(report)) }
        h3 { "What to look at" }
        @if nothing { p { "Nothing." } }
        @for doubt in doubts { p.doubt { (doubt.to_string()) } }
        @for (found, findings) in &findings {
            @for finding in findings {
                p.doubt { b { (found.feature.name) } " (" code { (found.feature.code) } "): " (finding) }
            }
        }
        h3 { "Features" }
        (table(look))
        @if report.other_events > 0 {
            p {
                (report.other_events) " events have codes that no feature uses. The most frequent: "
                @for (place, other) in report.other_codes.iter().enumerate() {
                    @if place > 0 { ", " }
                    code { (other.code) } " (" (other.events) ")"
                }
                "."
            }
        }
        h3 { "Values against the reference" }
        p { "Bars are values as the files have them. The band is the reference's mean with one standard deviation either way, the \
             dashed lines are the ends of the plausible range." }
        div.features { @for found in look.features() { (figure(found)) } }
        h3 { "Reference values for a draft" }
        pre { (proposal::lines(look).join("\n")) }
    }
}

fn table(look: &Look<'_>) -> Markup {
    let report = &look.checked.report;
    html! {
        table {
            thead { tr {
                @for name in ["feature", "code", "patients", "%", "events", "used", "at prediction", "clipped", "before", "after", "other"] {
                    th { (name) }
                }
            } }
            tbody { @for found in look.features() {
                @let coverage = found.coverage;
                @let other = coverage.without_label + coverage.without_number + coverage.without_time + coverage.not_finite;
                tr {
                    td { (coverage.name) }
                    td { code { (coverage.code) } }
                    td { (coverage.patients) }
                    td { (percent(u64::from(coverage.patients), u64::from(report.patients))) }
                    @for count in [coverage.events, coverage.used, coverage.at_prediction, coverage.clipped, coverage.early, coverage.late, other] {
                        td { (count) }
                    }
                }
            } }
        }
    }
}

fn figure(found: Found<'_>) -> Markup {
    let Found {
        feature,
        distribution,
        ..
    } = found;
    html! {
        figure {
            figcaption {
                b { (feature.name) } " " (feature.unit) br;
                @if distribution.bars.is_empty() { "no value" } @else {
                    "median " (short(distribution.quantiles[2])) ", mean " (short(distribution.mean)) " ± " (short(distribution.sd))
                    "; reference " (short(feature.mean)) " ± " (short(feature.sd))
                }
            }
            @if !distribution.bars.is_empty() { (histogram(feature, distribution)) }
            @if let Some(proposed) = proposal::told(found) { code { (proposed) } }
        }
    }
}

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 90.0;

#[expect(clippy::cast_precision_loss, reason = "a few bars")]
fn histogram(feature: &Feature, distribution: &Distribution) -> Markup {
    let bars = &distribution.bars;
    let most = f64::from(bars.iter().copied().max().unwrap_or(0).max(1));
    let width = WIDTH / bars.len() as f64;
    let (from, to) = (distribution.from, distribution.to);
    let x = |value: f64| ((value - from) / (to - from) * WIDTH).clamp(0.0, WIDTH);
    let within = |value: &f64| (from..=to).contains(value);
    let (low, high) = (x(feature.mean - feature.sd), x(feature.mean + feature.sd));
    let label = format!(
        "histogram of {} from {} to {} {}",
        feature.name,
        short(from),
        short(to),
        feature.unit
    );
    html! {
        svg viewBox="0 0 300 110" role="img" aria-label=(label) {
            rect x=(low) y="0" width=(high - low) height=(HEIGHT) fill="#d5e8f7" {}
            @for (place, bar) in bars.iter().enumerate() {
                @let height = f64::from(*bar) / most * (HEIGHT - 4.0);
                rect x=(place as f64 * width + 0.5) y=(HEIGHT - height) width=(width - 1.0) height=(height) fill="#0b5394" {}
            }
            @if within(&feature.mean) {
                line x1=(x(feature.mean)) x2=(x(feature.mean)) y1="0" y2=(HEIGHT) stroke="#1b1f24" {}
            }
            @for end in [feature.low, feature.high].iter().filter(|end| within(end)) {
                line x1=(x(*end)) x2=(x(*end)) y1="0" y2=(HEIGHT) stroke="#b35900" stroke-dasharray="4 3" {}
            }
            line x1="0" x2="300" y1=(HEIGHT) y2=(HEIGHT) stroke="#57606a" {}
            text x="0" y="106" font-size="11" { (short(from)) }
            text x="300" y="106" font-size="11" text-anchor="end" { (short(to)) " " (feature.unit) }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::door::{Checked, Coverage, Report};
    use protocol::study::{Cohort, Encoding, Modality, Normalisation, Shape, Span, Split};

    use super::*;
    use crate::coverage;

    #[test]
    fn text_of_files_and_studies_is_escaped_and_nothing_is_loaded() {
        let evil = "<script src=http://x>\"'&";
        let feature = Feature {
            code: evil.to_owned(),
            name: evil.to_owned(),
            unit: evil.to_owned(),
            encoding: Encoding::Value,
            low: 0.0,
            high: 10.0,
            mean: 5.0,
            sd: 1.0,
        };
        let cohort = Cohort {
            history: Span::days(1),
            classes: vec!["a".to_owned(), "b".to_owned()],
            normalisation: Normalisation::Reference,
            split: Split {
                train: 1.0,
                tuning: 0.0,
            },
            labels_per_patient: 1,
            modalities: vec![Modality {
                name: evil.to_owned(),
                shape: Shape::Static,
                features: vec![feature],
            }],
        };
        let coverage = Coverage {
            code: evil.to_owned(),
            name: evil.to_owned(),
            ..Coverage::default()
        };
        let checked = Checked {
            report: Report {
                features: vec![coverage],
                patients: 1,
                ..Report::default()
            },
            distributions: vec![Distribution {
                values: 3,
                from: 0.0,
                to: 10.0,
                bars: vec![1, 2],
                ..Distribution::default()
            }],
            explained: None,
        };
        let doubts = coverage::doubts(&checked.report);
        let look = Look {
            name: evil.to_owned(),
            cohort: &cohort,
            checked,
        };
        let page = page(evil, &[(look, doubts)]);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script"));
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("<svg"));
    }
}
