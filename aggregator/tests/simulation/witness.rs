//! Sees all that sites ever signed, as an aggregator that keeps everything would, and counts what it could compute of it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::codec;
use protocol::door::{Messages, Request};
use protocol::holders::Holders;
use protocol::id::{Header, SiteId};
use protocol::message::Opening;
use protocol::study::Study;

use crate::site::Site;

/// What was opened in each round.
#[derive(Default)]
pub(crate) struct Witness {
    rounds: BTreeMap<u32, Opened>,
    /// How many of a site's messages of a round were looked at.
    seen: BTreeMap<(SiteId, u32), usize>,
}

/// What was opened in one round.
#[derive(Default)]
struct Opened {
    /// The list that each site agreed on.
    agreed: BTreeMap<SiteId, BTreeSet<SiteId>>,
    /// Whose seeds and keys were opened by whom.
    of: BTreeMap<SiteId, Shares>,
    /// The one list on which masks were opened.
    survivors: Option<BTreeSet<SiteId>>,
}

/// Who opened shares of one site's two secrets.
#[derive(Default)]
struct Shares {
    seed: BTreeSet<SiteId>,
    key: BTreeSet<SiteId>,
}

impl Witness {
    /// Looks at what a site signed since the last look.
    pub(crate) fn look(&mut self, study: &Study, site: &Site<'_>) {
        let Some(number) = site.last_round() else {
            return;
        };
        let exchanges = site.exchanges(number);
        let seen = self.seen.entry((site.id, number)).or_default();
        let opened = self.rounds.entry(number).or_default();
        for (request, message) in &exchanges[*seen..] {
            match request {
                Request::Agree(survivors) => {
                    let list = survivors.sites.iter().copied().collect();
                    opened.agreed.insert(site.id, list);
                }
                Request::Unmask(_) => {
                    let opening = codec::decode(&message.body).expect("an honest site's message");
                    let header = site.header(number).expect("it has begun");
                    opened.open(study, &header, site.id, &opening);
                    let adverts = exchanges.iter().find_map(|(asked, _)| match asked {
                        Request::Share(adverts) => Some(adverts),
                        _ => None,
                    });
                    opened.check(study, &header, adverts.expect("it shared before"));
                }
                _ => {}
            }
        }
        *seen = exchanges.len();
    }

    /// Whether any share of a site's key was opened in a round.
    pub(crate) fn is_key_opened(&self, number: u32, site: SiteId) -> bool {
        let opened = self.rounds.get(&number);
        let shares = opened.and_then(|opened| opened.of.get(&site));
        shares.is_some_and(|shares| !shares.key.is_empty())
    }

    /// The list on which a round's masks were opened, if any were.
    pub(crate) fn survivors(&self, number: u32) -> Option<&BTreeSet<SiteId>> {
        self.rounds.get(&number)?.survivors.as_ref()
    }
}

impl Opened {
    /// Notes what a site opened; it must be what the list that it agreed on asks for.
    fn open(&mut self, study: &Study, header: &Header, holder: SiteId, opening: &Opening) {
        let list = self.agreed[&holder].clone();
        assert!(
            list.len() >= study.threshold(header.purpose),
            "site {holder} opens a sum of {} sites",
            list.len()
        );
        for share in &opening.seeds {
            assert!(
                list.contains(&share.site),
                "the seed of {} is opened, which dropped out",
                share.site
            );
            self.of.entry(share.site).or_default().seed.insert(holder);
        }
        for share in &opening.keys {
            assert!(
                !list.contains(&share.site),
                "the key of {} is opened, which survived",
                share.site
            );
            self.of.entry(share.site).or_default().key.insert(holder);
        }
        let first = self.survivors.get_or_insert_with(|| list.clone());
        assert_eq!(*first, list, "two sums of one round are opened");
    }

    /// Checks that no part of the sum can be computed but the whole.
    fn check(&self, study: &Study, header: &Header, adverts: &Messages) {
        let holders = Holders::of_adverts(study, header, adverts).expect("it was taken as adverts");
        let threshold = holders.threshold();
        for (dealer, Shares { seed, key }) in &self.of {
            assert!(
                seed.len() < threshold || key.len() < threshold,
                "both secrets of site {dealer} are opened by {threshold} holders"
            );
        }
        let survivors = self.survivors.as_ref().expect("one was opened");
        let connected = connected(&holders, survivors);
        assert_eq!(
            connected, *survivors,
            "the sum of some survivors alone can be computed"
        );
    }
}

/// The survivors that share masks with the first of them, or with one that does, and so on: their masks cancel in the sum of
/// all of these alone.
fn connected(holders: &Holders, survivors: &BTreeSet<SiteId>) -> BTreeSet<SiteId> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<SiteId> = survivors.iter().copied().take(1).collect();
    while let Some(site) = next.pop() {
        if reached.insert(site) {
            let others = survivors.iter().copied();
            next.extend(others.filter(|other| holders.neighbours(site, *other)));
        }
    }
    reached
}
