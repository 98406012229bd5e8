//! Masked vectors in chunks: stored one by one, added as a whole, and what a site is told on the way.

use std::sync::Arc;

use aggregator::BodyLimits;
use axum::http::Method;
use protocol::api::Stage;
use protocol::id::{Header, Purpose, SiteId};
use testkit::{Draft, TestStudy};

use crate::bench::{Bench, Gone, Restarts, Sites, TIMES, draft, noised};

const SITE: SiteId = SiteId(0);

/// Vectors of two chunks and a short one.
fn long() -> Draft {
    Draft {
        parameters: 140_000,
        ..draft()
    }
}

/// The sites of a round that is brought to stage mask.
async fn masking<'a>(kit: &'a TestStudy, bench: &mut Bench) -> (Header, Sites<'a>) {
    let header = bench.open().await.0;
    let mut sites = Sites::of(kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |stage| stage == Stage::Mask)
        .await;
    (header, sites)
}

/// Announces the site's vector; gives its chunks.
async fn announce(bench: &mut Bench, sites: &mut Sites<'_>, site: SiteId) -> Vec<Vec<u8>> {
    let signed = bench.message(sites, Stage::Mask, site).await;
    let header = sites.header.clone();
    bench
        .send(&header, Stage::Mask, &signed)
        .await
        .is_taken("the announcement");
    sites.sites[&site].chunks().collect()
}

#[tokio::test]
async fn an_upload_goes_on_where_a_kill_cut_it_off() {
    let mut bench = Bench::new(&long());
    let kit = Arc::clone(&bench.kit);
    let (header, mut sites) = masking(&kit, &mut bench).await;
    bench.restarts = Restarts::AfterEachChange;
    let chunks = announce(&mut bench, &mut sites, SITE).await;
    assert_eq!(bench.missing(&header, SITE).await, [0, 1, 2]);
    // In any order, each as often as the line breaks.
    for (number, missing) in [
        (2, &[0, 1][..]),
        (0, &[1]),
        (2, &[1]),
        (1, &[]),
        (1, &[]),
        (0, &[]),
    ] {
        let chunk = chunks[usize::try_from(number).unwrap()].clone();
        let answer = bench.put_chunk(&header, SITE, number, chunk).await;
        answer.is_taken(&format!("chunk {number}"));
        assert_eq!(bench.missing(&header, SITE).await, missing);
    }
    bench
        .play_until(&mut sites, &Gone::from([(SITE, Stage::Mask)]), |at| {
            at == Stage::Agree
        })
        .await;
    assert!(bench.missing(&header, SITE).await.is_empty());
    let last = chunks[2].clone();
    let again = bench.put_chunk(&header, SITE, 2, last).await;
    again.is_taken("a chunk whose answer was lost, after its stage");
    bench.play_until(&mut sites, &Gone::new(), |_| false).await;
    let progress = bench.progress().await;
    assert_eq!(
        progress.rounds[0].patients.map(|count| count.value),
        Some(60.0)
    );
    assert_eq!(progress.rounds[0].survivors.len(), 3);
}

#[tokio::test]
async fn chunks_are_those_that_were_announced_or_are_refused_with_what_to_do() {
    let mut bench = Bench::new(&long());
    let kit = Arc::clone(&bench.kit);
    let header = bench.open().await.0;
    let put = async |bench: &mut Bench, header: &Header, number, chunk: &[u8]| {
        bench.put_chunk(header, SITE, number, chunk.to_vec()).await
    };
    put(&mut bench, &header, 0, b"")
        .await
        .is(409, "stage-not-open");
    let missing = format!("rounds/0/chunks/{SITE}");
    bench.get(&missing).await.is(409, "stage-not-open");

    let (header, mut sites) = masking(&kit, &mut bench).await;
    put(&mut bench, &header, 0, b"")
        .await
        .is(409, "not-announced");
    bench.get(&missing).await.is(409, "not-announced");
    let chunks = announce(&mut bench, &mut sites, SITE).await;
    let next = Header {
        number: 1,
        ..header.clone()
    };
    put(&mut bench, &next, 0, &chunks[0])
        .await
        .is(404, "unknown-round");
    put(&mut bench, &header, 3, &chunks[0])
        .await
        .is(404, "unknown-chunk");
    put(&mut bench, &header, 0, &chunks[1])
        .await
        .is(422, "different-chunk");
    put(&mut bench, &header, 2, &chunks[2][1..])
        .await
        .is(422, "different-chunk");
    let most = BodyLimits::of(&kit.study).chunk();
    assert_eq!(most, chunks[0].len());
    put(&mut bench, &header, 0, &vec![0; most + 1])
        .await
        .is(413, "body-too-large");
    bench
        .get("rounds/0/chunks/x")
        .await
        .is(404, "malformed-path");
    let posted = bench.post("rounds/0/chunks/0/0", chunks[0].clone()).await;
    posted.is(405, "method-not-allowed");
    let put_message = bench
        .request(Method::PUT, "rounds/0/mask", Vec::new())
        .await;
    put_message.is(405, "method-not-allowed");
    bench.kill_and(|journal| assert!(journal.chunk_numbers().unwrap().is_empty()));
    assert_eq!(bench.missing(&header, SITE).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_site_whose_chunks_are_not_all_there_has_dropped_out() {
    let mut bench = Bench::new(&long());
    let kit = Arc::clone(&bench.kit);
    let (header, mut sites) = masking(&kit, &mut bench).await;
    let chunks = announce(&mut bench, &mut sites, SITE).await;
    for number in [0, 2] {
        let chunk = chunks[usize::try_from(number).unwrap()].clone();
        let answer = bench.put_chunk(&header, SITE, number, chunk).await;
        answer.is_taken("a chunk");
    }
    for site in [SiteId(1), SiteId(2)] {
        let signed = bench.message(&mut sites, Stage::Mask, site).await;
        bench.report(&sites, Stage::Mask, &signed).await;
    }
    assert_eq!(bench.open().await.1, Stage::Mask, "one is still missing");
    bench.wait(TIMES.others).await;
    assert_eq!(bench.open().await.1, Stage::Agree);
    // The masks of the site may be opened from now on.
    let late = bench.put_chunk(&header, SITE, 1, chunks[1].clone()).await;
    late.is(409, "stage-closed");
    let missing = format!("rounds/0/chunks/{SITE}");
    bench.get(&missing).await.is(409, "stage-closed");
    bench.kill_and(|journal| assert!(journal.chunk_numbers().unwrap().is_empty()));
    bench.play_until(&mut sites, &Gone::new(), |_| false).await;
    assert_eq!(
        bench.progress().await.rounds[0]
            .patients
            .map(|count| count.value),
        Some(50.0)
    );
    let over = bench.put_chunk(&header, SITE, 1, chunks[1].clone()).await;
    over.is(410, "round-over");
}

/// The ledger was charged before the announcement left, so the step is spent, though nothing was added.
#[tokio::test]
async fn an_announcement_alone_is_enough_to_spend_a_step() {
    for restarts in [Restarts::Never, Restarts::AfterEachChange] {
        let mut bench = Bench::new(&noised());
        let kit = Arc::clone(&bench.kit);
        let (_, mut sites) = masking(&kit, &mut bench).await;
        bench.restarts = restarts;
        announce(&mut bench, &mut sites, SITE).await;
        bench.wait(TIMES.others).await;
        assert!(bench.progress().await.rounds[0].abandoned.is_some());
        bench.play(&Gone::new()).await;
        let (header, ..) = bench.open().await;
        assert_eq!((header.number, header.purpose), (2, Purpose::Evaluate));
    }
}
