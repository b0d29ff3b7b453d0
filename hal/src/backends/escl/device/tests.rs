use std::sync::{Arc, Mutex};

use super::*;
use crate::backends::system::SystemClock;
use crate::web::{Connector, Exchange, Method, Patience};

/// A network in which there is a way to some places, and what answers there.
struct Net {
    answers: Vec<(&'static str, u16)>,
    asked: Mutex<Vec<String>>,
}

impl Connector for Net {
    fn connect(
        &self,
        origin: &str,
        _pin: &Pin,
        _patience: Patience,
    ) -> Result<Box<dyn Exchange>, WebError> {
        self.asked.lock().unwrap().push(origin.to_owned());
        let answer = self.answers.iter().find(|(host, _)| origin == *host);
        let (_, code) = answer.ok_or_else(|| unreachable("no way".to_owned()))?;
        Ok(Box::new(Canned(*code, CAPABILITIES)))
    }
}

const CAPABILITIES: &[u8] = b"<ScannerCapabilities><MakeAndModel>Acme</MakeAndModel>\
    <Platen><PlatenInputCaps/></Platen></ScannerCapabilities>";

/// An answer with a status code and a body.
struct Canned(u16, &'static [u8]);

impl Exchange for Canned {
    fn set_patience(&mut self, _patience: Patience, _stop: Option<StopFlag>) {}

    fn ask(
        &mut self,
        _method: Method,
        _path: &str,
        _headers: &[(&str, &str)],
        _body: &[u8],
    ) -> Result<(), WebError> {
        Ok(())
    }

    fn code(&self) -> u16 {
        self.0
    }

    fn field(&self, _name: &str) -> Option<&str> {
        None
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn take(&mut self, buf: &mut [u8]) -> Result<usize, WebError> {
        std::io::Read::read(&mut self.1, buf).map_err(|error| unreachable(error.to_string()))
    }
}

/// Where the device with these addresses is reached, and what was asked before.
fn reached(
    answers: &[(&'static str, u16)],
    urls: &[&str],
) -> (Result<String, WebErrorKind>, Vec<String>) {
    let net = Arc::new(Net {
        answers: answers.to_vec(),
        asked: Mutex::default(),
    });
    let ports = Ports {
        connector: Arc::<Net>::clone(&net),
        memory: None,
        clock: Arc::new(SystemClock::new()),
        sleep: Arc::new(|_| {}),
    };
    let mut urls = urls.iter().map(|url| url.parse().unwrap());
    let found = discovery::Found {
        name: String::new(),
        model: String::new(),
        place: String::new(),
        uuid: String::new(),
        url: urls.next().unwrap(),
        others: urls.collect(),
    };
    let device = Finder::new(ports, Wanted::default()).first(&[found]);
    let url = device.map(|device| device.session.url().to_string());
    let asked = net.asked.lock().unwrap().clone();
    (url.map_err(|error| error.kind), asked)
}

#[test]
fn a_device_is_reached_by_the_first_of_its_addresses_to_which_there_is_a_way() {
    let urls = ["10.0.0.9", "192.168.1.9", "[fe80::1%2]"];
    let (url, asked) = reached(&[("http://192.168.1.9", 200)], &urls);
    assert_eq!(url.as_deref(), Ok("http://192.168.1.9/eSCL"));
    assert_eq!(asked, ["http://10.0.0.9", "http://192.168.1.9"]);
    let (url, _) = reached(&[("http://[fe80::1%2]", 200)], &urls);
    assert_eq!(url.as_deref(), Ok("http://[fe80::1%2]/eSCL"));
    let (url, asked) = reached(&[], &urls);
    assert_eq!((url, asked.len()), (Err(WebErrorKind::Unreachable), 3));
}

#[test]
fn a_device_that_answers_no_is_not_asked_by_its_other_addresses() {
    let answers = [("http://10.0.0.9", 401), ("http://10.0.0.8", 200)];
    let (url, asked) = reached(&answers, &["10.0.0.9", "10.0.0.8"]);
    assert_eq!((url, asked.len()), (Err(WebErrorKind::Protocol), 1));
}
