//! A machine without a scanner whose SNMP agent, Debian's snmpd, answers to a community of its own.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

use scantrip_tests::program::{self, Running};
use scantrip_tests::stage::write;
use serde_json::Value;

use crate::world::{World, words};

const SNMPD: &str = "rocommunity CANARY-community\n\
     sysDescr Example MFP of CANARY, Firmware Ver.1.06\n\
     override .1.3.6.1.2.1.25.3.5.1.1.1 integer 3\n\
     override .1.3.6.1.2.1.25.3.5.1.2.1 octet_str 0x00\n";

impl World {
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder().join(name);
        write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// `None` where the port of SNMP may not be had; root may.
    fn snmpd(&self, address: Ipv4Addr) -> Option<Running> {
        if let Err(error) = UdpSocket::bind((address, 161)) {
            let id = program::run(program::command("id").arg("-u")).expect("a user");
            assert_ne!(id.trim(), "0", "root may: {error}");
            eprintln!("SKIPPED: only root may have the port of SNMP");
            return None;
        }
        let text = format!("agentaddress udp:{address}:161\n{SNMPD}");
        let config = self.file("snmpd.conf", &text);
        let mut snmpd = program::command("/usr/sbin/snmpd");
        let modules = "-smux,mteTrigger,mteTriggerConf";
        snmpd.args(["-f", "-Lo", "-C", "-I", modules, "-c", &config, "-p"]);
        snmpd.arg(self.folder().join("snmpd.pid"));
        snmpd.env("SNMP_PERSISTENT_DIR", self.folder());
        let log = self.folder().join("snmpd.log");
        let running = Running::start_into(&mut snmpd, &log).expect("snmpd; `make setup`");
        program::until("snmpd listens", || UdpSocket::bind((address, 161)).is_err());
        Some(running)
    }

    /// The agent asks nothing but this address.
    fn ask_alone(&self, address: Ipv4Addr, community: &str) {
        let serial = "serial = \"S1\"";
        self.stage.configure_agent(serial).expect("a configuration");
        let file = self.folder().join("scantrip.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        write(&file, &text.replace("\"sim\"", "\"host\"")).expect("a file");
        self.configure_more(&format!(
            "[settings]\nsources = [\"network\"]\naddress = \"{address}\"\n\
             snmp_community_file = \"{community}\""
        ));
    }
}

/// A listener whose port comes first among words in their order.
fn listener(address: Ipv4Addr) -> (TcpListener, String) {
    let bound = (10_000..10_999).find_map(|port| TcpListener::bind((address, port)).ok());
    let listener = bound.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    (listener, format!("tcp/{port}"))
}

/// Value and verdict of a setting, as the cloud has them.
fn setting(device: &Value, id: &str) -> (String, String) {
    let all = device["settings"].as_array().expect("settings");
    let one = all.iter().find(|setting| setting["id"] == id);
    let one = one.expect("the setting");
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    (text("value"), text("verdict"))
}

#[test]
fn a_community_in_a_file_opens_the_tables_and_never_leaves_the_device() {
    let process = std::process::id();
    let address = Ipv4Addr::new(127, 77, (process >> 8) as u8, process as u8);
    let world = World::new();
    let Some(_snmpd) = world.snmpd(address) else {
        return;
    };
    let community = world.file("community", "CANARY-community\n");
    let open_to = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&community, mode).expect("a mode");
    };
    world.ask_alone(address, &community);
    open_to(0o644);
    let refused = world.agent(&["settings"]);
    assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
    let why = format!("run `chmod 600 {community}`");
    assert!(words(&refused).contains(&why), "{}", words(&refused));
    open_to(0o600);

    let (_exposed, exposed) = listener(Ipv4Addr::UNSPECIFIED);
    let (_hidden, hidden) = listener(Ipv4Addr::LOCALHOST);
    world.enroll();
    let _agent = world.run_agent();
    let reported = || world.device()["settings"].is_array();
    program::until("a report", reported);
    let device = world.device();
    let (listening, verdict) = setting(&device, "net.listening_ports");
    let lists = |port: &String| listening.split(',').any(|it| it == port);
    assert!(lists(&exposed), "{exposed}: {listening}");
    assert!(!lists(&hidden), "{hidden}: {listening}");
    // Whether the list is whole depends on sockets that other tests open and close meanwhile;
    // `snmpd_tells_who_listens_as_the_kernel_does` of the HAL looks at that, alone with snmpd.
    assert_eq!(verdict, "not-secure", "{device}");
    assert_eq!(setting(&device, "fw.version_approved").0, "1.06");
    assert_eq!(setting(&device, "net.snmp_default_community").0, "none");
    let (clear, verdict) = setting(&device, "net.snmp_v1v2");
    assert_eq!((clear.as_str(), verdict.as_str()), ("true", "unknown"));
    assert_eq!(device["report"]["printer"]["state"], "idle", "{device}");

    let status = words(&world.agent(&["status"]));
    let shown = words(&world.agent(&["config", "show"]));
    let read = |name| std::fs::read_to_string(world.folder().join(name)).expect("a log");
    let told = [device.to_string(), words(&refused), status, shown];
    let logs = [read("cloud.log"), read("agent.log")];
    for text in told.into_iter().chain(logs) {
        assert!(!text.contains("CANARY"), "{text}");
    }
}
