//! The egress check: what the module gave must be exactly what this stage of this round may send.
//!
//! | stage | may leave |
//! | --- | --- |
//! | advertise | two public keys: 69 bytes |
//! | share | commitments, and for each other site that holds its shares one ciphertext: two shares, and one for each part of the noise |
//! | mask | a key, two digests, and one digest for each chunk of the study's layout |
//! | | then the chunks: as long as the packed entries and a tag, with the digests that were announced |
//! | agree | the digest of the list of survivors that the module was given, nothing else |
//! | unmask | for each site whose shares it holds one share of 32 bytes: of survivors a seed, of others a key; and one of a key of each survivor's noise, where noise goes off the sum |
//!
//! All lengths come from the study and from what was asked before. What the rules leave free are the bytes of keys,
//! digests, ciphertexts and the vector itself: a module that was made to hide something there could. Against that stand
//! review of the approved module and replay of what it sent; these rules bound how much could be hidden, and that nothing
//! else leaves.

use std::collections::BTreeSet;

use protocol::api::Stage;
use protocol::chunk::{ChunkError, Chunking};
use protocol::codec::{self, DecodeError};
use protocol::door::Request;
use protocol::holders::Holders;
use protocol::id::{Digest, Header, SiteId};
use protocol::message::{
    Advert, Agreement, MaskedInput, Opening, Shares, largest_body, sealed_shares_length,
};
use protocol::study::{Layout, Study};

/// A body that the rules let pass: only [`Egress::check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    stage: Stage,
    body: Vec<u8>,
}

impl Checked {
    /// The stage that it belongs to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The unsigned body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The digest of the unsigned body.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.body)
    }

    /// The body, to be signed.
    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// A sealed chunk that is the one that a masked input announces: only [`announced_chunk`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedChunk {
    number: u32,
    /// The digest of the masked input's body.
    of: Digest,
    sealed: Vec<u8>,
}

impl CheckedChunk {
    /// Its number in the vector.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The digest of the body of the masked input that announces it.
    #[must_use]
    pub fn of(&self) -> Digest {
        self.of
    }

    /// Its bytes.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }
}

/// The chunk with this number of a round's vector, if `sealed` is what the masked input with this body announces.
///
/// # Errors
///
/// A body that is no masked input, and bytes that are not exactly the chunk that it announces.
pub fn announced_chunk(
    layout: &Layout,
    body: &[u8],
    number: u32,
    sealed: Vec<u8>,
) -> Result<CheckedChunk, EgressError> {
    let input: MaskedInput = form(Stage::Mask, body)?;
    Chunking::of(layout).check(&input.chunks, number, &sealed)?;
    Ok(CheckedChunk {
        number,
        of: Digest::of(body),
        sealed,
    })
}

/// What a round's instance may send next.
#[derive(Clone, Debug)]
pub struct Egress {
    study: Study,
    header: Header,
    site: SiteId,
    /// Sites that hold shares of this one, itself included.
    holders: Vec<SiteId>,
    /// Sites whose shares this one holds, itself included.
    shared: BTreeSet<SiteId>,
    survivors: BTreeSet<SiteId>,
}

impl Egress {
    /// Before the first message of a round.
    #[must_use]
    pub fn new(study: Study, header: Header, site: SiteId) -> Self {
        Self {
            study,
            header,
            site,
            holders: Vec::new(),
            shared: BTreeSet::new(),
            survivors: BTreeSet::new(),
        }
    }

    /// Checks what the module gave to a request.
    ///
    /// # Errors
    ///
    /// A body that is not exactly of the stage's form and size: the instance must be dropped, and nothing sent.
    pub fn check(&mut self, request: &Request, body: Vec<u8>) -> Result<Checked, EgressError> {
        let stage = self.check_form(request, &body)?;
        Ok(Checked { stage, body })
    }

