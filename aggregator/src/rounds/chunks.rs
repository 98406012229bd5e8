//! Masked vectors on their way: each chunk is on the disk before it is answered, and a vector is added once its last
//! chunk is there.

use std::collections::BTreeSet;
use std::time::Instant;

use protocol::api::{MissingChunks, Stage};
use protocol::id::SiteId;
use protocol::round::Accepted;

use super::error::{Fault, RoundsError};
use super::open::Open;
use super::{Memory, Position, Rounds};

impl Rounds {
    /// Takes a sealed chunk of a site's masked vector. It is stored when this returns, and so is that the vector is in
    /// the sum where it was the last one.
    ///
    /// # Errors
    ///
    /// A chunk that the site has not announced or that is not the announced one, one that is early or late; the last
    /// one of a vector that cannot be opened; a store that fails.
    pub fn put_chunk(
        &mut self,
        number: u32,
        site: SiteId,
        chunk: u32,
        bytes: &[u8],
        now: Instant,
    ) -> Result<Accepted, RoundsError> {
        let mut position = self.take(now)?;
        let put = self.put_chunk_at(&mut position, number, site, chunk, bytes);
        match put {
            Err(RoundsError::Internal(fault)) => return Err(fault.into()),
            Ok(Accepted::New) => self.settle(&mut position, now)?,
            Ok(Accepted::Again) | Err(_) => {}
        }
        self.memory = Memory::Current(position);
        put
    }

    /// The chunks of a site's masked vector that are still to be sent; none once the vector is in the sum.
    ///
    /// # Errors
    ///
    /// A round that is not open or not yet at stage mask, a site that has announced nothing or dropped out; a store that
    /// fails.
    pub fn missing_chunks(
        &mut self,
        number: u32,
        site: SiteId,
        now: Instant,
    ) -> Result<MissingChunks, RoundsError> {
        let mut position = self.take(now)?;
        let missing = self
            .open_round(&mut position, number)
            .and_then(|open| open.missing_chunks(site));
        self.memory = Memory::Current(position);
        missing
    }

    fn put_chunk_at(
        &self,
        position: &mut Position,
        number: u32,
        site: SiteId,
        chunk: u32,
        bytes: &[u8],
    ) -> Result<Accepted, RoundsError> {
        let open = self.open_round(position, number)?;
        if open.round.check_chunk(site, chunk, bytes)? == Accepted::Again {
            return Ok(Accepted::Again);
        }
        if !open
            .chunks
            .get(&site)
            .is_some_and(|stored| stored.contains(&chunk))
        {
            let mut commit = self.journal.begin()?;
            commit.chunk(site, chunk, bytes)?;
            commit.finish()?;
            open.chunks.entry(site).or_default().insert(chunk);
            tracing::debug!(
                round.id = number,
                site = site.0,
                chunk,
                size_bytes = bytes.len(),
                "chunk stored"
            );
        }
        self.add_if_whole(open, site)
    }

    /// Adds the vectors whose chunks are all on the disk, and were before a restart.
    pub(super) fn restore_chunks(&self, open: &mut Open) -> Result<(), Fault> {
        if open.round.stage() != Stage::Mask {
            return Ok(());
        }
        open.chunks = self.journal.chunk_numbers()?;
        for site in open.chunks.keys().copied().collect::<Vec<_>>() {
            match self.add_if_whole(open, site) {
                Ok(_) => {}
                Err(RoundsError::Internal(fault)) => return Err(fault),
                // As it was told when it sent its last chunk.
                Err(error) => tracing::warn!(site = site.0, %error, "a vector cannot be added"),
            }
        }
        Ok(())
    }

    /// Adds a site's vector if all of its chunks are there.
    fn add_if_whole(&self, open: &mut Open, site: SiteId) -> Result<Accepted, RoundsError> {
        let stored = open.chunks.get(&site).map_or(0, BTreeSet::len);
        if stored < open.round.chunking().count() {
            return Ok(Accepted::New);
        }
        let chunks = open.round.chunking().numbers().map(|number| {
            let chunk = self.journal.chunk(site, number);
            chunk.map_err(RoundsError::from)
        });
        let added = open.round.complete(site, chunks)?;
        tracing::info!(
            round.id = open.number(),
            site = site.0,
            "masked vector added"
        );
        Ok(added)
    }

    fn open_round<'a>(
        &self,
        position: &'a mut Position,
        number: u32,
    ) -> Result<&'a mut Open, RoundsError> {
        let open = position.open.as_mut();
        open.filter(|open| open.number() == number)
            .ok_or_else(|| self.board.borrow().not_open(number))
    }
}
