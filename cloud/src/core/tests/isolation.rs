//! Two tenants: another's ids answer exactly as ids that do not exist.

use super::*;
use crate::core::route::{Access, Action, ROUTES};

const UNKNOWN_JOB: &str = "fffffff0-89ab-4def-8123-456789abcdef";

/// Every answer to a device route called with these ids.
fn answers(cloud: &Cloud, device: &Device, upload: &str, job: &str) -> Vec<(String, Answer)> {
    let envelope = serde_json::to_vec(&envelope(device, job, &[(0, b"manifest")])).unwrap();
    let mut found = Vec::new();
    for route in ROUTES.iter().filter(|route| route.access == Access::Device) {
        let id = if route.path.contains("uploads") {
            upload
        } else {
            job
        };
        let path = route.path.replace("{id}", id);
        let (headers, body): (Vec<(&str, &str)>, &[u8]) = match route.action {
            Action::UploadAppend => (vec![TUS, BYTES_TYPE, ("upload-offset", "4")], b"more"),
            Action::UploadOffset | Action::UploadDelete => (vec![TUS], b""),
            Action::Commit => (vec![], &envelope),
            _ => (vec![], b""),
        };
        let call = (route.method.clone(), path.as_str());
        found.push((
            route.name.to_owned(),
            cloud.call(&device.peer, call, &headers, body),
        ));
    }
    found
}

#[test]
fn every_route_answers_as_for_an_id_that_does_not_exist() {
    let cloud = Cloud::new();
    let first = cloud.device(&cloud.tenant("first"), "SN-1");
    let same_tenant = cloud.device(&first.tenant, "SN-2");
    let other_tenant = cloud.device(&cloud.tenant("other"), "SN-1");
    cloud.committed(&first, JOB);
    let length = ("upload-length", "100");
    let metadata = metadata(OTHER_JOB, 1, &[7; 100]);
    let headers = [TUS, BYTES_TYPE, length, ("upload-metadata", &metadata)];
    let begun = cloud.call(
        &first.peer,
        (Method::POST, "/v1/device/uploads"),
        &headers,
        &[7; 4],
    );
    let path = header(&begun, "location").to_owned();
    let upload = path.rsplit('/').next().unwrap();
    let before = cloud.world.everything_stored();

    for stranger in [&other_tenant, &same_tenant] {
        let unknown = upload.replace("11234567", "fffffff0");
        for ((name, known), (_, unknown)) in answers(&cloud, stranger, upload, JOB)
            .into_iter()
            .zip(answers(&cloud, stranger, &unknown, UNKNOWN_JOB))
        {
            assert_eq!(known.status(), unknown.status(), "{name}");
            assert_eq!(known.headers(), unknown.headers(), "{name}");
            assert_eq!(known.body(), unknown.body(), "{name}");
        }
    }
    let after = cloud.world.everything_stored();
    let lines = |stored: &[u8]| stored.len();
    assert!(
        lines(&after) >= lines(&before),
        "nothing of the first device went"
    );

    let still = cloud.call(&first.peer, (Method::HEAD, &path), &[TUS], b"");
    assert_eq!(header(&still, "upload-offset"), "4");
    assert_eq!(problem(&cloud.discard(&first, JOB)).0, "already-committed");
}

#[test]
fn without_a_certificate_only_the_open_routes_answer() {
    let cloud = Cloud::new();
    for route in &ROUTES {
        let call = (route.method.clone(), route.path);
        let answer = cloud.call(&nobody(), call, &[], b"");
        if route.access == Access::Open {
            assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{}", route.name);
        } else {
            assert_eq!(problem(&answer).0, "certificate-required", "{}", route.name);
        }
    }
    let answer = cloud.call(&nobody(), (Method::GET, "/v1/unknown"), &[], b"");
    assert_eq!(problem(&answer).0, "not-found");
}

#[test]
fn the_same_ids_of_two_tenants_are_two_jobs() {
    let cloud = Cloud::new();
    let first = cloud.device(&cloud.tenant("first"), "SN-1");
    let other = cloud.device(&cloud.tenant("other"), "SN-1");
    assert_ne!(first.id, other.id);
    assert_eq!(receipt(&cloud.committed(&first, JOB)).tenant, first.tenant);
    assert_eq!(receipt(&cloud.committed(&other, JOB)).tenant, other.tenant);
}
