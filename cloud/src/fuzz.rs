//! What `tests/fuzz` feeds with arbitrary bytes; only with the feature `fuzz`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode};
use scantrip_cloud_client::{est, wire};
use sha2::{Digest as _, Sha256};

use crate::blobs::memory::MemoryBlobs;
use crate::core::answer::Answer;
use crate::core::authority::Request as CertificateRequest;
use crate::core::{Core, Peer, Settings, admin};
use crate::jpeg::Jpeg;
use crate::keys::memory::MemoryKeys;
use crate::name_pattern::{FIXED_NAMES, NAME_BYTES_MAX, NameFacts, NamePattern, numbered};
use crate::pdf::Pdf;
use crate::pdf::file::File;
use crate::ports::{Clock, Ports, Random};
use crate::store::memory::MemoryStore;
use crate::tiff::Tiff;
use crate::workflow::Workflow;

/// One line per decoder: none may panic, whatever it is given.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("cloud-requests", requests),
    ("jpeg", jpeg),
    ("name-pattern", name_pattern),
    ("page-pdf", page_pdf),
    ("page-tiff", page_tiff),
    ("pkcs10", pkcs10),
    ("workflow", workflow),
];

fn pkcs10(data: &[u8]) {
    drop(CertificateRequest::parse(data));
}

/// An image that is accepted is accepted again after its height was written in.
fn jpeg(data: &[u8]) {
    let Ok(jpeg) = Jpeg::parse(data) else {
        return;
    };
    let mut written = Vec::new();
    let done: Result<(), ()> = jpeg.write(&mut |bytes| {
        written.extend_from_slice(bytes);
        Ok(())
    });
    assert!(done.is_ok() && written.len() == jpeg.len());
    let again = Jpeg::parse(&written).expect("an image that was accepted");
    let (info, again) = (jpeg.info(), again.info());
    assert_eq!((info.width, info.height), (again.width, again.height));
}

/// A document of a PDF's pages is not much larger than the PDF.
fn page_pdf(data: &[u8]) {
    let Ok(file) = File::read(data) else {
        return;
    };
    let mut written = 0;
    let mut sink = |bytes: &[u8]| {
        written += bytes.len();
        Ok::<_, Infallible>(())
    };
    let pdf = Pdf::begin(0, &mut sink);
    let Ok(mut pdf) = pdf;
    drop(pdf.pages_of(&file, 0, &mut sink));
    assert!(written < (data.len() + (64 << 20)) * 2 + (1 << 20));
}

/// An image has a size and bytes.
fn page_tiff(data: &[u8]) {
    let Ok(mut tiff) = Tiff::read(data) else {
        return;
    };
    while let Ok(Some(image)) = tiff.next_image() {
        assert!(image.width > 0 && image.height > 0 && image.coding.starts_with("/ColorSpace/"));
    }
}

fn workflow(data: &[u8]) {
    match Workflow::parse(&String::from_utf8_lossy(data), "fuzz.toml") {
        Ok(workflow) => {
            let json = serde_json::to_vec(&workflow.to_wire(1)).expect("text and numbers");
            assert!(serde_json::from_slice::<wire::Workflow>(&json).is_ok());
        }
        Err(error) => assert!(error.line > 0 && error.column > 0),
    }
}

/// A pattern and, behind a zero byte, what was entered: the name stays one file's name.
fn name_pattern(data: &[u8]) {
    let mut pieces = data.splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let entered = String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let Ok(pattern) = NamePattern::parse(&text, ["customer"]) else {
        return;
    };
    let fields = BTreeMap::from([("customer".to_owned(), entered.clone())]);
    let facts = NameFacts {
        scanned_ms: 1_700_000_000_000,
        counter: 7,
        workflow: &entered,
        device: FIXED_NAMES[2],
        job: "job",
        fields: &fields,
        extension: "pdf",
    };
    let name = pattern.render(&facts);
    for name in [numbered(&name, u32::MAX), name] {
        assert!((1..=NAME_BYTES_MAX + 16).contains(&name.len()), "{name:?}");
        assert!(!name.contains(['/', '\\', '\0', '\n']), "{name:?}");
        assert!(
            name != "." && name != ".." && !name.starts_with('.'),
            "{name:?}"
        );
    }
}

/// Requests one after the other, as `METHOD PATH`, headers, an empty line and a body; `%%` in a
/// line of its own is between two. `{tenant}`, `{device}` and `{location}` (of the last answer)
/// are filled in. A line `anonymous` as a header leaves the certificate away.
fn requests(data: &[u8]) {
    let site = Site::fork(&SITE);
    let mut location = String::new();
    for text in split(data, b"\n%%\n").take(16) {
        let Some(answer) = site.ask(text, &location) else {
            return;
        };
        let status = answer.status();
        assert!(
            status.as_u16() < 500,
            "{status} to {:?}",
            String::from_utf8_lossy(text)
        );
        if status.is_client_error() {
            let problem = serde_json::from_slice::<wire::Problem>(answer.body());
            assert!(problem.is_ok_and(|problem| problem.status == status.as_u16()));
        }
        if let Some(value) = answer.headers().get("location") {
            location = value.to_str().unwrap_or_default().to_owned();
        }
    }
}

