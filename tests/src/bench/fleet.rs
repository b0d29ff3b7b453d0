//! A cloud with many enrolled devices, made in this process: what servers are measured with.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};
use scantrip_cloud::blobs::memory::MemoryBlobs;
use scantrip_cloud::core::{Core, Peer, Settings, admin};
use scantrip_cloud::keys::memory::MemoryKeys;
use scantrip_cloud::ports::{Clock, Ports, SystemRandom};
use scantrip_cloud::store::memory::MemoryStore;

/// Devices wait in this many tenants.
const TENANTS: usize = 10;

/// An enrolled device.
pub(super) struct Member {
    pub(super) key: KeyPair,
    pub(super) certificate: Vec<u8>,
}

impl Member {
    /// The device as the core sees it.
    pub(super) fn peer(&self) -> Peer {
        Peer {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            certificate: Some(self.certificate.clone()),
        }
    }
}

/// A core in memory whose clock stands still.
pub(super) fn core_in_memory() -> anyhow::Result<Arc<Core>> {
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        blobs: Arc::new(MemoryBlobs::new()),
        keys: Arc::new(MemoryKeys::new()),
        clock: Arc::new(StoppedClock),
        random: Arc::new(SystemRandom),
    };
    admin::init(&ports)?;
    Ok(Core::open(ports, Settings::default())?)
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }
}

/// Enrols `devices` devices through the core's own routes, spread over some tenants.
pub(super) fn enroll(core: &Arc<Core>, devices: usize) -> anyhow::Result<Vec<Member>> {
    let tenants: Vec<String> = (0..TENANTS)
        .map(|number| Ok(core.add_tenant(&format!("Tenant {number}"))?.id))
        .collect::<anyhow::Result<_>>()?;
    let names = tenants.iter().cycle().take(devices).enumerate();
    names
        .map(|(number, tenant)| enroll_one(core, tenant, &format!("SN-{number}")))
        .collect()
}

fn enroll_one(core: &Arc<Core>, tenant: &str, serial: &str) -> anyhow::Result<Member> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, serial);
    let body = STANDARD.encode(params.serialize_request(&key)?.der());
    let code = core.create_code(Some(tenant), None)?.code;
    let (head, ()) = http::Request::post("/.well-known/est/simpleenroll")
        .header(
            "authorization",
            format!("Basic {}", STANDARD.encode(format!("{serial}:{code}"))),
        )
        .body(())?
        .into_parts();
    let nobody = Peer {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
    };
    let mut exchange = core.route(&nobody, &head);
    exchange.push(body.as_bytes());
    let answer = exchange.finish();
    ensure!(
        answer.status().is_success(),
        "enrolment: {}",
        answer.status()
    );
    Ok(Member {
        key,
        certificate: first_certificate(&STANDARD.decode(answer.body())?)?,
    })
}

/// The one certificate in certs-only (RFC 5652): it follows the inner content type, and its own
/// length says where it ends.
fn first_certificate(der: &[u8]) -> anyhow::Result<Vec<u8>> {
    const DATA: [u8; 13] = [
        0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1,
    ];
    let at = der.windows(DATA.len()).position(|window| window == DATA);
    let certificates = der.get(at.context("no content")? + DATA.len()..);
    let certificate = certificates.and_then(|wrapped| wrapped.get(4..));
    let certificate = certificate.context("no certificate")?;
    let [0x30, 0x82, high, low, ..] = *certificate else {
        anyhow::bail!("no certificate of the usual length");
    };
    let length = 4 + usize::from(u16::from_be_bytes([high, low]));
    Ok(certificate.get(..length).context("cut off")?.to_vec())
}
