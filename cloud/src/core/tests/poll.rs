//! What a device shall be, and what it reports.

use scantrip_cloud_client::wire::{Desired, Workflow};

use super::*;
use crate::core::{Caller, Hold};

fn workflow(id: &str) -> Workflow {
    Workflow {
        id: id.to_owned(),
        version: 0,
        name: "Invoices".to_owned(),
        fields: Vec::new(),
        scan: scantrip_cloud_client::wire::ScanRules::default(),
        must_understand: Vec::new(),
        requires: Vec::new(),
    }
}

fn desired(answer: &Answer) -> Desired {
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(answer));
    serde_json::from_slice(answer.body()).unwrap()
}

#[test]
fn a_poll_is_answered_in_full_only_when_something_changed() {
    let cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let device = cloud.device(&tenant, "SN-1");
    let path = "/v1/device/desired";
    let first = cloud.get(&device, path, &[]);
    let etag = header(&first, "etag").to_owned();
    let known = [
        ("if-none-match", etag.as_str()),
        ("prefer", "respond-async, wait=600"),
    ];
    let unchanged = cloud.get(&device, path, &known);
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(
        unchanged.extensions().get::<Hold>(),
        Some(&Hold { seconds: 60 })
    );

    let one = cloud
        .core
        .put_workflow(Some(&tenant), &workflow("one"), "source")
        .unwrap();
    let changed = desired(&cloud.get(&device, path, &known));
    assert!(changed.generation > desired(&first).generation);
    assert_eq!(changed.workflows, std::slice::from_ref(&one));

    cloud.core.remove_workflow(Some(&tenant), "one").unwrap();
    assert!(cloud.core.remove_workflow(Some(&tenant), "one").is_err());
    let back = cloud
        .core
        .put_workflow(Some(&tenant), &workflow("one"), "source")
        .unwrap();
    assert!(
        back.version > one.version,
        "versions only grow, also over a removal"
    );
}

#[test]
fn a_change_by_another_process_shows_within_a_second() {
    let mut cloud = Cloud::new();
    let tenant = cloud.tenant("a");
    let device = cloud.device(&tenant, "SN-1");
    let serving = Arc::clone(&cloud.core);
    cloud.restart();
    cloud
        .core
        .put_workflow(Some(&tenant), &workflow("one"), "source")
        .unwrap();
    cloud.core = serving;
    cloud.world.advance_seconds(1);
    let seen = desired(&cloud.get(&device, "/v1/device/desired", &[]));
    assert_eq!(seen.workflows.len(), 1);
}

#[test]
fn a_repeated_poll_is_answered_without_the_store() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let caller = Caller::new(device.peer);
    let poll = || {
        let request = Request::get("/v1/device/desired").body(()).unwrap();
        let answer = cloud.core.cached_poll(&caller, &request.into_parts().0);
        answer.map(|answer| answer.status())
    };
    assert_eq!(poll(), Some(StatusCode::OK));
    cloud.world.advance_seconds(1);
    assert_eq!(poll(), None, "nobody has looked for changes for a second");
    cloud.core.look().unwrap();
    assert_eq!(poll(), Some(StatusCode::OK));
    cloud.world.advance_seconds(60);
    cloud.core.look().unwrap();
    assert_eq!(poll(), None, "rows are read again once a minute");
}

#[test]
fn a_revocation_shows_in_another_process_within_a_second() {
    let mut cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let serving = Arc::clone(&cloud.core);
    cloud.restart();
    cloud.core.revoke_device(&device.id).unwrap();
    cloud.core = serving;
    cloud.world.advance_seconds(1);
    let caller = Caller::new(device.peer.clone());
    let request = Request::get("/v1/device/desired").body(()).unwrap();
    let (head, ()) = request.into_parts();
    assert!(cloud.core.cached_poll(&caller, &head).is_none());
    let refused = cloud.get(&device, "/v1/device/desired", &[]);
    assert_eq!(problem(&refused).0, "device-revoked");
    cloud.core.look().unwrap();
    assert!(cloud.core.cached_poll(&caller, &head).is_none());
}

#[test]
fn a_connection_that_is_open_feels_a_revocation_at_once() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let caller = Caller::new(device.peer.clone());
    let request = Request::get("/v1/device/desired").body(()).unwrap();
    let (head, ()) = request.into_parts();
    assert!(cloud.core.cached_poll(&caller, &head).is_some());
    cloud.core.revoke_device(&device.id).unwrap();
    assert!(cloud.core.cached_poll(&caller, &head).is_none());
}

#[test]
fn reports_are_taken_once_and_keep_the_newest_settings() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let report = |sequence: u64, settings: &str| {
        let body = format!(
            r#"{{"sequence":{sequence},"at_ms":1,"device":{{"vendor":"v","model":"m",
            "serial":"s","firmware":"f"}},"health":{{"agent_version":"1","uptime_seconds":1,
            "queued_jobs":0,"spool_bytes":0}}{settings}}}"#
        );
        let call = (Method::POST, "/v1/device/reports");
        cloud
            .call(&device.peer, call, &[], body.as_bytes())
            .status()
    };
    let settings = r#","settings":[{"id":"storage.encryption","value":"on","verdict":"secure"}]"#;
    assert_eq!(report(2, settings), StatusCode::NO_CONTENT);
    assert_eq!(report(3, ""), StatusCode::NO_CONTENT);
    assert_eq!(report(2, ""), StatusCode::NO_CONTENT);
    let view = cloud.core.list_devices().unwrap().remove(0);
    assert_eq!(view.device.report.unwrap().sequence, 3);
    assert_eq!(view.device.settings.unwrap()[0].id, "storage.encryption");
    let call = (Method::POST, "/v1/device/reports");
    assert_eq!(
        problem(&cloud.call(&device.peer, call, &[], b"{}")).0,
        "bad-request"
    );
    let large = vec![b' '; 300 * 1024];
    assert_eq!(
        problem(&cloud.call(
            &device.peer,
            (Method::POST, "/v1/device/reports"),
            &[],
            &large
        ))
        .0,
        "too-large"
    );
}
