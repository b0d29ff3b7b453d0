//! The way to a printer by IPP (RFC 8010): its port in clear, else over TLS (RFC 7472), there and
//! at the other ports that speak it.

use super::ipp::{self, Answer};
use super::wire::{Wire, exchange};
use super::{Ports, http};
use crate::web::{Exchange, Method};

/// An operation, the path of its URI, and the attributes that are wanted.
pub(super) type Question<'a> = (u16, &'a str, &'a [&'a str]);

/// Where printers are, by RFC 7472 and PWG 5100.14, and where older ones are.
const PATHS: [&str; 2] = ["/ipp/print", "/"];
const KIND: &str = "application/ipp";

/// A port that is asked by IPP.
pub(super) struct Line {
    port: u16,
    /// `None`: in clear.
    tls: Option<Box<dyn Exchange>>,
    /// Whether a question in clear may have got lost.
    is_lost: bool,
}

impl Line {
    /// The port, if it is asked over TLS.
    pub(super) fn tls_port(&self) -> Option<u16> {
        self.tls.is_some().then_some(self.port)
    }

    /// One question: the HTTP status, and the answer if it is one.
    pub(super) fn ask(
        &mut self,
        wire: &mut dyn Wire,
        host: &str,
        (operation, path, wanted): Question<'_>,
    ) -> Option<(u16, Option<Answer>)> {
        let scheme = if self.tls.is_some() { "ipps" } else { "ipp" };
        let uri = format!("{scheme}://{host}:{}{path}", self.port);
        let body = ipp::question(operation, 1, &uri, wanted);
        let (status, bytes) = match &mut self.tls {
            None => {
                let question = http::post(host, path, KIND, &body);
                let heard = exchange(wire, self.port, &question, http::answer);
                self.is_lost |= heard.is_err();
                let answer = heard.ok().flatten()?;
                (answer.status, answer.body)
            }
            Some(exchange) => {
                wire.wait();
                post(&mut **exchange, path, &body)?
            }
        };
        let told = ipp::answer(&bytes, 1).filter(|_| status == 200);
        Some((status, told))
    }
}

fn post(exchange: &mut dyn Exchange, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let kind = [("Content-Type", KIND)];
    exchange.ask(Method::Post, path, &kind, body).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while bytes.len() < http::ANSWER_BYTES_MAX {
        match exchange.take(&mut buffer).ok()? {
            0 => return Some((exchange.code(), bytes)),
            length => bytes.extend_from_slice(buffer.get(..length)?),
        }
    }
    None
}

/// What the ports said to the question for a printer's attributes.
#[derive(Default)]
pub(super) struct Heard {
    /// The HTTP status in clear.
    pub(super) status: Option<u16>,
    /// Whether IPP is spoken in clear, be it that a password is asked for.
    pub(super) is_clear: bool,
    /// Whether a question in clear may have got lost.
    pub(super) is_lost: bool,
    /// Whether it refuses, or asks for a password.
    pub(super) is_guarded: bool,
    /// Ports that answered as HTTP.
    pub(super) answered: Vec<u16>,
    pub(super) found: Option<Found>,
}

/// A printer that answers, and how it is asked for more.
pub(super) struct Found {
    pub(super) line: Line,
    pub(super) path: &'static str,
    pub(super) answer: Answer,
}

/// Asks for these attributes of the printer until a port and a path have them.
pub(super) fn find(wire: &mut dyn Wire, ports: &Ports, host: &str, wanted: &[&str]) -> Heard {
    let mut heard = Heard::default();
    let clear = Line {
        port: ports.ipp,
        tls: None,
        is_lost: false,
    };
    try_line(wire, clear, host, wanted, &mut heard);
    let others = ports.tls.iter().copied().filter(|port| *port != ports.ipp);
    for port in std::iter::once(ports.ipp).chain(others) {
        if heard.found.is_some() {
            break;
        }
        if let Some(exchange) = wire.tls(port) {
            let line = Line {
                port,
                tls: Some(exchange),
                is_lost: false,
            };
            try_line(wire, line, host, wanted, &mut heard);
        }
    }
    heard
}

fn try_line(wire: &mut dyn Wire, mut line: Line, host: &str, wanted: &[&str], heard: &mut Heard) {
    for path in PATHS {
        let question = (ipp::GET_PRINTER_ATTRIBUTES, path, wanted);
        let told = line.ask(wire, host, question);
        heard.is_lost |= line.is_lost;
        let Some((status, answer)) = told else {
            continue;
        };
        heard.is_guarded |= matches!(status, 401 | 403);
        // One that is too busy may have a printer.
        heard.answered.extend((status < 500).then_some(line.port));
        if line.tls.is_none() {
            heard.status = Some(status);
            heard.is_clear |= status == 401 || answer.is_some();
        }
        if let Some(answer) = answer.filter(Answer::is_success) {
            heard.found = Some(Found { line, path, answer });
            return;
        }
    }
}
