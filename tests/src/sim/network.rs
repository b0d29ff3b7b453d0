//! The network between devices and cloud: the shipped HTTP client over streams that break.
//!
//! TLS is left out (the black-box harness has it); what it decides is kept: whether the server's
//! certificate is valid by the device's clock and of a known authority, and whether the device has
//! the key of the certificate that it shows.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scantrip::drivers::Context;
use scantrip::drivers::network::{Network, Who, connect_failure, connect_in_time, credential};
use scantrip::engine::failure::Failure;
use scantrip::store::Anchors;
use scantrip_cloud::core::Peer;
use scantrip_cloud_client::entry_points::Measurement;
use scantrip_cloud_client::http::{ConnectError, HttpConnection, Limit, Link, Purpose, Stream};
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::tls::Credential;
use scantrip_cloud_client::wire::EntryPoint;
use scantrip_hal::sim::disk::{Dice, SimDisk};

use super::clock::{DAY_MS, HOUR_MS};
use super::cloud::{Cloud, DOORS};
use super::options::{Options, below, strikes};
use super::server::{self, Served};
use super::shared::Shared;

/// Requests that are remembered for a foreign device to try.
const REMEMBERED_MAX: usize = 16;

/// The network with the cloud at its end. Clones are the same.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<NetState>>);

/// What the network is at.
pub(crate) struct NetState {
    pub(crate) shared: Shared,
    pub(crate) options: Options,
    pub(crate) cloud: Cloud,
    pub(crate) dice: Dice,
    /// Until when each door is shut.
    pub(crate) doors_shut: [u64; 3],
    /// Until when each device is cut off.
    pub(crate) cut_off: Vec<u64>,
    /// Time that the call under way has taken.
    pub(crate) spent_ms: u64,
    /// Requests that will arrive later: when, of whom, what.
    pub(crate) late: Vec<(u64, Peer, Vec<u8>)>,
    /// Uploads seen on the wire: device and path.
    pub(crate) uploads: Vec<(usize, String)>,
    pub(crate) requests: u64,
}

