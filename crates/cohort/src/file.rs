//! A file in memory, read as the module reads one that comes in pieces.

use protocol::door::{Piece, Role, Source, piece};

/// A file of a hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub role: Role,
    /// Its bytes: Parquet.
    pub bytes: Vec<u8>,
}

impl File {
    /// What a request says of it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            name: self.name.clone(),
            role: self.role,
            bytes: self.bytes.len() as u64,
            zone: None,
        }
    }
}

impl File {
    /// A piece of one of `files`: empty where there is none.
    #[must_use]
    pub fn piece(files: &[Self], wanted: Piece) -> &[u8] {
        let place = usize::try_from(wanted.file).ok();
        let file = place.and_then(|place| files.get(place));
        file.map_or(&[], |file| piece(&file.bytes, wanted.number))
    }
}

/// What a reader of files that come in pieces wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Wants<T> {
    /// This piece.
    Piece(Piece),
    /// Nothing: this is what was read.
    Nothing(T),
}

/// Gives a reader the pieces that it wants of `files`, until it wants nothing.
pub(crate) fn feed<T, E>(
    files: &[File],
    mut next: impl FnMut(Option<&[u8]>) -> Result<Wants<T>, E>,
) -> Result<T, E> {
    let mut given = None;
    loop {
        match next(given)? {
            Wants::Nothing(read) => return Ok(read),
            Wants::Piece(wanted) => given = Some(File::piece(files, wanted)),
        }
    }
}
