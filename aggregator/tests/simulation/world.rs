//! A simulation: a study, its sites, the aggregator and the network, and what must hold of them after each operation.

use std::collections::BTreeSet;
use std::time::Duration;

use participant::StepKind;
use protocol::api::{Stage, Status};
use protocol::id::{Digest, SiteId};

use crate::expected::{self, Expected};
use crate::operation::{Fault, Operation};
use crate::service::Service;
use crate::setting::{Network, Setting};
use crate::site::{Kill, Presence, Site};
use crate::wire::Wire;
use crate::witness::Witness;

/// All parties of a study.
struct World<'a> {
    setting: &'a Setting,
    wire: Wire<'a>,
    sites: Vec<Site<'a>>,
    witness: Witness,
    expected: Expected,
}

/// What came of simulations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) operations: usize,
    pub(crate) finished: usize,
    pub(crate) abandoned: usize,
    /// Studies that came to their end.
    pub(crate) ended: usize,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.finished += other.finished;
        self.abandoned += other.abandoned;
        self.ended += other.ended;
    }
}

/// Most turns of all sites in the calm after the operations: more than all rounds of any study here take.
const CALM: usize = 100;

/// Does the operations, then lets the study come to its end in peace.
pub(crate) fn simulate(setting: &Setting, operations: &[Operation]) -> Outcome {
    let mut world = World::new(setting);
    for operation in operations {
        world.run(operation);
        world.check();
    }
    world.calm();
    world.outcome(operations.len())
}

/// Runs a study over a network that does nothing to it, while the first site is killed once; gives that site's steps.
pub(crate) fn kill_first_site(setting: &Setting, kill: Kill) -> Vec<StepKind> {
    let mut world = World::new(setting);
    world.sites[0].kill(kill);
    world.calm();
    // The first site has not seen the end yet.
    for _ in 0..3 {
        world.step(0, &[]);
    }
    let site = &world.sites[0];
    assert_eq!(site.stops, [], "{kill:?}");
    let places: Vec<u32> = site
        .ledger()
        .lines()
        .iter()
        .filter_map(|line| Some(line.round?.place))
        .collect();
    let rounds = u32::try_from(setting.rounds()).expect("few rounds");
    // A round that was left to the others is not paid for.
    assert!(places.is_sorted() && places.iter().all(|place| *place < rounds));
    site.steps.clone()
}

impl<'a> World<'a> {
    fn new(setting: &'a Setting) -> Self {
        let sites = (0..setting.sites()).map(|site| Site::new(setting, SiteId(site)));
        let mut world = Self {
            setting,
            wire: Wire::new(Service::new(&setting.kit)),
            sites: sites.collect(),
            witness: Witness::default(),
            expected: Expected::new(setting),
        };
        world.check();
        world
    }

    fn run(&mut self, operation: &Operation) {
        match operation {
            Operation::Step(site, faults) => self.step(*site, faults),
            Operation::CrashSite(site) => self.sites[usize::from(*site)].crash(),
            Operation::Withdraw(site) => {
                self.wire.begin_step(&[]);
                self.sites[usize::from(*site)].withdraw(&mut self.wire);
            }
            Operation::Leave(site) => self.sites[usize::from(*site)].set(Presence::Away),
            Operation::Return(site) => self.sites[usize::from(*site)].set(Presence::Here),
            Operation::CrashAggregator => self.wire.service.crash(),
            Operation::Wait(seconds) => self.wire.service.wait(Duration::from_secs(*seconds)),
            Operation::Late(which) => self.wire.late(*which),
        }
    }

    fn step(&mut self, site: u16, faults: &[(u8, Fault)]) {
        self.wire.begin_step(faults);
        let site = &mut self.sites[usize::from(site)];
        site.step(&mut self.wire);
        self.witness.look(&self.setting.kit.study, site);
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        let board = self.wire.service.board();
        let known = self.expected.over();
        if self.expected.is_of(&board) {
            return;
        }
        self.expected
            .look(self.setting, &board, &self.sites, &self.wire.accepted);
        for record in &board.progress().rounds[known..] {
            if record.abandoned.is_none() {
                let survivors = expected::survivors(self.setting, record);
                self.check_survivors(record.number, &survivors);
            }
        }
    }

    /// They are those that sites agreed on, and no key of theirs was opened.
    fn check_survivors(&self, number: u32, survivors: &BTreeSet<SiteId>) {
        let opened = self.witness.survivors(number);
        assert_eq!(opened, Some(survivors), "not those that sites agreed on");
        for site in survivors {
            assert!(
                !self.witness.is_key_opened(number, *site),
                "the vector of site {site} is in a sum, and its key was opened"
            );
        }
    }

    /// Each masked input that was taken is charged, as it was taken, and nothing else is.
    fn check_ledgers(&self) {
        let study = self.setting.kit.study.digest();
        for ((number, stage), messages) in &self.wire.accepted {
            for (site, signed) in messages.iter().filter(|_| *stage == Stage::Mask) {
                let ledger = self.sites[usize::from(site.0)].ledger();
                let round = ledger.find(study, *number).and_then(|line| line.round);
                let body = round.map(|round| round.body);
                assert_eq!(
                    body,
                    Some(Digest::of(&signed.body)),
                    "site {site} did not charge round {number}, or something else"
                );
            }
        }
        for site in &self.sites {
            let mut places = BTreeSet::new();
            for line in site.ledger().lines() {
                let round = line.round.expect("it is no old ledger");
                assert!(
                    !site.chunks(line.number).is_empty(),
                    "site {} charged round {} for nothing",
                    site.id,
                    line.number
                );
                assert!(
                    places.insert(round.place),
                    "site {} charged place {} twice",
                    site.id,
                    round.place
                );
            }
        }
    }

    /// All sites are there and the network does its work: the study goes on to its end.
    fn calm(&mut self) {
        for site in &mut self.sites {
            site.set(Presence::Here);
        }
        for _ in 0..CALM {
            if !self.is_open() {
                break;
            }
            let before = self.wire.service.board().version();
            for site in 0..self.setting.sites() {
                self.step(site, &[]);
                self.check();
            }
            if self.wire.service.board().version() == before {
                self.wire.service.wait(Duration::from_secs(1_100));
                self.check();
            }
        }
        self.check_ledgers();
        if self.setting.network == Network::Lossy {
            let stops = self.sites.iter().map(|site| (site.id, &site.stops));
            let stopped: Vec<_> = stops.filter(|(_, stops)| !stops.is_empty()).collect();
            assert!(
                stopped.is_empty(),
                "an honest aggregator is refused: {stopped:?}"
            );
        }
        // A site can be led to believe in a round that never was, and to pay for it.
        let may_be_stuck = self.setting.network == Network::Hostile;
        assert!(
            may_be_stuck || !self.is_open(),
            "the study does not come to its end"
        );
    }

    fn is_open(&self) -> bool {
        let view = self.wire.service.board().view();
        view.is_ok_and(|view| matches!(view.status, Status::Open { .. }))
    }

    fn outcome(&self, operations: usize) -> Outcome {
        let board = self.wire.service.board();
        let records = &board.progress().rounds;
        let abandoned = records
            .iter()
            .filter(|record| record.abandoned.is_some())
            .count();
        Outcome {
            operations,
            finished: records.len() - abandoned,
            abandoned,
            ended: usize::from(!self.is_open()),
        }
    }
}