    fn check_form(&mut self, request: &Request, body: &[u8]) -> Result<Stage, EgressError> {
        let stage = stage_of(request).ok_or(EgressError::NothingMayLeave)?;
        let most = largest_body(&self.study, &self.header, stage);
        if body.len() > most {
            return Err(EgressError::TooLong {
                stage,
                bytes: body.len(),
                most,
            });
        }
        match request {
            Request::Share(adverts) => {
                let holders = Holders::of_adverts(&self.study, &self.header, adverts)
                    .map_err(|error| EgressError::Form { stage, error })?;
                self.holders = holders.of(self.site).to_vec();
                self.shares(body)?;
            }
            Request::Mask(inbox) => {
                self.shared = inbox
                    .shares
                    .iter()
                    .map(|sealed| sealed.site)
                    .chain([self.site])
                    .collect();
                self.masked(body)?;
            }
            Request::Agree(survivors) => {
                self.survivors = survivors.sites.iter().copied().collect();
                if form::<Agreement>(stage, body)? != Agreement::on(&self.survivors) {
                    let what = "the survivors";
                    return Err(EgressError::Sites { stage, what });
                }
            }
            Request::Unmask(_) => self.opening(body)?,
            _ => {
                form::<Advert>(stage, body)?;
            }
        }
        Ok(stage)
    }

    fn shares(&self, body: &[u8]) -> Result<(), EgressError> {
        let stage = Stage::Share;
        let shares: Shares = form(stage, body)?;
        let layout = self.study.layout(self.header.purpose);
        let wanted_length = sealed_shares_length(&layout);
        let recipients: Vec<SiteId> = shares.sealed.iter().map(|sealed| sealed.site).collect();
        let wanted: Vec<SiteId> = self
            .holders
            .iter()
            .copied()
            .filter(|site| *site != self.site)
            .collect();
        exactly(stage, "the recipients", &recipients, &wanted)?;
        for sealed in &shares.sealed {
            length(
                stage,
                "an encrypted share",
                sealed.bytes.len(),
                wanted_length,
            )?;
        }
        Ok(())
    }

    fn masked(&self, body: &[u8]) -> Result<(), EgressError> {
        let stage = Stage::Mask;
        let input: MaskedInput = form(stage, body)?;
        let (got, want) = (input.chunks.len(), self.chunking().count());
        if got != want {
            return Err(EgressError::Chunks { got, want });
        }
        Ok(())
    }

    /// How the round's vectors are cut.
    #[must_use]
    pub fn chunking(&self) -> Chunking {
        Chunking::of(&self.study.layout(self.header.purpose))
    }

    fn opening(&self, body: &[u8]) -> Result<(), EgressError> {
        let stage = Stage::Unmask;
        let opening: Opening = form(stage, body)?;
        let seeds: Vec<SiteId> = opening.seeds.iter().map(|share| share.site).collect();
        let keys: Vec<SiteId> = opening.keys.iter().map(|share| share.site).collect();
        let (survived, dropped): (Vec<SiteId>, Vec<SiteId>) = self
            .shared
            .iter()
            .partition(|site| self.survivors.contains(site));
        exactly(stage, "the sites whose seed is opened", &seeds, &survived)?;
        exactly(stage, "the sites whose key is opened", &keys, &dropped)?;
        let layout = self.study.layout(self.header.purpose);
        let noised = if layout.parts_off(self.survivors.len()) > 0 {
            survived.as_slice()
        } else {
            &[]
        };
        let opened: Vec<SiteId> = opening.noise.iter().map(|share| share.site).collect();
        exactly(stage, "the sites whose noise is opened", &opened, noised)
    }
}

/// The stage whose message a request asks for; `None` for requests whose answer stays at the site, and for chunks, which
/// [`announced_chunk`] looks at.
#[must_use]
pub fn stage_of(request: &Request) -> Option<Stage> {
    match request {
        Request::Advertise => Some(Stage::Advertise),
        Request::Share(_) => Some(Stage::Share),
        Request::Mask(_) => Some(Stage::Mask),
        Request::Agree(_) => Some(Stage::Agree),
        Request::Unmask(_) => Some(Stage::Unmask),
        Request::Describe(_)
        | Request::Prepare(_)
        | Request::Open(_)
        | Request::Work(_)
        | Request::Baseline(_)
        | Request::Finish
        | Request::Predict(_)
        | Request::Export(_)
        | Request::Import(_)
        | Request::Chunk(_)
        | Request::Check(_)
        | Request::Piece(_)
        | Request::Kept
        | Request::Remember => None,
    }
}

