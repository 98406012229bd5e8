//! Stage mask: sites announce masked vectors and send them in chunks; each is added once it is whole.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use super::{Accepted, Agreeing, At, Round, SiteFault, TooFewSites};
use crate::api::Stage;
use crate::chunk::ENTRIES;
use crate::codec;
use crate::door::{Inbox, Messages, Sealed};
use crate::hpke::Recipient;
use crate::id::{Digest, SiteId};
use crate::message::{Commitments, MaskedInput, Signed, sites_digest};
use crate::pack::{Packed, Total};
use crate::site::{SEAL_INFO, sealed_to_aggregator};

/// The state of a round in which sites send their masked vectors.
#[derive(Debug, Encode, Decode)]
pub struct Masking {
    #[n(0)]
    pub(super) commitments: BTreeMap<SiteId, Commitments>,
    #[n(1)]
    pub(super) inboxes: BTreeMap<SiteId, Vec<Sealed>>,
    /// The sum of the masked vectors so far.
    #[n(2)]
    pub(super) total: Total,
    /// What each site announced, whether its vector is in the sum or not.
    #[n(3)]
    pub(super) announced: BTreeMap<SiteId, Signed>,
}

impl At for Masking {
    const STAGE: Stage = Stage::Mask;
}

impl Round<Masking> {
    /// All adverts, for a site that starts anew.
    #[must_use]
    pub fn adverts(&self) -> Messages {
        self.encoded_adverts()
    }

    /// The shares that were sent to `site`, none for a site that took no part in the stage before; and who took part.
    #[must_use]
    pub fn inbox(&self, site: SiteId) -> Inbox {
        let shares = self.state.inboxes.get(&site);
        let shares = shares.filter(|_| self.is_awaited(site));
        Inbox {
            shares: shares.cloned().unwrap_or_default(),
            sharers: self.awaited(),
        }
    }

    /// Takes a [`MaskedInput`]. Its chunks are awaited from now on; until [`Round::complete`] has added them, the site
    /// is still missing.
    ///
    /// # Errors
    ///
    /// A message that is none of this round and stage, a second one of the site, of a site that did not share its
    /// secrets, that announces more or fewer chunks than the round's vectors have, that masked with other sites than
    /// those that shared their secrets, or whose seal has a weak key.
    pub fn accept(&mut self, signed: &Signed) -> Result<Accepted, SiteFault> {
        let site = signed.site;
        let known = self.state.announced.get(&site);
        let known = known.map(|signed| Digest::of(&signed.body));
        if self.is_the_same(known, Stage::Mask, signed)? {
            return Ok(Accepted::Again);
        }
        let input: MaskedInput = self.body(signed)?;
        let (got, want) = (input.chunks.len(), self.chunking().count());
        if got != want {
            return Err(SiteFault::Chunks { site, got, want });
        }
        if input.sharers != sites_digest(&self.awaited()) {
            return Err(SiteFault::OtherSharers(site));
        }
        self.recipient(site, &input)?;
        self.state.announced.insert(site, signed.clone());
        Ok(Accepted::New)
    }

    /// The sites that have announced a vector, whether it is in the sum or not, in ascending order.
    pub fn announced(&self) -> impl Iterator<Item = SiteId> {
        self.state.announced.keys().copied()
    }

    /// Whether the vector that a site announced is in the sum.
    ///
    /// # Errors
    ///
    /// A site that has announced nothing.
    pub fn is_complete(&self, site: SiteId) -> Result<bool, SiteFault> {
        self.announcement(site)?;
        Ok(self.receipt(Stage::Mask, site).is_some())
    }

    /// Checks a sealed chunk of a site's vector against what the site announced. The caller stores one that is new.
    ///
    /// # Errors
    ///
    /// A chunk of a site that has announced nothing, a number that no chunk has, another length or digest.
    pub fn check_chunk(
        &self,
        site: SiteId,
        number: u32,
        sealed: &[u8],
    ) -> Result<Accepted, SiteFault> {
        let input = self.input(site)?;
        self.chunking()
            .check(&input.chunks, number, sealed)
            .map_err(|error| SiteFault::Chunk { site, error })?;
        Ok(if self.is_complete(site)? {
            Accepted::Again
        } else {
            Accepted::New
        })
    }

