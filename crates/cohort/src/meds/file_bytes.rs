//! A file's bytes, as the Parquet reader asks for them.

use std::io::{ErrorKind, Read};

use bytes::{Buf as _, Bytes};
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

/// A file's bytes, whose end is an error where more is asked for.
///
/// The reader of page headers passes over what it does not know without a look at how much there was: at the end of the
/// file it would pass over a list of two billion numbers one by one, none of which is there.
#[derive(Clone)]
pub(super) struct FileBytes(Bytes);

impl FileBytes {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for FileBytes {
    type T = Rest;

    fn get_read(&self, start: u64) -> Result<Rest> {
        self.0.get_read(start).map(Rest)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// The bytes from some place on.
pub(super) struct Rest(bytes::buf::Reader<Bytes>);

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if into.is_empty() || self.0.get_ref().has_remaining() {
            self.0.read(into)
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }
}
