//! A site's files, piece by piece.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use protocol::door::{PIECE, Piece};

use crate::durable::FileError;

/// What a gzip file starts with (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a piece of a file: shorter at its end alone.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read(path: &Path, number: u64) -> Result<Vec<u8>, FileError> {
    let bytes = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(number.saturating_mul(PIECE as u64)))?;
        next(&mut file)
    };
    bytes().map_err(FileError::at("reading", path))
}

/// Reads a piece of one of `paths`.
///
/// # Errors
///
/// A file that cannot be read, or is none of them.
pub fn of(paths: &[PathBuf], piece: Piece) -> Result<Vec<u8>, FileError> {
    let place = usize::try_from(piece.file).ok();
    match place.and_then(|place| paths.get(place)) {
        Some(path) => read(path, piece.number),
        None => Ok(Vec::new()),
    }
}

/// A file that is read from its beginning to its end, perhaps more than once, and unpacked where it is packed with gzip.
#[derive(Debug)]
pub struct Stream {
    path: PathBuf,
    /// The number of the next piece, and what it is read from.
    open: Option<(u64, Source)>,
    /// How often it was opened.
    readings: u32,
    /// How far the reading is, for a person at a terminal.
    bar: ProgressBar,
}

#[derive(Debug)]
enum Source {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<Counted>>),
}

/// A file whose bytes are shown as they are read.
type Counted = ProgressBarIter<File>;

impl Stream {
    /// A file that is opened when it is read.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let template = "{msg} [{bar:32}] {bytes} of {total_bytes}  {elapsed}";
        // A template that cannot be read shows the plain bar.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            path: path.to_owned(),
            open: None,
            readings: 0,
            bar: ProgressBar::no_length().with_style(style.progress_chars("=> ")),
        }
    }

    /// Takes the progress away.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }

    /// Reads a piece: shorter at the file's end alone. Those after the first follow each other.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or unpacked.
    pub fn read(&mut self, number: u64) -> Result<Vec<u8>, FileError> {
        let (mut place, mut source) = match self.open.take() {
            Some(open) if open.0 <= number => open,
            _ => {
                let source = self.begin();
                (0, source.map_err(FileError::at("reading", &self.path))?)
            }
        };
        loop {
            let bytes = source.next();
            let bytes = bytes.map_err(FileError::at(source.action(), &self.path))?;
            place += 1;
            if place > number {
                self.open = Some((place, source));
                return Ok(bytes);
            }
        }
    }
}

impl Stream {
    /// Opens the file at its beginning.
    fn begin(&mut self) -> std::io::Result<Source> {
        let mut file = File::open(&self.path)?;
        let mut mark = Vec::new();
        file.by_ref().take(2).read_to_end(&mut mark)?;
        file.seek(SeekFrom::Start(0))?;
        self.readings += 1;
        let again = match self.readings {
            1 => String::new(),
            readings => format!(", for the {readings}. time"),
        };
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.bar.set_message(format!("reading {name}{again}"));
        self.bar.set_length(file.metadata()?.len());
        self.bar.set_position(0);
        let file = self.bar.wrap_read(file);
        Ok(if mark == GZIP {
            Source::Gzip(Box::new(MultiGzDecoder::new(file)))
        } else {
            Source::Plain(file)
        })
    }
}

impl Source {
    fn next(&mut self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Plain(file) => next(file),
            Self::Gzip(packed) => next(packed).map_err(damaged),
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Plain(_) => "reading",
            Self::Gzip(_) => "unpacking",
        }
    }
}

/// What is wrong with a packed file, and what to do.
fn damaged(error: std::io::Error) -> std::io::Error {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof => {
            "the packed file ends too early, as one that was not copied whole: copy it again"
                .to_owned()
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the packed file is damaged ({error}): copy it again, or pack the table again")
        }
        _ => return error,
    };
    std::io::Error::new(error.kind(), what)
}

fn next(source: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(PIECE as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;
    use protocol::door::piece;

    use super::*;

    #[test]
    fn pieces_of_plain_and_packed_files_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(PIECE + 100).collect();
        let (plain, packed) = (folder.path().join("a.csv"), folder.path().join("a.csv.gz"));
        std::fs::write(&plain, &bytes).unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        std::fs::write(&packed, encoder.finish().unwrap()).unwrap();
        let (mut one, mut other) = (Stream::new(&plain), Stream::new(&packed));
        for number in [0, 1, 2, 0, 1, 0] {
            let want = piece(&bytes, number);
            assert_eq!(read(&plain, number).unwrap(), want);
            assert_eq!(one.read(number).unwrap(), want);
            assert_eq!(other.read(number).unwrap(), want);
        }
    }

    #[test]
    fn packed_files_that_are_cut_or_damaged_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"pid,hb\n1,7\n2,8\n").unwrap();
        let whole = encoder.finish().unwrap();
        let mut damaged = whole.clone();
        damaged[12] ^= 0x55;
        for (bytes, hint) in [
            (&whole[..whole.len() - 3], "was not copied whole"),
            (&whole[..8], "was not copied whole"),
            (&damaged[..], "is damaged"),
        ] {
            let path = folder.path().join("a.csv.gz");
            std::fs::write(&path, bytes).unwrap();
            let error = Stream::new(&path).read(0).unwrap_err();
            let told = error.to_string();
            let causes = std::error::Error::source(&error).map(ToString::to_string);
            assert!(
                told.contains(hint) || causes.is_some_and(|cause| cause.contains(hint)),
                "{told}"
            );
        }
    }
}
