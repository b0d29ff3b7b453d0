//! A device made of curl and openssl: independent programs on the same wire. Panics when one of
//! them does not start, since nothing can be measured or tested then.

use std::path::PathBuf;
use std::process::Output;

use crate::program;
use crate::stage::{Stage, write};

/// A device without our agent: key, certificate and requests by other people's programs.
pub struct Peer<'a> {
    stage: &'a Stage,
    name: &'static str,
    environment: Vec<(String, String)>,
}

impl<'a> Peer<'a> {
    /// A device with a fresh P-256 key and no certificate.
    pub fn new(stage: &'a Stage, name: &'static str) -> Self {
        let peer = Self::again(stage, name);
        peer.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=device",
            "-keyout",
            &peer.file("key.pem"),
            "-outform",
            "DER",
            "-out",
            &peer.file("csr.der"),
        ]);
        peer
    }

    /// The device of that name as it is.
    pub const fn again(stage: &'a Stage, name: &'static str) -> Self {
        Self {
            stage,
            name,
            environment: Vec::new(),
        }
    }

    /// With its clock off; see [`program::clock_off_by`].
    pub fn at(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// Enrols over EST with a code; the answer's status is in the last line.
    pub fn enroll(&self, serial: &str, code: &str) -> Output {
        self.est("simpleenroll", &["-u", &format!("{serial}:{code}")])
    }

    /// Renews over EST with the certificate it has.
    pub fn renew(&self) -> Output {
        let (certificate, key) = (self.file("cert.pem"), self.file("key.pem"));
        let subject = self.openssl(&[
            "x509",
            "-in",
            &certificate,
            "-noout",
            "-subject",
            "-nameopt",
            "multiline",
        ]);
        let id = subject
            .rsplit("= ")
            .next()
            .expect("a subject")
            .trim()
            .to_owned();
        self.openssl(&[
            "req",
            "-new",
            "-key",
            &key,
            "-subj",
            &format!("/CN={id}"),
            "-outform",
            "DER",
            "-out",
            &self.file("csr.der"),
        ]);
        self.est("simplereenroll", &["--cert", &certificate, "--key", &key])
    }

    /// One request with the device's certificate; the status is in the last line.
    pub fn request(&self, arguments: &[&str], path: &str) -> Output {
        let (certificate, key) = (self.file("cert.pem"), self.file("key.pem"));
        let mut all = vec!["--cert", certificate.as_str(), "--key", key.as_str()];
        all.extend(arguments);
        self.curl(&all, path)
    }

    /// One request without a certificate.
    pub fn curl(&self, arguments: &[&str], path: &str) -> Output {
        let mut command = program::command("curl");
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["-sS", "--max-time", "20", "--tls-max", "1.2", "--cacert"])
            .arg(self.stage.path("cloud/ca.pem"))
            .args(["-w", "\n%{http_code}"])
            .args(arguments)
            .arg(format!("{}{path}", self.url()));
        program::output_with_input(&mut command, b"").expect("curl starts")
    }

    /// `openssl s_client` with a request for the entry points.
    pub fn s_client(&self, arguments: &[&str], settings: &str) -> Output {
        let mut command = program::command("openssl");
        if !settings.is_empty() {
            let file = self.file("openssl.cnf");
            write(file.as_ref(), settings).expect("a settings file");
            command.env("OPENSSL_CONF", file);
        }
        command
            .args(["s_client", "-connect", &self.url().replace("https://", "")])
            .args(arguments);
        let request = b"GET /v1/entry-points HTTP/1.1\r\nHost: localhost\r\n\r\n";
        program::output_with_input(&mut command, request).expect("openssl starts")
    }

    /// The first front door.
    pub fn url(&self) -> String {
        let door = self.stage.door("Virginia").expect("a front door");
        format!("https://localhost:{}", door.address().port())
    }

    /// A file of this device.
    pub fn file(&self, name: &str) -> String {
        let folder = self.stage.path(self.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join(name).display().to_string()
    }

    /// Runs openssl and gives what it printed.
    pub fn openssl(&self, arguments: &[&str]) -> String {
        program::run(program::command("openssl").args(arguments)).expect("openssl")
    }

    fn est(&self, operation: &str, arguments: &[&str]) -> Output {
        self.openssl(&[
            "base64",
            "-in",
            &self.file("csr.der"),
            "-out",
            &self.file("csr.b64"),
        ]);
        let body = format!("@{}", self.file("csr.b64"));
        let mut all = vec![
            "-H",
            "Content-Type: application/pkcs10",
            "--data-binary",
            &body,
        ];
        all.extend(arguments);
        let output = self.curl(&all, &format!("/.well-known/est/{operation}"));
        if status(&output) == "200" {
            self.keep_certificate(&output);
        }
        output
    }

    fn keep_certificate(&self, output: &Output) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let body: String =
            text.lines()
                .take_while(|line| *line != "200")
                .fold(String::new(), |mut all, line| {
                    all.push_str(line);
                    all.push('\n');
                    all
                });
        let (b64, p7, all) = (
            self.file("est.b64"),
            self.file("est.p7"),
            self.file("cert.pem"),
        );
        write(b64.as_ref(), &body).expect("a file");
        self.openssl(&["base64", "-d", "-in", &b64, "-out", &p7]);
        let printed = self.openssl(&["pkcs7", "-inform", "DER", "-in", &p7, "-print_certs"]);
        // The leaf is the one whose public key is ours; its place in the answer is not fixed.
        let public = self.openssl(&["pkey", "-in", &self.file("key.pem"), "-pubout"]);
        for (number, block) in printed.split("-----BEGIN").skip(1).enumerate() {
            let path: PathBuf = self.file(&format!("cert-{number}.pem")).into();
            write(&path, &format!("-----BEGIN{block}")).expect("a file");
            let shown = path.display().to_string();
            if self.openssl(&["x509", "-in", &shown, "-noout", "-pubkey"]) == public {
                write(all.as_ref(), &format!("-----BEGIN{block}")).expect("a file");
            }
        }
    }
}

/// The HTTP status of a request made by [`Peer`], `000` when there was no answer.
pub fn status(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .last()
        .unwrap_or_else(|| panic!("no status: {output:?}"))
        .to_owned()
}
