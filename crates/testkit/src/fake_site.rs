//! A site that lives in memory: module and host in one.

use std::sync::Arc;

use protocol::api::Stage;
use protocol::codec;
use protocol::door::{Inbox, Messages, Survivors};
use protocol::id::{Digest, Header, InputsDigest, SiteId};
use protocol::message::Signed;
use protocol::seed::Seed;
use protocol::site::{Advertising, Agreeing, Masking, Sharing, SiteError, Unmasking, Upload};

use crate::TestStudy;

/// A site in one round. Its steps are to be called in their order, each once.
#[derive(Debug)]
pub struct FakeSite<'a> {
    kit: &'a TestStudy,
    header: Header,
    /// Its number.
    pub site: SiteId,
    /// Shared, since rounds of a thousand sites are timed.
    vector: Arc<[i64]>,
    part: Part,
    upload: Option<Upload>,
}

/// The site's stage.
#[derive(Debug)]
enum Part {
    Advertising(Seed),
    Sharing(Sharing),
    Masking(Masking),
    Agreeing(Agreeing),
    Unmasking(Unmasking),
    Over,
}

impl<'a> FakeSite<'a> {
    /// A site that will add `vector`; its randomness depends on its number and the round alone.
    #[must_use]
    pub fn new(
        kit: &'a TestStudy,
        header: &Header,
        site: SiteId,
        vector: impl Into<Arc<[i64]>>,
    ) -> Self {
        let seed = Seed::new(Self::session_seed(header, site).0);
        Self::with_seed(kit, header, site, vector, seed)
    }

    /// A site that will add `vector`, with all of its randomness from `seed`.
    #[must_use]
    pub fn with_seed(
        kit: &'a TestStudy,
        header: &Header,
        site: SiteId,
        vector: impl Into<Arc<[i64]>>,
        seed: Seed,
    ) -> Self {
        Self {
            kit,
            header: header.clone(),
            site,
            vector: vector.into(),
            part: Part::Advertising(seed),
            upload: None,
        }
    }

    /// The bytes of a site's session seed.
    #[must_use]
    pub fn session_seed(header: &Header, site: SiteId) -> Digest {
        let seed = format!("session of site {site} in round {}", header.number);
        Digest::of(seed.as_bytes())
    }

    /// The digest of a site's made-up patients.
    #[must_use]
    pub fn inputs(site: SiteId) -> InputsDigest {
        InputsDigest::of([format!("patients of site {site}").as_bytes()])
    }

    /// The site's advert.
    ///
    /// # Errors
    ///
    /// What [`Advertising::begin`] refuses.
    ///
    /// # Panics
    ///
    /// Out of order.
    pub fn advertise(&mut self) -> Result<Signed, SiteError> {
        let Part::Advertising(seed) = self.take() else {
            out_of_order()
        };
        let (body, next) =
            Advertising::begin(&self.kit.study, self.header.clone(), self.site, &seed)?;
        self.part = Part::Sharing(next);
        Ok(self.sign(Stage::Advertise, body))
    }

    /// The site's shares.
    ///
    /// # Errors
    ///
    /// What [`Sharing::share`] refuses.
    ///
    /// # Panics
    ///
    /// Out of order.
    pub fn share(&mut self, adverts: &[Signed]) -> Result<Signed, SiteError> {
        let Part::Sharing(part) = self.take() else {
            out_of_order()
        };
        let (body, next) = part.share(adverts)?;
        self.part = Part::Masking(next);
        Ok(self.sign(Stage::Share, body))
    }

    /// What the site's masked vector is; its chunks are then [`FakeSite::chunks`].
    ///
    /// # Errors
    ///
    /// What [`Masking::mask`] refuses.
    ///
    /// # Panics
    ///
    /// Out of order.
    pub fn mask(&mut self, inbox: &Inbox) -> Result<Signed, SiteError> {
        let Part::Masking(part) = self.take() else {
            out_of_order()
        };
        let inputs = Self::inputs(self.site);
        let (body, upload, next) = part.mask(inbox, &self.vector, &inputs)?;
        self.part = Part::Agreeing(next);
        self.upload = Some(upload);
        Ok(self.sign(Stage::Mask, body))
    }

    /// The sealed chunks of the site's masked vector, in order.
    ///
    /// # Panics
    ///
    /// Before [`FakeSite::mask`].
    pub fn chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        let upload = self.upload.as_ref();
        let upload = upload.unwrap_or_else(|| out_of_order());
        upload.chunks().map(<[u8]>::to_vec)
    }

    /// The site's statement on the survivors.
    ///
    /// # Errors
    ///
    /// What [`Agreeing::agree`] refuses.
    ///
    /// # Panics
    ///
    /// Out of order.
    pub fn agree(&mut self, survivors: &Survivors) -> Result<Signed, SiteError> {
        let Part::Agreeing(part) = self.take() else {
            out_of_order()
        };
        let (body, next) = part.agree(survivors)?;
        self.part = Part::Unmasking(next);
        Ok(self.sign(Stage::Agree, body))
    }

    /// The site's openings.
    ///
    /// # Errors
    ///
    /// What [`Unmasking::open`] refuses.
    ///
    /// # Panics
    ///
    /// Out of order.
    pub fn unmask(&mut self, statements: &[Signed]) -> Result<Signed, SiteError> {
        let Part::Unmasking(part) = self.take() else {
            out_of_order()
        };
        let body = part.open(statements)?;
        Ok(self.sign(Stage::Unmask, body))
    }

    fn take(&mut self) -> Part {
        std::mem::replace(&mut self.part, Part::Over)
    }

    fn sign(&self, stage: Stage, body: Vec<u8>) -> Signed {
        self.kit.sign(&self.header, stage, self.site, body)
    }
}

/// The signed messages in what an aggregator relays.
///
/// # Panics
///
/// On what is no message: aggregators relay what they decoded.
#[must_use]
pub fn decoded(messages: &Messages) -> Vec<Signed> {
    let decode = |bytes| codec::decode(bytes).expect("the aggregator relays what it decoded");
    messages
        .messages
        .iter()
        .map(|bytes| decode(bytes))
        .collect()
}

fn out_of_order() -> ! {
    panic!("the steps of a site are called in their order, each once")
}
