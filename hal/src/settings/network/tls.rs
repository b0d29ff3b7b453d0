//! Hellos of TLS from SSL 3.0 to 1.3, written by hand, and what a server answers before anything
//! is encrypted: the version, the cipher suite, the certificate. No handshake is finished here.

/// A version as it stands in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl Version {
    /// Oldest first.
    pub(super) const ALL: [Self; 5] = [
        Self::Ssl3,
        Self::Tls10,
        Self::Tls11,
        Self::Tls12,
        Self::Tls13,
    ];

    const fn number(self) -> u16 {
        0x0300 + self as u16
    }

    /// The word of `net.tls_min_version`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ssl3 => "ssl3",
            Self::Tls10 => "1.0",
            Self::Tls11 => "1.1",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// Cipher suites that nobody should accept, by kind.
pub(super) const WEAK: &[(&str, &[u16])] = &[
    (
        "3des",
        &[
            0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0xc003, 0xc008, 0xc00d, 0xc012,
        ],
    ),
    (
        "anon",
        &[
            0x0018, 0x001b, 0x0034, 0x003a, 0x006c, 0x006d, 0x00a6, 0x00a7, 0xc015, 0xc016, 0xc017,
            0xc018, 0xc019,
        ],
    ),
    ("des", &[0x0009, 0x000c, 0x000f, 0x0012, 0x0015, 0x001a]),
    (
        "export",
        &[
            0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0017, 0x0019, 0x0062, 0x0064,
        ],
    ),
    ("null", &[0x0001, 0x0002, 0x003b, 0xc006, 0xc00b, 0xc010]),
    ("rc4", &[0x0004, 0x0005, 0xc002, 0xc007, 0xc00c, 0xc011]),
];

/// Suites that servers of any age know.
const COMMON: &[u16] = &[
    0xc02f, 0xc030, 0xc02b, 0xc02c, 0xcca8, 0xcca9, 0x009e, 0x009f, 0x009c, 0x009d, 0xc027, 0xc028,
    0xc023, 0xc024, 0x003c, 0x003d, 0xc013, 0xc014, 0xc009, 0xc00a, 0x0033, 0x0039, 0x0032, 0x0038,
    0x002f, 0x0035, 0x0041, 0x0084,
];
const OF_TLS13: &[u16] = &[0x1301, 0x1302, 0x1303];

/// A hello for one version alone, with every suite that it could use.
pub(super) fn hello(version: Version) -> Vec<u8> {
    if version == Version::Tls13 {
        return write_hello(version, OF_TLS13);
    }
    let weak = WEAK.iter().flat_map(|(_, suites)| suites.iter());
    let suites: Vec<u16> = COMMON.iter().chain(weak).copied().collect();
    write_hello(version, &suites)
}

/// A hello with weak suites alone, but for those of the kinds left out.
pub(super) fn weak_hello(version: Version, without: &[&str]) -> Vec<u8> {
    let kinds = WEAK.iter().filter(|(kind, _)| !without.contains(kind));
    let suites: Vec<u16> = kinds
        .flat_map(|(_, suites)| suites.iter().copied())
        .collect();
    write_hello(version, &suites)
}

/// The kind of a weak suite.
pub(super) fn weak_kind(suite: u16) -> Option<&'static str> {
    let of = WEAK.iter().find(|(_, suites)| suites.contains(&suite));
    of.map(|(kind, _)| *kind)
}

fn write_hello(version: Version, suites: &[u16]) -> Vec<u8> {
    let legacy = version.min(Version::Tls12).number().to_be_bytes();
    let mut body = legacy.to_vec();
    // What is random here protects nothing: no key is ever made.
    body.extend((0..32).map(|it: u8| it.wrapping_mul(37)));
    let session: &[u8] = match version {
        Version::Tls13 => &[7; 32],
        _ => &[],
    };
    body.extend(sized::<1>(session));
    let signal_renegotiation = 0x00ff_u16;
    let suites = suites.iter().chain([&signal_renegotiation]);
    let suites: Vec<u8> = suites.flat_map(|it| it.to_be_bytes()).collect();
    body.extend(sized::<2>(&suites));
    body.extend(sized::<1>(&[0]));
    if version != Version::Ssl3 {
        body.extend(sized::<2>(&extensions(version)));
    }
    let mut message = vec![1];
    message.extend(sized::<3>(&body));
    let record = version.min(Version::Tls10).number().to_be_bytes();
    let mut bytes = vec![HANDSHAKE];
    bytes.extend(record);
    bytes.extend(sized::<2>(&message));
    bytes
}

