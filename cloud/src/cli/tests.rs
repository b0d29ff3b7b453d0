//! Commands on a data folder, without a running cloud.

use super::*;

fn parse(arguments: &[&str]) -> Action {
    let arguments = [&["scantrip-cloud", "--data", "unused"], arguments].concat();
    Arguments::try_parse_from(arguments).unwrap().action
}

fn set_up(folder: &Path, arguments: &[&str]) -> DataFolder {
    let data = DataFolder::new(folder.join("cloud"));
    let Action::Init(options) = parse(&[&["init"], arguments].concat()) else {
        panic!("init was asked");
    };
    init(&data, options).unwrap();
    data
}

fn done(data: &DataFolder, arguments: &[&str]) -> Value {
    ask(data, &command(parse(arguments)).unwrap()).unwrap()
}

fn refused(data: &DataFolder, arguments: &[&str]) -> String {
    format!(
        "{:#}",
        ask(data, &command(parse(arguments)).unwrap()).unwrap_err()
    )
}

#[test]
fn an_operator_sets_up_a_tenant_a_workflow_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = set_up(folder.path(), &[]);
    assert_eq!(
        done(&data, &["tenant", "add", "Example AG"])["name"],
        "Example AG"
    );
    let file = folder.path().join("workflow.toml");
    let workflow = "name = \"Invoices\"\n[[steps]]\nuse = \"assemble_pdf\"\n\
                    [[steps]]\nuse = \"deliver_folder\"\nfolder = \"out\"\nname = \"{counter}.pdf\"\n";
    crate::durable::write_whole(&file, &folder.path().join("fresh"), workflow.as_bytes()).unwrap();
    let file = file.display().to_string();
    let added = done(&data, &["workflow", "add", &file]);
    assert_eq!(added["workflow"], "invoices");
    assert_eq!(
        done(&data, &["workflow", "show", "Invoices"])["source"],
        workflow
    );
    assert_eq!(
        done(&data, &["workflow", "list"]).as_array().unwrap().len(),
        1
    );
    let code = done(&data, &["device", "code", "--tenant", "Example AG"]);
    assert_eq!(code["code"].as_str().unwrap().len(), 14);
    assert_eq!(done(&data, &["device", "list"]), json!([]));
    assert_eq!(done(&data, &["job", "list"]), json!([]));
    done(&data, &["workflow", "remove", "invoices"]);
    assert_eq!(done(&data, &["workflow", "list"]), json!([]));
}

#[test]
fn refusals_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let data = set_up(folder.path(), &[]);
    assert!(refused(&data, &["device", "code"]).contains("0 tenants"));
    done(&data, &["tenant", "add", "One"]);
    assert!(refused(&data, &["tenant", "add", "One"]).contains("already"));
    assert!(refused(&data, &["tenant", "add", " "]).contains("1 to 80"));
    assert!(refused(&data, &["device", "code", "--tenant", "Two"]).contains("no tenant Two"));
    assert!(refused(&data, &["device", "revoke", "none"]).contains("no device none"));
    assert!(refused(&data, &["job", "show", "none"]).contains("no job none"));
    let nowhere = DataFolder::new(folder.path().join("nowhere"));
    assert!(refused(&nowhere, &["tenant", "list"]).contains("init` first"));
    let lock = data.lock().unwrap();
    assert!(refused(&data, &["tenant", "list"]).contains("another process"));
    drop(lock);
}

#[test]
fn a_second_init_keeps_keys_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let door = "Tokyo,ap-northeast-1,https://tokyo.example/";
    let arguments = ["--name", "cloud.example", "--entry-point", door];
    let data = set_up(folder.path(), &arguments);
    let before = (
        data.service().unwrap(),
        std::fs::read(data.ca_file()).unwrap(),
    );
    assert_eq!(before.0.entry_points[0].url, "https://tokyo.example");
    let data = set_up(folder.path(), &[]);
    assert_eq!(
        (
            data.service().unwrap(),
            std::fs::read(data.ca_file()).unwrap()
        ),
        before
    );
}

#[test]
fn a_running_cloud_answers_commands_on_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let data = set_up(folder.path(), &[]);
    let core = Core::open(data.ports().unwrap(), data.service().unwrap().settings()).unwrap();
    let socket = data.admin_socket();
    let commands = admin::listen(&socket).unwrap();
    // Ends with the process.
    std::thread::spawn(move || admin::serve(&core, &commands));
    let _lock = data.lock().unwrap();
    assert_eq!(done(&data, &["tenant", "add", "One"])["name"], "One");
    assert!(refused(&data, &["tenant", "add", "One"]).contains("already"));
}

#[test]
fn bad_arguments_are_refused() {
    for arguments in [
        &[
            "init",
            "--entry-point",
            "Tokyo,ap-northeast-1,http://plain.example",
        ][..],
        &["init", "--entry-point", "Tokyo"],
        &["init", "--certificate-seconds", "0"],
        &["serve", "--listen", "nowhere"],
        &["--log", "loud", "tenant", "list"],
    ] {
        let arguments = [&["scantrip-cloud", "--data", "unused"], arguments].concat();
        assert!(
            Arguments::try_parse_from(&arguments).is_err(),
            "{arguments:?}"
        );
    }
}
