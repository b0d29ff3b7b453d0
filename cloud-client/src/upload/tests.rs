use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::problem::ProblemKind;
use crate::testing::service::{Answer, Heard, Service, answer, problem};

/// A cloud with one upload, and what goes wrong in it.
#[derive(Default)]
struct Cloud {
    size: u64,
    stored: Vec<u8>,
    exists: bool,
    /// By the number of the request: what happens to it.
    faults: Vec<Fault>,
    requests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Nothing.
    None,
    /// It is served, but the answer is lost.
    LostAnswer,
    /// It takes only half of the body.
    Half,
    /// Nothing of the upload is left: 404 or 410.
    Lost(ProblemKind),
    /// A problem without effect.
    Says(ProblemKind),
    /// It changes a byte of an unfinished upload.
    Damage,
}

type Shared = Arc<Mutex<Cloud>>;

fn cloud(faults: &[Fault]) -> Shared {
    let faults = faults.to_vec();
    Arc::new(Mutex::new(Cloud {
        faults,
        ..Cloud::default()
    }))
}

impl Cloud {
    fn serve(&mut self, heard: &Heard) -> Answer {
        assert_eq!(heard.header("tus-resumable"), Some("1.0.0"));
        let fault = self
            .faults
            .get(self.requests.len())
            .copied()
            .unwrap_or(Fault::None);
        self.requests.push(heard.method.clone());
        let mut body = heard.body.as_slice();
        match fault {
            Fault::Half => body = &body[..body.len() / 2],
            Fault::Says(kind) => return problem(&kind.problem("")),
            Fault::Lost(kind) => {
                self.exists = false;
                self.stored.clear();
                if heard.method != "POST" {
                    return self.refuse(heard, kind);
                }
            }
            // What was compared once stays as it is.
            Fault::Damage if self.stored.len() as u64 == self.size => {}
            Fault::Damage => self.stored.iter_mut().take(1).for_each(|byte| *byte ^= 1),
            Fault::None | Fault::LostAnswer => {}
        }
        let answer = self.answer(heard, body);
        match fault {
            Fault::LostAnswer => None,
            _ => answer,
        }
    }

    fn answer(&mut self, heard: &Heard, body: &[u8]) -> Answer {
        match heard.method.as_str() {
            "POST" => {
                assert_eq!(heard.path, "/v1/device/uploads");
                let length = heard.header("upload-length").expect("a length");
                self.size = length.parse().expect("a number");
                let metadata = heard.header("upload-metadata").expect("metadata");
                assert!(
                    metadata.starts_with("job am9i,object Nw==,sha256 "),
                    "{metadata}"
                );
                if !self.exists {
                    self.exists = true;
                    self.stored = body.to_vec();
                }
                self.finish(201, "Location: /v1/device/uploads/u1\r\n")
            }
            "HEAD" if !self.exists => self.refuse(heard, ProblemKind::NotFound),
            "HEAD" => answer(
                200,
                &format!("Upload-Offset: {}\r\n", self.stored.len()),
                "",
            ),
            "PATCH" => {
                assert_eq!(heard.path, "/v1/device/uploads/u1");
                assert!(heard.body.len() as u64 <= APPEND_BYTES);
                let kind = heard.header("content-type");
                assert_eq!(kind, Some("application/offset+octet-stream"));
                if !self.exists {
                    return self.refuse(heard, ProblemKind::NotFound);
                }
                let at: usize = heard
                    .header("upload-offset")
                    .expect("set")
                    .parse()
                    .expect("set");
                if at != self.stored.len() {
                    return problem(&ProblemKind::OffsetConflict.problem(""));
                }
                self.stored.extend_from_slice(body);
                self.finish(204, "")
            }
            other => panic!("{other}"),
        }
    }

    fn refuse(&self, heard: &Heard, kind: ProblemKind) -> Answer {
        match heard.method.as_str() {
            "HEAD" => Some(format!(
                "HTTP/1.1 {} No\r\nContent-Length: 9\r\n\r\n",
                kind.status()
            )),
            _ => problem(&kind.problem("")),
        }
    }

