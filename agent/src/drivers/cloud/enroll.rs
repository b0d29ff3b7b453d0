//! Enrolment and renewal: trust, key, request, certificate, in this order.

use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::certificate::CertDer;
use scantrip_cloud_client::est::{self, EnrollError, Issued};
use scantrip_cloud_client::http::Purpose;
use scantrip_cloud_client::problem::{Disposition, ProblemKind};
use scantrip_hal::keys::KeySlot;

use super::{CallFault, CloudDriver};
use crate::api::{EnrolledView, Refusal, RefusalKind};
use crate::drivers::network::{Network, SlotSigner, Who, call_failure, local};
use crate::engine::failure::{Failure, chain};
use crate::engine::identity::{EnrollResult, SecretCode};
use crate::store::{
    Anchors, Certificate, Der, DesiredState, EntryPointChoice, Identity, OutcomeCursor,
    ReceiptHead, ReportCursor, Slot,
};

/// Why there is no certificate, as far as it matters what comes next.
enum Fault {
    /// Asking again with the same key is harmless and may help.
    Again(Failure),
    Refused(Refusal),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let kind = match failure.disposition {
            Disposition::Retry { .. } => RefusalKind::Unreachable,
            _ if failure.kind.is_some() => RefusalKind::Refused,
            _ => RefusalKind::Internal,
        };
        Self::Refused(Refusal {
            kind,
            message: failure.message,
        })
    }
}

impl From<EnrollError> for CallFault {
    fn from(error: EnrollError) -> Self {
        Self(match error {
            EnrollError::Call(error) => call_failure(error),
            EnrollError::Pending { after } => Failure {
                disposition: Disposition::Retry { after },
                unreachable: false,
                ..Failure::unreachable(error.to_string())
            },
            error => Failure::local(chain(&error)),
        })
    }
}

impl<N: Network> CloudDriver<N> {
    /// Enrols. Until the cloud's authorities are known, the server is verified by what the operator
    /// configured; the code goes only to a server that those authorities verify. The key is durable
    /// before it is asked for, so that a lost answer is harmless.
    pub(super) fn enroll(
        &mut self,
        url: &str,
        slot: KeySlot,
        code: &SecretCode,
        only_device: Option<&str>,
    ) -> EnrollResult {
        let before = self.context.state.load::<Anchors>().ok().flatten();
        let enrolled = self.try_enroll(url, slot, code, only_device);
        self.network.close();
        if enrolled.is_err() {
            self.trust_again(before);
        }
        match enrolled {
            Ok((identity, view)) => EnrollResult::Enrolled(Box::new(identity), view),
            Err(Fault::Again(failure)) => EnrollResult::TryAgain(failure),
            Err(Fault::Refused(refusal)) => EnrollResult::Refused(refusal),
        }
    }

    fn try_enroll(
        &mut self,
        url: &str,
        slot: KeySlot,
        code: &SecretCode,
        only_device: Option<&str>,
    ) -> Result<(Identity, EnrolledView), Fault> {
        let authorities = self.call(url, Who::Newcomer, Purpose::Call, est::cacerts)?;
        self.hear();
        let anchors = Anchors {
            certificates: authorities.into_iter().map(Der).collect(),
        };
        let before = self.context.state.load::<Identity>().map_err(local)?;
        self.anchor(&anchors, before.is_some())?;
        let signer = self.signer(slot, before.as_ref())?;
        let serial = self.context.device.serial.as_str().to_owned();
        let csr = est::csr(&signer, &serial).map_err(local)?;
        let now_ms = self.context.time.wall().as_millis();
        let issued = self.call(url, Who::Anchored, Purpose::Call, |conn| {
            est::simple_enroll(conn, &serial, &code.0, &csr, now_ms)
        });
        let tls = self.network.tls();
        let issued = issued.map_err(sort)?;
        if let Some(only) = only_device.filter(|only| *only != issued.device) {
            log::warn!("enroll: the code leads away from {only} while jobs wait");
            return Err(Fault::Refused(Refusal {
                kind: RefusalKind::Invalid,
                message: "this code is for another tenant, and jobs for the present one are not \
                          yet sent; let them be sent or discard them, then use the same code \
                          again"
                    .to_owned(),
            }));
        }
        let identity = self.adopt(before, slot, &issued).map_err(Fault::from)?;
        let view = EnrolledView {
            device: identity.device.clone(),
            certificate_ends_ms: issued.not_after_ms,
            tls,
        };
        Ok((identity, view))
    }

    /// Takes the authorities as anchors, if none are known or the known ones agree: they are then
    /// what verifies every server and receipt.
    fn anchor(&mut self, anchors: &Anchors, enrolled: bool) -> Result<(), Failure> {
        let known = self.context.state.load::<Anchors>().map_err(local)?;
        if known.as_ref() == Some(anchors) {
            return Ok(());
        }
        if enrolled {
            log::info!("enroll: the device authorities are new");
        }
        self.context.state.save(anchors).map_err(local)?;
        self.context.identity_changed();
        Ok(())
    }

