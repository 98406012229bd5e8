//! A Parquet file that comes in pieces.
//!
//! ```text
//! footer ─▶ columns are chosen ─▶ (the chosen columns of a row group ─▶ its rows are read)…
//! ```
//!
//! No more of a file is in memory than the chosen columns of one row group.

use bytes::Bytes;
use parquet::DecodeResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaDataOptions, ParquetMetaDataPushDecoder, ParquetStatisticsPolicy,
};
use protocol::door::{PIECE, Source};

use super::file_bytes::Gathering;
use super::parquet_file::ParquetFile;
use crate::error::CohortError;
use crate::zone::Zone;

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    name: String,
    length: u64,
    zone: Option<Zone>,
    stage: Stage,
    /// The piece that came last: row groups often meet inside of one.
    last: Option<(u64, Bytes)>,
}

#[derive(Debug)]
enum Stage {
    Footer(Box<ParquetMetaDataPushDecoder>, Gathering),
    /// The footer is there, and no column chosen yet.
    Open(Box<ParquetFile>),
    Group(Box<Groups>, Gathering),
    Read(Box<Groups>),
    Over,
}

#[derive(Debug)]
struct Groups {
    parquet: ParquetFile,
    columns: Vec<usize>,
    /// The row group that is gathered or read.
    group: usize,
}

/// What is there of a file.
pub(crate) enum Arrived<'a> {
    /// Nothing new: this piece is wanted.
    Wants(u64),
    /// The footer: [`Arriving::choose`] is to follow.
    Footer(&'a ParquetFile),
    /// The chosen columns of a row group.
    Group(&'a ParquetFile, usize),
    /// All row groups were there.
    End,
}

impl Arriving {
    pub(crate) fn new(source: &Source) -> Result<Self, CohortError> {
        let skip = ParquetStatisticsPolicy::SkipAll;
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(skip.clone())
            .with_size_stats_policy(skip.clone())
            .with_encoding_stats_policy(skip);
        let decoder = ParquetMetaDataPushDecoder::try_new(source.bytes)
            .map_err(|error| unreadable(&source.name, &error))?
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_metadata_options(Some(options.into()));
        Ok(Self {
            name: source.name.clone(),
            length: source.bytes,
            zone: source.zone.as_deref().map(zone).transpose()?,
            stage: Stage::Footer(Box::new(decoder), Gathering::new(Vec::new())),
            last: None,
        })
    }

    /// Takes the piece that was wanted.
    ///
    /// # Errors
    ///
    /// A piece of another length than the file's has.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), CohortError> {
        let Some(number) = self.gathering().and_then(|gathering| gathering.wants()) else {
            return Ok(());
        };
        let left = self.length.saturating_sub(number * PIECE as u64);
        if bytes.len() as u64 != left.min(PIECE as u64) {
            return Err(CohortError::Unreadable {
                file: self.name.clone(),
                problem: "it changed while it was read".to_owned(),
            });
        }
        self.last = Some((number, Bytes::copy_from_slice(bytes)));
        Ok(())
    }

    /// What is there now.
    pub(crate) fn next(&mut self) -> Result<Arrived<'_>, CohortError> {
        loop {
            if let Some(number) = self.missing() {
                return Ok(Arrived::Wants(number));
            }
            self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Footer(decoder, gathering) => self.footer(decoder, gathering)?,
                Stage::Group(mut groups, gathering) => {
                    groups.parquet.load(gathering.into_bytes());
                    Stage::Read(groups)
                }
                Stage::Read(mut groups) => {
                    groups.group += 1;
                    group(groups)
                }
                other => other,
            };
            match self.stage {
                Stage::Footer(..) | Stage::Group(..) => {}
                Stage::Open(_) | Stage::Read(_) | Stage::Over => break,
            }
        }
        Ok(match &self.stage {
            Stage::Open(parquet) => Arrived::Footer(parquet),
            Stage::Read(groups) => Arrived::Group(&groups.parquet, groups.group),
            _ => Arrived::End,
        })
    }

    /// Says which columns are read.
    pub(crate) fn choose(&mut self, columns: Vec<usize>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        self.stage = match stage {
            Stage::Open(parquet) => group(Box::new(Groups {
                parquet: *parquet,
                columns,
                group: 0,
            })),
            other => other,
        };
    }

    fn gathering(&mut self) -> Option<&mut Gathering> {
        match &mut self.stage {
            Stage::Footer(_, gathering) | Stage::Group(_, gathering) => Some(gathering),
            Stage::Open(_) | Stage::Read(_) | Stage::Over => None,
        }
    }

    /// The piece that is wanted next, and is not the one that came last.
    fn missing(&mut self) -> Option<u64> {
        let last = self.last.clone();
        let gathering = self.gathering()?;
        let number = gathering.wants()?;
        match last {
            Some((at_hand, bytes)) if at_hand == number => {
                gathering.take(&bytes);
                // The pieces of a range follow each other.
                gathering.wants()
            }
            _ => Some(number),
        }
    }

    fn footer(
        &self,
        mut decoder: Box<ParquetMetaDataPushDecoder>,
        gathering: Gathering,
    ) -> Result<Stage, CohortError> {
        let failed = |error: ParquetError| unreadable(&self.name, &error);
        for (range, bytes) in gathering.into_ranges() {
            decoder.push_range(range, bytes).map_err(failed)?;
        }
        match decoder.try_decode().map_err(failed)? {
            DecodeResult::NeedsData(ranges) => Ok(Stage::Footer(decoder, Gathering::new(ranges))),
            DecodeResult::Data(metadata) => {
                let parquet =
                    ParquetFile::new(&self.name, self.length, self.zone.clone(), metadata)?;
                Ok(Stage::Open(Box::new(parquet)))
            }
            DecodeResult::Finished => Ok(Stage::Over),
        }
    }
}

/// The next row group, or the end.
fn group(groups: Box<Groups>) -> Stage {
    if groups.group == groups.parquet.groups() {
        return Stage::Over;
    }
    let ranges = groups.columns.iter();
    let ranges = ranges.map(|column| groups.parquet.range(groups.group, *column));
    let gathering = Gathering::new(ranges.collect());
    Stage::Group(groups, gathering)
}

fn zone(name: &str) -> Result<Zone, CohortError> {
    Zone::of(name).ok_or_else(|| CohortError::NoZone(name.to_owned()))
}

fn unreadable(file: &str, error: &ParquetError) -> CohortError {
    CohortError::Unreadable {
        file: file.to_owned(),
        problem: error.to_string(),
    }
}
