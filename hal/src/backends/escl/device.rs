//! Which device, and how to reach it: the configured URL, the one that worked last, or whatever
//! answers on the network.

use std::time::Duration;

use super::Certificate;
use super::capabilities::Capabilities;
use super::discovery;
use super::quirks::Quirks;
use super::session::Session;
use super::url::DeviceUrl;
use crate::identity::DeviceIdentity;
use crate::scanner::{ScannerErrorKind, StopFlag};
use crate::web::{Pin, Ports, WebError, WebErrorKind};

/// How soon a stop is seen while a device is waited for.
const GLANCE: Duration = Duration::from_millis(200);
/// What a device is called that tells no name.
const UNNAMED: &str = "eSCL scanner";
/// Names of what is remembered.
const LAST_URL: &str = "escl-url";
const LAST_PIN: &str = "escl-pin";
const LAST_IDENTITY: &str = "escl-identity";
const LAST_FAULT: &str = "escl-fault";

/// Faults of the feeder that devices may tell although they are cleared, and how they are kept.
const STICKY: [(ScannerErrorKind, &str); 3] = [
    (ScannerErrorKind::FeederFault, "feeder"),
    (ScannerErrorKind::PaperJam, "jam"),
    (ScannerErrorKind::DoubleFeed, "double-feed"),
];

/// Which device is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Where it is; none: look on the network.
    pub(super) url: Option<DeviceUrl>,
    /// The SHA-256 of its certificate; none: that of the first contact.
    pub(super) fingerprint: Option<[u8; 32]>,
    /// Its serial number or UUID; none: any.
    pub(super) serial: Option<String>,
    /// How its name on the network, or maker and model, begin; none: any.
    pub(super) name: Option<String>,
}

/// Finds the device.
pub(super) struct Finder {
    ports: Ports,
    wanted: Wanted,
}

/// A device that has answered.
pub(super) struct Device {
    pub(super) session: Session,
    ports: Ports,
    /// What it can do; none: ask.
    pub(super) capabilities: Option<Capabilities>,
}

impl Finder {
    pub(super) const fn new(ports: Ports, wanted: Wanted) -> Self {
        Self { ports, wanted }
    }

    /// Finds the device and asks what it can do.
    pub(super) fn find(&self) -> Result<Device, WebError> {
        if let Some(url) = &self.wanted.url {
            return self.open(url).map_err(|mut error| {
                if error.kind == WebErrorKind::Unreachable {
                    error.message = format!("{url}: {}", error.message);
                }
                error
            });
        }
        let last = self.recall(LAST_URL).and_then(|url| url.parse().ok());
        if let Some(url) = &last
            && let Ok(device) = self.open(url)
        {
            return Ok(device);
        }
        let found = discovery::discover(&self.ports.clock, &*self.ports.sleep)
            .map_err(|error| unreachable(format!("cannot look on the network: {error}")))?;
        let named = |name: &String, it: &discovery::Found| {
            let begins = |text: &str| text.to_lowercase().starts_with(&name.to_lowercase());
            begins(&it.name) || begins(&it.model)
        };
        let name = self.wanted.name.as_ref();
        let candidates: Vec<_> = found
            .into_iter()
            .filter(|it| name.is_none_or(|name| named(name, it)))
            .collect();
        let only = candidates.len() == 1;
        if !only && name.is_none() && self.wanted.serial.is_none() && !candidates.is_empty() {
            let count = candidates.len();
            let message =
                format!("{count} scanners answer; choose by url (scantrip device discover)");
            return Err(unreachable(message));
        }
        self.first(&candidates)
    }

    /// The first of them that is the wanted one, by the first of its addresses that leads to it.
    fn first(&self, candidates: &[discovery::Found]) -> Result<Device, WebError> {
        let mut error =
            unreachable("no scanner answers; is it on, and in this network?".to_owned());
        for candidate in candidates {
            for url in [&candidate.url].into_iter().chain(&candidate.others) {
                match self.open(url) {
                    Ok(device) => return Ok(device),
                    Err(cause) => error = cause,
                }
                let no_way = [WebErrorKind::Unreachable, WebErrorKind::TimedOut];
                if !no_way.contains(&error.kind) {
                    break;
                }
            }
        }
        Err(error)
    }

    /// Asks the device at `url` what it can do, and checks that it is the wanted one.
    fn open(&self, url: &DeviceUrl) -> Result<Device, WebError> {
        let mut session = Session::new(self.ports.clone(), url.clone(), self.pin(url));
        let capabilities = session.capabilities()?;
        if let Some(serial) = &self.wanted.serial
            && !capabilities.serial.eq_ignore_ascii_case(serial)
            && !capabilities.uuid.eq_ignore_ascii_case(serial)
        {
            let message = format!(
                "another scanner answers there: serial {:?}",
                capabilities.serial
            );
            return Err(unreachable(message));
        }
        session.quirks = Quirks::of(&capabilities.model, &session.server);
        self.keep(&session, &capabilities);
        Ok(Device {
            session,
            ports: self.ports.clone(),
            capabilities: Some(capabilities),
        })
    }

    /// Who the wanted device is, as it told when it was last reached.
    pub(super) fn remembered(&self) -> Option<DeviceIdentity> {
        let last: DeviceUrl = self.recall(LAST_URL)?.parse().ok()?;
        let same = |url: &DeviceUrl| *url == last || url.with_tls(&last.to_string()).is_some();
        if self.wanted.url.as_ref().is_some_and(|url| !same(url)) {
            return None;
        }
        let text = self.recall(LAST_IDENTITY)?;
        let mut lines = text.lines();
        let (vendor, model, serial) = (lines.next()?, lines.next()?, lines.next()?);
        let other = |wanted: &String| !wanted.eq_ignore_ascii_case(serial);
        if self.wanted.serial.as_ref().is_some_and(other) {
            return None;
        }
        Some(identity(vendor, model, serial))
    }