    fn finish(&mut self, status: u16, headers: &str) -> Answer {
        let whole = self.stored.len() as u64 == self.size;
        if whole && Sha256::digest(&self.stored) != Sha256::digest(object(self.size)) {
            self.exists = false;
            self.stored.clear();
            return problem(&ProblemKind::DigestMismatch.problem(""));
        }
        let offset = self.stored.len();
        answer(status, &format!("{headers}Upload-Offset: {offset}\r\n"), "")
    }
}

fn object(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

const SIZE: u64 = APPEND_BYTES * 2 + 100;

fn new(size: u64, resume: bool) -> NewUpload<'static> {
    NewUpload {
        job: "job",
        object: 7,
        size,
        sha256: "00",
        resume,
    }
}

fn upload_to(cloud: &Shared, size: u64, resume: bool) -> (Result<Uploaded, UploadError>, Vec<u64>) {
    let served = Arc::clone(cloud);
    let mut conn = Service::connect(move |heard| served.lock().expect("whole").serve(heard));
    let bytes = object(size);
    let mut told = Vec::new();
    let mut source = bytes.as_slice();
    let result = upload_object(&mut conn, &new(size, resume), &mut source, &mut |at| {
        told.push(at)
    });
    (result, told)
}

fn requests(cloud: &Shared) -> String {
    cloud.lock().expect("whole").requests.join(" ")
}

fn is_whole(cloud: &Shared, size: u64) -> bool {
    cloud.lock().expect("whole").stored == object(size)
}

#[test]
fn an_object_goes_up_in_pieces_of_a_mebibyte_the_first_with_its_creation() {
    let cloud = cloud(&[]);
    let (uploaded, told) = upload_to(&cloud, SIZE, false);
    assert_eq!(uploaded.expect("uploaded").sent, SIZE);
    assert_eq!(told, [APPEND_BYTES, 2 * APPEND_BYTES, SIZE]);
    assert_eq!(requests(&cloud), "POST PATCH PATCH");
    assert!(is_whole(&cloud, SIZE));
}

#[test]
fn a_small_object_needs_one_request() {
    let cloud = cloud(&[]);
    upload_to(&cloud, 163, false).0.expect("uploaded");
    assert_eq!(requests(&cloud), "POST");
}

#[test]
fn a_resumed_object_goes_on_from_where_the_cloud_is() {
    let cloud = cloud(&[Fault::None, Fault::LostAnswer]);
    let error = upload_to(&cloud, SIZE, false)
        .0
        .expect_err("the answer is lost");
    assert!(
        matches!(error, UploadError::Call(CallError::Transport { .. })),
        "{error}"
    );
    let (uploaded, told) = upload_to(&cloud, SIZE, true);
    assert_eq!(uploaded.expect("uploaded").sent, 100);
    assert_eq!(told, [2 * APPEND_BYTES, SIZE]);
    assert!(is_whole(&cloud, SIZE));
    let again = upload_to(&cloud, SIZE, true).0.expect("it is there");
    assert_eq!(again.sent, 0, "nothing is sent twice");
}

#[test]
fn a_partly_taken_body_is_continued() {
    let cloud = cloud(&[Fault::Half, Fault::Half]);
    upload_to(&cloud, SIZE, false).0.expect("uploaded");
    assert!(is_whole(&cloud, SIZE));
}

#[test]
fn an_offset_conflict_is_settled_by_asking_at_most_three_times() {
    let conflict = Fault::Says(ProblemKind::OffsetConflict);
    let settled = cloud(&[Fault::None, conflict, Fault::None, conflict]);
    upload_to(&settled, SIZE, false).0.expect("uploaded");
    assert_eq!(requests(&settled), "POST PATCH HEAD PATCH HEAD PATCH PATCH");
    let without_end = cloud(&[Fault::None, conflict].repeat(10));
    let error = upload_to(&without_end, SIZE, false)
        .0
        .expect_err("it never ends");
    assert!(matches!(&error, UploadError::Call(error)
        if error.kind() == Some(ProblemKind::OffsetConflict)));
    assert_eq!(
        requests(&without_end),
        "POST PATCH HEAD PATCH HEAD PATCH HEAD PATCH"
    );
}

