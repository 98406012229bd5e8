//! What is stored and charged, on its way to the aggregator.

use protocol::api::{MissingChunks, Stage};
use protocol::chunk::Chunking;
use protocol::door::{Request, Response};
use protocol::id::Digest;

use super::task::{Task, Then, Upload};
use super::{Next, Paced, Part, Taking};
use crate::egress::{CheckedChunk, announced_chunk};
use crate::ledger::{Charged, Line};
use crate::notice::Notice;
use crate::outgoing::Outgoing;
use crate::pace::Kept;
use crate::step::{Fetch, Now, Step};
use crate::stop::Stop;
use crate::writes::{Key, Receipt, Tickets, Write};

impl Taking {
    /// Sends the message of a stage that is in the journal, once it is due and charged.
    pub(super) fn deliver(&mut self, stage: Stage, now: Now, tickets: &mut Tickets) -> Next {
        match stage {
            Stage::Advertise => self.pace_advert(now),
            Stage::Mask => self.deliver_vector(now, tickets),
            Stage::Share | Stage::Agree | Stage::Unmask => self.send_plain(stage),
        }
    }

    /// Waits until the advert is due.
    fn pace_advert(&mut self, now: Now) -> Next {
        let pace = self.site.pace;
        let round = self.round()?;
        round.paced = Paced::Yes;
        let (number, ready) = (round.number(), now.elapsed.saturating_sub(round.seen));
        let due = pace.due(ready);
        if due.kept == Kept::Overrun {
            self.overruns = self.overruns.saturating_add(1);
            self.notices.push(Notice::Overrun {
                round: number,
                usual: pace.usual(),
                took: ready,
                times: self.overruns,
            });
        }
        let wait = due.after.saturating_sub(ready);
        if wait.is_zero() {
            return self.send_advert();
        }
        self.task = Task::Pacing;
        Ok(Step::Wait(wait))
    }

    pub(super) fn send_advert(&mut self) -> Next {
        self.send_plain(Stage::Advertise)
    }

    fn send_plain(&mut self, stage: Stage) -> Next {
        let round = self.round()?;
        let number = round.number();
        let sent = round.journal.sending(stage);
        let outgoing = sent.and_then(|sent| Outgoing::plain(number, sent));
        let outgoing = outgoing.ok_or(Stop::OutOfOrder("a message that is not stored"))?;
        self.task = Task::Sending(stage);
        Ok(self.send(outgoing))
    }

    /// Sends the masked input; charges it first where a crash came between journal and ledger.
    fn deliver_vector(&mut self, now: Now, tickets: &mut Tickets) -> Next {
        let body = self.masked_input()?;
        match self.proof(body) {
            Ok(Some(charged)) => self.send_vector(&charged),
            Ok(None) => match self.charge(body, now) {
                Ok(line) => {
                    let bytes = line.text().into_bytes();
                    let writes = tickets.writes(vec![Write::Append(Key::Ledger, bytes)]);
                    self.task = Task::Charging(Box::new(line), writes.ticket());
                    Ok(Step::Store(writes))
                }
                Err(stop) => self.fail(stop),
            },
            Err(stop) => self.fail(stop),
        }
    }

    /// The line that charges this round for the masked input with this body.
    pub(super) fn charge(&mut self, body: Digest, now: Now) -> Result<Line, Stop> {
        let header = self.round()?.header().clone();
        Ok(self
            .ledger
            .line(&self.site.study, &header, body, now.unix)?)
    }

    pub(super) fn charged(&mut self, line: Line, receipt: &Receipt) -> Next {
        let number = self.round()?.number();
        self.ledger.add(line, receipt)?;
        self.plan.charge(number);
        let body = self.masked_input()?;
        let charged = self.proof(body)?;
        let charged = charged.ok_or(Stop::OutOfOrder("a charge that is not in the ledger"))?;
        self.send_vector(&charged)
    }

    fn send_vector(&mut self, charged: &Charged) -> Next {
        let round = self.round()?;
        let number = round.number();
        let sent = round.journal.sending(Stage::Mask);
        let outgoing = sent.and_then(|sent| Outgoing::vector(number, sent, charged));
        let outgoing = outgoing.ok_or(Stop::OutOfOrder("a vector that is not stored"))?;
        self.task = Task::Sending(Stage::Mask);
        Ok(self.send(outgoing))
    }

    /// The digest of the masked input's body.
    fn masked_input(&mut self) -> Result<Digest, Stop> {
        let sent = self.round()?.journal.sending(Stage::Mask);
        let sent = sent.ok_or(Stop::OutOfOrder("a vector that is not stored"))?;
        Ok(sent.body())
    }

    fn proof(&mut self, body: Digest) -> Result<Option<Charged>, Stop> {
        let header = self.round()?.header().clone();
        Ok(self.ledger.charged(&header, body)?)
    }

    /// The aggregator has the message of a stage.
    pub(super) fn sent(&mut self, stage: Stage, now: Now) -> Next {
        let id = self.site.id;
        let round = self.round()?;
        let number = round.number();
        let bytes = round
            .journal
            .sending(stage)
            .map_or(0, |sent| sent.message().len());
        if stage != Stage::Mask {
            return self.delivered(stage, bytes, now);
        }
        self.task = Task::Missing(bytes);
        Ok(self.fetch(Fetch::MissingChunks(number, id)))
    }