fn split<'a>(mut data: &'a [u8], separator: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let place = data
            .windows(separator.len())
            .position(|window| window == separator);
        let (piece, rest) = match place {
            Some(place) => data.split_at(place),
            None => (data, [].as_slice()),
        };
        over = place.is_none();
        data = rest.get(separator.len()..).unwrap_or_default();
        Some(piece)
    })
}

/// A cloud with a tenant and an enrolled device, made once.
static SITE: LazyLock<Site> = LazyLock::new(Site::new);

struct Site {
    store: Arc<MemoryStore>,
    keys: Arc<MemoryKeys>,
    core: Arc<Core>,
    device: Peer,
    names: [(&'static str, String); 2],
}

struct Late;

impl Clock for Late {
    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }
}

/// SHA-256 in counter mode.
struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            for (to, from) in chunk.iter_mut().zip(Sha256::digest(number.to_be_bytes())) {
                *to = from;
            }
        }
    }
}

fn ports(store: &Arc<MemoryStore>, keys: &Arc<MemoryKeys>) -> Ports {
    Ports {
        store: Arc::<MemoryStore>::clone(store),
        blobs: Arc::new(MemoryBlobs::new()),
        keys: Arc::<MemoryKeys>::clone(keys),
        clock: Arc::new(Late),
        random: Arc::new(Counted(AtomicU64::new(0))),
    }
}

impl Site {
    fn new() -> Self {
        let (store, keys) = (Arc::default(), Arc::default());
        let ports = ports(&store, &keys);
        admin::init(&ports).expect("an empty cloud");
        let core = Core::open(ports, Settings::default()).expect("a cloud");
        let tenant = core.add_tenant("Example AG").expect("a tenant").id;
        let code = core.create_code(Some(&tenant), None).expect("a code").code;
        let request = include_bytes!("../../tests/fuzz/corpus/pkcs10/device.der");
        let basic = STANDARD.encode(format!("serial:{code}"));
        let head = format!(
            "POST /.well-known/est/simpleenroll\nauthorization: Basic {basic}\nanonymous: 1\n\n{}",
            STANDARD.encode(request)
        );
        let mut site = Self {
            store,
            keys,
            core,
            device: Peer {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                certificate: None,
            },
            names: [("{tenant}", tenant), ("{device}", String::new())],
        };
        let answer = site.ask(head.as_bytes(), "").expect("a request");
        assert_eq!(answer.status(), StatusCode::OK);
        let chain = est::certificates(answer.body()).expect("certificates");
        site.device.certificate = chain.into_iter().next();
        let desired = site
            .ask(b"GET /v1/device/desired\n\n", "")
            .expect("a request");
        let desired = serde_json::from_slice::<wire::Desired>(desired.body());
        site.names[1].1 = desired.expect("a desired state").device;
        site
    }

    /// The same cloud again, whatever became of the first.
    fn fork(other: &Self) -> Self {
        let store = Arc::new(other.store.fork());
        let ports = ports(&store, &other.keys);
        Self {
            store,
            keys: Arc::clone(&other.keys),
            core: Core::open(ports, Settings::default()).expect("a cloud"),
            device: other.device.clone(),
            names: other.names.clone(),
        }
    }

    fn fill_in(&self, text: &str, location: &str) -> String {
        let [(tenant, its_id), (device, device_id)] = &self.names;
        text.replace(tenant, its_id)
            .replace(device, device_id)
            .replace("{location}", location)
    }

    /// The answer, unless hyper would have refused the head.
    fn ask(&self, text: &[u8], location: &str) -> Option<Answer> {
        let end = text.windows(2).position(|window| window == b"\n\n");
        let (head, body) = text.split_at(end.map_or(text.len(), |end| end + 2));
        let head = self.fill_in(str::from_utf8(head).ok()?, location);
        let mut lines = head.lines();
        let (method, path) = lines.next()?.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let mut request = Request::builder().method(method).uri(path);
        let mut peer = self.device.clone();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name {
                "anonymous" => peer.certificate = None,
                _ => request = request.header(name, value),
            }
        }
        let (head, ()) = request.body(()).ok()?.into_parts();
        let body = match str::from_utf8(body) {
            Ok(text) if text.contains('{') => self.fill_in(text, location).into_bytes(),
            _ => body.to_vec(),
        };
        let mut exchange = self.core.route(&peer, &head);
        for piece in body.chunks(97) {
            exchange.push(piece);
        }
        Some(exchange.finish())
    }
}
