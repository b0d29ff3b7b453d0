//! The core in memory with virtual time: what devices see, whatever is repeated, raced or cut off.

mod commit;
mod crash;
mod enroll;
mod isolation;
mod list;
mod poll;
mod telemetry;
mod upload;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, StatusCode};
use rcgen::{CertificateParams, DnType, KeyPair};
use scantrip_cloud_client::wire::{Envelope, EnvelopeObject, Problem, Receipt, SignedReceipt};

use super::answer::Answer;
use super::global::sha256_hex;
use super::{Core, Peer, Settings, admin};
use crate::testing::{ADDRESS, World};

const JOB: &str = "01234567-89ab-4def-8123-456789abcdef";
const OTHER_JOB: &str = "11234567-89ab-4def-8123-456789abcdef";
const BYTES_TYPE: (&str, &str) = ("content-type", "application/offset+octet-stream");
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

/// A cloud in memory.
struct Cloud {
    world: World,
    core: Arc<Core>,
}

/// A device as it presents itself.
#[derive(Clone)]
struct Device {
    peer: Peer,
    id: String,
    tenant: String,
}

impl Cloud {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let world = World::new();
        admin::init(&world.ports).unwrap();
        let core = Core::open(world.ports.clone(), settings).unwrap();
        Self { world, core }
    }

    /// The same store and keys in another process: nothing in memory is shared.
    fn restart(&mut self) {
        let settings = self.core.settings().clone();
        self.core = Core::open(self.world.ports.clone(), settings).unwrap();
    }

    fn tenant(&self, name: &str) -> String {
        self.core.add_tenant(name).unwrap().id
    }

    fn code(&self, tenant: &str) -> String {
        self.core.create_code(Some(tenant), None).unwrap().code
    }

    /// A device of the tenant with this serial number.
    fn device(&self, tenant: &str, serial: &str) -> Device {
        let certificate = ok(&self.enroll(serial, &self.code(tenant), &key()));
        self.known_as(tenant, certificate)
    }

    fn known_as(&self, tenant: &str, certificate: Vec<u8>) -> Device {
        let peer = Peer {
            address: ADDRESS,
            certificate: Some(certificate),
        };
        let mut device = Device {
            peer,
            id: String::new(),
            tenant: tenant.to_owned(),
        };
        let desired = self.get(&device, "/v1/device/desired", &[]);
        assert_eq!(desired.status(), StatusCode::OK);
        let desired: serde_json::Value = serde_json::from_slice(desired.body()).unwrap();
        device.id = desired["device"].as_str().unwrap().to_owned();
        device
    }

    fn enroll(&self, serial: &str, code: &str, key: &KeyPair) -> Answer {
        let basic = format!("Basic {}", STANDARD.encode(format!("{serial}:{code}")));
        let headers = [("authorization", basic.as_str())];
        let body = STANDARD.encode(csr(key, serial));
        let path = "/.well-known/est/simpleenroll";
        self.call(&nobody(), (Method::POST, path), &headers, body.as_bytes())
    }

    fn reenroll(&self, device: &Device, key: &KeyPair) -> Answer {
        let body = STANDARD.encode(csr(key, &device.id));
        let path = "/.well-known/est/simplereenroll";
        self.call(&device.peer, (Method::POST, path), &[], body.as_bytes())
    }

    fn get(&self, device: &Device, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(&device.peer, (Method::GET, path), headers, b"")
    }

    /// A whole request, its body in small pieces.
    fn call(
        &self,
        peer: &Peer,
        call: (Method, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.cut_off(peer, call, headers, (body, body.len()))
    }

    /// As [`Cloud::call`], but the line breaks before all `announced` bytes were sent.
    fn cut_off(
        &self,
        peer: &Peer,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        (body, announced): (&[u8], usize),
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request
            .header("content-length", announced)
            .body(())
            .unwrap()
            .into_parts();
        let mut exchange = self.core.route(peer, &head);
        for piece in body.chunks(7) {
            exchange.push(piece);
        }
        exchange.finish()
    }

    /// Uploads an object in one request.
    fn upload(&self, device: &Device, job: &str, object: u32, bytes: &[u8]) -> Answer {
        let length = bytes.len().to_string();
        let metadata = metadata(job, object, bytes);
        let headers = [
            TUS,
            BYTES_TYPE,
            ("upload-length", &length),
            ("upload-metadata", &metadata),
        ];
        self.call(
            &device.peer,
            (Method::POST, "/v1/device/uploads"),
            &headers,
            bytes,
        )
    }

    fn commit(&self, device: &Device, job: &str, objects: &[(u32, &[u8])]) -> Answer {
        let body = serde_json::to_vec(&envelope(device, job, objects)).unwrap();
        self.call(
            &device.peer,
            (Method::PUT, &format!("/v1/device/jobs/{job}")),
            &[],
            &body,
        )
    }

    fn discard(&self, device: &Device, job: &str) -> Answer {
        self.call(
            &device.peer,
            (Method::DELETE, &format!("/v1/device/jobs/{job}")),
            &[],
            b"",
        )
    }

    /// A committed job of a manifest and one page.
    fn committed(&self, device: &Device, job: &str) -> SignedReceipt {
        let objects: [(u32, &[u8]); 2] = [(0, b"manifest"), (1, b"page one")];
        for (object, bytes) in objects {
            assert_eq!(
                self.upload(device, job, object, bytes).status(),
                StatusCode::CREATED
            );
        }
        let answer = self.commit(device, job, &objects);
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
        serde_json::from_slice(answer.body()).unwrap()
    }
}

fn nobody() -> Peer {
    Peer {
        address: ADDRESS,
        certificate: None,
    }
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn csr(key: &KeyPair, name: &str) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key).unwrap().der().to_vec()
}

/// The certificate of an EST answer: the DER inside of certs-only begins at a fixed place.
fn ok(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(answer));
    let der = STANDARD.decode(answer.body()).unwrap();
    let start = der
        .windows(4)
        .position(|window| window == [0x30, 0x0b, 0x06, 0x09])
        .unwrap();
    // Behind: the data type's OID (13 bytes), then [0] with a length of two bytes.
    let certificate = &der[start + 13 + 4..der.len() - 2];
    certificate.to_vec()
}

fn metadata(job: &str, object: u32, bytes: &[u8]) -> String {
    let pairs = [
        ("job", job.to_owned()),
        ("object", object.to_string()),
        ("sha256", sha256_hex(bytes)),
    ];
    pairs
        .map(|(name, value)| format!("{name} {}", STANDARD.encode(value)))
        .join(",")
}

fn envelope(device: &Device, job: &str, objects: &[(u32, &[u8])]) -> Envelope {
    let entry = |(object, bytes): &(u32, &[u8])| EnvelopeObject {
        object: *object,
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
    };
    Envelope {
        version: 1,
        job: job.to_owned(),
        tenant: device.tenant.clone(),
        device: device.id.clone(),
        objects: objects.iter().map(entry).collect(),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// The problem of an answer, by name, with its words.
fn problem(answer: &Answer) -> (String, Problem) {
    let problem: Problem = serde_json::from_slice(answer.body())
        .unwrap_or_else(|_| panic!("no problem: {} {}", answer.status(), text(answer)));
    assert_eq!(problem.status, answer.status().as_u16());
    let name = problem.known().expect("a known kind").name().to_owned();
    (name, problem)
}

fn receipt(signed: &SignedReceipt) -> Receipt {
    serde_json::from_slice(&STANDARD.decode(&signed.receipt).unwrap()).unwrap()
}