    /// The certificate of whoever answers where the device should be; none without TLS.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let last = || self.recall(LAST_URL)?.parse().ok();
        let url = self.wanted.url.clone().or_else(last)?;
        let mut session = Session::new(self.ports.clone(), url, Pin::default());
        // What it answers does not matter: by then it has shown who it is.
        let _answer = session.capabilities();
        let shown = hex(&session.fingerprint()?);
        let expected = self.pin(session.url()).get().map(|sha256| hex(sha256));
        Some(Certificate { shown, expected })
    }

    /// The certificate to be expected at `url`.
    fn pin(&self, url: &DeviceUrl) -> Pin {
        let pin = Pin::default();
        let remembered = || {
            let text = self.recall(LAST_PIN)?;
            let (host, sha256) = text.split_once(' ')?;
            (host == url.host()).then(|| parse_fingerprint(sha256))?
        };
        if let Some(sha256) = self.wanted.fingerprint.or_else(remembered) {
            pin.get_or_init(|| sha256);
        }
        pin
    }

    /// Remembers what is true of the device from now on.
    fn keep(&self, session: &Session, capabilities: &Capabilities) {
        let Some(memory) = &self.ports.memory else {
            return;
        };
        let keep = |name: &str, value: String| {
            if memory.recall(name).as_deref() != Some(value.as_bytes()) {
                memory.keep(name, value.as_bytes());
            }
        };
        keep(LAST_URL, session.url().to_string());
        if let Some(sha256) = session.fingerprint() {
            keep(
                LAST_PIN,
                format!("{} {}", session.url().host(), hex(&sha256)),
            );
        }
        let id = identity_of(capabilities, session.url());
        keep(
            LAST_IDENTITY,
            format!("{}\n{}\n{}\n", id.vendor, id.model, id.serial),
        );
    }

    /// The fault of the feeder that a person was told of last, if it may stick.
    pub(super) fn told(&self) -> Option<ScannerErrorKind> {
        let name = self.recall(LAST_FAULT)?;
        let known = STICKY.into_iter().find(|(_, known)| *known == name);
        known.map(|(kind, _)| kind)
    }

    /// A person is told of this fault; none: a job has ended well.
    pub(super) fn tell(&self, fault: Option<ScannerErrorKind>) {
        let Some(memory) = &self.ports.memory else {
            return;
        };
        let name = STICKY.into_iter().find(|(kind, _)| Some(*kind) == fault);
        let name = name.map_or("", |(_, name)| name);
        if self.recall(LAST_FAULT).unwrap_or_default() != name {
            memory.keep(LAST_FAULT, name.as_bytes());
        }
    }

    fn recall(&self, name: &str) -> Option<String> {
        let value = self.ports.memory.as_ref()?.recall(name)?;
        String::from_utf8(value).ok()
    }
}

impl Device {
    /// What it can do; asked for again after it refused something.
    pub(super) fn capabilities(&mut self) -> Result<&Capabilities, WebError> {
        let known = match self.capabilities.take() {
            Some(known) => known,
            None => self.session.capabilities()?,
        };
        Ok(self.capabilities.insert(known))
    }

    /// Lets time pass; less when `stop` is raised.
    pub(super) fn wait(&self, time: Duration, stop: Option<&StopFlag>) {
        let mut left = time;
        while !left.is_zero() && !stop.is_some_and(StopFlag::is_raised) {
            let piece = stop.map_or(left, |_| left.min(GLANCE));
            (self.ports.sleep)(piece);
            left -= piece;
        }
    }
}

/// Who a device says it is. Without a serial number its UUID names it, without both the place where
/// it is: every part of the document may be missing.
pub(super) fn identity_of(capabilities: &Capabilities, url: &DeviceUrl) -> DeviceIdentity {
    let Capabilities {
        model,
        manufacturer,
        serial,
        uuid,
        ..
    } = capabilities;
    let first = model.split_whitespace().next().unwrap_or_default();
    let vendor = if manufacturer.is_empty() {
        first
    } else {
        manufacturer
    };
    let place = url.host_with_port();
    let place: String = place
        .chars()
        .map(|symbol| match symbol {
            symbol if symbol.is_ascii_alphanumeric() || symbol == '.' => symbol,
            _ => '-',
        })
        .collect();
    let names = [serial.as_str(), uuid.as_str(), place.trim_matches('-')];
    let serial = names.into_iter().find(|name| !name.is_empty());
    let model = if model.is_empty() { UNNAMED } else { model };
    let vendor = if vendor.is_empty() { UNNAMED } else { vendor };
    identity(vendor, model, serial.unwrap_or_default())
}

fn identity(vendor: &str, model: &str, serial: &str) -> DeviceIdentity {
    DeviceIdentity {
        vendor: short(vendor),
        model: short(model),
        serial: short(serial),
        firmware: heapless::String::new(),
    }
}

/// As much of `text` as fits, in one line.
fn short<const N: usize>(text: &str) -> heapless::String<N> {
    let mut fitting = heapless::String::new();
    for symbol in text.chars().filter(|symbol| !symbol.is_control()) {
        if fitting.push(symbol).is_err() {
            break;
        }
    }
    fitting
}

fn unreachable(message: String) -> WebError {
    WebError {
        kind: WebErrorKind::Unreachable,
        message,
    }
}

/// A SHA-256 as people write it, with or without colons.
#[must_use]
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !b": ".contains(byte)).collect();
    let mut sha256 = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in sha256.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16)
            .ok()
            .filter(|_| !pair.starts_with('+'))?;
    }
    Some(sha256)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
