//! Who and what comes by day by day: faults of machines, technicians, a foreign device that tries
//! what is not its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;

use scantrip::engine::identity::SecretCode;
use scantrip_cloud::core::Peer;
use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_hal::sim::disk::Dice;

use super::agent::{Asked, Device};
use super::clock::{DAY_MS, HOUR_MS};
use super::cloud;
use super::model::Model;
use super::network::{Net, NetState};
use super::options::{DailyOptions, below, strikes};
use super::report::Wrong;
use super::server;

/// What may happen to one device, or to the cloud, on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Door,
    Partition,
    Clock,
    DevicePower,
    CloudPower,
    Rot,
    Full,
    CloudFull,
    Flush,
    CloudFlush,
    Revoke,
}

impl Fault {
    /// Its name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Door => "door shut",
            Self::Partition => "partition",
            Self::Clock => "clock jump",
            Self::DevicePower => "device power cut",
            Self::CloudPower => "cloud power cut",
            Self::Rot => "bit rot",
            Self::Full => "device disk full",
            Self::CloudFull => "cloud disk full",
            Self::Flush => "device flush failed",
            Self::CloudFlush => "cloud flush failed",
            Self::Revoke => "revoked",
        }
    }
}

/// The faults of a day: when, and to which device.
pub(crate) fn faults_of_day(
    daily: &DailyOptions,
    devices: usize,
    dice: &mut Dice,
) -> Vec<(u64, usize, Fault)> {
    let per_device = [
        (daily.partition, Fault::Partition),
        (daily.clock, Fault::Clock),
        (daily.agent_cut, Fault::DevicePower),
        (daily.rot, Fault::Rot),
        (daily.full, Fault::Full),
        (daily.flush, Fault::Flush),
        (daily.revoke, Fault::Revoke),
    ];
    let per_cloud = [
        (daily.door, Fault::Door),
        (daily.cloud_cut, Fault::CloudPower),
        (daily.cloud_full, Fault::CloudFull),
        (daily.flush, Fault::CloudFlush),
    ];
    let mut faults = Vec::new();
    for device in 0..devices {
        for (rate, fault) in per_device {
            if strikes(dice, rate) {
                faults.push((dice.below(DAY_MS), device, fault));
            }
        }
    }
    for (rate, fault) in per_cloud {
        if strikes(dice, rate) {
            faults.push((dice.below(DAY_MS), 0, fault));
        }
    }
    faults
}

/// How long a fault lasts: mostly hours, now and then weeks.
pub(crate) fn duration_ms(dice: &mut Dice) -> u64 {
    match dice.below(40) {
        0 => dice.below(25 * DAY_MS),
        1..=6 => dice.below(2 * DAY_MS),
        _ => dice.below(6 * HOUR_MS),
    }
}

/// Sets a device's clock wrong, or right.
pub(crate) fn set_clock(device: &Device, off_ms: i64) {
    device.off_ms.store(off_ms, Ordering::Relaxed);
}

/// A wrong clock: by seconds, hours or ten years.
pub(crate) fn wrong_clock(dice: &mut Dice) -> i64 {
    let most = match dice.below(3) {
        0 => 10 * 60 * 1000,
        1 => 2 * DAY_MS,
        _ => 3650 * DAY_MS,
    };
    let off = i64::try_from(dice.below(most)).unwrap_or_default();
    if dice.below(2) == 0 { off } else { -off }
}

/// A block of a job's file rots.
pub(crate) fn rot(device: &mut Device, model: &mut Model) -> Option<String> {
    let mut files = device.disk.files();
    files.retain(|path| path.starts_with("spool/"));
    if files.is_empty() {
        return None;
    }
    let path = files.swap_remove(below(&mut device.dice, files.len() as u64));
    let name = path.trim_start_matches("spool/").split('.').next()?;
    let scan = model.scans.get_mut(&name.parse().ok()?)?;
    scan.rotten = true;
    let blocks = device.disk.bytes(&path)?.len() / 4096;
    let block = below(&mut device.dice, blocks as u64);
    device.disk.rot_block(&path, block, device.dice.next());
    Some(format!("{path} block {block}"))
}

/// A technician looks after the device: enrols it when it has no identity that the cloud takes.
pub(crate) fn visit(device: &mut Device, net: &Net) {
    let word = device.identity_word();
    if !matches!(word, Some("not-enrolled" | "revoked" | "suspect")) {
        return;
    }
    let asked = device
        .running
        .as_ref()
        .is_some_and(|running| running.asked.values().any(|asked| *asked == Asked::Enroll));
    if asked {
        return;
    }
    let code = {
        let net = net.lock();
        let core = net.cloud.core();
        core.and_then(|core| {
            core.create_code(Some(&device.tenant), Some(&device.serial))
                .ok()
        })
    };
    if let Some(code) = code.and_then(|code| EnrollmentCode::parse(&code.code).ok()) {
        device.enroll(SecretCode(code));
    }
}

/// A device of one tenant asks for what is another's.
pub(crate) fn try_foreign(net: &mut NetState, devices: &[Device], model: &Model) {
    let Some(core) = net.cloud.core() else {
        return;
    };
    let shared = net.shared.clone();
    for (owner, path) in net.uploads.clone() {
        let other = devices
            .iter()
            .find(|other| other.tenant != devices[owner].tenant);
        let Some((other, certificate)) = other.and_then(|other| Some((other, certificate(other)?)))
        else {
            continue;
        };
        let peer = Peer {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
            certificate: Some(certificate),
        };
        for method in ["HEAD", "DELETE"] {
            let head = format!("{method} {path} HTTP/1.1\r\ntus-resumable: 1.0.0\r\n\r\n");
            let Some(head) = server::head_of(head.as_bytes()) else {
                continue;
            };
            let status = core.route(&peer, &head).finish().status();
            if status.is_success() {
                shared.wrong(
                    Wrong::Readable,
                    format!("{method} {path} is answered a foreign device"),
                );
            }
        }
        if let Some(head) = server::head_of(b"GET /v1/device/jobs?after=0 HTTP/1.1\r\n\r\n") {
            let answer = core.route(&peer, &head).finish();
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            let foreign = model
                .scans
                .iter()
                .filter(|(_, scan)| scan.device != other.index);
            for (job, _) in foreign {
                if text.contains(&job.to_string()) {
                    shared.wrong(
                        Wrong::Readable,
                        format!("job {job} is told to a foreign device"),
                    );
                }
            }
        }
    }
}

/// The certificate that a device uses.
fn certificate(device: &Device) -> Option<Vec<u8>> {
    let identity = device.running.as_ref()?.engine.identity().identity()?;
    let certificate = identity.certificate(identity.active)?;
    Some(certificate.chain.first()?.0.clone())
}

/// Fills the device's disk, or makes room.
pub(crate) fn fill(device: &mut Device, full: bool) {
    let left = device.dice.below(150_000);
    cloud::fill(&device.disk, full, left);
}
