//! Upload of sealed pages out of the spool against curl with plain files of the same size: the same
//! route, durability and TLS 1.2 suite, each on one keep-alive connection, in turns. The cloud
//! answers for the bytes: an object whose SHA-256 is not the announced one is refused.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use scantrip::spool::JobReader;
use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::est;
use scantrip_cloud_client::http::{BaseUrl, Clocks, HttpClient, Purpose, Timeouts};
use scantrip_cloud_client::tls::{Credential, Roots, SignError, Signer, TlsSettings, TlsVersions};
use scantrip_cloud_client::upload::{NewUpload, ObjectSource, upload_object};
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::{SystemClock, SystemEntropy};
use scantrip_hal::clock::Clock as _;
use scantrip_hal::entropy::Entropy as _;
use scantrip_hal::keys::{KeySlot, KeyStore as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pairs;
use super::spool::Bench;
use crate::bench::now;
use crate::peer::Peer;
use crate::program;
use crate::stage::{Stage, write};

const OBJECT_BYTES: usize = 1_000_000;
const OBJECTS: u32 = 32;
/// The suite that both use.
const SUITE: (&str, &str) = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
);

/// The ratio in time; above 1 we are faster.
pub(super) fn against_curl(stage: &Stage) -> anyhow::Result<Value> {
    let device = Device::enroll(stage)?;
    let peer = Peer::new(stage, "curl");
    let enrolled = peer.enroll("curl", &stage.enrollment_code()?);
    ensure!(enrolled.status.success(), "curl could not enrol");
    let spool = Bench::new(&stage.path("spool"), OBJECT_BYTES, OBJECTS)?;
    let objects = Objects::draw(stage)?;
    let times = pairs::run(
        |round| device.upload(stage, &spool, round),
        |round| curl(stage, &peer, &objects, round),
    )?;
    let rate = |seconds: &[f64]| pairs::round(f64::from(OBJECTS) / pairs::median(seconds));
    let mut told = times.tell("upload_vs_curl");
    super::merge(
        &mut told,
        json!({
            "upload_megabytes_per_second": rate(&times.ours),
            "curl_megabytes_per_second": rate(&times.theirs),
        }),
    );
    Ok(told)
}

/// The plain files of curl.
struct Objects {
    hashes: Vec<String>,
}

impl Objects {
    fn draw(stage: &Stage) -> anyhow::Result<Self> {
        let mut objects = Self { hashes: Vec::new() };
        for number in 1..=OBJECTS {
            let mut bytes = vec![0; OBJECT_BYTES];
            SystemEntropy.fill(&mut bytes)?;
            #[expect(clippy::disallowed_methods, reason = "what curl sends")]
            fs::write(stage.path(&format!("object-{number}")), &bytes)?;
            objects.hashes.push(hex(&Sha256::digest(&bytes)));
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
             tls-max = 1.2\nciphers = \"{suite}\"\nsilent\nshow-error\nfail\noutput = /dev/null\nheader = \"Expect:\"\n\
             header = \"Tus-Resumable: 1.0.0\"\nheader = \"Upload-Length: {OBJECT_BYTES}\"\n\
             header = \"Upload-Metadata: {metadata}\"\n\
             header = \"Content-Type: application/offset+octet-stream\"\n\
             data-binary = \"@{object}\"\nnext",
            url = peer.url(),
            suite = SUITE.1,
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

    /// One round of ours, the connection's opening included; the pages are saved before.
    fn upload(&self, stage: &Stage, spool: &Bench, round: u32) -> anyhow::Result<f64> {
        let id = job(1, round);
        let (saved, _) = spool.write()?;
        let mut reader = spool.reader(saved)?;
        let pages: Vec<_> = reader.objects().filter(|info| info.object > 0).collect();
        let started = now();
        let mut connection = self.client.connect(&url(stage)?, Purpose::Upload)?;
        for page in pages {
            let new = NewUpload {
                job: &id,
                object: page.object,
                size: page.size,
                sha256: &hex(&page.sha256),
                resume: false,
            };
            let mut source = Saved(&mut reader, page.object);
            upload_object(&mut connection, &new, &mut source, &mut |_| ())?;
        }
        let took = (now() - started).as_secs_f64();
        let suite = connection.tls_info().context("no TLS")?.cipher_suite;
        ensure!(suite == SUITE.0, "another suite: {suite}");
        drop(reader);
        spool.remove(saved)?;
        Ok(took)
    }
}

/// A page in the spool.
struct Saved<'a>(&'a mut JobReader, u32);

impl ObjectSource for Saved<'_> {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0
            .read_at(self.1, offset, buf)
            .map_err(io::Error::other)
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
