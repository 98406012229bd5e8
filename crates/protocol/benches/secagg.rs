//! A whole round of secure aggregation in one process and one thread: what a site and the aggregator spend.
//!
//! `cargo xtask bench` runs this; each line is a figure in JSON. Nothing is sent, and no disk is written.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::time::{Duration, Instant};

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use protocol::round::SiteFault;
use testkit::Draft;
use testkit::round::{Next, Play};

fn main() {
    for (sites, dropped, parameters, epsilon) in [
        (5, 0, 20_000, f64::INFINITY),
        (5, 0, 200_000, f64::INFINITY),
        (5, 0, 200_000, 1.0),
        (5, 0, 1_000_000, f64::INFINITY),
        (10, 0, 200_000, 1.0),
        (10, 0, 1_000_000, f64::INFINITY),
        (10, 2, 1_000_000, f64::INFINITY),
        (20, 2, 200_000, f64::INFINITY),
        (20, 0, 200_000, 1.0),
    ] {
        let round = play(sites, dropped, parameters, epsilon);
        println!(
            "{}",
            serde_json::json!({
                "name": format!("secure aggregation, n = {sites}, {dropped} dropped, d = {parameters}{}", of_noise(epsilon)),
                "site seconds": round.site.as_secs_f64(),
                "aggregator seconds": round.aggregator.as_secs_f64(),
                "bytes up per site": round.bytes,
            })
        );
    }
}

/// What a name says of the noise that a sum sheds.
fn of_noise(epsilon: f64) -> String {
    if epsilon.is_infinite() {
        String::new()
    } else {
        format!(", ε = {epsilon}")
    }
}

struct Spent {
    /// Of one site, all stages together.
    site: Duration,
    /// Of the aggregator, all stages together.
    aggregator: Duration,
    /// Of one site that stays, all messages' bodies.
    bytes: usize,
}

/// A site seals the chunks of its masked vector once more, and the aggregator checks, opens and adds them.
fn upload(play: &mut Play<'_>, site: SiteId, spent: &mut Spent) {
    let start = Instant::now();
    let chunks: Vec<Vec<u8>> = play.sites[usize::from(site.0)].chunks().collect();
    if site == SiteId(0) {
        spent.site += start.elapsed();
        spent.bytes += chunks.iter().map(Vec::len).sum::<usize>();
    }
    let start = Instant::now();
    for (number, chunk) in (0..).zip(&chunks) {
        play.round
            .check_chunk(site, number, chunk)
            .expect("an honest site's chunk is accepted");
    }
    play.round
        .complete::<SiteFault>(site, chunks.into_iter().map(Ok))
        .expect("an honest site's vector is added");
    spent.aggregator += start.elapsed();
}

/// The last `dropped` sites vanish before their masked inputs; none with noise, which would stay in the sum.
fn play(sites: u16, dropped: u16, parameters: u32, epsilon: f64) -> Spent {
    let kit = Draft {
        sites,
        threshold: sites / 2 + 1,
        parameters,
        epsilon,
        ..Draft::default()
    }
    .make();
    let header = kit.header(1, Purpose::Train);
    let length = kit.study.layout(Purpose::Train).length();
    let vectors: Vec<Vec<i64>> = (0..sites)
        .map(|site| vec![i64::from(site); length])
        .collect();
    let mut play = Play::new(&kit, &header, &vectors);
    let mut spent = Spent {
        site: Duration::ZERO,
        aggregator: Duration::ZERO,
        bytes: 0,
    };
    let stays = |site: SiteId| site.0 < sites - dropped;
    loop {
        let stage = play.round.stage();
        for site in play.round.missing() {
            if stage >= Stage::Mask && !stays(site) {
                continue;
            }
            let start = Instant::now();
            let signed = play.message(site).expect("an honest site refuses nothing");
            spent.site += if site == SiteId(0) {
                start.elapsed()
            } else {
                Duration::ZERO
            };
            spent.bytes += if site == SiteId(0) {
                signed.body.len()
            } else {
                0
            };
            let start = Instant::now();
            play.round
                .accept(stage, signed)
                .expect("an honest site's message is accepted");
            spent.aggregator += start.elapsed();
            if stage == Stage::Mask {
                upload(&mut play, site, &mut spent);
            }
        }
        let start = Instant::now();
        let next = play.close().expect("enough sites are left");
        spent.aggregator += start.elapsed();
        match next {
            Next::Stage(next) => play = *next,
            Next::Sum(sum) => {
                let want: i64 = (0..i64::from(sites - dropped)).sum();
                assert!(
                    sum.values.iter().all(|value| *value == want),
                    "the sum is wrong"
                );
                return spent;
            }
        }
    }
}
