//! Commit, discard, receipts and outcomes.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use scantrip_cloud_client::wire::{Outcome, OutcomeState, Outcomes, Receipts};

use super::*;
use crate::core::jobs::{self, NewOutcome};
use crate::core::record::JobRef;
use crate::sealed_store::Vault;

const MANIFEST: (u32, &[u8]) = (0, b"manifest");
const PAGE: (u32, &[u8]) = (1, b"page one");

fn reference(device: &Device, job: &str) -> JobRef {
    JobRef {
        tenant: device.tenant.clone(),
        device: device.id.clone(),
        job: job.to_owned(),
    }
}

fn outcomes(cloud: &Cloud, device: &Device, after: u64) -> Vec<Outcome> {
    let answer = cloud.get(device, &format!("/v1/device/jobs?after={after}"), &[]);
    serde_json::from_slice::<Outcomes>(answer.body())
        .unwrap()
        .outcomes
}

#[test]
fn a_commit_is_taken_once_and_repeated_answers_are_the_same() {
    let mut cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let signed = cloud.committed(&device, JOB);
    cloud.restart();
    let again = cloud.commit(&device, JOB, &[MANIFEST, PAGE]);
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(
        serde_json::from_slice::<SignedReceipt>(again.body()).unwrap(),
        signed
    );
    let body = serde_json::to_vec(&envelope(&device, JOB, &[MANIFEST, PAGE])).unwrap();
    assert_eq!(receipt(&signed).envelope, sha256_hex(&body));
    assert_eq!(
        jobs::pending(
            &Vault::open(cloud.core.ports(), &device.tenant).unwrap(),
            10
        )
        .unwrap(),
        [reference(&device, JOB)]
    );
    let other = cloud.commit(&device, JOB, &[MANIFEST]);
    assert_eq!(problem(&other).0, "other-content");
    let late = cloud.upload(&device, JOB, 2, b"late");
    assert_eq!(problem(&late).1.receipt, Some(signed));
}

#[test]
fn receipts_are_chained_and_signed_under_the_device_anchor() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let first = cloud.committed(&device, JOB);
    let second = cloud.committed(&device, OTHER_JOB);
    let bytes = STANDARD.decode(&first.receipt).unwrap();
    assert_eq!(
        (receipt(&first).seq, receipt(&first).prev),
        (1, "0".repeat(64))
    );
    assert_eq!(
        (receipt(&second).seq, receipt(&second).prev),
        (2, sha256_hex(&bytes))
    );

    let certificate = STANDARD.decode(&first.certificate).unwrap();
    // The certificate's public key: an uncompressed point behind the curve's name.
    let curve = [
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let start = certificate
        .windows(11)
        .position(|window| window == curve)
        .unwrap()
        + 11;
    let key = VerifyingKey::from_sec1_bytes(&certificate[start..start + 65]).unwrap();
    let signature = STANDARD.decode(&first.signature).unwrap();
    key.verify(&bytes, &Signature::from_der(&signature).unwrap())
        .unwrap();

    let answer = cloud.get(&device, "/v1/device/receipts?after=1", &[]);
    let after: Receipts = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(after.receipts, [second]);
}

#[test]
fn racing_commits_take_one_place_in_the_chain() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    for (object, bytes) in [MANIFEST, PAGE] {
        for job in [JOB, OTHER_JOB] {
            cloud.upload(&device, job, object, bytes);
        }
    }
    let answers: Vec<(StatusCode, u64)> = std::thread::scope(|scope| {
        let race = |number: usize| {
            let (cloud, device) = (&cloud, &device);
            let job = if number.is_multiple_of(2) {
                JOB
            } else {
                OTHER_JOB
            };
            scope.spawn(move || {
                let answer = cloud.commit(device, job, &[MANIFEST, PAGE]);
                let signed: SignedReceipt = serde_json::from_slice(answer.body()).unwrap();
                (answer.status(), receipt(&signed).seq)
            })
        };
        let racers: Vec<_> = (0..8).map(race).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    });
    let made = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    assert_eq!(made, 2, "{answers:?}");
    assert!(
        answers.iter().all(|(_, seq)| (1..=2).contains(seq)),
        "{answers:?}"
    );
}

