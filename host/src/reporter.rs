//! What a person sees of a run: progress bars on a terminal, else one plain line an event.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use protocol::api::Stage;
use protocol::door::Progress;
use protocol::id::Header;

/// Shows how a run goes; clones show it in the same place.
#[derive(Clone, Debug)]
pub enum Reporter {
    /// Progress bars, on standard error.
    Bars(Bars),
    /// Lines, on standard error.
    Lines,
    /// Nothing.
    Silent,
}

impl Reporter {
    /// Bars where standard error is a terminal, else lines.
    #[must_use]
    pub fn of_terminal() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bars(Bars::new())
        } else {
            Self::Lines
        }
    }

    /// The site has joined a study of so many rounds.
    pub fn joined(&self, title: &str, rounds: usize) {
        if let Self::Bars(bars) = self {
            bars.rounds
                .set_length(u64::try_from(rounds).unwrap_or(u64::MAX));
        }
        self.note(&format!("joined \"{title}\": {rounds} rounds"));
    }

    /// A round begins.
    pub fn round(&self, header: &Header) {
        match self {
            Self::Bars(bars) => bars.round(header),
            Self::Lines => line(&format!("round {} ({})", header.number, header.purpose)),
            Self::Silent => {}
        }
    }

    /// The module has done a piece of its work.
    pub fn work(&self, progress: Progress) {
        if let Self::Bars(bars) = self {
            bars.work.set_length(progress.total);
            bars.work.set_position(progress.done);
        }
        if progress.unusable > 0 && progress.done >= progress.total {
            self.note(&unusable(progress.unusable));
        }
    }

    /// The site has sent its message of a stage.
    pub fn sent(&self, header: &Header, stage: Stage, bytes: usize) {
        match self {
            Self::Bars(bars) => bars.rounds.set_message(format!("{stage} sent")),
            Self::Lines => {
                line(&format!(
                    "round {} ({}): {stage} sent, {bytes} bytes",
                    header.number, header.purpose
                ));
            }
            Self::Silent => {}
        }
    }

    /// The site waits to be tried again.
    pub fn waiting(&self, reason: &str, wait: Duration) {
        self.note(&format!(
            "{reason}; trying again in {:.1} s",
            wait.as_secs_f64()
        ));
    }

    /// Something that a person should know.
    pub fn note(&self, text: &str) {
        match self {
            // Without a terminal after all, the line would be lost.
            Self::Bars(bars) => {
                if bars.all.println(text).is_err() {
                    line(text);
                }
            }
            Self::Lines => line(text),
            Self::Silent => {}
        }
    }

    /// The run is over.
    pub fn done(&self, text: &str) {
        self.clear();
        self.note(text);
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        if let Self::Bars(bars) = self {
            bars.work.finish_and_clear();
            bars.rounds.finish_and_clear();
        }
    }
}

/// The bars of a run.
#[derive(Clone, Debug)]
pub struct Bars {
    all: MultiProgress,
    rounds: ProgressBar,
    work: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |template| {
            // A template that cannot be read shows the plain bar.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(0).with_style(style.progress_chars("=> ")))
        };
        let rounds = bar("{prefix:>18} [{bar:32}] {pos}/{len} rounds  {elapsed}  {msg}");
        let work = bar("{prefix:>18} [{bar:32}] {pos}/{len} patients");
        Self { all, rounds, work }
    }

    fn round(&self, header: &Header) {
        self.rounds.set_prefix(format!("round {}", header.number));
        self.rounds.set_position(u64::from(header.number));
        self.rounds.set_message(String::new());
        self.work.set_prefix(header.purpose.to_string());
        self.work.set_length(0);
        self.work.set_position(0);
    }
}

/// What is said of patients who could not be used; nobody else is told.
fn unusable(patients: u64) -> String {
    format!(
        "{patients} of this site's patients could not be used: with the weights that the round starts from, the model makes \
         no finite number of them, so they added nothing; if this goes on, ask the study's author whether training diverges"
    )
}

fn line(text: &str) {
    // Nobody reads: nothing to tell, and the run goes on.
    let _ = writeln!(std::io::stderr(), "{text}");
}
