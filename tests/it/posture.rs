//! How safe a device is: read on it, judged by its tenant's policy, told to the cloud, and a gate
//! before workflows.

mod snmp;

use scantrip_tests::program;
use scantrip_tests::stage::write;

use crate::world::{INVOICES, World, words};

mod network;
mod peers;

impl World {
    /// Adds the workflow `Secret`, which requires what `requires` says.
    fn require(&self, requires: &str) {
        let out = self.folder().join("out").display().to_string();
        let first = format!("name = \"Secret\"\nrequires = [{requires}]");
        let text = INVOICES
            .replace("OUT", &out)
            .replace("name = \"Invoices\"", &first);
        let file = self.folder().join("secret.toml");
        write(&file, &text).expect("a file");
        let path = file.display().to_string();
        self.cloud_json(&["workflow", "add", "--tenant", "Example AG", &path]);
    }

    fn secret_scan(&self) -> std::process::Output {
        let field = "customer=Canary-Miller";
        self.agent(&["scan", "--workflow", "Secret", "--field", field])
    }

    fn device(&self) -> serde_json::Value {
        let list = self.cloud_json(&["device", "list"]);
        let id = list[0]["device"].as_str().expect("a device").to_owned();
        self.cloud_json(&["device", "show", &id, "--history"])
    }

    /// Waits until the cloud's history of the device holds a text.
    fn history_with(&self, text: &str) -> String {
        let history = || self.device()["history"].to_string();
        program::until(text, || history().contains(text));
        history()
    }
}

#[test]
fn a_workflow_starts_only_on_a_device_that_is_as_it_requires_and_the_cloud_hears_why() {
    let world = World::enrolled(2);
    let _agent = world.run_agent();
    world.require("\"storage.encryption=all\", \"net.tls_min_version>=1.2\"");
    assert!(world.agent(&["sync"]).status.success());
    let good = world.secret_scan();
    assert!(good.status.success(), "{}", words(&good));

    // The simulated MFP answers SNMP with the community of the factory.
    world.require("\"storage.encryption=all\", \"net.snmp_default_community=none\"");
    assert!(world.agent(&["sync"]).status.success());
    let fed = scantrip_tests::stage::files(&world.folder().join("pages")).expect("pages");
    let refused = world.secret_scan();
    assert_eq!(refused.status.code(), Some(10), "{}", words(&refused));
    let why = "on this device `net.snmp_default_community` is read, it must be none";
    assert!(words(&refused).contains(why), "{}", words(&refused));
    let shown = world.agent(&["workflows"]);
    assert!(words(&shown).contains(why), "{}", words(&shown));
    let after = scantrip_tests::stage::files(&world.folder().join("pages")).expect("pages");
    assert_eq!(fed.len(), after.len(), "paper moved");
    assert_eq!(world.jobs().len(), 1, "no job was made");

    let history = world.history_with("workflow-refused");
    assert!(history.contains("net.snmp_default_community"), "{history}");
    let device = world.device();
    assert_eq!(device["standing"]["posture"], "not-secure", "{device}");
    assert!(!device.to_string().contains("Canary"), "{device}");
    let toner = &device["report"]["printer"]["supplies"][0];
    assert_eq!(
        (&toner["left_percent"], &toner["low"]),
        (&8.into(), &true.into())
    );
    let status = world.agent(&["status"]);
    assert!(
        words(&status).contains("Black Toner 8 % LOW"),
        "{}",
        words(&status)
    );
    let log = std::fs::read_to_string(world.folder().join("cloud.log")).expect("a log");
    assert_eq!(log.matches("unknown -> not-secure").count(), 1, "{log}");
    assert!(!log.contains("Canary"), "{log}");
}

#[test]
fn a_slip_in_a_requirement_is_found_when_the_workflow_is_added() {
    let world = World::new();
    let text = INVOICES.replace(
        "name = \"Invoices\"",
        "name = \"Secret\"\nrequires = [\"storage.encription=all\"]",
    );
    let file = world.folder().join("slip.toml");
    write(&file, &text).expect("a file");
    let mut command = world.stage.cloud();
    command.args(["workflow", "add"]).arg(&file);
    let output = crate::world::finish(&mut command, "");
    let said = words(&output);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("did you mean `storage.encryption`?"),
        "{said}"
    );
}