#[test]
fn missing_objects_are_named() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let answer = cloud.commit(&device, JOB, &[MANIFEST, PAGE]);
    assert_eq!(problem(&answer).1.missing, [0, 1]);
    cloud.upload(&device, JOB, 0, MANIFEST.1);
    cloud.upload(&device, JOB, 1, b"another page one");
    let answer = cloud.commit(&device, JOB, &[MANIFEST, PAGE]);
    assert_eq!(problem(&answer).0, "objects-missing");
    assert_eq!(problem(&answer).1.missing, [1]);
    cloud.upload(&device, JOB, 1, PAGE.1);
    assert_eq!(
        cloud.commit(&device, JOB, &[MANIFEST, PAGE]).status(),
        StatusCode::CREATED
    );
    let stored = cloud.world.blobs.dump();
    let found = stored
        .windows(16)
        .any(|window| window == b"another page one");
    assert!(!found, "what the envelope does not name is erased");
}

#[test]
fn a_discarded_job_is_dead_for_good() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    cloud.upload(&device, JOB, 0, MANIFEST.1);
    for _ in 0..2 {
        assert_eq!(cloud.discard(&device, JOB).status(), StatusCode::NO_CONTENT);
    }
    assert!(cloud.world.blobs.dump().is_empty());
    assert_eq!(
        problem(&cloud.upload(&device, JOB, 0, MANIFEST.1)).0,
        "job-discarded"
    );
    assert_eq!(
        problem(&cloud.commit(&device, JOB, &[MANIFEST])).0,
        "job-discarded"
    );
    assert_eq!(
        cloud.discard(&device, OTHER_JOB).status(),
        StatusCode::NO_CONTENT,
        "unknown"
    );
    assert_eq!(
        problem(&cloud.upload(&device, OTHER_JOB, 0, b"x")).0,
        "job-discarded"
    );
}

#[test]
fn discarding_after_commit_is_too_late() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let signed = cloud.committed(&device, JOB);
    let answer = cloud.discard(&device, JOB);
    assert_eq!(problem(&answer).0, "already-committed");
    assert_eq!(problem(&answer).1.receipt, Some(signed));
}

#[test]
fn an_upload_under_way_does_not_survive_the_discard() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    cloud.upload(&device, JOB, 0, MANIFEST.1);
    let metadata = metadata(JOB, 1, PAGE.1);
    let request = Request::post("/v1/device/uploads").header("upload-length", PAGE.1.len());
    let request = request
        .header("upload-metadata", metadata)
        .header(TUS.0, TUS.1);
    let (head, ()) = request
        .header(BYTES_TYPE.0, BYTES_TYPE.1)
        .body(())
        .unwrap()
        .into_parts();
    let mut exchange = cloud.core.route(&device.peer, &head);
    exchange.push(PAGE.1);
    assert_eq!(cloud.discard(&device, JOB).status(), StatusCode::NO_CONTENT);
    assert_eq!(problem(&exchange.finish()).0, "job-discarded");
    assert!(cloud.world.blobs.dump().is_empty());
}