#[test]
fn a_lost_upload_is_created_again() {
    for kind in [ProblemKind::NotFound, ProblemKind::Gone] {
        let during_append = cloud(&[Fault::None, Fault::Lost(kind)]);
        upload_to(&during_append, SIZE, false).0.expect("uploaded");
        assert!(is_whole(&during_append, SIZE));
        assert_eq!(
            requests(&during_append),
            "POST PATCH POST PATCH PATCH PATCH"
        );
        let conflict = Fault::Says(ProblemKind::OffsetConflict);
        let during_head = cloud(&[Fault::None, conflict, Fault::Lost(kind)]);
        upload_to(&during_head, SIZE, false).0.expect("uploaded");
        assert!(is_whole(&during_head, SIZE));
    }
    let always = cloud(&[Fault::Lost(ProblemKind::Gone); 30]);
    assert!(upload_to(&always, SIZE, false).0.is_err());
    assert_eq!(requests(&always).matches("POST").count(), 4);
}

#[test]
fn a_damaged_object_is_sent_again_three_times() {
    let once = cloud(&[Fault::None, Fault::Damage]);
    let uploaded = upload_to(&once, SIZE, false).0.expect("uploaded");
    assert_eq!(uploaded.sent, 2 * SIZE);
    assert!(is_whole(&once, SIZE));
    let always = cloud(&[Fault::Says(ProblemKind::DigestMismatch); 30]);
    let error = upload_to(&always, SIZE, false)
        .0
        .expect_err("it stays damaged");
    assert!(error.to_string().contains("422"), "{error}");
    assert_eq!(requests(&always), "POST POST POST POST");
}

#[test]
fn what_the_outbox_must_decide_comes_back_at_once() {
    for kind in [
        ProblemKind::UploadLocked,
        ProblemKind::Busy,
        ProblemKind::Quota,
        ProblemKind::Unavailable,
        ProblemKind::DeviceRevoked,
        ProblemKind::TooLarge,
    ] {
        let cloud = cloud(&[Fault::None, Fault::Says(kind)]);
        match upload_to(&cloud, SIZE, false).0 {
            Err(UploadError::Call(error)) => assert_eq!(error.kind(), Some(kind)),
            other => panic!("{other:?}"),
        }
        assert_eq!(requests(&cloud), "POST PATCH");
    }
}

#[test]
fn a_page_that_cannot_be_read_is_not_the_clouds_fault() {
    struct Bad;
    impl ObjectSource for Bad {
        fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            match offset {
                0 => Ok(buf.len()),
                _ => Err(io::Error::new(io::ErrorKind::InvalidData, "checksum")),
            }
        }
    }
    let cloud = cloud(&[]);
    let served = Arc::clone(&cloud);
    let mut conn = Service::connect(move |heard| served.lock().expect("whole").serve(heard));
    let error = upload_object(&mut conn, &new(SIZE, false), &mut Bad, &mut |_| {});
    assert!(matches!(error, Err(UploadError::Source(_))), "{error:?}");
    assert_eq!(requests(&cloud), "", "an unfinished request is no request");
    let mut short: &[u8] = b"short";
    let error = upload_object(&mut conn, &new(SIZE, false), &mut short, &mut |_| {});
    assert!(matches!(error, Err(UploadError::Source(_))), "{error:?}");
    let bytes = object(100);
    upload_object(
        &mut conn,
        &new(100, false),
        &mut bytes.as_slice(),
        &mut |_| {},
    )
    .expect("the connection goes on");
}

