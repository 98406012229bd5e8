//! What sites announced at stage mask, shown to them again: by it a ledger from a backup is completed.

use std::sync::Arc;

use protocol::api::{Announcements, Stage};
use protocol::codec;
use protocol::id::SiteId;
use protocol::message::MaskedInput;

use crate::bench::{Bench, Gone, Restarts, Sites, draft};

async fn page(bench: &mut Bench, site: u16, from: u32) -> Announcements {
    let answer = bench
        .get(&format!("announcements/{site}?from={from}"))
        .await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.kind());
    codec::decode(&answer.body).unwrap()
}

#[tokio::test]
async fn a_site_is_shown_all_that_it_announced_over_restarts_and_after_the_end() {
    let mut bench = Bench::new(&draft());
    bench.restarts = Restarts::AfterEachChange;
    let kit = Arc::clone(&bench.kit);
    // Site 2 drops out of the first round before it announces anything.
    let mut announced: Vec<MaskedInput> = Vec::new();
    for round in 0..3 {
        let header = bench.open().await.0;
        let mut sites = Sites::of(&kit, &header);
        let gone = if round == 0 {
            Gone::from([(SiteId(2), Stage::Mask)])
        } else {
            Gone::new()
        };
        bench
            .play_until(&mut sites, &gone, |stage| stage == Stage::Mask)
            .await;
        let mut repeated = Sites::of(&kit, &header);
        for (stage, site) in [Stage::Advertise, Stage::Share, Stage::Mask]
            .into_iter()
            .flat_map(|stage| [0, 1, 2].map(|site| (stage, SiteId(site))))
        {
            let is_new = stage == Stage::Mask && site == SiteId(0);
            let signed = bench.message(&mut repeated, stage, site).await;
            if is_new {
                announced.push(codec::decode(&signed.body).unwrap());
            }
        }
        bench.play_until(&mut sites, &gone, |_| false).await;
    }
    assert!(bench.progress().await.model.is_some());
    for (site, numbers) in [(0, vec![0, 1, 2]), (2, vec![1, 2])] {
        let page = page(&mut bench, site, 0).await;
        let found = page.announcements.iter();
        let found = found.map(|announcement| announcement.header.number);
        assert_eq!(found.collect::<Vec<_>>(), numbers, "site {site}");
        for announcement in &page.announcements {
            let body = announcement.open(&kit.study, SiteId(site)).unwrap();
            if site == 0 {
                let number = usize::try_from(announcement.header.number).unwrap();
                assert_eq!(body, announced[number]);
            }
            let other = announcement.open(&kit.study, SiteId(1 + site % 2));
            assert!(other.is_err());
        }
    }
    assert_eq!(page(&mut bench, 0, 1).await.announcements.len(), 2);
    assert!(page(&mut bench, 0, 3).await.announcements.is_empty());
    assert!(page(&mut bench, 0, u32::MAX).await.announcements.is_empty());
    bench.get("announcements/3").await.is(403, "not-in-roster");
    bench
        .get("announcements/0?from=-1")
        .await
        .is(400, "malformed-query");
    bench
        .get("announcements/70000")
        .await
        .is(404, "malformed-path");
}

/// A message that was not taken, and one that was taken twice, leave no line that the site would have to charge.
#[tokio::test]
async fn only_what_was_accepted_is_shown() {
    let mut bench = Bench::new(&draft());
    let kit = Arc::clone(&bench.kit);
    let header = bench.open().await.0;
    let mut sites = Sites::of(&kit, &header);
    bench
        .play_until(&mut sites, &Gone::new(), |stage| stage == Stage::Mask)
        .await;
    let signed = bench.message(&mut sites, Stage::Mask, SiteId(0)).await;
    let forged = kit.sign(&header, Stage::Agree, SiteId(0), signed.body.to_vec());
    bench
        .send(&header, Stage::Mask, &forged)
        .await
        .is(403, "bad-signature");
    assert!(page(&mut bench, 0, 0).await.announcements.is_empty());
    for _ in 0..2 {
        bench.send(&header, Stage::Mask, &signed).await.is_taken("");
        let page = page(&mut bench, 0, 0).await;
        assert_eq!(page.announcements.len(), 1);
        assert_eq!(page.announcements[0].header, header);
        assert_eq!(
            page.announcements[0].message.to_vec(),
            codec::encode(&signed)
        );
    }
}
