//! Who vouches for a certificate, wherever it was shown.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::provider;
use crate::certificate::CertDer;

/// Nobody that is trusted vouches for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VouchError {
    /// The chain leads to none of the authorities.
    #[error("its issuer is not among the trusted authorities")]
    UnknownIssuer,
    /// One that is named as an issuer has not signed.
    #[error("a signature in its chain is wrong")]
    WrongSignature,
    /// Not valid now.
    #[error("a certificate of its chain has expired or is not valid yet")]
    OutOfDate,
    /// It cannot be read, is not for a server, or is signed in a way that nobody should use.
    #[error("its chain is not one of a server, or not understood")]
    NotUnderstood,
}

/// Checks that one of `anchors` vouches for the first certificate of `chain` as for a server, by
/// the others in it: signatures, dates and purpose. The server's name is not compared. An anchor
/// that cannot be read vouches for nobody.
///
/// # Errors
/// When none does; says why.
pub fn vouch(chain: &[CertDer], anchors: &[CertDer], unix_ms: u64) -> Result<(), VouchError> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        let _unreadable = roots.add(CertificateDer::from_slice(anchor));
    }
    let mut chain = chain.iter().map(|der| CertificateDer::from_slice(der));
    let leaf = chain.next().ok_or(VouchError::NotUnderstood)?;
    let others: Vec<_> = chain.collect();
    let leaf = ParsedCertificate::try_from(&leaf).map_err(|error| vouch_error(&error))?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(unix_ms));
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, &others, now, provider::SIGNATURES)
        .map_err(|error| vouch_error(&error))
}

const fn vouch_error(error: &Error) -> VouchError {
    use CertificateError as Why;
    match error {
        Error::InvalidCertificate(Why::UnknownIssuer) => VouchError::UnknownIssuer,
        Error::InvalidCertificate(Why::BadSignature) => VouchError::WrongSignature,
        Error::InvalidCertificate(
            Why::Expired
            | Why::ExpiredContext { .. }
            | Why::NotValidYet
            | Why::NotValidYetContext { .. },
        ) => VouchError::OutOfDate,
        _ => VouchError::NotUnderstood,
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};

    use super::*;
    use crate::testing::tls::{Ca, NOW_MS, key, params};

    fn server(ca: &Ca) -> CertDer {
        ca.server("mfp.example").chain.remove(0)
    }

    #[test]
    fn only_a_chain_to_a_trusted_authority_is_vouched_for() {
        let (ca, other) = (Ca::new("ca"), Ca::new("other"));
        let chain = [server(&ca)];
        let anchors = [b"no certificate".to_vec(), other.der, ca.der];
        assert_eq!(vouch(&chain, &anchors, NOW_MS), Ok(()));
        let unknown = Err(VouchError::UnknownIssuer);
        assert_eq!(vouch(&chain, &anchors[..2], NOW_MS), unknown);
        assert_eq!(vouch(&chain, &[], NOW_MS), unknown);
        assert_eq!(vouch(&[], &anchors, NOW_MS), Err(VouchError::NotUnderstood));
    }

    #[test]
    fn another_key_under_the_authoritys_name_is_a_wrong_signature() {
        let (ca, namesake) = (Ca::new("ca"), Ca::new("ca"));
        let forged = server(&namesake);
        for chain in [vec![forged.clone()], vec![forged, namesake.der]] {
            let error = vouch(&chain, from_ref(&ca.der), NOW_MS);
            assert_eq!(error, Err(VouchError::WrongSignature));
        }
    }

    #[test]
    fn dates_count_at_every_place_of_a_chain() {
        let ca = Ca::new("ca");
        let chain = [server(&ca)];
        let year_ms = 365 * 24 * 60 * 60 * 1000;
        for now_ms in [NOW_MS - year_ms, NOW_MS + year_ms] {
            let error = vouch(&chain, from_ref(&ca.der), now_ms);
            assert_eq!(error, Err(VouchError::OutOfDate));
        }
        // An authority between them that has ended.
        let between = key();
        let mut ended = params("between");
        ended.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ended.not_after = rcgen::date_time_ymd(2026, 2, 1);
        let between_der = ca.issue(&ended, &between);
        let issuer = Issuer::new(ended, between.0);
        let leaf = params("leaf").signed_by(&key().0, &issuer).expect("signed");
        let chain = [leaf.der().to_vec(), between_der];
        let error = vouch(&chain, from_ref(&ca.der), NOW_MS);
        assert_eq!(error, Err(VouchError::OutOfDate));
    }

    #[test]
    fn a_certificate_of_a_device_or_of_no_authority_vouches_for_no_server() {
        let ca = Ca::new("ca");
        let client = ca.device("device").chain;
        let error = vouch(&client, from_ref(&ca.der), NOW_MS);
        assert_eq!(error, Err(VouchError::NotUnderstood));
        // A leaf that signs another: it may not.
        let own = key();
        let leaf = ca.issue(&params("leaf"), &own);
        let issuer = Issuer::new(CertificateParams::clone(&params("leaf")), own.0);
        let below = params("below")
            .signed_by(&key().0, &issuer)
            .expect("signed");
        let chain = [below.der().to_vec(), leaf];
        assert!(vouch(&chain, from_ref(&ca.der), NOW_MS).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_vouched_for_by_nobody(
            mut chain in proptest::collection::vec(
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), 0..4),
            at in proptest::prelude::any::<proptest::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let ca = Ca::new("ca");
            let anchors = [ca.der.clone()];
            proptest::prop_assert!(vouch(&chain, &anchors, NOW_MS).is_err());
            // A leaf of which one bit is another.
            let mut leaf = server(&ca);
            let place = at.index(leaf.len());
            leaf[place] ^= 1 << bit;
            chain.insert(0, leaf);
            proptest::prop_assert!(vouch(&chain, &anchors, NOW_MS).is_err());
        }
    }
}
