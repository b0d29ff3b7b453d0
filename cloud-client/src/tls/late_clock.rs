//! A printer without a battery wakes up in 1970. A certificate that a trusted authority has made
//! "in the future" proves that our clock is late, not that the certificate is bad.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::certificate::Validity;

/// The usual rules, except that a clock behind the certificate's first day is taken for late and
/// the certificate is judged on that day. A certificate past its last day stays refused.
#[derive(Debug)]
pub(super) struct LateClock(pub(super) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for LateClock {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |at| {
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        match verify(now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            )) => {
                let validity = Validity::of(end_entity)
                    .map_err(|_unreadable| Error::from(CertificateError::BadEncoding))?;
                let first_day = Duration::from_millis(validity.not_before_ms);
                log::warn!("the device's clock is behind the cloud's certificate");
                verify(UnixTime::since_unix_epoch(first_day))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