    /// An enrolment that failed leaves the trust that was.
    fn trust_again(&self, before: Option<Anchors>) {
        let state = &self.context.state;
        let restored = match before {
            Some(anchors) => state.save(&anchors),
            None => state.forget::<Anchors>(),
        };
        if let Err(error) = restored {
            log::error!("enroll: the anchors are not restored: {}", chain(&error));
        }
        self.context.identity_changed();
    }

    /// The key in `slot`: one that an earlier try left there without a certificate, else a new one.
    fn signer(&self, slot: KeySlot, identity: Option<&Identity>) -> Result<SlotSigner, Failure> {
        let keys = &self.context.keys;
        let used = identity.is_some_and(|known| known.certificate(Slot::from(slot)).is_some());
        if used || keys.public(slot).map_err(local)?.is_none() {
            keys.generate(slot).map_err(local)?;
        }
        SlotSigner::new(Arc::clone(keys), slot)
    }

    /// Makes the new certificate the one in use. What belongs to another device id is forgotten.
    fn adopt(
        &self,
        before: Option<Identity>,
        slot: KeySlot,
        issued: &Issued,
    ) -> Result<Identity, Failure> {
        let state = &self.context.state;
        let same = before.filter(|identity| identity.device == issued.device);
        let tenant = same.and_then(|identity| identity.tenant);
        if tenant.is_none() {
            state.forget::<DesiredState>().map_err(local)?;
            state.forget::<EntryPointChoice>().map_err(local)?;
            state.forget::<OutcomeCursor>().map_err(local)?;
            state.forget::<ReceiptHead>().map_err(local)?;
            state.forget::<ReportCursor>().map_err(local)?;
        }
        let mut identity = Identity {
            device: issued.device.clone(),
            tenant,
            active: Slot::from(slot),
            a: None,
            b: None,
        };
        identity.set_certificate(Slot::from(slot), Some(certificate(issued)));
        self.context.time.raise_floor(issued.not_before_ms);
        self.context.save_identity(&identity).map_err(local)?;
        if let Err(error) = self.context.keys.remove(slot.other()) {
            log::warn!("enroll: the old key stays for now: {error}");
        }
        Ok(identity)
    }

    /// Renews: a fresh key in the spare slot, a certificate for it over the present one, staged.
    /// New authorities are taken over this session, which the old ones verified.
    pub(super) fn renew(&mut self, url: &str, slot: KeySlot) -> Result<Identity, Failure> {
        let identity = self.identity()?;
        let signer = self.signer(slot, Some(&identity))?;
        let csr = est::csr(&signer, &identity.device).map_err(local)?;
        let now_ms = self.context.time.wall().as_millis();
        let issued = self.call(url, Who::Device, Purpose::Call, |conn| {
            est::simple_reenroll(conn, &csr, now_ms)
        })?;
        let authorities: Result<Vec<CertDer>, Failure> =
            self.call(url, Who::Device, Purpose::Call, est::cacerts);
        self.hear();
        // Nothing is written for a device that was unenrolled meanwhile.
        let mut identity = self.identity()?;
        match authorities {
            Ok(found) => {
                let anchors = Anchors {
                    certificates: found.into_iter().map(Der).collect(),
                };
                self.anchor(&anchors, true)?;
            }
            Err(failure) => log::warn!("renew: no news of authorities: {}", failure.message),
        }
        identity.set_certificate(Slot::from(slot), Some(certificate(&issued)));
        self.context.save_identity(&identity).map_err(local)?;
        Ok(identity)
    }

    fn hear(&self) {
        if let Some(cloud) = self.network.cloud_time_ms() {
            self.context.time.hear(cloud);
        }
    }
}

/// What to do about a refused enrolment.
fn sort(failure: Failure) -> Fault {
    let again = |failure: &Failure| match failure.retry_after() {
        _ if failure.kind == Some(ProblemKind::TooManyTries) => false,
        Some(after) => after <= Duration::from_secs(10),
        None => matches!(failure.disposition, Disposition::Retry { .. }),
    };
    if again(&failure) {
        return Fault::Again(failure);
    }
    let wait = failure.retry_after();
    let mut fault = Fault::from(failure);
    if let (Fault::Refused(refusal), Some(wait)) = (&mut fault, wait) {
        let seconds = wait.as_secs() + 1;
        refusal.message = format!("{}; try again in {seconds} s", refusal.message);
    }
    fault
}

fn certificate(issued: &Issued) -> Certificate {
    Certificate {
        chain: issued.chain.iter().cloned().map(Der).collect(),
        not_before_ms: issued.not_before_ms,
        not_after_ms: issued.not_after_ms,
    }
}
