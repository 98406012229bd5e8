//! The module's code, natively: its sessions are a thread's, so each instance has a thread of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use protocol::codec;
use protocol::door::{Progress, Request, Response, Work};

/// An instance of the module. Its thread ends when it is dropped.
pub(crate) struct Module {
    ask: Sender<Vec<u8>>,
    answer: Receiver<Vec<u8>>,
}

impl Module {
    /// A fresh instance.
    pub(crate) fn start() -> Self {
        let (ask, questions) = channel::<Vec<u8>>();
        let (answers, answer) = channel();
        thread::spawn(move || {
            for question in questions {
                if answers.send(client_wasm::handle(&question)).is_err() {
                    break;
                }
            }
        });
        Self { ask, answer }
    }

    /// Its answer, which may be that it refuses.
    pub(crate) fn ask(&self, request: &Request) -> Response {
        self.ask
            .send(codec::encode(request))
            .expect("the module is there");
        let answer = self.answer.recv().expect("the module answers");
        codec::decode(&answer).expect("the module answers in CBOR")
    }

    /// Asks for work and lets all of it be done: the last progress, or why there is none.
    pub(crate) fn work(&self, request: &Request) -> Response {
        let mut response = self.ask(request);
        while let Response::Progress(Progress { done, total, .. }) = response
            && done < total
        {
            response = self.ask(&Request::Work(Work { patients: u32::MAX }));
        }
        response
    }
}