impl Net {
    pub(crate) fn new(shared: Shared, options: Options, cloud: Cloud, dice: Dice) -> Self {
        let devices = options.devices;
        Self(Arc::new(Mutex::new(NetState {
            shared,
            options,
            cloud,
            dice,
            doors_shut: [0; 3],
            cut_off: vec![0; devices],
            spent_ms: 0,
            late: Vec::new(),
            uploads: Vec::new(),
            requests: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, NetState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    CutRequest,
    LoseAnswer,
    HalfOpen,
    Late,
    Duplicate,
    Slow,
    Problem,
}

impl NetState {
    /// Whether a way leads from the device to the door.
    fn reaches(&self, device: usize, url: &str) -> bool {
        let now = self.shared.time.now();
        let door = DOORS.iter().position(|door| *door == url);
        let open = door.is_some_and(|door| self.doors_shut[door] <= now);
        open && self.cut_off[device] <= now && self.cloud.core().is_some()
    }

    /// A round trip's time.
    fn round_trip(&mut self, device: usize, url: &str) -> u64 {
        let door = DOORS.iter().position(|door| *door == url).unwrap_or(0) as u64;
        10 + (device as u64 * 37 + door * 53) % 120 + self.dice.below(10)
    }

    /// TCP and TLS, without the bytes.
    fn handshake(&mut self, device: usize, url: &str) -> Result<(), ConnectError> {
        let host = || url.to_owned();
        self.spent_ms += 2 * self.round_trip(device, url);
        let rate = self.options.wire.refuse;
        let refused = strikes(&mut self.dice, rate);
        if refused || !self.reaches(device, url) {
            self.shared.fault("connection refused");
            if self.dice.below(2) == 0 {
                self.spent_ms += 15_000;
                return Err(ConnectError::TimedOut { host: host() });
            }
            return Err(ConnectError::Unreachable {
                host: host(),
                reason: "connection refused".to_owned(),
                kind: ErrorKind::ConnectionRefused,
            });
        }
        Ok(())
    }

    fn draw_fate(&mut self) -> Fate {
        let wire = &self.options.wire;
        let fates = [
            (wire.cut_request, Fate::CutRequest, "request cut"),
            (wire.lose_answer, Fate::LoseAnswer, "answer lost"),
            (wire.half_open, Fate::HalfOpen, "half-open"),
            (wire.late, Fate::Late, "request late"),
            (wire.duplicate, Fate::Duplicate, "request twice"),
            (wire.slow, Fate::Slow, "slow"),
            (wire.problem, Fate::Problem, "problem"),
        ];
        for (rate, fate, name) in fates {
            if strikes(&mut self.dice, rate) {
                self.shared.fault(name);
                return fate;
            }
        }
        Fate::Whole
    }

    /// Hands bytes of a request to the cloud.
    fn serve(&mut self, device: usize, peer: &Peer, bytes: &[u8]) -> Served {
        let cut = self.options.wire.cloud_cut;
        if strikes(&mut self.dice, cut) {
            self.cloud.plan_cut();
        }
        let shared = self.shared.clone();
        shared.look("the wire", bytes);
        self.note_objects(device, bytes);
        let served = server::serve(&mut self.cloud, &shared, peer, bytes, &mut self.dice);
        if let Some(answer) = &served.answer {
            shared.look("the wire", answer);
        }
        shared.trace(&format!("device {device}"), &served.line);
        served
    }

    /// Sealed objects are noted with their encapsulated keys; uploads are remembered.
    fn note_objects(&mut self, device: usize, bytes: &[u8]) {
        let Some((head_end, _)) = server::length_of(bytes) else {
            return;
        };
        note_sealed(&self.shared, &bytes[head_end..]);
        let head = server::head_of(&bytes[..head_end]);
        let path = head
            .map(|head| head.uri.path().to_owned())
            .unwrap_or_default();
        if path.starts_with("/v1/device/uploads/") {
            if self.uploads.len() >= REMEMBERED_MAX {
                self.uploads.remove(0);
            }
            self.uploads.push((device, path));
        }
    }

    /// Requests that arrive now, long after their sender has given up.
    pub(crate) fn deliver_late(&mut self) {
        let now = self.shared.time.now();
        while let Some(at) = self.late.iter().position(|(due, ..)| *due <= now) {
            let (_, peer, bytes) = self.late.remove(at);
            if self.cloud.core().is_some() {
                let shared = self.shared.clone();
                let served = server::serve(&mut self.cloud, &shared, &peer, &bytes, &mut self.dice);
                shared.trace("late", &served.line);
            }
        }
    }
}

/// Notes each sealed object that begins in `bytes`: its encapsulated key is used for it alone.
pub(crate) fn note_sealed(shared: &Shared, bytes: &[u8]) {
    use scantrip_cloud_client::seal::{HEADER_BYTES, ObjectHeader};
    if let Ok(header) = ObjectHeader::parse(bytes)
        && let Some(start) = bytes.get(HEADER_BYTES..HEADER_BYTES + 16)
    {
        shared.sealed(&header.enc, start);
    }
}

/// A device's way to the cloud: the port that the shipped drivers use.
pub(crate) struct SimNetwork {
    pub(crate) net: Net,
    pub(crate) device: usize,
    pub(crate) context: Arc<Context>,
    pub(crate) power: SimDisk,
    pub(crate) connection: Option<(Key, HttpConnection<SimLink>)>,
    /// The certificate that was shown last, so that its key is looked at once.
    pub(crate) shown: Option<(Who, u64, Option<Vec<u8>>)>,
}

/// What a kept connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    url: String,
    who: Who,
    version: u64,
}

impl SimNetwork {
    fn certificate(&mut self, url: &str, who: Who) -> Result<Option<Vec<u8>>, Failure> {
        let version = self.context.identity_version();
        if let Some((of, at, certificate)) = &self.shown
            && (*of, *at) == (who, version)
        {
            return Ok(certificate.clone());
        }
        let credential = credential(&self.context, who)?;
        let certificate = credential
            .map(|credential| own(url, &credential))
            .transpose();
        let certificate = certificate.map_err(|error| connect_failure(&error))?;
        self.shown = Some((who, version, certificate.clone()));
        Ok(certificate)
    }

    fn open(&mut self, url: &str, who: Who) -> Result<Peer, Failure> {
        let certificate = self.certificate(url, who)?;
        let time = &self.context.time;
        let connected = connect_in_time(time, || {
            let mut net = self.net.lock();
            net.handshake(self.device, url)?;
            verify(&self.context, who, url, &net.cloud)
        });
        connected.map_err(|error| connect_failure(&error))?;
        Ok(Peer {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1 + self.device as u8)),
            certificate,
        })
    }
}

/// What TLS checks of the server.
fn verify(context: &Context, who: Who, url: &str, cloud: &Cloud) -> Result<(), ConnectError> {
    let host = url.to_owned();
    let now = context.time.for_certificates_ms();
    let (from, to) = cloud.server_valid;
    if now < from || now > to {
        return Err(ConnectError::Clock {
            host,
            expired: now > to,
            valid_from_ms: (now < from).then_some(from),
        });
    }
    if who == Who::Newcomer {
        return Ok(());
    }
    let anchors = context
        .state
        .load::<Anchors>()
        .ok()
        .flatten()
        .unwrap_or_default();
    let known = anchors.certificates.iter().any(|der| der.0 == cloud.anchor);
    known.then_some(()).ok_or(ConnectError::Untrusted { host })
}

/// What TLS proves of the device: the certificate is of the key that it has.
fn own(url: &str, credential: &Credential) -> Result<Vec<u8>, ConnectError> {
    let leaf = credential.chain.first().cloned().unwrap_or_default();
    let key = credential.signer.public_key();
    if super::shared::contains(&leaf, &key) {
        return Ok(leaf);
    }
    Err(ConnectError::CertificateRefused {
        host: url.to_owned(),
        alert: "the key is not the certificate's".to_owned(),
    })
}

impl Network for SimNetwork {
    type Connection = HttpConnection<SimLink>;

    fn connect(
        &mut self,
        url: &str,
        who: Who,
        purpose: Purpose,
    ) -> Result<&mut HttpConnection<SimLink>, Failure> {
        let key = Key {
            url: url.to_owned(),
            who,
            version: self.context.identity_version(),
        };
        if self
            .connection
            .as_ref()
            .is_none_or(|(kept, _)| *kept != key)
        {
            self.connection = None;
            let link = SimLink {
                net: self.net.clone(),
                device: self.device,
                url: url.to_owned(),
                peer: self.open(url, who)?,
                power: self.power.clone(),
                limit: limit(purpose),
                opened: false,
                date: Arc::new(Mutex::new(None)),
            };
            self.connection = Some((key, HttpConnection::new(link)));
        }
        let Some((_, connection)) = &mut self.connection else {
            return Err(Failure::local("there is no connection"));
        };
        connection.link_mut().limit = limit(purpose);
        Ok(connection)
    }

    fn measure(&mut self, doors: &[EntryPoint]) -> Result<Vec<Measurement>, Failure> {
        let mut net = self.net.lock();
        let measure = |door: &EntryPoint| {
            let times = net
                .handshake(self.device, &door.url)
                .map(|()| [0; 3].map(|_| net.round_trip(self.device, &door.url) as u32));
            Measurement {
                name: door.name.clone(),
                region: door.region.clone(),
                url: door.url.clone(),
                connect_ms: times.as_ref().ok().copied(),
                failure: times.err().map(|error| error.to_string()),
            }
        };
        Ok(doors.iter().map(measure).collect())
    }

    fn close(&mut self) {
        self.connection = None;
    }

    fn cloud_time_ms(&self) -> Option<u64> {
        let (_, connection) = self.connection.as_ref()?;
        *connection
            .link()
            .date
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tls(&self) -> Option<String> {
        self.connection
            .as_ref()
            .map(|_| "none (simulated)".to_owned())
    }
}

fn limit(purpose: Purpose) -> Limit {
    use std::time::Duration;
    let seconds = |total, stall| Limit {
        total: Duration::from_secs(total),
        stall: Duration::from_secs(stall),
    };
    match purpose {
        Purpose::Measure => seconds(5, 5),
        Purpose::Poll { wait } => seconds(60 + wait.as_secs(), 30 + wait.as_secs()),
        Purpose::Upload => seconds(600, 30),
        Purpose::Call => seconds(60, 30),
    }
}

/// Opens streams to one door as one device.
#[derive(Clone)]
pub(crate) struct SimLink {
    net: Net,
    device: usize,
    url: String,
    peer: Peer,
    power: SimDisk,
    limit: Limit,
    opened: bool,
    date: Arc<Mutex<Option<u64>>>,
}

impl std::fmt::Debug for SimLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimLink({})", self.url)
    }
}

impl Link for SimLink {
    type Stream = SimStream;

