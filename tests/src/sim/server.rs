//! The cloud's end of a connection: HTTP/1.1 to the core and back. In the product this is hyper's
//! work; the core sees the same calls.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use scantrip_cloud::core::Hold;
use scantrip_cloud::core::answer::Answer;
use scantrip_cloud::core::{Exchange, Peer};
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_hal::sim::disk::Dice;

use super::clock::DAY_MS;
use super::cloud::Cloud;
use super::options::below;
use super::report::Wrong;
use super::shared::Shared;

/// What a device may still be told of an upload; as the product's.
const UPLOAD_LIFE_MS: u64 = 14 * DAY_MS;

/// What came of a request.
pub(crate) struct Served {
    /// Its answer's bytes; `None`: the cloud has no power, or the request never ended.
    pub(crate) answer: Option<Vec<u8>>,
    /// How long the cloud holds the answer.
    pub(crate) hold_seconds: u64,
    /// For the trace.
    pub(crate) line: String,
}

/// Where a request's head ends, and how long all of it is.
pub(crate) fn length_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse::<usize>().ok());
    Some((head, head + length.unwrap_or(0)))
}

/// A request's head.
pub(crate) fn head_of(bytes: &[u8]) -> Option<Parts> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let method = Method::from_bytes(first.next()?.as_bytes()).ok()?;
    let uri: http::Uri = first.next()?.parse().ok()?;
    let mut request = Request::builder().method(method).uri(uri).body(()).ok()?;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        request.headers_mut().append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.trim()).ok()?,
        );
    }
    Some(request.into_parts().0)
}

/// Gives what came of a request to the core, in small pieces. What never ended is finished all the
/// same, as the listener does, and gets no answer.
pub(crate) fn serve(
    cloud: &mut Cloud,
    shared: &Shared,
    peer: &Peer,
    bytes: &[u8],
    dice: &mut Dice,
) -> Served {
    let nothing = |line: &str| Served {
        answer: None,
        hold_seconds: 0,
        line: line.to_owned(),
    };
    let Some((head_end, end)) = length_of(bytes) else {
        return nothing("no whole head");
    };
    let Some(head) = head_of(&bytes[..head_end]) else {
        return nothing("no head");
    };
    let Some(core) = cloud.core() else {
        return nothing("the cloud is off");
    };
    let whole = bytes.len() >= end;
    let mut body = bytes[head_end..].chunks(1 + below(dice, 4000));
    let mut exchange: Exchange = core.route(peer, &head);
    while exchange.wants_body() {
        match body.next() {
            Some(piece) => exchange.push(piece),
            None => break,
        }
    }
    let answer = exchange.finish();
    let name = format!("{} {}", head.method, head.uri.path());
    if cloud.has_died() {
        return nothing(&format!("{name} -> the cloud's power is gone"));
    }
    if !whole {
        return nothing(&format!(
            "{name} -> broke off after {} of {end}",
            bytes.len()
        ));
    }
    watch_offset(cloud, shared, peer, &head, &answer);
    let hold = answer.extensions().get::<Hold>();
    Served {
        hold_seconds: hold.map_or(0, |hold| u64::from(hold.seconds)),
        line: format!("{name} -> {}", answer.status().as_u16()),
        answer: Some(write(&head.method, &answer, shared.time.now())),
    }
}

/// A problem that did not come from the core: of a proxy, or of a cloud that has too much to do.
pub(crate) fn problem(kind: ProblemKind, retry_seconds: Option<u64>, head_only: bool) -> Vec<u8> {
    let body = serde_json::to_vec(&kind.problem("simulated")).expect("a problem is JSON");
    let retry = retry_seconds.map_or(String::new(), |seconds| {
        format!("retry-after: {seconds}\r\n")
    });
    let head = format!(
        "HTTP/1.1 {} Problem\r\ncontent-type: application/problem+json\r\n{retry}content-length: \
         {}\r\n\r\n",
        kind.status(),
        body.len()
    );
    let mut bytes = head.into_bytes();
    if !head_only {
        bytes.extend(body);
    }
    bytes
}

fn write(method: &Method, answer: &Answer, now_ms: u64) -> Vec<u8> {
    let status = answer.status();
    let mut bytes = format!("HTTP/1.1 {} Answer\r\n", status.as_u16()).into_bytes();
    for (name, value) in answer.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("x-sim-now: {now_ms}\r\n").as_bytes());
    let bodiless = matches!(status.as_u16(), 204 | 304);
    if !bodiless {
        let length = format!("content-length: {}\r\n", answer.body().len());
        bytes.extend_from_slice(length.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    if !bodiless && *method != Method::HEAD {
        bytes.extend_from_slice(answer.body());
    }
    bytes
}

/// An offset that was told never moves backwards, unless the upload has ended in between.
fn watch_offset(cloud: &mut Cloud, shared: &Shared, peer: &Peer, head: &Parts, answer: &Answer) {
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let path = match header("location") {
        Some(location) => location.to_owned(),
        None => head.uri.path().to_owned(),
    };
    if !path.starts_with("/v1/device/uploads/") {
        return;
    }
    // The certificate may change; the id is bound to the device, so that it may stand for it.
    let tenant = peer.certificate.is_some().to_string();
    let key = (tenant, path);
    let now = shared.time.now();
    if head.method == Method::DELETE || !answer.status().is_success() {
        if head.method == Method::DELETE
            || matches!(answer.status().as_u16(), 404 | 410 | 422 | 460)
        {
            cloud.offsets.remove(&key);
        }
        return;
    }
    let Some(offset) = header("upload-offset").and_then(|value| value.parse::<u64>().ok()) else {
        return;
    };
    if let Some((before, at)) = cloud.offsets.get(&key)
        && offset < *before
        && now < at + UPLOAD_LIFE_MS
    {
        let text = format!("the offset of {} went from {before} to {offset}", key.1);
        shared.wrong(Wrong::Lost, text);
    }
    cloud.offsets.insert(key, (offset, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_its_head_says() {
        let bytes = b"PUT /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef";
        assert_eq!(length_of(bytes), Some((38, 41)));
        assert_eq!(length_of(b"GET /x HTTP/1.1\r\n"), None);
        let head = head_of(&bytes[..38]).unwrap();
        assert_eq!((head.method, head.uri.path()), (Method::PUT, "/x"));
    }
}
