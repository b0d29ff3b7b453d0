//! The routes, as `docs/protocol.md` has them; a test holds the two together.

use http::Method;
use scantrip_cloud_client::wire::{ENVELOPE_BYTES_MAX, OBJECT_BYTES_MAX, REPORT_BYTES_MAX};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The front doors.
    EntryPoints,
    /// The device CA.
    CaCertificates,
    /// The first certificate, against a code.
    Enroll,
    /// A new certificate, against the old one.
    Reenroll,
    /// What the device shall be.
    Desired,
    /// Telemetry.
    Report,
    /// Begins an upload.
    UploadCreate,
    /// Asks an upload's offset.
    UploadOffset,
    /// Adds to an upload.
    UploadAppend,
    /// Gives an upload up.
    UploadDelete,
    /// Takes a job.
    Commit,
    /// Kills a job's id.
    Discard,
    /// What became of jobs.
    Outcomes,
    /// Receipts, to close a gap.
    Receipts,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// A device with a live certificate.
    Device,
    /// A device whose certificate ended at most 400 days ago.
    DeviceAlsoExpired,
}

/// One call.
#[derive(Debug)]
pub struct Route {
    /// What it asks for.
    pub action: Action,
    /// Its name in logs and for faults on purpose.
    pub name: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path; the segment `{id}` stands for any.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// Largest body.
    pub body_bytes_max: u64,
}

/// A CSR with its base64: a P-256 one has some 500 bytes.
const CSR_BYTES_MAX: u64 = 16 * 1024;

macro_rules! route {
    ($action:ident $name:literal $method:ident $path:literal $access:ident $max:expr) => {
        Route {
            action: Action::$action,
            name: $name,
            method: Method::$method,
            path: $path,
            access: Access::$access,
            body_bytes_max: $max as u64,
        }
    };
}

/// Every route.
pub static ROUTES: [Route; 14] = [
    route!(EntryPoints "entry-points" GET "/v1/entry-points" Open 0),
    route!(CaCertificates "cacerts" GET "/.well-known/est/cacerts" Open 0),
    route!(Enroll "simpleenroll" POST "/.well-known/est/simpleenroll" Open CSR_BYTES_MAX),
    route!(Reenroll "simplereenroll" POST "/.well-known/est/simplereenroll"
        DeviceAlsoExpired CSR_BYTES_MAX),
    route!(Desired "desired" GET "/v1/device/desired" Device 0),
    route!(Report "reports" POST "/v1/device/reports" Device REPORT_BYTES_MAX),
    route!(UploadCreate "upload-create" POST "/v1/device/uploads" Device OBJECT_BYTES_MAX),
    route!(UploadOffset "upload-offset" HEAD "/v1/device/uploads/{id}" Device 0),
    route!(UploadAppend "upload-append" PATCH "/v1/device/uploads/{id}" Device OBJECT_BYTES_MAX),
    route!(UploadDelete "upload-delete" DELETE "/v1/device/uploads/{id}" Device 0),
    route!(Commit "commit" PUT "/v1/device/jobs/{id}" Device ENVELOPE_BYTES_MAX),
    route!(Discard "discard" DELETE "/v1/device/jobs/{id}" Device 0),
    route!(Outcomes "outcomes" GET "/v1/device/jobs" Device 0),
    route!(Receipts "receipts" GET "/v1/device/receipts" Device 0),
];

/// The route of a request, and the id in its path.
#[must_use]
pub fn find<'p>(method: &Method, path: &'p str) -> Option<(&'static Route, &'p str)> {
    ROUTES
        .iter()
        .filter(|route| route.method == *method)
        .find_map(|route| Some((route, id_of(route.path, path)?)))
}

fn id_of<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.strip_suffix("{id}") {
        Some(front) => path
            .strip_prefix(front)
            .filter(|id| !id.is_empty() && !id.contains('/')),
        None => (pattern == path).then_some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_are_those_of_the_protocol_document() {
        let text = include_str!("../../../docs/protocol.md");
        let table = text.split("## Routes").nth(1).unwrap();
        let table = table.split("\n## ").next().unwrap();
        let documented: Vec<(String, Access)> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|row| {
                let (call, rest) = row.split_once("` | ").unwrap();
                let call = call.split('?').next().unwrap();
                let access = match rest.split(" | ").next().unwrap() {
                    "device" => Access::Device,
                    who if who.starts_with("device, also expired") => Access::DeviceAlsoExpired,
                    who if who.starts_with("open") => Access::Open,
                    who => panic!("who is {who}?"),
                };
                (call.to_owned(), access)
            })
            .collect();
        let ours: Vec<(String, Access)> = ROUTES
            .iter()
            .map(|route| (format!("{} {}", route.method, route.path), route.access))
            .collect();
        assert_eq!(ours, documented);
    }

    #[test]
    fn ids_are_one_segment() {
        let found = |path| find(&Method::HEAD, path).map(|(route, id)| (route.action, id));
        let upload = Some((Action::UploadOffset, "abc"));
        assert_eq!(found("/v1/device/uploads/abc"), upload);
        assert_eq!(found("/v1/device/uploads/"), None);
        assert_eq!(found("/v1/device/uploads/a/b"), None);
        assert!(find(&Method::GET, "/v1/entry-points").is_some());
        assert!(find(&Method::POST, "/v1/entry-points").is_none());
    }
}