    fn open(&mut self) -> io::Result<SimStream> {
        // The first one was opened by the network already.
        if std::mem::replace(&mut self.opened, true) {
            let opened = self.net.lock().handshake(self.device, &self.url);
            opened.map_err(|error| io::Error::new(error.kind(), error))?;
        }
        Ok(SimStream {
            link: self.clone(),
            request: Vec::new(),
            answer: Vec::new(),
            read: 0,
            fate: None,
            broken: None,
        })
    }

    fn origin(&self) -> &str {
        &self.url
    }

    fn limit(&self) -> Limit {
        self.limit
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct SimStream {
    link: SimLink,
    /// The request so far.
    request: Vec<u8>,
    answer: Vec<u8>,
    read: usize,
    fate: Option<Fate>,
    /// Nothing goes through any more, and how that shows.
    broken: Option<ErrorKind>,
}

impl Stream for SimStream {
    fn limit(&mut self, limit: Limit) {
        self.link.limit = limit;
    }

    fn is_open(&mut self) -> bool {
        // A dead line looks open until it is used.
        self.broken != Some(ErrorKind::ConnectionReset)
    }
}

impl SimStream {
    /// What the line does with the request that is whole now.
    fn arrive(&mut self, end: usize) {
        let request: Vec<u8> = self.request.drain(..end).collect();
        let fate = self.fate.take().unwrap_or(Fate::Whole);
        let link = self.link.clone();
        let mut net = link.net.lock();
        net.requests += 1;
        let trip = net.round_trip(link.device, &link.url);
        net.spent_ms += trip;
        if !net.reaches(link.device, &link.url) {
            return self.fail(ErrorKind::ConnectionReset);
        }
        let now = net.shared.time.now();
        let longest = match strikes(&mut net.dice, 100) {
            true => 3 * DAY_MS,
            false => HOUR_MS,
        };
        let lag = 1000 + net.dice.below(longest);
        match fate {
            Fate::HalfOpen => return self.stall(&mut net),
            Fate::Late => {
                net.late.push((now + lag, link.peer.clone(), request));
                return self.stall(&mut net);
            }
            Fate::Duplicate => net
                .late
                .push((now + lag, link.peer.clone(), request.clone())),
            Fate::CutRequest => {
                let cut = below(&mut net.dice, request.len() as u64);
                net.serve(link.device, &link.peer, &request[..cut]);
                return self.fail(ErrorKind::ConnectionReset);
            }
            Fate::Problem => return self.answer_problem(&mut net, &request),
            Fate::Slow => {
                let most = 2 * link.limit.total.as_millis() as u64;
                let slow = net.dice.below(most);
                net.spent_ms += slow;
                if slow > most / 2 {
                    net.serve(link.device, &link.peer, &request);
                    return self.fail(ErrorKind::TimedOut);
                }
            }
            Fate::Whole | Fate::LoseAnswer => {}
        }
        let served = net.serve(link.device, &link.peer, &request);
        net.spent_ms += served.hold_seconds * 1000;
        let Some(mut answer) = served.answer else {
            return self.fail(ErrorKind::ConnectionReset);
        };
        if fate == Fate::LoseAnswer {
            let cut = below(&mut net.dice, answer.len() as u64);
            answer.truncate(if net.dice.below(2) == 0 { 0 } else { cut });
            self.broken = Some(match net.dice.below(3) {
                0 => ErrorKind::TimedOut,
                1 => ErrorKind::UnexpectedEof,
                _ => ErrorKind::ConnectionReset,
            });
        } else {
            let mut date = link.date.lock().unwrap_or_else(PoisonError::into_inner);
            *date = Some(now);
        }
        self.answer = answer;
        self.read = 0;
    }

    fn answer_problem(&mut self, net: &mut NetState, request: &[u8]) {
        let upload = request.windows(9).take(60).any(|text| text == b"/uploads/");
        let patch = request.starts_with(b"PATCH");
        let kinds = match (patch, upload) {
            (true, _) => vec![ProblemKind::OffsetConflict, ProblemKind::UploadLocked],
            (_, true) => vec![ProblemKind::UploadLocked],
            _ => Vec::new(),
        };
        let common = [
            ProblemKind::Busy,
            ProblemKind::Internal,
            ProblemKind::Unavailable,
        ];
        let kinds = [kinds, common.to_vec()].concat();
        let kind = kinds[below(&mut net.dice, kinds.len() as u64)];
        let retry = (net.dice.below(2) == 0).then(|| net.dice.below(3600));
        net.shared.trace(
            &format!("device {}", self.link.device),
            &format!("is answered {} by the way", kind.status()),
        );
        self.answer = server::problem(kind, retry, request.starts_with(b"HEAD"));
        self.read = 0;
    }

    fn stall(&mut self, net: &mut NetState) {
        net.spent_ms += self.link.limit.stall.as_millis() as u64;
        self.fail(ErrorKind::TimedOut);
    }

    fn fail(&mut self, kind: ErrorKind) {
        self.broken = Some(kind);
    }
}

impl Write for SimStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.link.power.is_on() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if let Some(kind) = self.broken {
            return Err(kind.into());
        }
        if self.fate.is_none() {
            self.fate = Some(self.link.net.lock().draw_fate());
        }
        self.request.extend_from_slice(bytes);
        if let Some((_, end)) = server::length_of(&self.request)
            && self.request.len() >= end
        {
            self.arrive(end);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for SimStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.link.power.is_on() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        let left = &self.answer[self.read..];
        if left.is_empty() {
            return match self.broken {
                Some(ErrorKind::UnexpectedEof) => Ok(0),
                Some(kind) => Err(kind.into()),
                None => Err(ErrorKind::TimedOut.into()),
            };
        }
        let most = 1 + below(&mut self.link.net.lock().dice, 2000);
        let count = left.len().min(out.len()).min(most);
        out[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(count)
    }
}

impl Drop for SimStream {
    /// A line that goes in the middle of a request: what was sent has arrived.
    fn drop(&mut self) {
        if self.request.is_empty() || self.broken.is_some() {
            return;
        }
        let link = self.link.clone();
        let mut net = link.net.lock();
        if net.reaches(link.device, &link.url) {
            let request = std::mem::take(&mut self.request);
            net.serve(link.device, &link.peer, &request);
        }
    }
}
