//! A module that lives in memory: it speaks the door's requests and responses, and adds vectors that a test chooses.

use protocol::codec;
use protocol::door::{Messages, Open, Prepared, Progress, Report, Request, Response};
use protocol::id::{Header, SiteId};
use protocol::message::Signed;

use crate::{FakeSite, TestStudy};

/// What a site adds in a round.
pub type Vector<'a> = Box<dyn Fn(&Header, SiteId) -> Vec<i64> + 'a>;

/// A module without patients.
pub struct FakeModule<'a> {
    kit: &'a TestStudy,
    vector: Vector<'a>,
    site: Option<FakeSite<'a>>,
}

impl<'a> FakeModule<'a> {
    /// A module that adds `vector`.
    #[must_use]
    pub fn new(kit: &'a TestStudy, vector: Vector<'a>) -> Self {
        Self {
            kit,
            vector,
            site: None,
        }
    }

    /// Drops the instance.
    pub fn drop_instance(&mut self) {
        self.site = None;
    }

    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// Why the module refuses; the session is gone then.
    pub fn ask(&mut self, request: &Request) -> Result<Response, String> {
        match request {
            Request::Prepare(prepare) => Ok(Response::Prepared(Prepared {
                cohort: codec::encode(&prepare.files).into(),
                report: Report::default(),
            })),
            Request::Open(open) => Ok(self.open(open)),
            Request::Work(_) => Ok(Response::Progress(PATIENTS_DONE)),
            Request::Remember => Ok(Response::Memory(Vec::new().into())),
            Request::Chunk(number) => self.chunk(*number),
            _ => self
                .stage(request)
                .map(|signed| Response::Send(signed.body)),
        }
    }

    fn open(&mut self, open: &Open) -> Response {
        let vector = (self.vector)(&open.header, open.site);
        let site =
            FakeSite::with_seed(self.kit, &open.header, open.site, vector, open.seed.clone());
        self.site = Some(site);
        Response::Progress(Progress {
            done: 0,
            ..PATIENTS_DONE
        })
    }

    fn chunk(&self, number: u32) -> Result<Response, String> {
        let site = self.site.as_ref().ok_or("no session")?;
        let place = usize::try_from(number).map_err(|error| error.to_string())?;
        let chunk = site.chunks().nth(place);
        Ok(Response::Chunk(chunk.ok_or("no such chunk")?.into()))
    }

    fn stage(&mut self, request: &Request) -> Result<Signed, String> {
        let mut site = self.site.take().ok_or("no session")?;
        let signed = match request {
            Request::Advertise => site.advertise(),
            Request::Share(adverts) => site.share(&signed(adverts)?),
            Request::Mask(inbox) => site.mask(inbox),
            Request::Agree(survivors) => site.agree(survivors),
            Request::Unmask(statements) => site.unmask(&signed(statements)?),
            _ => return Err("a round asks for no more".to_owned()),
        };
        let signed = signed.map_err(|error| error.to_string())?;
        self.site = Some(site);
        Ok(signed)
    }
}

impl std::fmt::Debug for FakeModule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeModule")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

fn signed(messages: &Messages) -> Result<Vec<Signed>, String> {
    let messages = messages.messages.iter();
    messages
        .map(|bytes| codec::decode(bytes).map_err(|error| error.to_string()))
        .collect()
}

/// One piece of work.
const PATIENTS_DONE: Progress = Progress {
    done: 1,
    total: 1,
    unusable: 0,
};
