//! One request and its answer on a stream, driven by `ureq-proto`.

use std::io::{self, ErrorKind, Read as _, Write as _};

use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse, SendBody};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::{Request, Response};

use super::HEAD_BYTES_MAX;
use super::link::{Link, Stream as _};

/// What may be sent again on a new connection when a kept one turns out to be dead.
const REPLAY_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// How much of an unread answer is read to keep the connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// Interim answers (1xx) taken before the real one.
const INTERIM_MAX: usize = 8;

/// The two bodies of an exchange: written before the answer, read after it.
#[derive(Debug)]
pub struct Exchange<L: Link> {
    link: L,
    stream: Option<L::Stream>,
    state: State,
    /// Received and not yet used; never more than [`HEAD_BYTES_MAX`].
    input: Vec<u8>,
    /// To be sent; never more than [`HEAD_BYTES_MAX`].
    output: Vec<u8>,
    /// Whether the stream was opened just now for the next request: then nothing is sent again.
    fresh: bool,
    /// Everything sent so far, while it may still be sent again.
    replay: Option<Vec<u8>>,
    /// Why the request could not be sent to its end. The answer may be there all the same.
    broken: Option<io::Error>,
    /// Bytes of the request's body that are still to come.
    left: u64,
}

#[derive(Debug)]
enum State {
    /// No exchange, or one that is over.
    Idle,
    /// The body goes out.
    Sending(Call<SendBody>),
    /// The request is complete.
    Sent(Call<RecvResponse>),
    /// The answer's body comes in.
    Receiving(Call<RecvBody>),
}

impl<L: Link> Exchange<L> {
    pub(super) const fn new(link: L) -> Self {
        Self {
            link,
            stream: None,
            state: State::Idle,
            input: Vec::new(),
            output: Vec::new(),
            fresh: false,
            replay: None,
            broken: None,
            left: 0,
        }
    }

    pub(super) const fn link(&self) -> &L {
        &self.link
    }

    pub(super) const fn link_mut(&mut self) -> &mut L {
        &mut self.link
    }

    pub(super) const fn stream(&self) -> Option<&L::Stream> {
        self.stream.as_ref()
    }

    pub(super) const fn stream_mut(&mut self) -> Option<&mut L::Stream> {
        self.stream.as_mut()
    }

    pub(super) fn set_stream(&mut self, stream: L::Stream) {
        self.close();
        self.stream = Some(stream);
    }

    pub(super) fn set_fresh_stream(&mut self, stream: L::Stream) {
        self.set_stream(stream);
        self.fresh = true;
    }

