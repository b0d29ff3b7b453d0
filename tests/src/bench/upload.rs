//! Upload of sealed 1 MB objects against curl: the same objects, route and durability, each on one
//! keep-alive connection, in turns.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::est;
use scantrip_cloud_client::http::{BaseUrl, Clocks, HttpClient, Purpose, Timeouts};
use scantrip_cloud_client::tls::{Credential, Roots, SignError, Signer, TlsSettings, TlsVersions};
use scantrip_cloud_client::upload::{NewUpload, upload_object};
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::{SystemClock, SystemEntropy};
use scantrip_hal::clock::Clock as _;
use scantrip_hal::entropy::Entropy as _;
use scantrip_hal::keys::{KeySlot, KeyStore as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bench::{median, now};
use crate::peer::Peer;
use crate::program;
use crate::stage::{Stage, write};

const OBJECT_BYTES: usize = 1_000_000;
const OBJECTS: u32 = 32;
const PAIRS: u32 = 9;

/// Median of the ratios curl / ours; above 1 we are faster. Aim: at least 1.
pub(super) fn against_curl(stage: &Stage) -> anyhow::Result<Value> {
    let device = Device::enroll(stage)?;
    let peer = Peer::new(stage, "curl");
    let enrolled = peer.enroll("curl", &stage.enrollment_code()?);
    ensure!(enrolled.status.success(), "curl could not enrol");
    let objects = Objects::draw(stage)?;
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Who goes first changes with each pair, so that neither gets the warmer machine.
        let first = (pair % 2 == 0)
            .then(|| device.upload(stage, &objects, pair))
            .transpose()?;
        let curl = curl(stage, &peer, &objects, pair)?;
        let own = first.map_or_else(|| device.upload(stage, &objects, pair), Ok)?;
        ratios.push(curl / own);
        ours.push(own);
        theirs.push(curl);
    }
    let megabytes = f64::from(OBJECTS);
    let spread = (
        ratios.iter().copied().fold(f64::MAX, f64::min),
        ratios.iter().copied().fold(0.0, f64::max),
    );
    Ok(json!({
        "upload_vs_curl": round(median(&mut ratios)),
        "upload_vs_curl_min": round(spread.0),
        "upload_vs_curl_max": round(spread.1),
        "upload_megabytes_per_second": round(megabytes / median(&mut ours)),
        "curl_megabytes_per_second": round(megabytes / median(&mut theirs)),
    }))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Random bytes stand for sealed ones: the cloud cannot tell them apart.
struct Objects {
    bytes: Vec<Vec<u8>>,
    hashes: Vec<String>,
}

impl Objects {
    fn draw(stage: &Stage) -> anyhow::Result<Self> {
        let mut objects = Self {
            bytes: Vec::new(),
            hashes: Vec::new(),
        };
        for number in 1..=OBJECTS {
            let mut bytes = vec![0; OBJECT_BYTES];
            SystemEntropy.fill(&mut bytes)?;
            #[expect(clippy::disallowed_methods, reason = "what curl sends")]
            fs::write(stage.path(&format!("object-{number}")), &bytes)?;
            objects.hashes.push(hex(&Sha256::digest(&bytes)));
            objects.bytes.push(bytes);
        }
        Ok(objects)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// A job id of its own for each side and pair.
fn job(side: u32, pair: u32) -> String {
    format!("{side:08x}-0000-4000-8000-{pair:012x}")
}

/// One round of curl: every object in one process over one connection.
fn curl(stage: &Stage, peer: &Peer<'_>, objects: &Objects, pair: u32) -> anyhow::Result<f64> {
    let mut script = String::new();
    for (number, hash) in (1..=OBJECTS).zip(&objects.hashes) {
        let encode =
            |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        let metadata = format!(
            "job {},object {},sha256 {}",
            encode(&job(2, pair)),
            encode(&number.to_string()),
            encode(hash)
        );
        writeln!(
            script,
            "url = \"{url}/v1/device/uploads\"\ncert = \"{cert}\"\nkey = \"{key}\"\ncacert = \"{ca}\"\n\
             tls-max = 1.2\nsilent\nshow-error\nfail\noutput = /dev/null\nheader = \"Expect:\"\n\
             header = \"Tus-Resumable: 1.0.0\"\nheader = \"Upload-Length: {OBJECT_BYTES}\"\n\
             header = \"Upload-Metadata: {metadata}\"\n\
             header = \"Content-Type: application/offset+octet-stream\"\n\
             data-binary = \"@{object}\"\nnext",
            url = peer.url(),
            cert = peer.file("cert.pem"),
            key = peer.file("key.pem"),
            ca = stage.path("cloud/ca.pem").display(),
            object = stage.path(&format!("object-{number}")).display(),
        )?;
    }
    let file = stage.path("curl.conf");
    write(&file, script.trim_end_matches("next\n"))?;
    let started = now();
    program::run(program::command("curl").arg("-K").arg(&file))?;
    Ok((now() - started).as_secs_f64())
}

/// A device made of our client.
struct Device {
    client: HttpClient,
}

impl Device {
    fn enroll(stage: &Stage) -> anyhow::Result<Self> {
        let keys = KeyFile::open(&stage.path("bench-keys/keys"), Box::new(SystemEntropy))?;
        let public = keys.generate(KeySlot::A)?.0;
        let signer: Arc<dyn Signer> = Arc::new(Key { keys, public });
        let roots = Roots::Anchors(vec![ca(stage)?]);
        let open = client(roots.clone(), None)?;
        let mut connection = open.connect(&url(stage)?, Purpose::Call)?;
        let csr = est::csr(signer.as_ref(), "bench")?;
        let code = EnrollmentCode::parse(&stage.enrollment_code()?)?;
        let now_ms = SystemClock::new().wall().as_millis();
        let issued = est::simple_enroll(&mut connection, "bench", &code, &csr, now_ms)?;
        let credential = Credential {
            chain: issued.chain,
            slot: 0,
            signer,
        };
        Ok(Self {
            client: client(roots, Some(credential))?,
        })
    }

    /// One round of ours, the connection's opening included.
    fn upload(&self, stage: &Stage, objects: &Objects, pair: u32) -> anyhow::Result<f64> {
        let job = job(1, pair);
        let started = now();
        let mut connection = self.client.connect(&url(stage)?, Purpose::Upload)?;
        for (object, (bytes, hash)) in (1..).zip(objects.bytes.iter().zip(&objects.hashes)) {
            let new = NewUpload {
                job: &job,
                object,
                size: bytes.len() as u64,
                sha256: hash,
                resume: false,
            };
            upload_object(&mut connection, &new, &mut bytes.as_slice(), &mut |_| ())?;
        }
        Ok((now() - started).as_secs_f64())
    }
}

struct Key {
    keys: KeyFile,
    public: [u8; 65],
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.keys
            .sign(KeySlot::A, message)
            .map_err(|error| SignError(error.to_string()))
    }

    fn public_key(&self) -> [u8; 65] {
        self.public
    }
}

fn client(roots: Roots, credential: Option<Credential>) -> anyhow::Result<HttpClient> {
    let clock = Arc::new(SystemClock::new());
    let boot = Arc::clone(&clock);
    let clocks = Clocks {
        boot: Arc::new(move || Duration::from_millis(boot.boot().as_millis())),
        unix_ms: Arc::new(move || clock.wall().as_millis()),
    };
    let settings = TlsSettings {
        roots,
        versions: TlsVersions::Tls12,
        credential,
    };
    Ok(HttpClient::new(
        settings,
        None,
        Timeouts::default(),
        clocks,
    )?)
}

fn url(stage: &Stage) -> anyhow::Result<BaseUrl> {
    let door = stage.door("Virginia").context("no front door")?;
    Ok(BaseUrl::parse(&format!(
        "https://localhost:{}",
        door.address().port()
    ))?)
}

/// The anchor as DER, by openssl.
fn ca(stage: &Stage) -> anyhow::Result<Vec<u8>> {
    let (pem, der) = (stage.path("cloud/ca.pem"), stage.path("ca.der"));
    let mut openssl = program::command("openssl");
    openssl
        .args(["x509", "-outform", "DER", "-in"])
        .arg(pem)
        .arg("-out")
        .arg(&der);
    program::run(&mut openssl)?;
    Ok(fs::read(der)?)
}
