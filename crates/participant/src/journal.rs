//! The journal of a round: what the module was asked, and what it answered, before anything leaves.
//!
//! ```text
//! journal = record, record, …        record = length (4, LE) ‖ SHA-256 of entry (first 8) ‖ entry (CBOR)
//! ```
//!
//! After `kill -9` the same seed and the same requests go to a fresh instance, which gives the same answers, and what
//! was sent is sent again, bit for bit. An answer is never computed twice from different inputs: the inputs of every
//! message are stored before the message leaves. A record whose writing was cut short never left, and is dropped.
//!
//! The seed is no part of it: it is kept by itself ([`crate::Key::Seed`]), encrypted.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use protocol::api::Stage;
use protocol::codec;
use protocol::door::Request;
use protocol::id::{Digest, Header, SiteId};
use protocol::message::Signed;

use crate::egress::Checked;
use crate::writes::Receipt;

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
enum Entry {
    #[n(0)]
    Opened(#[n(0)] Opened),
    /// The module was asked.
    #[n(1)]
    Asked(#[n(0)] Request),
    /// The module's answer to the request before; from here on it may have left.
    #[n(2)]
    Sending(#[n(0)] Sending),
}

/// All that decides what a round's instance computes, but for its seed.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Opened {
    /// The round.
    #[n(0)]
    pub header: Header,
    /// This site.
    #[n(1)]
    pub site: SiteId,
    /// The digest of the module.
    #[n(2)]
    pub module: Digest,
    /// The digest of the prepared cohort.
    #[n(3)]
    pub cohort: Digest,
    /// The digest of the seed of the instance's randomness.
    #[n(4)]
    pub seed: Digest,
    /// The digest of what the site had kept of the rounds before ([`crate::Key::Kept`]), which may be nothing.
    #[n(5)]
    pub memory: Digest,
}

/// A message that leaves the building: it is in a journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sending {
    #[n(0)]
    stage: Stage,
    #[n(1)]
    body: Digest,
    #[n(2)]
    message: ByteVec,
}

impl Sending {
    /// The stage that it belongs to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The digest of what the module answered.
    #[must_use]
    pub fn body(&self) -> Digest {
        self.body
    }

    /// The signed message, as it is sent.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The message, decoded.
    ///
    /// # Errors
    ///
    /// Bytes that are not a message: the journal is damaged.
    pub fn signed(&self) -> Result<Signed, Damaged> {
        codec::decode(&self.message).map_err(|_| Damaged)
    }

    fn is_whole(&self) -> bool {
        let signed: Result<Signed, _> = codec::decode(&self.message);
        signed.is_ok_and(|signed| Digest::of(&signed.body) == self.body)
    }
}

/// A question to the module and, once it was answered, the message that came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What was asked.
    pub request: Request,
    /// What was about to be sent.
    pub sending: Option<Sending>,
}

/// A round's journal: what of it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    opened: Opened,
    exchanges: Vec<Exchange>,
}

/// A question and its signed answer on their way to the disk.
#[derive(Debug)]
pub struct Pending {
    request: Request,
    sending: Sending,
}

impl Pending {
    /// The answer that passed the egress rules, signed by the site.
    #[must_use]
    pub fn new(request: Request, checked: Checked, site: SiteId, signature: [u8; 64]) -> Self {
        let (stage, body) = (checked.stage(), checked.digest());
        let message = codec::encode(&Signed {
            site,
            body: checked.into_body().into(),
            signature,
        });
        let sending = Sending {
            stage,
            body,
            message: message.into(),
        };
        Self { request, sending }
    }

    /// The stage that the answer belongs to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.sending.stage
    }

    /// The digest of the answer, without its signature.
    #[must_use]
    pub fn body(&self) -> Digest {
        self.sending.body
    }
}

impl Journal {
    /// A journal that begins, once these bytes of it are stored.
    #[must_use]
    pub fn begin(opened: &Opened) -> Vec<u8> {
        record(&Entry::Opened(opened.clone()))
    }

    /// The journal of a round that has begun, once [`Journal::begin`] is stored.
    pub(crate) fn begun(opened: Opened) -> Self {
        Self {
            opened,
            exchanges: Vec::new(),
        }
    }

