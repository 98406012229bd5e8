//! A hospital's files while they come in pieces.

use cohort::import::{Importing, Makes};
use cohort::{Candidates, Checking, Patients, Preparation, Wants};
use protocol::door::{Check, Import, Outcomes, Piece, Prepare, Prepared, Report, Response};
use protocol::id::Digest;
use protocol::study::{Cohort, Study};

use crate::session::error::SessionError;
use crate::session::inputs::network;

/// What the files are read for.
pub(crate) enum Reading {
    Known(Preparation<u32>),
    Any(Preparation<Option<u32>>),
    Check(Checking),
    Import(Importing),
}

/// What comes of a piece.
pub(crate) enum Next {
    /// Something is asked of the host, and the reading goes on.
    Asked(Response),
    /// It is over.
    Over(Response),
}

impl Reading {
    pub(crate) fn prepare(request: &Prepare) -> Result<Self, SessionError> {
        let study = Study::parse(&request.study)?;
        network(&study)?;
        let (cohort, digest) = (&study.manifest().cohort, study.digest());
        let (files, bad_rows) = (&request.files, request.bad_rows);
        Ok(match request.outcomes {
            Outcomes::Known => Self::Known(Preparation::new(cohort, &digest, files, bad_rows)?),
            Outcomes::Any => Self::Any(Preparation::new(cohort, &digest, files, bad_rows)?),
        })
    }

    /// A look at files for a study or a draft: of its text the cohort alone is read.
    pub(crate) fn check(request: &Check) -> Result<Self, SessionError> {
        let cohort = Cohort::of_draft(&request.study)?;
        let digest = Digest::of(&request.study);
        let (files, bad_rows) = (&request.files, request.bad_rows);
        let checking = Checking::new(&cohort, &digest, files, bad_rows, request.explain)?;
        Ok(Self::Check(checking))
    }

    pub(crate) fn import(request: Import) -> Result<Self, SessionError> {
        Ok(Self::Import(Importing::new(request)?))
    }

    /// Goes on with a piece; without one at first, and once a part is kept.
    pub(crate) fn next(&mut self, given: Option<&[u8]>) -> Result<Next, SessionError> {
        Ok(match self {
            Self::Known(preparation) => of_files(preparation.next(given)?, |(patients, report)| {
                prepared(Patients::encode(&patients), report)
            }),
            Self::Any(preparation) => of_files(preparation.next(given)?, |(patients, report)| {
                prepared(Candidates::encode(&patients), report)
            }),
            Self::Check(checking) => of_files(checking.next(given)?, Response::Checked),
            Self::Import(importing) => match importing.next(given)? {
                Makes::Wants(number) => Next::Asked(Response::Read(Piece { file: 0, number })),
                Makes::Part(part) => Next::Asked(Response::Part(part)),
                Makes::Imported(imported) => Next::Over(Response::Imported(*imported)),
            },
        })
    }
}

fn of_files<T>(wants: Wants<T>, answer: impl FnOnce(T) -> Response) -> Next {
    match wants {
        Wants::Piece(piece) => Next::Asked(Response::Read(piece)),
        Wants::Nothing(read) => Next::Over(answer(read)),
    }
}

fn prepared(cohort: Vec<u8>, report: Report) -> Response {
    Response::Prepared(Prepared {
        cohort: cohort.into(),
        report,
    })
}
