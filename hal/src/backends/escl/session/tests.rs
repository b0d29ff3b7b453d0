use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::backends::system::SystemClock;
use crate::web::Connector;

/// A device that gives the same answer to everything, and counts connections.
#[derive(Clone)]
struct Device {
    code: u16,
    fields: &'static [(&'static str, &'static str)],
    body: Vec<u8>,
    connections: Arc<AtomicUsize>,
    /// Takes no connection, or no question.
    refuses: Option<Refuses>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refuses {
    Connections,
    Questions,
}

impl Device {
    fn refuse(&self, what: Refuses) -> Result<(), WebError> {
        match self.refuses == Some(what) {
            true => Err(protocol("no".to_owned())),
            false => Ok(()),
        }
    }
}

impl Device {
    fn new(code: u16, fields: &'static [(&'static str, &'static str)], body: &[u8]) -> Self {
        Self {
            code,
            fields,
            body: body.to_vec(),
            connections: Arc::default(),
            refuses: None,
        }
    }

    fn session(&self) -> Session {
        let ports = Ports {
            connector: Arc::new(self.clone()),
            memory: None,
            clock: Arc::new(SystemClock::new()),
            sleep: Arc::new(|_| {}),
        };
        Session::new(ports, "http://device".parse().unwrap(), Pin::default())
    }
}

impl Connector for Device {
    fn connect(
        &self,
        _origin: &str,
        _pin: &Pin,
        _patience: Patience,
    ) -> Result<Box<dyn Exchange>, WebError> {
        self.refuse(Refuses::Connections)?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.clone()))
    }
}

impl Exchange for Device {
    fn set_patience(&mut self, _patience: Patience, _stop: Option<StopFlag>) {}

    fn ask(
        &mut self,
        _method: Method,
        _path: &str,
        _headers: &[(&str, &str)],
        _body: &[u8],
    ) -> Result<(), WebError> {
        self.refuse(Refuses::Questions)
    }

    fn code(&self) -> u16 {
        self.code
    }

    fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn take(&mut self, buf: &mut [u8]) -> Result<usize, WebError> {
        let count = self.body.len().min(buf.len());
        for (place, byte) in buf.iter_mut().zip(self.body.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl PageSink for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn a_query_stays_behind_what_is_asked_of_a_job() {
    assert_eq!(below("/j/7", NEXT_DOCUMENT), "/j/7/NextDocument");
    assert_eq!(
        below("/j/7?s=a/b", NEXT_DOCUMENT),
        "/j/7/NextDocument?s=a/b"
    );
}

#[test]
fn a_connection_is_used_again_only_when_the_answer_says_where_it_ends() {
    let chunked: &[_] = &[("Transfer-Encoding", "chunked")];
    for (fields, connections) in [(&[("Content-Length", "0")][..], 1), (chunked, 1), (&[], 2)] {
        let device = Device::new(404, fields, b"");
        let mut session = device.session();
        for _ in 0..2 {
            let answer = session.carry_out(&Ask::Status, &mut NoSink(None), None);
            assert_eq!(answer, Answer::Code(404, None));
        }
        assert_eq!(device.connections.load(Ordering::Relaxed), connections);
    }
}

#[test]
fn a_page_that_could_not_be_asked_for_is_told_apart() {
    let (next, delete) = (Ask::Next("/j/7".to_owned()), Ask::Delete("/j/7".to_owned()));
    let (failed, unsent) = (
        Answer::Failed("no".to_owned()),
        Answer::Unsent("no".to_owned()),
    );
    for (refuses, ask, expected) in [
        (Refuses::Connections, &next, unsent),
        (Refuses::Questions, &next, failed.clone()),
        (Refuses::Connections, &delete, failed),
    ] {
        let mut device = Device::new(200, &[], b"");
        device.refuses = Some(refuses);
        let answer = device.session().carry_out(ask, &mut NoSink(None), None);
        assert_eq!(answer, expected);
    }
}

#[test]
fn what_a_device_sends_behind_an_image_is_not_passed_on() {
    let image = b"\xFF\xD8\xFF\xC0\0\x0B\x08\0\x10\0\x10\x01\x01\x11\0\xFF\xDA\0\x08\x01\x01\0\0\x3F\0\x2A\xFF\xD9";
    for behind in [&b""[..], b"\r\n", &[0; 700], &[0x2A; 3 * PIECE_BYTES]] {
        let device = Device::new(200, &[], &[&image[..], behind].concat());
        let mut sink = Bytes::default();
        let next = Ask::Next("/j/7".to_owned());
        let answer = device.session().carry_out(&next, &mut sink, None);
        assert!(matches!(answer, Answer::Page(..)), "{answer:?}");
        assert_eq!(sink.0, image);
    }
}