#[test]
fn settings_are_judged_by_the_tenants_policy_and_told_in_the_terms_of_the_standard() {
    let world = World::enrolled(1);
    let settings = |more: &[&str]| {
        let arguments = [&["settings"], more].concat();
        world.stage.agent_json(&arguments).expect("an answer")
    };
    assert_eq!(settings(&[])["assessment"]["policy"], "Baseline");
    let strict = settings(&["--policy", "strict"]);
    assert_eq!(strict["assessment"]["policy"], "Strict");

    let file = world.folder().join("policy.toml");
    let text = "name = \"House\"\nversion = 4\nsecure = [\"net.telnet\", \"net.unheard_of\"]";
    write(&file, text).expect("a file");
    world.cloud_json(&["policy", "set", &file.display().to_string()]);
    assert!(world.agent(&["sync"]).status.success());
    let house = settings(&[]);
    assert_eq!(house["assessment"]["policy"], "House");
    assert_eq!(house["assessment"]["findings"][0]["outcome"], "pass");
    assert_eq!(house["assessment"]["findings"][1]["outcome"], "notchecked");
    assert_eq!(house["assessment"]["score"]["grade"], "not-enough-data");

    let pwg = settings(&["--pwg"]);
    assert_eq!(pwg["System"]["DefaultPasswordEnabled"], false);
    assert_eq!(pwg["System"]["ConfigurationState"], house["config_state"]);
    let diff = world.agent(&["settings", "--diff"]);
    assert!(
        words(&diff).contains("nothing has changed"),
        "{}",
        words(&diff)
    );
    let wrong = world.agent(&["settings", "--policy", "nowhere.toml"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", words(&wrong));
    assert!(
        words(&wrong).contains("konica-minolta"),
        "{}",
        words(&wrong)
    );
}

#[test]
fn what_falls_back_when_the_device_restarts_is_seen_and_named() {
    let world = World::new();
    let stage = &world.stage;
    let config = stage.configure_agent("serial = \"RESTART-1\"");
    config.expect("a configuration");
    let file = world.folder().join("scantrip.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let root = world.folder().join("root");
    let text = text.replace("backend = \"sim\"", "backend = \"host\"");
    let settings = format!(
        "[settings]\nroot = \"{}\"\nsources = [\"linux\"]",
        root.display()
    );
    write(&file, &format!("{text}\n{settings}\n")).expect("a file");
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        write(&path, text).expect("a file");
    };
    // Each run is an agent of its own.
    let survives = || {
        let answer = stage.agent_json(&["settings"]).expect("an answer");
        let all = answer["settings"].as_array().expect("settings").clone();
        let is_it = |it: &serde_json::Value| it["id"] == "config.survives_restart";
        let found = all.into_iter().find(is_it).expect("the setting");
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("value"), text("method"), text("evidence"))
    };
    put("proc/sys/kernel/random/boot_id", "first\n");
    put("proc/sys/net/ipv4/ip_forward", "0\n");
    put("proc/sys/net/ipv6/conf/all/forwarding", "0\n");
    assert_eq!(survives().0, "");
    put("proc/sys/kernel/random/boot_id", "second\n");
    assert_eq!(survives().0, "true");
    put("proc/sys/kernel/random/boot_id", "third\n");
    put("proc/sys/net/ipv4/ip_forward", "1\n");
    let (value, method, evidence) = survives();
    assert_eq!((value.as_str(), method.as_str()), ("false", "compared"));
    assert!(evidence.ends_with(": net.ip_forwarding"), "{evidence}");
    assert_eq!(survives().0, "false", "until the next restart");
}

#[test]
fn what_looks_like_a_secret_does_not_leave_the_device() {
    let world = World::new();
    let settings = "fw.version_approved=$6$salt$CANARY1;net.listening_ports=password=CANARY2;\
                    auth.lockout_tries=CANARY3;net.telnet=true";
    let options = format!("sheets = \"1\"\nsettings = \"{settings}\"");
    world
        .stage
        .configure_agent(&options)
        .expect("a configuration");
    world.enroll();
    let _agent = world.run_agent();
    let reported = || world.device()["settings"].is_array();
    program::until("a report", reported);
    let device = world.device();
    let value = |id: &str| {
        let all = device["settings"].as_array().expect("settings");
        let one = all.iter().find(|setting| setting["id"] == id);
        one.expect("the setting")["value"].clone()
    };
    assert_eq!(value("net.telnet"), "true");
    assert_eq!(value("fw.version_approved"), "(hidden)");
    assert_eq!(value("net.listening_ports"), "(hidden)");
    let read = |name| std::fs::read_to_string(world.folder().join(name)).expect("a log");
    for text in [device.to_string(), read("cloud.log"), read("agent.log")] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn the_operators_numbers_are_on_an_address_of_their_own() {
    let world = World::new();
    let mut command = world.stage.cloud();
    let data = world.folder().join("second");
    let mut init = program::command(command.get_program());
    program::run(init.arg("--data").arg(&data).arg("init")).expect("a second cloud");
    command = program::command(init.get_program());
    command.arg("--data").arg(&data);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ]);
    let log = world.folder().join("second.log");
    let mut serving = program::Running::start(&mut command, &log).expect("it starts");
    let url = serving.wait_for("metrics on ").expect("an address");
    let curl = |url: &str| {
        let mut curl = program::command("curl");
        program::run(curl.args(["-sS", "-i", "--max-time", "10", url])).expect("an answer")
    };
    let page = curl(&url);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("text/plain; version=0.0.4"), "{page}");
    assert!(
        page.contains("\nscantrip_devices{state=\"present\"} 0\n"),
        "{page}"
    );
    for state in ["due", "later"] {
        let line = format!("\nscantrip_runner_jobs{{state=\"{state}\"}} 0\n");
        assert!(page.contains(&line), "{page}");
    }
    let memory = page.split("\nprocess_resident_memory_bytes ").nth(1);
    let bytes = memory.and_then(|rest| rest.lines().next()?.parse::<u64>().ok());
    assert!(bytes.is_some_and(|bytes| bytes > 1 << 20), "{page}");
    assert!(curl(&url.replace("/metrics", "/v1/device/desired")).starts_with("HTTP/1.1 404"));
}
