//! Uploads: resumed, repeated, cut off, wrong and too many.

use super::*;

const DAY: u64 = 24 * 3600;

fn append(cloud: &Cloud, device: &Device, path: &str, at: usize, bytes: &[u8]) -> Answer {
    let at = at.to_string();
    let headers = [TUS, BYTES_TYPE, ("upload-offset", at.as_str())];
    cloud.call(&device.peer, (Method::PATCH, path), &headers, bytes)
}

fn offset(cloud: &Cloud, device: &Device, path: &str) -> Answer {
    cloud.call(&device.peer, (Method::HEAD, path), &[TUS], b"")
}

/// Begins an upload with the first `count` bytes; gives its path.
fn begin(cloud: &Cloud, device: &Device, bytes: &[u8], count: usize) -> String {
    let answer = create(cloud, device, bytes, &bytes[..count]);
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    assert_eq!(header(&answer, "upload-offset"), count.to_string());
    header(&answer, "location").to_owned()
}

fn create(cloud: &Cloud, device: &Device, bytes: &[u8], first: &[u8]) -> Answer {
    let length = bytes.len().to_string();
    let metadata = metadata(JOB, 1, bytes);
    let headers = [
        TUS,
        BYTES_TYPE,
        ("upload-length", &length),
        ("upload-metadata", &metadata),
    ];
    cloud.call(
        &device.peer,
        (Method::POST, "/v1/device/uploads"),
        &headers,
        first,
    )
}

fn page() -> Vec<u8> {
    (0..1000_u32).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn an_upload_goes_on_where_it_was_also_in_another_process() {
    let mut cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 1000);
    let answer = append(&cloud, &device, &path, 1000, &page[1000..2000]);
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    cloud.restart();
    let answer = offset(&cloud, &device, &path);
    assert_eq!(header(&answer, "upload-offset"), "2000");
    assert_eq!(header(&answer, "upload-length"), "4000");
    assert!(header(&answer, "upload-expires").ends_with("GMT"));
    let answer = append(&cloud, &device, &path, 2000, &page[2000..]);
    assert_eq!(
        header(&answer, "upload-offset"),
        "4000",
        "the hash was made by reading back"
    );
    let again = create(&cloud, &device, &page, &page[..10]);
    assert_eq!(header(&again, "location"), path);
    assert_eq!(
        header(&again, "upload-offset"),
        "4000",
        "asking again finds it complete"
    );
}

#[test]
fn as_much_as_was_received_is_kept() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 0);
    let headers = [TUS, BYTES_TYPE, ("upload-offset", "0")];
    let call = (Method::PATCH, path.as_str());
    drop(cloud.cut_off(&device.peer, call, &headers, (&page[..123], 1000)));
    assert_eq!(
        header(&offset(&cloud, &device, &path), "upload-offset"),
        "123"
    );
    let answer = append(&cloud, &device, &path, 123, &page[123..]);
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", text(&answer));
}

#[test]
fn bytes_at_another_offset_are_refused_with_the_right_one() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 100);
    for at in [0, 99, 101] {
        let answer = append(&cloud, &device, &path, at, b"x");
        assert_eq!(problem(&answer).0, "offset-conflict");
        assert_eq!(header(&answer, "upload-offset"), "100");
    }
}

#[test]
fn another_writer_finds_the_upload_locked() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 100);
    let request = Request::patch(&path).header("upload-offset", 100);
    let request = request
        .header(TUS.0, TUS.1)
        .header(BYTES_TYPE.0, BYTES_TYPE.1);
    let (head, ()) = request.body(()).unwrap().into_parts();
    let mut first = cloud.core.route(&device.peer, &head);
    first.push(b"half of what");
    let answer = append(&cloud, &device, &path, 100, b"x");
    assert_eq!(problem(&answer).0, "upload-locked");
    drop(first);
    assert_eq!(
        header(&offset(&cloud, &device, &path), "upload-offset"),
        "100"
    );
    let answer = append(&cloud, &device, &path, 100, &page[100..]);
    assert_eq!(
        answer.status(),
        StatusCode::NO_CONTENT,
        "freed when the other went"
    );
}

#[test]
fn two_processes_writing_at_once_lose_nothing() {
    let mut cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 100);
    let request = Request::patch(&path).header("upload-offset", 100);
    let request = request
        .header(TUS.0, TUS.1)
        .header(BYTES_TYPE.0, BYTES_TYPE.1);
    let (head, ()) = request.body(()).unwrap().into_parts();
    let mut slow = cloud.core.route(&device.peer, &head);
    slow.push(&page[100..200]);
    cloud.restart();
    let fast = append(&cloud, &device, &path, 100, &page[100..300]);
    assert_eq!(fast.status(), StatusCode::NO_CONTENT);
    assert_eq!(problem(&slow.finish()).0, "upload-locked");
    let answer = append(&cloud, &device, &path, 300, &page[300..]);
    assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", text(&answer));
}

