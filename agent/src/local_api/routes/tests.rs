//! The routes against a service that is not there, over a real socket.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use scantrip_hal::backends::system::SystemClock;

use super::*;
use crate::api::{EnrolledView, JobEvent, ScanRequest};
use crate::local_api::client::RemoteService;
use crate::local_api::{AgentLock, LocalServer, ServeError};

/// Answers from a list and notes what it was asked.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
}

impl Service for Fake {
    fn call(&self, request: Request) -> Result<Reply, Refusal> {
        self.asked.lock().unwrap().push(format!("{request:?}"));
        match request {
            Request::Scan(scan) if scan.workflow == "none" => Err(Refusal {
                kind: RefusalKind::Full,
                message: "the spool is full".to_owned(),
            }),
            Request::Scan(_) => Ok(Reply::Started {
                job: "j".to_owned(),
            }),
            _ => Ok(Reply::Done),
        }
    }

    fn enroll(&self, code: EnrollmentCode) -> Result<EnrolledView, Refusal> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("enroll {}", code.as_bytes().len()));
        Ok(EnrolledView {
            device: "d".to_owned(),
            certificate_ends_ms: 1,
            tls: None,
        })
    }

    fn events(&self, job: &str, from: usize, wait: Duration) -> Result<Vec<JobEvent>, Refusal> {
        self.asked
            .lock()
            .unwrap()
            .push(format!("{job} {from} {wait:?}"));
        Ok(vec![JobEvent::Feeding])
    }
}

struct World {
    fake: Arc<Fake>,
    remote: RemoteService,
    server: LocalServer,
    path: std::path::PathBuf,
    _lock: AgentLock,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket-folder/agent.sock");
    let lock = AgentLock::take(folder.path()).unwrap();
    let fake = Arc::<Fake>::default();
    let clock = Arc::new(SystemClock::new());
    let routes = Routes::new(Arc::clone(&fake) as _);
    let server = LocalServer::start(&path, &lock, routes, Arc::clone(&clock) as _).unwrap();
    World {
        remote: RemoteService::connect(&path, clock).unwrap().unwrap(),
        fake,
        server,
        path,
        _lock: lock,
        _folder: folder,
    }
}

fn raw(world: &World, request: &str) -> String {
    let mut stream = UnixStream::connect(&world.path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_pass_the_socket_unchanged() {
    let world = world();
    let scan = ScanRequest {
        workflow: "invoices".to_owned(),
        fields: [("customer".to_owned(), "a\nb".to_owned())].into(),
        duplex: Some(true),
        ..ScanRequest::default()
    };
    let request = Request::Scan(scan);
    let reply = world.remote.call(request.clone()).unwrap();
    assert_eq!(
        reply,
        Reply::Started {
            job: "j".to_owned()
        }
    );
    assert_eq!(*world.fake.asked.lock().unwrap(), [format!("{request:?}")]);
}

#[test]
fn refusals_pass_the_socket_unchanged() {
    let world = world();
    let scan = ScanRequest {
        workflow: "none".to_owned(),
        ..ScanRequest::default()
    };
    let refusal = world.remote.call(Request::Scan(scan)).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Full);
    assert_eq!(refusal.message, "the spool is full");
}

#[test]
fn events_are_asked_from_a_number_on() {
    let world = world();
    let events = world
        .remote
        .events("a-1", 7, Duration::from_millis(50))
        .unwrap();
    assert_eq!(events, [JobEvent::Feeding]);
    let _long = world
        .remote
        .events("a-1", 8, Duration::from_secs(3600))
        .unwrap();
    assert_eq!(
        *world.fake.asked.lock().unwrap(),
        ["a-1 7 50ms", "a-1 8 20s"]
    );
    assert!(world.remote.events("a/../b", 0, Duration::ZERO).is_err());
}

#[test]
fn code_passes_the_socket() {
    let world = world();
    let code = EnrollmentCode::generate(&mut |bytes| bytes.fill(7));
    assert_eq!(world.remote.enroll(code).unwrap().device, "d");
    assert_eq!(world.fake.asked.lock().unwrap().len(), 1);
}

#[test]
fn mistyped_code_is_not_passed_on_nor_repeated() {
    let world = world();
    let request = "POST /v1/enroll HTTP/1.1\r\nContent-Length: 14\r\n\r\nAAAA-BBBB-CCC!";
    let answer = raw(&world, request);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!answer.contains("BBBB"), "{answer}");
    assert!(world.fake.asked.lock().unwrap().is_empty());
}

#[test]
fn wrong_addresses_and_bodies_are_refused() {
    let world = world();
    let huge = "POST /v1/requests HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n{";
    for (request, status) in [
        ("GET /v1/requests HTTP/1.1\r\n\r\n", 405),
        ("GET /v1/other HTTP/1.1\r\n\r\n", 404),
        ("GET /v1/jobs//events HTTP/1.1\r\n\r\n", 404),
        ("GET /v1/jobs/a/b/events HTTP/1.1\r\n\r\n", 404),
        ("GET /v1/jobs/a/events?from=-1 HTTP/1.1\r\n\r\n", 400),
        ("GET /v1/jobs/a/events?x=1 HTTP/1.1\r\n\r\n", 400),
        ("DELETE /v1/jobs/a/events HTTP/1.1\r\n\r\n", 404),
        (
            "POST /v1/requests HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            400,
        ),
        (
            "POST /v1/requests HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            400,
        ),
        (huge, 413),
    ] {
        let answer = raw(&world, request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
    assert!(world.fake.asked.lock().unwrap().is_empty());
}

#[test]
fn socket_belongs_to_its_owner() {
    let world = world();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&world.path) & 0o777, 0o600);
    assert_eq!(mode(world.path.parent().unwrap()) & 0o777, 0o700);
}

#[test]
fn stopping_closes_connections_and_takes_the_socket_away() {
    let world = world();
    let mut resting = UnixStream::connect(&world.path).unwrap();
    let _answered = world.remote.call(Request::Sync).unwrap();
    drop(world.server);
    assert_eq!(resting.read(&mut [0]).unwrap(), 0);
    assert!(!world.path.exists());
    assert_eq!(
        world.remote.call(Request::Sync).unwrap_err().kind,
        RefusalKind::Unreachable
    );
}

#[test]
fn socket_left_behind_is_replaced_and_anything_else_is_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let lock = AgentLock::take(folder.path()).unwrap();
    let start = |path: &std::path::Path| {
        let routes = Routes::new(Arc::<Fake>::default());
        LocalServer::start(path, &lock, routes, Arc::new(SystemClock::new()))
    };
    let path = folder.path().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let clock = Arc::new(SystemClock::new());
    assert!(RemoteService::connect(&path, clock).unwrap().is_none());
    drop(start(&path).unwrap());
    let lock_file = folder.path().join("lock");
    assert!(matches!(
        start(&lock_file),
        Err(ServeError::InTheWay { .. })
    ));
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = start(&open.join("agent.sock")).unwrap_err();
    assert!(error.to_string().contains("chmod 700"), "{error}");
}
