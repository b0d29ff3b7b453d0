//! Enrolment codes and certificates.

use super::*;

const DAY: u64 = 24 * 3600;

#[test]
fn a_code_is_spent_once_and_a_lost_answer_is_harmless() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let (code, first, second) = (cloud.code(&tenant), key(), key());
    let certificate = ok(&cloud.enroll("SN-1", &code, &first));
    cloud.world.advance_seconds(30 * DAY);
    assert_eq!(
        ok(&cloud.enroll("SN-1", &code, &first)),
        certificate,
        "the same bytes again"
    );
    for (serial, key) in [("SN-1", &second), ("SN-2", &second)] {
        let (name, problem) = problem(&cloud.enroll(serial, &code, key));
        assert_eq!(name, "code-refused");
        assert!(problem.detail.contains("new one"), "{}", problem.detail);
    }
    assert_eq!(cloud.core.list_devices().unwrap().len(), 1);
}

#[test]
fn of_racing_devices_exactly_one_wins() {
    let cloud = Cloud::new();
    let code = cloud.code(&cloud.tenant("a"));
    let won = std::thread::scope(|scope| {
        let race = |number: u32| {
            let (cloud, code) = (&cloud, &code);
            scope.spawn(move || cloud.enroll(&format!("SN-{number}"), code, &key()).status())
        };
        let racers: Vec<_> = (0..4).map(race).collect();
        let answers = racers.into_iter().map(|racer| racer.join().unwrap());
        answers.filter(|status| *status == StatusCode::OK).count()
    });
    assert_eq!(won, 1);
    assert_eq!(cloud.core.list_devices().unwrap().len(), 1);
}

#[test]
fn every_refused_code_says_what_to_do() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let bound = cloud
        .core
        .create_code(Some(&tenant), Some("SN-9"))
        .unwrap()
        .code;
    let expired = cloud.code(&tenant);
    cloud.world.advance_seconds(8 * DAY);
    let mut mistyped = cloud.code(&tenant);
    let last = if mistyped.ends_with('7') { '8' } else { '7' };
    mistyped.pop();
    mistyped.push(last);
    for (code, words) in [
        ("0000-0000-0000", "not known"),
        (mistyped.as_str(), "mistyped"),
        (expired.as_str(), "ended"),
        (bound.as_str(), "another device"),
    ] {
        let (name, problem) = problem(&cloud.enroll("SN-1", code, &key()));
        assert_eq!(name, "code-refused");
        assert!(
            problem.detail.contains(words),
            "{words}: {}",
            problem.detail
        );
        assert!(!problem.detail.contains(code), "the code is not repeated");
    }
    assert_eq!(
        cloud.enroll("SN-1", "", &key()).status(),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn guessing_is_slowed_down_and_right_codes_wait_too() {
    let cloud = Cloud::new();
    let code = cloud.code(&cloud.tenant("a"));
    for _ in 0..5 {
        assert_eq!(
            problem(&cloud.enroll("SN-1", "0000-0000-0000", &key())).0,
            "code-refused"
        );
    }
    let answer = cloud.enroll("SN-2", &code, &key());
    assert_eq!(problem(&answer).0, "too-many-tries", "the address counts");
    assert_eq!(header(&answer, "retry-after"), "1");
    let mut looked_at = 0;
    for _ in 0..600 {
        cloud.world.advance_seconds(1);
        let answer = cloud.enroll("SN-1", "0000-0000-0000", &key());
        looked_at += u32::from(answer.status() == StatusCode::UNAUTHORIZED);
    }
    assert!(looked_at < 12, "{looked_at} guesses in ten minutes");
    cloud.world.advance_seconds(3600);
    ok(&cloud.enroll("SN-2", &code, &key()));
}

#[test]
fn a_request_that_is_not_signed_or_not_p256_is_refused() {
    let cloud = Cloud::new();
    let code = cloud.code(&cloud.tenant("a"));
    let basic = format!("Basic {}", STANDARD.encode(format!("SN-1:{code}")));
    let headers = [("authorization", basic.as_str())];
    let good = csr(&key(), "SN-1");
    let mut forged = good;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for der in [&b"junk"[..], &forged, &csr(&p384, "SN-1"), b""] {
        let call = (Method::POST, "/.well-known/est/simpleenroll");
        let body = STANDARD.encode(der);
        let answer = cloud.call(&nobody(), call, &headers, body.as_bytes());
        assert_eq!(problem(&answer).0, "bad-request");
    }
    ok(&cloud.enroll("SN-1", &code, &key()));
}

#[test]
fn a_device_keeps_its_id_when_it_enrols_again() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let first = cloud.device(&tenant, "SN-1");
    let again = cloud.device(&tenant, "SN-1");
    let other = cloud.device(&tenant, "SN-2");
    assert_eq!(first.id, again.id);
    assert_ne!(first.id, other.id);
}

