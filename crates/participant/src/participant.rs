//! The participant: first it starts, then it takes part.

use privacy::Budget;
use protocol::door::BadRows;
use protocol::id::{Digest, SiteId};
use protocol::study::Study;

use crate::notice::Notice;
use crate::pace::Pace;
use crate::patience::Patience;
use crate::reading::{PatientFile, Reading};
use crate::starting::{Progress, Starting};
use crate::step::{Event, Now, Step};
use crate::stop::Stop;
use crate::taking::Taking;
use crate::writes::Tickets;

/// What stays the same over the rounds of a study.
#[derive(Clone, Debug)]
pub struct Site {
    /// The approved study.
    pub study: Study,
    /// The bytes of its file.
    pub text: Vec<u8>,
    /// The public weights that it starts from, where it names some.
    pub weights: Option<Vec<u8>>,
    /// The digest of the approved module.
    pub module: Digest,
    /// This site's place in the roster.
    pub id: SiteId,
    /// When its adverts leave.
    pub pace: Pace,
    /// How long a call that fails is repeated.
    pub patience: Patience,
    /// Its files of patients.
    pub files: Vec<PatientFile>,
    /// The digest of the files that people looked at when they approved the study ([`Reading::data`]); other files are
    /// refused before the first round. None where nobody looked, as in a simulation.
    pub data: Option<Digest>,
    /// What to do with rows that cannot be used.
    pub bad_rows: BadRows,
    /// The most that may be learned of one patient over all studies, if the hospital sets a limit.
    pub budget: Option<Budget>,
}

/// A hospital's part in a study.
///
/// [`Participant::step`] is given what came of the step before ([`Event::Started`] at first) and says what is to be done
/// next. It can be dropped at any moment, as by `kill -9`: another one, started over the same records, goes on.
#[derive(Debug)]
pub struct Participant {
    life: Life,
    tickets: Tickets,
    notices: Vec<Notice>,
}

#[derive(Debug)]
enum Life {
    Starting(Box<(Starting, Site)>),
    Taking(Box<Taking>),
    Over,
}

impl Participant {
    /// A site that has just been started.
    #[must_use]
    pub fn new(site: Site) -> Self {
        let mut reading = Reading::new(&site.text, site.module, site.files.clone(), site.bad_rows);
        if let Some(data) = site.data {
            reading = reading.of_approved(data);
        }
        let starting = Starting::new(site.budget, reading);
        Self {
            life: Life::Starting(Box::new((starting, site))),
            tickets: Tickets::default(),
            notices: Vec::new(),
        }
    }

    /// What is to be done next, after the step before had this outcome.
    ///
    /// # Errors
    ///
    /// All that makes it wrong to go on: see [`Stop`]. Nothing more is to be asked then.
    pub fn step(&mut self, event: Event, now: Now) -> Result<Step, Stop> {
        match std::mem::replace(&mut self.life, Life::Over) {
            Life::Starting(mut both) => {
                match both.0.step(&both.1.study, event, &mut self.tickets)? {
                    Progress::Step(step) => {
                        self.life = Life::Starting(both);
                        Ok(step)
                    }
                    Progress::Ready(kept, cohort) => {
                        self.notices.push(Notice::Patients(cohort.report.clone()));
                        let (mut taking, step) = Taking::begin(both.1, *kept, *cohort, now);
                        self.notices.append(&mut taking.notices);
                        self.life = Life::Taking(Box::new(taking));
                        Ok(step)
                    }
                }
            }
            Life::Taking(mut taking) => {
                let step = taking.step(event, now, &mut self.tickets);
                self.notices.append(&mut taking.notices);
                if step.is_ok() {
                    self.life = Life::Taking(taking);
                }
                step
            }
            Life::Over => Err(Stop::OutOfOrder("a participant that has stopped")),
        }
    }

    /// What the site's people should know since this was asked last, in order.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}