/// The module gave something that must not leave: nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The answer to this request stays at the site.
    #[error("the module wanted to send something where nothing may leave: nothing was sent")]
    NothingMayLeave,
    /// The body is longer than any of its stage.
    #[error(
        "the module wanted to send {bytes} bytes at stage {stage}, and {most} is the most: nothing was sent"
    )]
    TooLong {
        /// The stage.
        stage: Stage,
        /// Bytes of the body.
        bytes: usize,
        /// The most that a body of the stage has.
        most: usize,
    },
    /// The body is no body of its stage.
    #[error(
        "the module wanted to send what is no message of stage {stage} ({error}): nothing was sent"
    )]
    Form {
        /// The stage.
        stage: Stage,
        /// What is wrong.
        error: DecodeError,
    },
    /// A part of the body has another length than it must have.
    #[error(
        "the module wanted to send {what} of {got} bytes at stage {stage}, and it has {want}: nothing was sent"
    )]
    Length {
        /// The stage.
        stage: Stage,
        /// The part.
        what: &'static str,
        /// Its bytes.
        got: usize,
        /// The bytes that it must have.
        want: usize,
    },
    /// The masked input announces another number of chunks than the round's vectors have.
    #[error(
        "the module wanted to announce {got} chunks of a vector, and it has {want}: nothing was sent"
    )]
    Chunks {
        /// Chunks announced.
        got: usize,
        /// Chunks of the round's vectors.
        want: usize,
    },
    /// A chunk is not the one that was announced.
    #[error(
        "the module wanted to send a chunk that is none of its masked input ({0}): nothing was sent"
    )]
    Chunk(#[from] ChunkError),
    /// The body names other sites than it must.
    #[error(
        "{what} in the module's message of stage {stage} are not those of the round: nothing was sent"
    )]
    Sites {
        /// The stage.
        stage: Stage,
        /// The list.
        what: &'static str,
    },
}

fn form<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(
    stage: Stage,
    body: &[u8],
) -> Result<T, EgressError> {
    codec::decode(body).map_err(|error| EgressError::Form { stage, error })
}

fn length(stage: Stage, what: &'static str, got: usize, want: usize) -> Result<(), EgressError> {
    if got == want {
        Ok(())
    } else {
        Err(EgressError::Length {
            stage,
            what,
            got,
            want,
        })
    }
}

fn exactly(
    stage: Stage,
    what: &'static str,
    got: &[SiteId],
    want: &[SiteId],
) -> Result<(), EgressError> {
    if got == want {
        Ok(())
    } else {
        Err(EgressError::Sites { stage, what })
    }
}

#[cfg(test)]
mod tests {
    use minicbor::bytes::ByteVec;
    use protocol::door::{Messages, Survivors};
    use protocol::id::Purpose;
    use testkit::round::Play;
    use testkit::{Draft, TestStudy};

    use super::*;

    const SITE: SiteId = SiteId(0);

    /// What the module is asked and what it rightly gives, stage by stage, in a round where site 4 drops out.
    fn honest(kit: &TestStudy) -> Vec<(Request, Vec<u8>)> {
        let header = kit.header(3, Purpose::Train);
        let vector = vec![1; kit.study.layout(Purpose::Train).length()];
        let mut play = Play::new(kit, &header, &vec![vector; 5]);
        let mut exchanges = Vec::new();
        for stage in Stage::ALL {
            let round = &play.round;
            let request = match stage {
                Stage::Advertise => Request::Advertise,
                Stage::Share => Request::Share(round.adverts().unwrap()),
                Stage::Mask => Request::Mask(round.inbox(SITE).unwrap()),
                Stage::Agree => Request::Agree(round.survivors().unwrap()),
                Stage::Unmask => Request::Unmask(round.statements().unwrap()),
            };
            for site in play.round.missing() {
                if site == SiteId(4) && stage >= Stage::Mask {
                    continue;
                }
                let signed = play.message(site).unwrap();
                if site == SITE {
                    exchanges.push((request.clone(), signed.body.to_vec()));
                }
                play.round.accept(stage, signed).unwrap();
                if stage == Stage::Mask {
                    play.upload(site).unwrap();
                }
            }
            if stage != Stage::Unmask {
                play.next_stage();
            }
        }
        exchanges
    }