#[test]
fn renewal_keeps_the_old_certificate_until_the_next_one() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let a = cloud.device(&tenant, "SN-1");
    let key_b = key();
    let certificate = ok(&cloud.reenroll(&a, &key_b));
    assert_eq!(
        ok(&cloud.reenroll(&a, &key_b)),
        certificate,
        "the answer may have been lost"
    );
    let b = cloud.known_as(&tenant, certificate);
    assert_eq!(a.id, b.id);
    assert_eq!(
        cloud.get(&a, "/v1/device/desired", &[]).status(),
        StatusCode::OK
    );
    let c = cloud.known_as(&tenant, ok(&cloud.reenroll(&b, &key())));
    cloud.world.advance_seconds(1);
    let answer = cloud.get(&a, "/v1/device/desired", &[]);
    assert_eq!(problem(&answer).0, "device-revoked", "at most two are live");
    for device in [&b, &c] {
        assert_eq!(
            cloud.get(device, "/v1/device/desired", &[]).status(),
            StatusCode::OK
        );
    }
}

#[test]
fn an_expired_certificate_renews_for_400_days_and_does_nothing_else() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let device = cloud.device(&tenant, "SN-1");
    cloud.world.advance_seconds((90 + 300) * DAY);
    let answer = cloud.get(&device, "/v1/device/desired", &[]);
    assert_eq!(problem(&answer).0, "certificate-expired");
    let renewed = cloud.known_as(&tenant, ok(&cloud.reenroll(&device, &key())));
    assert_eq!(renewed.id, device.id);
    cloud.world.advance_seconds((90 + 401) * DAY);
    assert_eq!(
        problem(&cloud.reenroll(&renewed, &key())).0,
        "certificate-expired"
    );
}

#[test]
fn renewal_is_for_the_same_subject() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let other = Device {
        id: "somebody else".to_owned(),
        ..device
    };
    assert_eq!(problem(&cloud.reenroll(&other, &key())).0, "bad-request");
}

#[test]
fn a_revoked_device_is_refused_within_a_second_also_by_other_processes() {
    let mut cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let device = cloud.device(&tenant, "SN-1");
    let serving = Arc::clone(&cloud.core);
    cloud.restart();
    cloud.core.revoke_device(&device.id).unwrap();
    cloud.core = serving;
    cloud.world.advance_seconds(1);
    let answer = cloud.get(&device, "/v1/device/desired", &[]);
    assert_eq!(problem(&answer).0, "device-revoked");
    assert_eq!(
        problem(&cloud.reenroll(&device, &key())).0,
        "device-revoked"
    );
    let back = cloud.device(&tenant, "SN-1");
    assert_eq!(back.id, device.id, "a new code brings it back");
}

#[test]
fn no_code_and_no_serial_lies_in_the_store() {
    let cloud = Cloud::new();
    let code = cloud.code(&cloud.tenant("a tenant's name"));
    ok(&cloud.enroll("SERIAL-4711", &code, &key()));
    let stored = cloud.world.everything_stored();
    for needle in [
        code.as_str(),
        &code.replace('-', ""),
        "SERIAL-4711",
        "a tenant's name",
    ] {
        let found = stored
            .windows(needle.len())
            .any(|window| window == needle.as_bytes());
        assert!(!found, "{needle}");
    }
}