    pub(super) const fn is_sending(&self) -> bool {
        matches!(self.state, State::Sending(_) | State::Sent(_))
    }

    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.state, State::Receiving(_))
    }

    /// Ends what was before, then sends a request's head (or keeps it back to go with the body).
    pub(super) fn begin(&mut self, request: Request<()>, body_len: u64) -> io::Result<()> {
        self.settle();
        let mut call = Call::new(request).map_err(bad_request)?.proceed();
        self.output.resize(HEAD_BYTES_MAX, 0);
        let mut end = 0;
        while !call.can_proceed() {
            let room = self.output.get_mut(end..).unwrap_or_default();
            end += call.write(room).map_err(bad_request)?;
        }
        self.output.truncate(end);
        let state = match call.proceed().map_err(bad_request)? {
            Some(SendRequestResult::SendBody(call)) => State::Sending(call),
            Some(SendRequestResult::RecvResponse(call)) => State::Sent(call),
            Some(SendRequestResult::Await100(_)) | None => {
                self.output.clear();
                return Err(invalid_input("`Expect` is not supported"));
            }
        };
        self.broken = None;
        self.replay = None;
        let kept = self.stream.as_mut().is_some_and(|stream| stream.is_open());
        let fresh = std::mem::take(&mut self.fresh);
        if kept {
            self.replay = (!fresh).then(Vec::new);
        } else {
            self.stream = None;
            self.stream = Some(self.link.open()?);
        }
        let limit = self.link.limit();
        if let Some(stream) = &mut self.stream {
            stream.limit(limit);
        }
        self.left = if matches!(state, State::Sending(_)) {
            body_len
        } else {
            0
        };
        self.state = state;
        Ok(())
    }

    /// Takes bytes of the request's body.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State::Sending(call) = &mut self.state else {
            return match bytes {
                [] => Ok(0),
                _ => Err(invalid_input("more body than the Content-Length says")),
            };
        };
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if len > self.left {
            return Err(invalid_input("more body than the Content-Length says"));
        }
        call.consume_direct_write(bytes.len())
            .map_err(bad_request)?;
        self.left -= len;
        if self.output.len().saturating_add(bytes.len()) <= HEAD_BYTES_MAX {
            self.output.extend_from_slice(bytes);
        } else {
            self.flush_output()?;
            if bytes.len() < HEAD_BYTES_MAX {
                self.output.extend_from_slice(bytes);
            } else {
                self.transmit(bytes)?;
            }
        }
        Ok(bytes.len())
    }

    /// Sends what was kept back.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.flush_output()?;
        if self.broken.is_some() {
            return Ok(());
        }
        match self.stream.as_mut().map_or(Ok(()), io::Write::flush) {
            Ok(()) => Ok(()),
            Err(error) => self.write_failed(error),
        }
    }

    fn flush_output(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let sent = if output.is_empty() {
            Ok(())
        } else {
            self.transmit(&output)
        };
        self.output = output;
        self.output.clear();
        sent
    }

    fn transmit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken.is_some() {
            return Ok(());
        }
        match &mut self.replay {
            Some(replay) if replay.len().saturating_add(bytes.len()) <= REPLAY_BYTES_MAX => {
                replay.extend_from_slice(bytes);
            }
            replay => *replay = None,
        }
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::NotConnected.into());
        };
        match stream.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => self.write_failed(error),
        }
    }

    fn write_failed(&mut self, error: io::Error) -> io::Result<()> {
        if !is_disconnect(&error) {
            self.close();
            return Err(error);
        }
        if self.replay.is_some() {
            return self.send_again();
        }
        // The other side may have answered before it closed: look there first.
        self.broken = Some(error);
        Ok(())
    }

    /// Sends everything once more on a new connection.
    fn send_again(&mut self) -> io::Result<()> {
        let Some(sent) = self.replay.take() else {
            return Err(ErrorKind::NotConnected.into());
        };
        self.stream = None;
        self.input.clear();
        let mut stream = self.link.open().inspect_err(|_| self.state = State::Idle)?;
        stream.limit(self.link.limit());
        let done = stream.write_all(&sent).and_then(|()| stream.flush());
        self.stream = Some(stream);
        done.inspect_err(|_| self.close())
    }

    /// Ends the request and waits for the head of the answer.
    pub(super) fn receive(&mut self) -> io::Result<Response<()>> {
        if let Err(error) = self.flush() {
            self.close();
            return Err(error);
        }
        let mut call = match std::mem::replace(&mut self.state, State::Idle) {
            State::Sent(call) => call,
            State::Sending(mut call) => {
                if self.left > 0 {
                    self.close();
                    return Err(invalid_input("less body than the Content-Length says"));
                }
                // Marks the end of an empty body.
                call.write(&[], &mut []).map_err(bad_answer)?;
                call.proceed()
                    .ok_or_else(|| invalid_input("the body is not complete"))?
            }
            State::Idle | State::Receiving(_) => {
                self.close();
                return Err(invalid_input("no request was begun"));
            }
        };
        let response = self.receive_head(&mut call).inspect_err(|_| self.close())?;
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => self.state = State::Receiving(call),
            Some(RecvResponseResult::Redirect(call)) => {
                self.finish(call.must_close_connection());
            }
            Some(RecvResponseResult::Cleanup(call)) => self.finish(call.must_close_connection()),
            None => {
                self.close();
                return Err(invalid_data("an answer without a head"));
            }
        }
        Ok(response)
    }

    fn receive_head(&mut self, call: &mut Call<RecvResponse>) -> io::Result<Response<()>> {
        let mut interim = 0;
        loop {
            let (used, response) = call.try_response(&self.input, false).map_err(bad_answer)?;
            self.input.drain(..used);
            match response {
                Some(response) if response.status().is_informational() => {
                    return Err(invalid_data("an answer that changes the protocol"));
                }
                Some(response) => return Ok(response),
                None if used > 0 => {
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(invalid_data("too many interim answers"));
                    }
                    continue;
                }
                None => {}
            }
            let untouched = self.input.is_empty() && interim == 0;
            match self.fill() {
                Ok(0) if untouched && self.replay.is_some() => self.send_again()?,
                Ok(0) => {
                    return Err(self.broken.take().unwrap_or_else(|| {
                        io::Error::new(ErrorKind::UnexpectedEof, "closed before an answer")
                    }));
                }
                Ok(_) => {}
                Err(error) if untouched && self.replay.is_some() && is_disconnect(&error) => {
                    self.send_again()?;
                }
                Err(error) => return Err(self.broken.take().unwrap_or(error)),
            }
        }
    }

    /// Reads from the stream into `input`.
    fn fill(&mut self) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else {
            return Err(ErrorKind::NotConnected.into());
        };
        let start = self.input.len();
        if start >= HEAD_BYTES_MAX {
            return Err(invalid_data("a head of more than 16 KiB"));
        }
        self.input.resize(HEAD_BYTES_MAX, 0);
        let result = loop {
            match stream.read(self.input.get_mut(start..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let received = *result.as_ref().unwrap_or(&0);
        self.input.truncate(start.saturating_add(received));
        result
    }

    /// Reads from the body of the answer; 0 at its end.
    pub(super) fn read_body(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.read_some(buf).inspect_err(|_| self.close())
    }

    fn read_some(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let State::Receiving(call) = &mut self.state else {
                return Ok(0);
            };
            let until_close = call.body_mode() == BodyMode::CloseDelimited;
            let (used, count) = call.read(&self.input, buf).map_err(bad_answer)?;
            self.input.drain(..used);
            if count > 0 {
                return Ok(count);
            }
            if call.can_proceed() && !until_close {
                self.end_body();
                return Ok(0);
            }
            if used > 0 {
                continue;
            }
            if self.fill()? == 0 {
                if until_close {
                    self.end_body();
                    return Ok(0);
                }
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the answer is cut off",
                ));
            }
        }
    }

    fn end_body(&mut self) {
        let must_close = match std::mem::replace(&mut self.state, State::Idle) {
            State::Receiving(call) => match call.proceed() {
                Some(RecvBodyResult::Cleanup(call)) => call.must_close_connection(),
                Some(RecvBodyResult::Redirect(call)) => call.must_close_connection(),
                None => true,
            },
            _ => true,
        };
        self.finish(must_close);
    }

    fn finish(&mut self, must_close: bool) {
        self.state = State::Idle;
        self.replay = None;
        if must_close || self.broken.is_some() || !self.input.is_empty() {
            self.close();
        }
    }

    /// Brings the connection to where a request may begin: reads the rest of a small answer, or
    /// closes.
    fn settle(&mut self) {
        let mut room = DRAIN_BYTES_MAX;
        let mut sink = [0; 1024];
        while let State::Receiving(_) = &self.state {
            match self.read_body(&mut sink) {
                Ok(count) if count < room => room -= count,
                _ => self.close(),
            }
        }
        if self.is_sending() {
            self.close();
        }
    }

    /// Drops the connection; the next request opens another.
    pub(super) fn close(&mut self) {
        self.state = State::Idle;
        self.stream = None;
        self.replay = None;
        self.input.clear();
        self.output.clear();
    }
}

/// Whether the other side, or the way to it, is gone; unlike a timeout, which may be patience.
fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}

pub(super) fn invalid_input(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, reason)
}

fn invalid_data(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

fn bad_request(error: ureq_proto::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, error)
}

fn bad_answer(error: ureq_proto::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