    fn egress(kit: &TestStudy) -> Egress {
        Egress::new(kit.study.clone(), kit.header(3, Purpose::Train), SITE)
    }

    /// A study of five sites, of whose noise a part goes off the sum with each survivor above three.
    fn noised() -> TestStudy {
        Draft {
            epsilon: 1.0,
            fraction_bits: 16,
            patients_per_site: 100,
            ..Draft::default()
        }
        .make()
    }

    #[test]
    fn what_is_let_pass_is_what_the_module_gave() {
        let kit = testkit::study(5, 3);
        let (request, body) = honest(&kit).swap_remove(0);
        let checked = egress(&kit).check(&request, body.clone()).unwrap();
        assert_eq!(checked.stage(), Stage::Advertise);
        assert_eq!(
            (checked.body(), checked.digest()),
            (&body[..], Digest::of(&body))
        );
    }

    #[test]
    fn an_honest_round_may_leave() {
        for kit in [testkit::study(5, 3), noised()] {
            let mut egress = egress(&kit);
            for ((request, body), stage) in honest(&kit).into_iter().zip(Stage::ALL) {
                assert_eq!(egress.check_form(&request, &body), Ok(stage));
            }
        }
    }

    #[test]
    fn one_key_of_each_survivors_noise_is_opened_and_no_more() {
        let kit = noised();
        let exchanges = honest(&kit);
        let mut egress = egress(&kit);
        for (request, body) in &exchanges[..4] {
            egress.check_form(request, body).unwrap();
        }
        let (request, body) = &exchanges[4];
        let opening: Opening = codec::decode(body).unwrap();
        assert_eq!(opening.noise.len(), 4);
        let refused = |change: fn(&mut Opening)| {
            let mut opening = opening.clone();
            change(&mut opening);
            let error = egress.clone().check_form(request, &codec::encode(&opening));
            assert!(matches!(error, Err(EgressError::Sites { .. })), "{error:?}");
        };
        refused(|opening| opening.noise.truncate(3));
        refused(|opening| opening.noise.swap(0, 1));
        refused(|opening| opening.noise.extend(opening.keys.clone()));
    }

    #[test]
    fn no_body_may_be_longer_or_shorter() {
        let kit = testkit::study(5, 3);
        let mut egress = egress(&kit);
        for (request, body) in honest(&kit) {
            for wrong in [
                &body[..body.len() - 1],
                &[body.as_slice(), &[0]].concat(),
                &[],
                &[0; 5_000],
            ] {
                assert!(
                    egress.clone().check_form(&request, wrong).is_err(),
                    "{request:?}"
                );
            }
            egress.check_form(&request, &body).unwrap();
        }
    }

