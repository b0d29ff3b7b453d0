//! The list of devices: how each stands, and what the list asks the store for.

use std::sync::Mutex;

use scantrip_cloud_client::posture::policy;
use scantrip_cloud_client::posture::score::{Grade, Score};

use super::*;
use crate::core::record::StoredPolicy;
use crate::ports::Ports;
use crate::store::memory::MemoryStore;
use crate::store::{Item, Key, Operation, Range, Store, StoreError};

/// Remembers what was asked for.
struct Watched {
    store: Arc<MemoryStore>,
    asked: Mutex<Vec<Key>>,
}

impl Store for Watched {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        self.asked.lock().unwrap().push(key.clone());
        self.store.get(key, now_ms)
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        self.store.range(range, now_ms)
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        self.store.transact(operations, now_ms)
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now_ms, limit)
    }
}

fn report(cloud: &Cloud, device: &Device, ftp: &str) {
    let body = format!(
        r#"{{"sequence":1,"at_ms":1,"device":{{"vendor":"v","model":"m","serial":"s",
        "firmware":"f"}},"health":{{"agent_version":"1","uptime_seconds":1,"queued_jobs":0,
        "spool_bytes":0}},"settings":[{{"id":"net.ftp","value":"x","severity":"high",
        "verdict":"{ftp}"}}]}}"#
    );
    let call = (Method::POST, "/v1/device/reports");
    let answer = cloud.call(&device.peer, call, &[], body.as_bytes());
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[test]
fn the_list_has_the_score_of_each_by_the_policy_of_its_tenant() {
    let cloud = Cloud::new();
    let (a, b) = (cloud.tenant("a"), cloud.tenant("b"));
    for (tenant, id) in [(&a, "net.ftp"), (&b, "net.telnet")] {
        let text = format!("name = \"House\"\nsecure = [\"{id}\"]");
        let policy = policy::parse(&text, "p").unwrap();
        cloud.core.set_policy(Some(tenant), &policy, &text).unwrap();
    }
    for (tenant, serial, ftp) in [
        (&a, "SN-1", "secure"),
        (&a, "SN-2", "not-secure"),
        (&b, "SN-3", "secure"),
    ] {
        report(&cloud, &cloud.device(tenant, serial), ftp);
    }
    cloud.device(&b, "SN-4");

    let list = cloud.core.list_devices().unwrap();
    let told = |serial: &str| {
        let row = list.iter().find(|row| row.device.serial == serial);
        row.unwrap().score.map(|score: Score| score.grade)
    };
    assert_eq!(told("SN-1"), Some(Grade::A));
    assert_eq!(told("SN-2"), Some(Grade::D));
    assert_eq!(told("SN-3"), Some(Grade::NotEnoughData), "nobody read it");
    assert_eq!(told("SN-4"), None, "it told nothing yet");
    for row in &list {
        let detail = cloud.core.show_device(&row.device.device, false).unwrap();
        assert_eq!(row.score, detail.assessment.map(|it| it.score));
        assert_eq!(row.standing, detail.standing);
    }
}

#[test]
fn the_list_reads_a_policy_once_for_all_devices_of_the_tenant() {
    let cloud = Cloud::new();
    let (a, b) = (cloud.tenant("a"), cloud.tenant("b"));
    for (tenant, serial) in [(&a, "SN-1"), (&a, "SN-2"), (&a, "SN-3"), (&b, "SN-4")] {
        cloud.device(tenant, serial);
    }
    let store = Arc::new(Watched {
        store: Arc::clone(&cloud.world.store),
        asked: Mutex::default(),
    });
    let ports = Ports {
        store: Arc::<Watched>::clone(&store),
        ..cloud.world.ports
    };
    let core = Core::open(ports, Settings::default()).unwrap();
    store.asked.lock().unwrap().clear();
    assert_eq!(core.list_devices().unwrap().len(), 4);
    let asked = store.asked.lock().unwrap();
    for tenant in [a, b] {
        let policy = Key::new(format!("T#{tenant}"), StoredPolicy::place().sort);
        assert_eq!(asked.iter().filter(|key| **key == policy).count(), 1);
    }
}