    /// Opens the chunks of a site's vector, all of them in order, and adds the vector to the sum: from now on the site
    /// is a survivor.
    ///
    /// # Errors
    ///
    /// What `chunks` gives as an error; a site that has announced nothing, chunks that are missing, are too many or are
    /// not those announced, that cannot be opened, or that have padding other than zeros. Nothing is added then.
    pub fn complete<E: From<SiteFault>>(
        &mut self,
        site: SiteId,
        chunks: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<Accepted, E> {
        if self.receipt(Stage::Mask, site).is_some() {
            return Ok(Accepted::Again);
        }
        let body = Digest::of(&self.announcement(site)?.body);
        let texts = self.texts(site, chunks)?;
        // Added last and at once: a chunk that fails leaves nothing in the sum.
        self.add(site, &texts)?;
        Ok(self.note(site, body))
    }

    /// The packed entries of each chunk of a site's masked vector.
    fn texts<E: From<SiteFault>>(
        &self,
        site: SiteId,
        chunks: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<Vec<Vec<u8>>, E> {
        let (input, chunking) = (self.input(site)?, self.chunking());
        let recipient = self.recipient(site, &input)?;
        let associated = sealed_to_aggregator(self.header(), site);
        let mut texts = Vec::new();
        for (number, sealed) in (0..).zip(chunks) {
            let sealed = sealed?;
            chunking
                .check(&input.chunks, number, &sealed)
                .map_err(|error| SiteFault::Chunk { site, error })?;
            let text = recipient.open(number, &associated, sealed);
            texts.push(text.map_err(|error| SiteFault::Seal { site, error })?);
        }
        let (got, want) = (texts.len(), chunking.count());
        if got == want {
            Ok(texts)
        } else {
            Err(SiteFault::Incomplete { site, got, want }.into())
        }
    }

    /// Adds a vector that is there as a whole; nothing, if any of it is no packed entries.
    fn add(&mut self, site: SiteId, texts: &[Vec<u8>]) -> Result<(), SiteFault> {
        let bits = self.chunking().bits();
        let total = &mut self.state.total.0;
        let parsed = total.chunks(ENTRIES).zip(texts).map(|(entries, text)| {
            Packed::parse(text, entries.len(), bits)
                .map_err(|error| SiteFault::Vector { site, error })
        });
        let parsed: Vec<Packed<'_>> = parsed.collect::<Result<_, _>>()?;
        for (entries, packed) in total.chunks_mut(ENTRIES).zip(parsed) {
            packed.add_to(entries);
        }
        Ok(())
    }

    /// What a site announced.
    fn input(&self, site: SiteId) -> Result<MaskedInput, SiteFault> {
        let signed = self.announcement(site)?;
        codec::decode(&signed.body).map_err(|_| SiteFault::NotAnnounced(site))
    }

    fn announcement(&self, site: SiteId) -> Result<&Signed, SiteFault> {
        let signed = self.state.announced.get(&site);
        signed.ok_or(SiteFault::NotAnnounced(site))
    }

    fn recipient(&self, site: SiteId, input: &MaskedInput) -> Result<Recipient, SiteFault> {
        Recipient::new(&self.aggregator.secret, &input.encapsulated, SEAL_INFO)
            .map_err(|error| SiteFault::Seal { site, error })
    }

    /// Ends the stage: the sites whose vectors are in the sum are the survivors. A site whose chunks are not all there
    /// has dropped out, and what there is of them is of no use.
    ///
    /// # Errors
    ///
    /// Fewer sites than the threshold.
    pub fn close(self) -> Result<Round<Agreeing>, TooFewSites> {
        self.enough()?;
        let Self {
            aggregator,
            notes,
            state,
        } = self;
        let Masking {
            commitments,
            inboxes: _,
            total,
            announced: mut inputs,
        } = state;
        inputs.retain(|site, _| notes.has_reported(Stage::Mask, *site));
        let state = Agreeing {
            commitments,
            total,
            inputs,
            statements: BTreeMap::new(),
        };
        Ok(Round {
            aggregator,
            notes,
            state,
        })
    }
}