#[test]
fn a_wrong_envelope_is_refused() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let good = envelope(&device, JOB, &[MANIFEST, PAGE]);
    let refused = |envelope: &Envelope| {
        let body = serde_json::to_vec(envelope).unwrap();
        let call = (
            Method::PUT,
            "/v1/device/jobs/01234567-89ab-4def-8123-456789abcdef",
        );
        problem(&cloud.call(&device.peer, call, &[], &body)).0
    };
    let mut bad_hash = good.clone();
    bad_hash.objects[0].sha256 = "x".to_owned();
    let wrong = [
        Envelope {
            version: 2,
            ..good.clone()
        },
        Envelope {
            job: OTHER_JOB.to_owned(),
            ..good.clone()
        },
        Envelope {
            tenant: "other".to_owned(),
            ..good.clone()
        },
        Envelope {
            device: "other".to_owned(),
            ..good.clone()
        },
        Envelope {
            objects: Vec::new(),
            ..good.clone()
        },
        envelope(&device, JOB, &[PAGE]),
        envelope(&device, JOB, &[MANIFEST, PAGE, PAGE]),
        bad_hash,
    ];
    for envelope in &wrong {
        assert_eq!(refused(envelope), "bad-request", "{envelope:?}");
    }
    assert_eq!(refused(&good), "objects-missing");
    let call = (Method::PUT, "/v1/device/jobs/not-a-job");
    assert_eq!(
        problem(&cloud.call(&device.peer, call, &[], b"{}")).0,
        "bad-request"
    );
}

#[test]
fn ten_thousand_pages_are_a_job_and_one_more_is_too_many() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let pages: Vec<[u8; 4]> = (0..=10_001_u32).map(u32::to_be_bytes).collect();
    let objects: Vec<(u32, &[u8])> = (0..)
        .zip(&pages)
        .map(|(number, page)| (number, page.as_slice()))
        .collect();
    assert_eq!(
        problem(&cloud.commit(&device, JOB, &objects)).0,
        "too-large"
    );
    for (object, bytes) in &objects[..10_001] {
        assert_eq!(
            cloud.upload(&device, JOB, *object, bytes).status(),
            StatusCode::CREATED
        );
    }
    let answer = cloud.commit(&device, JOB, &objects[..10_001]);
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    let signed: SignedReceipt = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(receipt(&signed).objects, 10_001);
}

#[test]
fn the_runner_finds_what_was_sent_and_its_outcome_reaches_the_device() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    cloud.committed(&device, JOB);
    let (ports, job) = (cloud.core.ports(), reference(&device, JOB));
    let vault = Vault::open(ports, &device.tenant).unwrap();
    let envelope = jobs::envelope(&vault, &job).unwrap().unwrap();
    let object = jobs::object(&vault, &job, &envelope.objects[1]).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut object.reader(ports), &mut bytes).unwrap();
    assert_eq!(bytes, PAGE.1);

    let delivered = NewOutcome {
        state: OutcomeState::Delivered,
        place: Some("folder out".to_owned()),
        name: Some("invoice.pdf".to_owned()),
        reason: None,
    };
    let running = NewOutcome {
        state: OutcomeState::Running,
        place: None,
        name: None,
        reason: None,
    };
    jobs::set_outcome(ports, &job, &running).unwrap();
    for _ in 0..2 {
        jobs::set_outcome(ports, &job, &delivered).unwrap();
    }
    let feed = outcomes(&cloud, &device, 0);
    let states: Vec<OutcomeState> = feed.iter().map(|outcome| outcome.state).collect();
    assert_eq!(
        states,
        [
            OutcomeState::Received,
            OutcomeState::Running,
            OutcomeState::Delivered
        ]
    );
    assert_eq!(outcomes(&cloud, &device, 2), feed[2..]);
    assert_eq!(feed[2].name.as_deref(), Some("invoice.pdf"));
    assert!(jobs::pending(&vault, 10).unwrap().is_empty());
    let view = cloud.core.list_jobs().unwrap().remove(0);
    assert_eq!((view.state.as_str(), view.objects), ("delivered", Some(2)));

    jobs::erase_content(ports, &job).unwrap();
    assert!(cloud.world.blobs.dump().is_empty());
    let again = cloud.commit(&device, JOB, &[MANIFEST, PAGE]);
    assert_eq!(
        again.status(),
        StatusCode::OK,
        "the receipt outlives the content"
    );
}