#[test]
fn a_wrong_hash_erases_the_upload() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let mut wrong = page.clone();
    wrong[5] ^= 1;
    let answer = create(&cloud, &device, &page, &wrong);
    assert_eq!(problem(&answer).0, "digest-mismatch", "in one go");
    let path = begin(&cloud, &device, &page, 100);
    let answer = append(&cloud, &device, &path, 100, &wrong[..page.len() - 100]);
    assert_eq!(problem(&answer).0, "digest-mismatch", "in two");
    assert_eq!(problem(&offset(&cloud, &device, &path)).0, "not-found");
    assert!(cloud.world.blobs.dump().is_empty());
    begin(&cloud, &device, &page, page.len());
}

#[test]
fn an_upload_expires_two_weeks_after_its_last_byte() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 100);
    cloud.world.advance_seconds(13 * DAY);
    append(&cloud, &device, &path, 100, &page[100..200]);
    cloud.world.advance_seconds(13 * DAY);
    assert_eq!(
        header(&offset(&cloud, &device, &path), "upload-offset"),
        "200"
    );
    cloud.world.advance_seconds(DAY);
    assert_eq!(problem(&offset(&cloud, &device, &path)).0, "gone");
    assert_eq!(
        problem(&append(&cloud, &device, &path, 200, b"x")).0,
        "gone"
    );
    begin(&cloud, &device, &page, 10);
    let parts = cloud
        .world
        .blobs
        .dump()
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    assert!(parts >= 1);
    cloud.world.advance_seconds(15 * DAY);
    cloud.core.sweep().unwrap();
    assert!(cloud.world.blobs.dump().is_empty(), "swept a day later");
    assert_eq!(problem(&offset(&cloud, &device, &path)).0, "not-found");
}

#[test]
fn a_deleted_upload_is_gone() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    for count in [100, page.len()] {
        let path = begin(&cloud, &device, &page, count);
        let call = |method| cloud.call(&device.peer, (method, &path), &[TUS], b"");
        assert_eq!(call(Method::DELETE).status(), StatusCode::NO_CONTENT);
        assert_eq!(problem(&call(Method::DELETE)).0, "not-found");
        assert!(cloud.world.blobs.dump().is_empty());
    }
}

#[test]
fn unfinished_bytes_are_limited() {
    let settings = Settings {
        unfinished_bytes_max: 9000,
        ..Settings::default()
    };
    let cloud = Cloud::with(settings);
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let page = page();
    let path = begin(&cloud, &device, &page, 1);
    let second: Vec<u8> = page.iter().rev().copied().collect();
    begin(&cloud, &device, &second, 1);
    let third: Vec<u8> = page.iter().map(|byte| byte ^ 0xff).collect();
    let answer = create(&cloud, &device, &third, &third[..1]);
    assert_eq!(problem(&answer).0, "quota");
    assert!(!header(&answer, "retry-after").is_empty());
    begin(&cloud, &device, &third, third.len());
    append(&cloud, &device, &path, 1, &page[1..]);
    let fourth = vec![9; 4000];
    begin(&cloud, &device, &fourth, 1);
}

#[test]
fn malformed_creations_are_refused() {
    let cloud = Cloud::new();
    let device = cloud.device(&cloud.tenant("a"), "SN-1");
    let good = metadata(JOB, 1, b"x");
    let call = |headers: &[(&str, &str)]| {
        let answer = cloud.call(
            &device.peer,
            (Method::POST, "/v1/device/uploads"),
            headers,
            b"x",
        );
        problem(&answer).0
    };
    let length = ("upload-length", "1");
    let named = ("upload-metadata", good.as_str());
    assert_eq!(call(&[length, named, BYTES_TYPE]), "tus-version");
    assert_eq!(call(&[TUS, named, BYTES_TYPE]), "bad-request");
    assert_eq!(call(&[TUS, length, BYTES_TYPE]), "bad-request");
    assert_eq!(
        call(&[TUS, length, named, ("content-type", "image/jpeg")]),
        "unsupported-media-type"
    );
    assert_eq!(
        call(&[TUS, ("upload-length", "2147483649"), named, BYTES_TYPE]),
        "too-large"
    );
    for (job, object, hash) in [
        ("../../etc/passwd", "1", sha256_hex(b"x")),
        (JOB, "-1", sha256_hex(b"x")),
        (JOB, "1", "AB".repeat(32)),
    ] {
        let encode = |text: &str| STANDARD.encode(text);
        let bad = format!(
            "job {},object {},sha256 {}",
            encode(job),
            encode(object),
            encode(&hash)
        );
        assert_eq!(
            call(&[TUS, length, ("upload-metadata", &bad), BYTES_TYPE]),
            "bad-request"
        );
    }
    let long = create(&cloud, &device, b"x", b"xy");
    assert_eq!(problem(&long).0, "too-large");
}