    /// Reads a journal; gives the bytes at its start that are whole, after which a crash cut a record short. `None` where the
    /// crash came before the first record was whole: the round did not begin.
    ///
    /// # Errors
    ///
    /// Bytes that no journal has: what the site sent in the round cannot be known.
    pub fn decode(bytes: &[u8]) -> Result<(Option<Self>, usize), Damaged> {
        let (entries, whole) = parse(bytes).ok_or(Damaged)?;
        let mut entries = entries.into_iter();
        let opened = match entries.next() {
            None => return Ok((None, whole)),
            Some(Entry::Opened(opened)) => opened,
            Some(Entry::Asked(_) | Entry::Sending(_)) => return Err(Damaged),
        };
        let exchanges = pair(entries).ok_or(Damaged)?;
        Ok((Some(Self { opened, exchanges }), whole))
    }

    /// How the round was started.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// What was asked and answered, in order.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The message of a stage, if it was made.
    #[must_use]
    pub fn sending(&self, stage: Stage) -> Option<&Sending> {
        self.exchanges
            .iter()
            .filter_map(|exchange| exchange.sending.as_ref())
            .find(|sent| sent.stage == stage)
    }

    /// The question whose answer was not yet written down before a crash: the same one must be asked again.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Request> {
        self.exchanges
            .last()
            .filter(|exchange| exchange.sending.is_none())
            .map(|exchange| &exchange.request)
    }

    /// The bytes that add a question and its answer.
    #[must_use]
    pub fn addition(&self, pending: &Pending) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.unanswered().is_none() {
            bytes.extend(record(&Entry::Asked(pending.request.clone())));
        }
        bytes.extend(record(&Entry::Sending(pending.sending.clone())));
        bytes
    }

    /// Takes in what [`Journal::addition`] gave, now that it is stored: from here on it may leave.
    pub(crate) fn add(&mut self, pending: Pending, _stored: &Receipt) {
        if self.unanswered().is_some() {
            self.exchanges.pop();
        }
        self.exchanges.push(Exchange {
            request: pending.request,
            sending: Some(pending.sending),
        });
    }
}

/// A journal is not what this program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal is damaged, or an older version wrote it: what this site sent in the round cannot be known"
)]
pub struct Damaged;

/// Pairs questions with answers; `None` where they do not alternate, and where a message is not that of its digest.
fn pair(entries: impl Iterator<Item = Entry>) -> Option<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for entry in entries {
        let open = exchanges.last_mut().filter(|last| last.sending.is_none());
        match (entry, open) {
            (Entry::Asked(request), None) => exchanges.push(Exchange {
                request,
                sending: None,
            }),
            (Entry::Sending(sending), Some(open)) if sending.is_whole() => {
                open.sending = Some(sending);
            }
            _ => return None,
        }
    }
    Some(exchanges)
}

fn record(entry: &Entry) -> Vec<u8> {
    let entry = codec::encode(entry);
    let length = u32::try_from(entry.len()).expect("a message is far shorter than 4 GiB");
    [&length.to_le_bytes(), checksum(&entry).as_slice(), &entry].concat()
}

/// The entries, and the bytes that they take; `None` where something other than the last record is damaged.
fn parse(bytes: &[u8]) -> Option<(Vec<Entry>, usize)> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
        let (length, sum) = head.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let Some((entry, tail)) = tail.split_at_checked(length) else {
            break;
        };
        if checksum(entry) != sum {
            // The last one may have been cut short by a crash; before others, it is damage.
            if tail.is_empty() { break } else { return None }
        }
        entries.push(codec::decode(entry).ok()?);
        rest = tail;
    }
    Some((entries, bytes.len() - rest.len()))
}

fn checksum(entry: &[u8]) -> [u8; 8] {
    let digest = Digest::of(entry).0;
    *digest.first_chunk().expect("a digest has 32 bytes")
}