#[test]
fn offsets_that_cannot_be_are_refused() {
    let answers_with = |offsets: &'static [&'static str]| {
        let mut left = offsets.iter();
        let mut conn = Service::connect(move |heard| {
            let offset = left.next().expect("no more requests");
            if *offset == "conflict" {
                return problem(&ProblemKind::OffsetConflict.problem(""));
            }
            let status = match heard.method.as_str() {
                "POST" => 201,
                "PATCH" => 204,
                _ => 200,
            };
            answer(
                status,
                &format!("Location: /u\r\nUpload-Offset: {offset}\r\n"),
                "",
            )
        });
        let bytes = object(SIZE);
        upload_object(
            &mut conn,
            &new(SIZE, false),
            &mut bytes.as_slice(),
            &mut |_| {},
        )
    };
    let error = |offsets| match answers_with(offsets) {
        Err(UploadError::Call(CallError::Protocol(reason))) => reason,
        other => panic!("{offsets:?}: {other:?}"),
    };
    error(&["99999999999"]);
    error(&["-1"]);
    error(&["x"]);
    error(&["1048576", "9999999"]);
    error(&["1048576", "1048575"]);
    error(&["1048576", "conflict", "100"]);
    error(&["1048576", "conflict", "99999999999"]);
    error(&["1048576"; 5]);
}

#[test]
fn a_location_must_stay_at_home() {
    for (value, path) in [
        ("/v1/device/uploads/a", Some("/v1/device/uploads/a")),
        ("uploads/a", Some("/v1/device/uploads/a")),
        ("https://home.example/u", Some("https://home.example/u")),
        ("//evil.example/u", None),
        ("ftp://evil.example/u", None),
        ("../../x", None),
        ("/a b", None),
        ("/a\r\nX: y", None),
        ("", None),
    ] {
        assert_eq!(location(value).ok().as_deref(), path, "{value}");
    }
    let elsewhere = |location: &'static str| {
        let mut conn = Service::connect(move |_| {
            answer(
                201,
                &format!("Location: {location}\r\nUpload-Offset: 0\r\n"),
                "",
            )
        });
        let bytes = object(10);
        upload_object(
            &mut conn,
            &new(10, true),
            &mut bytes.as_slice(),
            &mut |_| {},
        )
    };
    assert!(elsewhere("https://evil.example/u").is_err());
    let mut conn = Service::connect(|_| answer(201, "Upload-Offset: 0\r\n", ""));
    assert!(
        create(&mut conn, &new(10, true), &mut &b""[..], 0).is_err(),
        "no Location"
    );
}

#[test]
fn an_absolute_location_of_the_same_origin_is_used() {
    let mut conn = Service::connect(|heard| match heard.method.as_str() {
        "POST" => answer(
            201,
            "Location: http://localhost/u/1\r\nUpload-Offset: 0\r\n",
            "",
        ),
        _ => {
            assert_eq!(heard.path, "/u/1");
            answer(204, "Upload-Offset: 10\r\n", "")
        }
    });
    let bytes = object(10);
    upload_object(
        &mut conn,
        &new(10, true),
        &mut bytes.as_slice(),
        &mut |_| {},
    )
    .expect("uploaded");
    assert!(remove(&mut conn, "/u/1").is_ok());
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::LostAnswer),
        1 => Just(Fault::Half),
        1 => Just(Fault::Lost(ProblemKind::NotFound)),
        1 => Just(Fault::Lost(ProblemKind::Gone)),
        1 => Just(Fault::Says(ProblemKind::OffsetConflict)),
        1 => Just(Fault::Says(ProblemKind::UploadLocked)),
        1 => Just(Fault::Damage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_trying_again_ends_with_the_whole_object(
        faults in proptest::collection::vec(any_fault(), 0..12),
    ) {
        let cloud = cloud(&faults);
        let done = (0..40).any(|attempt| upload_to(&cloud, SIZE, attempt > 0).0.is_ok());
        prop_assert!(done);
        prop_assert!(is_whole(&cloud, SIZE));
    }
}