fn extensions(version: Version) -> Vec<u8> {
    const GROUPS: &[u8] = &[0, 29, 0, 23, 0, 24, 0, 25];
    const SIGNATURES: &[u8] = &[
        4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 2, 3, 2, 1, 8, 7, 4, 2, 2, 2,
    ];
    let mut bytes = Vec::new();
    let mut add = |kind: u16, value: &[u8]| {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(sized::<2>(value));
    };
    add(10, &sized::<2>(GROUPS));
    add(11, &sized::<1>(&[0]));
    if version >= Version::Tls12 {
        add(13, &sized::<2>(SIGNATURES));
    }
    if version == Version::Tls13 {
        add(43, &sized::<1>(&Version::Tls13.number().to_be_bytes()));
        // Any 32 bytes are a public key of X25519.
        let share = [&[0, 29][..], &sized::<2>(&[9; 32])].concat();
        add(51, &sized::<2>(&share));
    }
    bytes
}

/// A value after its length in `N` bytes.
fn sized<const N: usize>(value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u32).to_be_bytes();
    let mut bytes: Vec<u8> = length.iter().skip(4 - N).copied().collect();
    bytes.extend_from_slice(value);
    bytes
}

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
/// A server's first flight with a long chain.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What a server said to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It agrees; the certificate is there when it is not encrypted.
    Agreed {
        version: u16,
        suite: u16,
        certificate: Option<Vec<u8>>,
    },
    /// It refuses this hello.
    Refused,
    /// It does not speak TLS.
    NotTls,
}

impl Answer {
    /// Whether the server agreed to this version.
    pub(super) fn is(&self, wanted: Version) -> bool {
        matches!(self, Self::Agreed { version, .. } if *version == wanted.number())
    }
}

/// Reads what has come; `None` while more must come. `at_end`: nothing more will.
pub(super) fn answer(bytes: &[u8], at_end: bool) -> Option<Answer> {
    let at_end = at_end || bytes.len() >= ANSWER_BYTES_MAX;
    let mut records = bytes;
    let mut messages = Vec::new();
    while let Some((header, rest)) = records.split_first_chunk::<5>() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        match (header[0], header[1]) {
            (ALERT, 3) if messages.is_empty() => return Some(Answer::Refused),
            (HANDSHAKE, 3) => {}
            _ if !messages.is_empty() => break,
            _ => return Some(Answer::NotTls),
        }
        let Some((record, rest)) = rest.split_at_checked(length) else {
            messages.extend_from_slice(rest);
            break;
        };
        messages.extend_from_slice(record);
        records = rest;
    }
    match first_flight(&messages) {
        Flight::Done(answer) => Some(answer),
        Flight::Hello(answer) if at_end => Some(answer),
        // Nothing, or half a flight, is no answer.
        _ if at_end && messages.is_empty() && !bytes.is_empty() => Some(Answer::NotTls),
        _ => None,
    }
}

enum Flight {
    /// All that was asked for.
    Done(Answer),
    /// The hello alone so far.
    Hello(Answer),
    More,
}

fn first_flight(mut messages: &[u8]) -> Flight {
    let mut hello = None;
    loop {
        let Some((kind, body)) = message(&mut messages) else {
            return hello.map_or(Flight::More, Flight::Hello);
        };
        match (kind, &mut hello) {
            (2, None) => match server_hello(body) {
                // From here on TLS 1.3 encrypts.
                Some(answer) if answer.is(Version::Tls13) => return Flight::Done(answer),
                Some(answer) => hello = Some(answer),
                None => return Flight::Done(Answer::NotTls),
            },
            (11, Some(Answer::Agreed { certificate, .. })) => {
                *certificate = first_certificate(body);
                return hello.map_or(Flight::More, Flight::Done);
            }
            // ServerKeyExchange or later: no certificate will come.
            (12..=14, Some(_)) => return hello.map_or(Flight::More, Flight::Done),
            (_, Some(_)) => {}
            (_, None) => return Flight::Done(Answer::NotTls),
        }
    }
}

fn message<'a>(messages: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (header, rest) = messages.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    let (body, rest) = rest.split_at_checked(length as usize)?;
    *messages = rest;
    Some((header[0], body))
}

fn server_hello(body: &[u8]) -> Option<Answer> {
    let (version, rest) = body.split_first_chunk::<2>()?;
    let (session, rest) = rest.get(32..)?.split_first()?;
    let (suite, rest) = rest
        .get(usize::from(*session)..)?
        .split_first_chunk::<2>()?;
    let mut version = u16::from_be_bytes(*version);
    if version >> 8 != 3 {
        return None;
    }
    // After the compression method: extensions, of which one tells of TLS 1.3.
    let mut extensions = rest.get(3..).unwrap_or_default();
    while let Some((header, rest)) = extensions.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            break;
        };
        if header[..2] == [0, 43]
            && let Some(selected) = value.first_chunk()
        {
            version = u16::from_be_bytes(*selected);
        }
        extensions = rest;
    }
    Some(Answer::Agreed {
        version,
        suite: u16::from_be_bytes(*suite),
        certificate: None,
    })
}

fn first_certificate(body: &[u8]) -> Option<Vec<u8>> {
    let list = body.get(3..)?;
    let (length, rest) = list.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, length[0], length[1], length[2]]);
    rest.get(..length as usize).map(<[u8]>::to_vec)
}