    #[test]
    fn a_wrong_size_inside_a_body_is_refused() {
        let kit = testkit::study(5, 3);
        let exchanges = honest(&kit);
        let mut egress = egress(&kit);
        egress.check_form(&exchanges[0].0, &exchanges[0].1).unwrap();

        let mut shares: Shares = codec::decode(&exchanges[1].1).unwrap();
        shares.sealed[2].bytes = ByteVec::from(vec![0; 85]);
        let error = egress
            .clone()
            .check_form(&exchanges[1].0, &codec::encode(&shares))
            .unwrap_err();
        assert!(
            matches!(error, EgressError::Length { got, want, .. } if (got, want) == (85, 86)),
            "{error}"
        );
        let mut shares: Shares = codec::decode(&exchanges[1].1).unwrap();
        shares.sealed.pop();
        let error = egress
            .clone()
            .check_form(&exchanges[1].0, &codec::encode(&shares))
            .unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::Sites {
                    stage: Stage::Share,
                    ..
                }
            ),
            "{error}"
        );
        egress.check_form(&exchanges[1].0, &exchanges[1].1).unwrap();

        let mut input: MaskedInput = codec::decode(&exchanges[2].1).unwrap();
        input.chunks.clear();
        let error = egress
            .clone()
            .check_form(&exchanges[2].0, &codec::encode(&input))
            .unwrap_err();
        assert_eq!(error, EgressError::Chunks { got: 0, want: 1 });
    }

    #[test]
    fn chunks_may_leave_once_they_are_announced_and_as_they_were() {
        let kit = testkit::study(5, 3);
        let vector = vec![1; kit.study.layout(Purpose::Train).length()];
        let mut play = Play::new(&kit, &kit.header(3, Purpose::Train), &vec![vector; 5]);
        play.honest_until(Stage::Mask);
        let body = play.message(SITE).unwrap().body;
        let chunk = play.sites[0].chunks().next().unwrap();
        let layout = kit.study.layout(Purpose::Train);
        let of = |body: &[u8], number, sealed: &[u8]| {
            announced_chunk(&layout, body, number, sealed.to_vec())
        };
        let checked = of(&body, 0, &chunk).unwrap();
        assert_eq!(
            (checked.of(), checked.sealed()),
            (Digest::of(&body), &chunk[..])
        );
        let mut other = chunk.clone();
        other[0] ^= 1;
        let not_announced = EgressError::Chunk(ChunkError::Digest { number: 0 });
        assert_eq!(of(&body, 0, &other), Err(not_announced));
        for (number, bytes) in [(0, &chunk[1..]), (1, &chunk), (0, &[])] {
            let error = of(&body, number, bytes);
            assert!(matches!(error, Err(EgressError::Chunk(_))), "{error:?}");
        }
        // Not by the door for messages.
        let error = egress(&kit).check_form(&Request::Chunk(0), &chunk);
        assert_eq!(error, Err(EgressError::NothingMayLeave));
    }

    #[test]
    fn other_sites_than_the_rounds_are_refused() {
        let kit = testkit::study(5, 3);
        let exchanges = honest(&kit);
        let mut egress = egress(&kit);
        for (request, body) in &exchanges[..3] {
            egress.check_form(request, body).unwrap();
        }
        // The module agrees to something else than it was told.
        let other = codec::encode(&Agreement {
            survivors: Digest::of(b"others"),
        });
        let error = egress
            .clone()
            .check_form(&exchanges[3].0, &other)
            .unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::Sites {
                    stage: Stage::Agree,
                    ..
                }
            ),
            "{error}"
        );
        egress.check_form(&exchanges[3].0, &exchanges[3].1).unwrap();
        // Both secrets of a survivor, none of the site that dropped out.
        let mut opening: Opening = codec::decode(&exchanges[4].1).unwrap();
        assert_eq!((opening.seeds.len(), opening.keys.len()), (4, 1));
        opening.keys[0] = opening.seeds[0].clone();
        let error = egress
            .clone()
            .check_form(&exchanges[4].0, &codec::encode(&opening))
            .unwrap_err();
        assert!(
            matches!(
                error,
                EgressError::Sites {
                    stage: Stage::Unmask,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn nothing_leaves_where_nothing_may() {
        let kit = testkit::study(5, 3);
        let error = egress(&kit).check_form(&Request::Finish, &[]).unwrap_err();
        assert_eq!(error, EgressError::NothingMayLeave);
        let none = Request::Share(Messages {
            messages: Vec::new(),
        });
        assert!(egress(&kit).check_form(&none, &[0x80]).is_err());
        let nobody = Request::Agree(Survivors {
            sites: Vec::new(),
            inputs: Vec::new(),
        });
        assert!(
            egress(&kit)
                .check_form(
                    &nobody,
                    &codec::encode(&Agreement::on(&BTreeSet::from([SITE])))
                )
                .is_err()
        );
    }
}