/// Bytes of a record before its entry.
const HEAD: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
    use protocol::door::{Messages, Survivors};
    use protocol::id::Purpose;

    use super::*;
    use crate::writes::Writes;

    fn opened(number: u32) -> Opened {
        let zero = Digest([0; 32]);
        let header = Header {
            study: zero,
            number,
            place: number,
            purpose: Purpose::Train,
            state: Digest::of(b"state"),
        };
        Opened {
            header,
            site: SiteId(1),
            module: zero,
            cohort: zero,
            seed: Digest::of(&[9; 32]),
            memory: Digest::of(&[]),
        }
    }

    fn pending(request: Request, stage: Stage, body: &[u8]) -> Pending {
        let message = codec::encode(&Signed {
            site: SiteId(1),
            body: body.to_vec().into(),
            signature: [5; 64],
        });
        let sending = Sending {
            stage,
            body: Digest::of(body),
            message: message.into(),
        };
        Pending { request, sending }
    }

    fn receipt() -> Receipt {
        Writes::new(Vec::new(), 0).written()
    }

    /// A journal with these exchanges, and its bytes.
    fn written(exchanges: impl IntoIterator<Item = (Request, Vec<u8>)>) -> (Journal, Vec<u8>) {
        let mut bytes = Journal::begin(&opened(7));
        let mut journal = Journal::begun(opened(7));
        for ((request, body), stage) in exchanges.into_iter().zip(Stage::ALL) {
            let pending = pending(request, stage, &body);
            bytes.extend(journal.addition(&pending));
            journal.add(pending, &receipt());
        }
        (journal, bytes)
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let bytes = prop::collection::vec(any::<u8>(), 0..60);
        prop_oneof![
            Just(Request::Advertise),
            bytes.prop_map(|bytes| Request::Share(Messages {
                messages: vec![bytes.into()]
            })),
            prop::collection::vec(0_u16..9, 0..5).prop_map(|sites| Request::Agree(Survivors {
                inputs: vec![vec![7; sites.len()].into()],
                sites: sites.into_iter().map(SiteId).collect()
            })),
        ]
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

        #[test]
        fn a_journal_cut_at_any_byte_gives_the_records_before(
            exchanges in prop::collection::vec((any_request(), prop::collection::vec(any::<u8>(), 0..80)), 0..5),
        ) {
            let (journal, whole) = written(exchanges);
            let (read, length) = Journal::decode(&whole).unwrap();
            assert_eq!((read.as_ref(), length), (Some(&journal), whole.len()));
            let (all, _) = parse(&whole).unwrap();
            for cut in 0..whole.len() {
                let (entries, kept) = parse(&whole[..cut]).unwrap();
                assert!(kept <= cut);
                assert_eq!(entries[..], all[..entries.len()]);
                let (read, again) = Journal::decode(&whole[..cut]).unwrap();
                assert_eq!(again, kept);
                assert_eq!(read.is_some(), kept > 0);
                // Zeros where the file had grown but its data had not been written.
                let mut torn = whole[..cut].to_vec();
                torn.resize(whole.len(), 0);
                if let Some((entries, _)) = parse(&torn) {
                    assert_eq!(entries[..], all[..entries.len()]);
                }
            }
        }

        #[test]
        fn any_bytes_are_a_journal_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Journal::decode(&bytes);
        }
    }

    #[test]
    fn a_question_without_its_answer_is_asked_again_and_not_written_twice() {
        let share = Request::Share(Messages {
            messages: Vec::new(),
        });
        let (_, mut bytes) = written([(Request::Advertise, b"keys".to_vec())]);
        bytes.extend(record(&Entry::Asked(share.clone())));
        let (journal, _) = Journal::decode(&bytes).unwrap();
        let mut journal = journal.unwrap();
        assert_eq!(journal.unanswered(), Some(&share));
        assert_eq!(journal.sending(Stage::Share), None);
        let pending = pending(share, Stage::Share, b"shares");
        bytes.extend(journal.addition(&pending));
        journal.add(pending, &receipt());
        assert_eq!(Journal::decode(&bytes).unwrap().0, Some(journal.clone()));
        assert_eq!(journal.exchanges().len(), 2);
    }

    #[test]
    fn damage_before_the_end_is_not_taken_for_a_crash() {
        let (_, mut bytes) = written([(Request::Advertise, b"keys".to_vec())]);
        bytes[HEAD + 3] ^= 1;
        assert_eq!(Journal::decode(&bytes), Err(Damaged));
    }

    #[test]
    fn a_message_that_is_not_the_one_of_its_digest_is_damage() {
        let (_, bytes) = written([]);
        let mut wrong = pending(Request::Advertise, Stage::Advertise, b"keys");
        wrong.sending.body = Digest::of(b"others");
        let bytes = [bytes, Journal::begun(opened(7)).addition(&wrong)].concat();
        assert_eq!(Journal::decode(&bytes), Err(Damaged));
    }
}