    pub(super) fn delivered(&mut self, stage: Stage, bytes: usize, now: Now) -> Next {
        let round = self.round()?;
        round.delivered = Some(stage);
        let header = round.header().clone();
        self.notices.push(Notice::Sent {
            header,
            stage,
            bytes,
        });
        Ok(self.poll(now))
    }

    pub(super) fn missing(&mut self, bytes: usize, answer: &[u8], tickets: &mut Tickets) -> Next {
        let missing: MissingChunks = match Self::decoded(answer) {
            Ok(missing) => missing,
            Err(stop) => return self.fail(stop),
        };
        let purpose = self.round()?.header().purpose;
        let chunking = Chunking::of(&self.site.study.layout(purpose));
        let mut chunks = missing.chunks;
        if let Some(unknown) = chunks
            .iter()
            .find(|chunk| chunking.entries(**chunk).is_err())
        {
            return self.fail(Stop::NoChunk(*unknown));
        }
        if !chunks.is_sorted_by(|one, next| one < next) {
            let reason = "missing chunks are not in ascending order".to_owned();
            return self.fail(Stop::Answer(reason));
        }
        chunks.reverse();
        self.upload(Upload { chunks, bytes }, tickets)
    }

    /// Sends the next chunk that is missing; after the last one, none is kept any longer.
    fn upload(&mut self, upload: Upload, tickets: &mut Tickets) -> Next {
        let number = self.round()?.number();
        let Some(chunk) = upload.chunks.last().copied() else {
            self.task = Task::Forgetting(upload.bytes);
            return Ok(Step::Store(
                tickets.writes(vec![Write::ForgetChunks(number)]),
            ));
        };
        self.task = Task::ChunkKept(upload);
        Ok(Step::Load(Key::Chunk(number, chunk)))
    }

    /// Sends a chunk from the disk; where it is not there any more, the module makes it again.
    pub(super) fn chunk_kept(&mut self, upload: Upload, kept: Option<Vec<u8>>, now: Now) -> Next {
        let next = upload.chunks.last().copied();
        let chunk = next
            .zip(kept)
            .and_then(|(number, sealed)| self.is_announced(number, sealed).ok());
        match chunk {
            Some(chunk) => self.send_chunk(upload, chunk),
            None => self.module(Then::Chunk(upload), now),
        }
    }

    pub(super) fn ask_for_chunk(&mut self, upload: Upload) -> Next {
        let number = upload.chunks.last().copied();
        let number = number.ok_or(Stop::OutOfOrder("no chunk is missing"))?;
        self.task = Task::ChunkAgain(upload);
        Ok(Step::Ask(Box::new(Request::Chunk(number))))
    }

    pub(super) fn chunk_again(&mut self, upload: Upload, response: Response) -> Next {
        let (Response::Chunk(sealed), Some(number)) = (response, upload.chunks.last().copied())
        else {
            return self.fail(Stop::OtherAnswer);
        };
        match self.is_announced(number, sealed.into()) {
            Ok(chunk) => self.send_chunk(upload, chunk),
            Err(stop) => self.fail(stop),
        }
    }

    fn is_announced(&mut self, number: u32, sealed: Vec<u8>) -> Result<CheckedChunk, Stop> {
        let round = self.round()?;
        let purpose = round.header().purpose;
        let sent = round
            .journal
            .sending(Stage::Mask)
            .ok_or(Stop::NoChunk(number))?;
        let signed = sent.signed().map_err(|_| Stop::NoJournal(round.number()))?;
        let layout = self.site.study.layout(purpose);
        Ok(announced_chunk(&layout, &signed.body, number, sealed)?)
    }

    fn send_chunk(&mut self, upload: Upload, chunk: CheckedChunk) -> Next {
        let number = self.round()?.number();
        let charged = self.proof(chunk.of())?;
        let outgoing = charged.and_then(|charged| Outgoing::chunk(number, &chunk, &charged));
        let outgoing = outgoing.ok_or(Stop::OutOfOrder("a chunk that is not charged"))?;
        self.task = Task::ChunkSent(upload, Box::new(chunk));
        Ok(self.send(outgoing))
    }

    pub(super) fn chunk_sent(
        &mut self,
        mut upload: Upload,
        chunk: &CheckedChunk,
        tickets: &mut Tickets,
    ) -> Next {
        upload.chunks.pop();
        upload.bytes += chunk.sealed().len();
        self.upload(upload, tickets)
    }

    /// The round has moved on without the message of a stage.
    pub(super) fn too_late(
        &mut self,
        stage: Stage,
        reason: String,
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        let round = self.round()?.number();
        self.notices.push(Notice::TooLate {
            round,
            stage,
            reason,
        });
        self.part = Part::Out(round);
        if stage == Stage::Mask {
            self.task = Task::LeftBehind;
            return Ok(Step::Store(
                tickets.writes(vec![Write::ForgetChunks(round)]),
            ));
        }
        Ok(self.poll(now))
    }
}
