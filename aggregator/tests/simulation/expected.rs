//! What the aggregator ought to have learned: the same course, moved by sums that are added up in clear.

use std::collections::{BTreeMap, BTreeSet};

use aggregator::rounds::{Board, Charge, Course, RealSum, Standing};
use protocol::api::{RoundRecord, Stage, Status};
use protocol::codec;
use protocol::id::{Digest, Header, SiteId};
use protocol::round::{AnyRound, Closed, Round, SiteFault};
use protocol::study::Layout;

use crate::record;
use crate::setting::Setting;
use crate::site::Site;
use crate::wire::Accepted;

/// The course of the study as it ought to be.
pub(crate) struct Expected {
    course: Course,
    /// The rounds that were open, by number.
    headers: BTreeMap<u32, Header>,
    /// The last stage that each was seen in; none is over at once.
    stages: BTreeMap<u32, Stage>,
    /// Records that were taken in.
    over: usize,
    /// The version of the board that was last compared; 0 for none.
    version: u64,
}

impl Expected {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            course: Course::begin(&setting.kit.study),
            headers: BTreeMap::new(),
            stages: BTreeMap::new(),
            over: 0,
            version: 0,
        }
    }

    /// How many rounds that are over were taken in.
    pub(crate) fn over(&self) -> usize {
        self.over
    }

    /// Whether the board is the one that was last compared: versions rise with every change.
    pub(crate) fn is_of(&self, board: &Board) -> bool {
        self.version == board.version() && self.over == board.progress().rounds.len()
    }

    /// Takes in the rounds that are over since the last look, and compares what the aggregator makes of them.
    pub(crate) fn look(
        &mut self,
        setting: &Setting,
        board: &Board,
        sites: &[Site<'_>],
        accepted: &Accepted,
    ) {
        let records = &board.progress().rounds;
        assert!(records.len() >= self.over, "a record is gone");
        for record in &records[self.over..] {
            match &record.abandoned {
                Some(reason) => self.abandon(setting, record, reason),
                None => self.finish(setting, record, sites, accepted),
            }
        }
        self.over = records.len();
        self.version = board.version();
        self.compare(setting, board);
    }

    fn abandon(&mut self, setting: &Setting, record: &RoundRecord, reason: &str) {
        assert!(record.survivors.is_empty(), "an abandoned round has a sum");
        let charge = Charge::at(self.stages[&record.number]);
        self.course
            .abandon_round(&setting.kit.study, record.purpose, charge, reason);
    }

    fn finish(
        &mut self,
        setting: &Setting,
        record: &RoundRecord,
        sites: &[Site<'_>],
        accepted: &Accepted,
    ) {
        let study = &setting.kit.study;
        let survivors = survivors(setting, record);
        let header = &self.headers[&record.number];
        let sum = sum(setting, header, &survivors, sites, accepted);
        let real = RealSum::new(study, record.purpose, survivors.len(), &sum)
            .expect("vectors are of the layout");
        let figures = self.course.finish_round(study, &real);
        let figures = figures.expect("counts are of the study's classes");
        let want = RoundRecord {
            patients: figures.patients,
            update_norm: figures.update_norm,
            metrics: figures.metrics,
            ..record.clone()
        };
        assert!(
            record::is_same(record, &want),
            "{record:?} ought to be {want:?}"
        );
    }

    /// Compares where the study is: the digest of the state covers every bit of what was learned.
    fn compare(&mut self, setting: &Setting, board: &Board) {
        let study = &setting.kit.study;
        let want = Digest::of(&codec::encode(&self.course.state(study)));
        let Ok(view) = board.view() else {
            let stopped = matches!(self.course.standing(), Standing::Stopped { .. });
            // At its end a study stops where all of its sums were of nobody.
            let is_over = self.course.purpose(study).is_none();
            assert!(stopped || is_over, "the study stopped without a reason");
            return;
        };
        match view.status {
            Status::Open { header, stage, .. } => {
                assert_eq!(header.state, want, "another sum than the survivors'");
                assert_eq!(Some(header.purpose), self.course.purpose(study));
                let number = header.number;
                self.check_place(&header);
                self.stages.insert(number, stage);
                let before = self.headers.insert(number, header.clone());
                assert!(before.is_none_or(|before| before == header));
                let last = self.headers.last_key_value().map(|(number, _)| *number);
                assert_eq!(Some(number), last, "a round's number is used again");
            }
            Status::Finished { state } => {
                assert_eq!(state, want, "another model than the survivors' sums make");
                assert_eq!(self.course.purpose(study), None);
            }
        }
    }
}

impl Expected {
    /// Places never go back, and one that may have been charged is never asked for again.
    fn check_place(&self, header: &Header) {
        for (number, before) in self.headers.range(..header.number) {
            let may_be_charged = Charge::at(self.stages[number]) == Charge::Perhaps;
            assert!(
                header.place > before.place || header.place == before.place && !may_be_charged,
                "round {} is at place {} after round {number} at place {}",
                header.number,
                header.place,
                before.place
            );
        }
    }
}

/// The sites in the sum, each once.
pub(crate) fn survivors(setting: &Setting, record: &RoundRecord) -> BTreeSet<SiteId> {
    let study = &setting.kit.study;
    let is_named = |site: &SiteId| {
        let member = study.member(*site).expect("a site of the roster");
        record.survivors.contains(&member.name)
    };
    let survivors: BTreeSet<SiteId> = study.sites().filter(is_named).collect();
    assert_eq!(
        survivors.len(),
        record.survivors.len(),
        "a site counts twice"
    );
    survivors
}

/// The sum of the survivors' vectors, with the noise that has to stay.
fn sum(
    setting: &Setting,
    header: &Header,
    survivors: &BTreeSet<SiteId>,
    sites: &[Site<'_>],
    accepted: &Accepted,
) -> Vec<i64> {
    let layout = setting.kit.study.layout(header.purpose);
    let mut sum = vec![0; layout.length()];
    for site in survivors {
        for (entry, value) in sum.iter_mut().zip(setting.vector(header, *site)) {
            *entry += value;
        }
    }
    if layout.parts_off(survivors.len()) == layout.parts() {
        return sum;
    }
    let noised = undisturbed(setting, header, survivors, sites, accepted);
    assert_noise_is_small(&layout, survivors.len(), &sum, &noised);
    noised
}

/// The sum that the same messages give over a network that does nothing to them: noise that stays is in no message, so
/// there is no other way to it.
fn undisturbed(
    setting: &Setting,
    header: &Header,
    survivors: &BTreeSet<SiteId>,
    sites: &[Site<'_>],
    accepted: &Accepted,
) -> Vec<i64> {
    let round = Round::begin(setting.kit.aggregator(), header.clone());
    let mut round = AnyRound::Advertising(round.expect("the round was open"));
    loop {
        let stage = round.stage();
        for (site, signed) in &accepted[&(header.number, stage)] {
            round
                .accept(stage, signed.clone())
                .expect("it was taken before");
            if stage == Stage::Mask && survivors.contains(site) {
                let chunks = sites[usize::from(site.0)].chunks(header.number);
                round
                    .complete::<SiteFault>(*site, chunks.into_iter().map(Ok))
                    .expect("it was added before");
            }
        }
        match round.close().expect("the round was finished") {
            Closed::Stage(next) => round = *next,
            Closed::Sum(sum) => return sum.values,
        }
    }
}

/// What the noise that stays can make of a sum is bounded by the layout.
fn assert_noise_is_small(layout: &Layout, survivors: usize, sum: &[i64], noised: &[i64]) {
    let most = layout.sections.iter().flat_map(|section| {
        let most = (section.reach() - section.bound) * u64::try_from(survivors).expect("few");
        std::iter::repeat_n(most, section.length)
    });
    for ((without, with), most) in sum.iter().zip(noised).zip(most) {
        assert!(without.abs_diff(*with) <= most, "more than noise was added");
    }
}
