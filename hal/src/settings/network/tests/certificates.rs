//! Who vouches for a device's certificate, and which of several counts.

use sha2::{Digest as _, Sha256};

use super::super::tlv::{self, BIT_STRING, INTEGER, OID, SEQUENCE};
use super::over_tls::{TLS13, broken, http, with_tls};
use super::*;
use crate::web::{Connector, NotVouched, Patience, Pin, WebError};

/// What a certificate made by hand says.
#[derive(Clone, Copy)]
pub(super) struct Made {
    issuer: &'static [u8],
    /// `YYMMDD`.
    until: &'static str,
    /// The curve: P-256 ends with 7.
    curve: u8,
}

pub(super) const EC: Made = Made {
    issuer: b"ca",
    until: "491231",
    curve: 7,
};

impl Made {
    pub(super) fn der(self) -> Vec<u8> {
        let sequence = |parts: &[Vec<u8>]| tlv::element(SEQUENCE, &parts.concat());
        let oid = |bytes: &[u8]| tlv::element(OID, bytes);
        let signature = sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
        let time = |date: &str| tlv::element(0x17, format!("{date}000000Z").as_bytes());
        let key = sequence(&[
            oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
            oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, self.curve]),
        ]);
        let body = sequence(&[
            tlv::element(INTEGER, &[1]),
            signature.clone(),
            tlv::element(SEQUENCE, self.issuer),
            sequence(&[time("260101"), time(self.until)]),
            tlv::element(SEQUENCE, b"mfp"),
            sequence(&[key, tlv::element(BIT_STRING, &[0, 4])]),
        ]);
        sequence(&[body, signature, tlv::element(BIT_STRING, &[0])])
    }
}

/// What is told of a device whose port 443 shows the first certificate, for which an authority
/// vouches, and whose port 631 shows the other; `None`: it finishes no handshake.
fn of_two_ports(other: Option<Made>) -> BTreeMap<&'static str, Setting> {
    let page: Service = |_| http(404, b"");
    let mut device = with_tls(&[(443, TLS13), (631, TLS13)], &[(443, page)]);
    let _new = device.trust.insert(vec![EC.der()], Trust::Ca);
    if let Some(other) = other {
        let chain = vec![other.der()];
        let _new = device.tls.insert(631, (page, chain));
    }
    read(&mut device)
}

#[test]
fn of_two_ports_the_worse_certificate_counts() {
    let known = |settings: &BTreeMap<&'static str, Setting>| {
        let ids = ["net.cert_expires", "net.cert_strength", "net.cert_trusted"];
        ids.map(|id| value(settings, id))
    };
    let told = |expires: (&str, bool), strength: (&str, bool), trusted: (&str, bool)| {
        [expires, strength, trusted].map(|(value, is_secure)| (value.to_owned(), is_secure))
    };
    let good = ("2049-12-31T00:00:00Z", true);
    let strong = ("ec 256 sha256", true);
    assert_eq!(
        known(&of_two_ports(Some(EC))),
        told(good, strong, ("ca", true))
    );
    let ended = Made {
        // The reading is of 1970-01-01.
        until: "700110",
        ..EC
    };
    let weak = Made { curve: 1, ..EC };
    let own = Made {
        issuer: b"mfp",
        ..EC
    };
    for (other, told) in [
        (
            ended,
            told(("1970-01-10T00:00:00Z", false), strong, ("", false)),
        ),
        (weak, told(good, ("ec 192 sha256", false), ("", false))),
        (own, told(good, strong, ("selfsigned", false))),
        // One that does not show its certificate may have a bad one.
    ] {
        assert_eq!(known(&of_two_ports(Some(other))), told);
    }
    let settings = of_two_ports(None);
    assert_eq!(
        known(&settings),
        told(("", false), ("", false), ("", false))
    );
    for id in ["net.cert_expires", "net.cert_strength", "net.cert_trusted"] {
        assert!(matches!(settings[id].verdict, Verdict::Unknown(_)), "{id}");
    }
}

#[test]
fn a_named_issuer_alone_is_not_a_value_that_a_policy_could_take() {
    let page: Service = |_| http(404, b"");
    let setting = read(&mut with_tls(&[(443, TLS13)], &[(443, page)]))
        .remove("net.cert_trusted")
        .unwrap();
    assert_eq!(setting.value, "");
    assert!(
        matches!(&setting.verdict, Verdict::Unknown(it) if it.detail == "of nobody"),
        "{setting:?}"
    );
}

struct Nowhere;

impl Connector for Nowhere {
    fn connect(
        &self,
        _origin: &str,
        _pin: &Pin,
        _patience: Patience,
    ) -> Result<Box<dyn Exchange>, WebError> {
        Err(broken())
    }
}

#[test]
fn only_the_certificate_that_the_operator_named_is_pinned() {
    let chain = [b"leaf".to_vec(), b"ca".to_vec()];
    let options = |vouched: bool, pinned: Option<&[u8]>| TlsOptions {
        connector: Arc::new(Nowhere),
        vouch: Arc::new(move |_chain: &[Vec<u8>]| match vouched {
            true => Ok(()),
            false => Err(NotVouched("why".to_owned())),
        }),
        pinned: pinned.map(|it| Sha256::digest(it).into()),
    };
    let unknown = Trust::Unknown("why".to_owned());
    for (vouched, pinned, trust) in [
        (false, Some(&b"leaf"[..]), Trust::Pinned),
        (false, Some(b"ca"), unknown.clone()),
        (false, None, unknown),
        (true, None, Trust::Ca),
    ] {
        assert_eq!(options(vouched, pinned).trust(&chain), trust);
    }
    // Certificates are public: to show one proves nothing.
    let unproven = options(true, Some(b"leaf")).trust(&[]);
    assert!(matches!(unproven, Trust::Unknown(_)), "{unproven:?}");
}
