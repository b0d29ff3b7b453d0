//! Uploads sealed objects: tus 1.0.0 with creation and creation-with-upload.
//!
//! Always from where the cloud is: what it has is durable. Appends have a fixed size, so that a
//! broken line costs at most one.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::{CallError, Disposition};

/// Size of an append.
pub const APPEND_BYTES: u64 = 1024 * 1024;
/// How often each kind of failure is put right.
const TRIES_MAX: u32 = 3;
/// Bytes read from the source at once: four TLS records, sent with one call to the system.
const PIECE_BYTES: usize = 64 * 1024;
/// Longest location that is kept.
const LOCATION_BYTES_MAX: usize = 1024;
const CREATE_PATH: &str = "/v1/device/uploads";
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
const BYTES_TYPE: (&str, &str) = ("Content-Type", "application/offset+octet-stream");

/// An object to upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewUpload<'a> {
    /// The job's id.
    pub job: &'a str,
    /// The object's number.
    pub object: u32,
    /// Its sealed size.
    pub size: u64,
    /// SHA-256 of the sealed bytes, hexadecimal.
    pub sha256: &'a str,
    /// Whether an earlier try may have sent some: then the offset is asked for before any byte is
    /// sent twice.
    pub resume: bool,
}

/// Where the sealed bytes come from.
pub trait ObjectSource {
    /// Reads at `offset` into `buf`; 0 at the end.
    ///
    /// # Errors
    /// When the bytes cannot be read or are damaged.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

impl ObjectSource for &[u8] {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        io::Read::read(&mut self.get(start..).unwrap_or_default(), buf)
    }
}

/// An object that the cloud has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes that were sent, more than once ones included.
    pub sent: u64,
}

/// Why an object was not uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The call failed; see [`CallError::disposition`].
    #[error(transparent)]
    Call(#[from] CallError),
    /// The object cannot be read on the device.
    #[error("the saved page cannot be read: {0}")]
    Source(io::Error),
}

/// An upload in the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its path.
    pub location: String,
    /// How many bytes are durable there.
    pub offset: u64,
}

/// Creates the upload, with the first `first` bytes of `source`; an object that was begun before
/// answers how far it is.
///
/// # Errors
/// When the call fails, or the answer is against the protocol.
pub fn create<C: Connection>(
    conn: &mut C,
    new: &NewUpload<'_>,
    source: &mut dyn ObjectSource,
    first: u64,
) -> Result<Upload, UploadError> {
    let length = new.size.to_string();
    let metadata = format!(
        "job {},object {},sha256 {}",
        STANDARD.encode(new.job),
        STANDARD.encode(new.object.to_string()),
        STANDARD.encode(new.sha256),
    );
    let mut headers = vec![
        TUS,
        ("Upload-Length", length.as_str()),
        ("Upload-Metadata", metadata.as_str()),
    ];
    if first > 0 {
        headers.push(BYTES_TYPE);
    }
    stream(
        conn,
        Method::Post,
        CREATE_PATH,
        &headers,
        &mut Part {
            source,
            offset: 0,
            len: first,
        },
    )?;
    call::expect(conn, &[200, 201], "")?;
    let location = conn
        .header("Location")
        .ok_or_else(|| call::protocol("a new upload without a Location"))
        .and_then(location)?;
    // Without the extension creation-with-upload the body is ignored and there is no offset.
    let offset = offset_header(conn)?.unwrap_or(0);
    if offset > new.size {
        return Err(call::protocol("an upload that is longer than its object").into());
    }
    Ok(Upload { location, offset })
}

/// How many bytes the cloud has.
///
/// # Errors
/// When the call fails, or the answer is against the protocol.
pub fn offset<C: Connection>(conn: &mut C, location: &str) -> Result<u64, CallError> {
    call::send(conn, Method::Head, location, &[TUS], None)?;
    call::expect(conn, &[200, 204], "")?;
    offset_header(conn)?.ok_or_else(|| call::protocol("an upload without an Upload-Offset"))
}

/// Appends `len` bytes of `source` from `offset`; answers the new offset.
///
/// # Errors
/// When the call fails, the source fails, or the answer is against the protocol.
pub fn append<C: Connection>(
    conn: &mut C,
    location: &str,
    offset: u64,
    source: &mut dyn ObjectSource,
    len: u64,
) -> Result<u64, UploadError> {
    let at = offset.to_string();
    let headers = [TUS, BYTES_TYPE, ("Upload-Offset", at.as_str())];
    stream(
        conn,
        Method::Patch,
        location,
        &headers,
        &mut Part {
            source,
            offset,
            len,
        },
    )?;
    call::expect(conn, &[204], "")?;
    let reached =
        offset_header(conn)?.ok_or_else(|| call::protocol("an append without an Upload-Offset"))?;
    if reached < offset || reached > offset.saturating_add(len) {
        return Err(call::protocol("an Upload-Offset outside of what was sent").into());
    }
    Ok(reached)
}

/// Gives up an upload. The commit erases what is not in the envelope, so this is only courtesy.
///
/// # Errors
/// When the call fails.
pub fn remove<C: Connection>(conn: &mut C, location: &str) -> Result<(), CallError> {
    call::send(conn, Method::Delete, location, &[TUS], None)?;
    call::expect(conn, &[204, 404, 410], "")
}

/// Uploads one object from wherever the cloud is; `progress` is told each new offset.
///
/// A wrong offset, a lost upload and a damaged one are put right here, each at most three times;
/// any other failure goes to the caller, who tries again later with `resume`.
///
/// # Errors
/// When the object cannot be read, or a call fails in a way that is not put right here.
pub fn upload_object<C: Connection>(
    conn: &mut C,
    new: &NewUpload<'_>,
    source: &mut dyn ObjectSource,
    progress: &mut dyn FnMut(u64),
) -> Result<Uploaded, UploadError> {
    let mut repairs = Repairs::default();
    let mut uploaded = Uploaded::default();
    let mut first = if new.resume {
        0
    } else {
        new.size.min(APPEND_BYTES)
    };
    let mut upload: Option<Upload> = None;
    loop {
        let result = match &upload {
            None => {
                uploaded.sent = uploaded.sent.saturating_add(first);
                create(conn, new, source, first)
            }
            Some(at) if at.offset >= new.size => return Ok(uploaded),
            Some(at) => {
                let len = new.size.saturating_sub(at.offset).min(APPEND_BYTES);
                uploaded.sent = uploaded.sent.saturating_add(len);
                let reached = append(conn, &at.location, at.offset, source, len);
                reached.and_then(|offset| repairs.appended(at, offset))
            }
        };
        match result {
            Ok(next) => {
                progress(next.offset);
                upload = Some(next);
            }
            Err(error) => match (repairs.allow(&error), upload.take()) {
                (Some(Repair::AskOffset), Some(at)) => {
                    upload = ask(conn, &at, new.size, &mut repairs)?;
                    first = 0;
                }
                (Some(Repair::AskOffset | Repair::Create), _) => first = 0,
                (Some(Repair::SendAgain), _) => first = new.size.min(APPEND_BYTES),
                (None, _) => return Err(error),
            },
        }
    }
}

/// Where the cloud really is; `None` when the upload is gone.
fn ask<C: Connection>(
    conn: &mut C,
    at: &Upload,
    size: u64,
    repairs: &mut Repairs,
) -> Result<Option<Upload>, UploadError> {
    match offset(conn, &at.location) {
        Ok(offset) if offset < at.offset || offset > size => {
            Err(call::protocol("an upload's offset that went back or beyond its end").into())
        }
        Ok(offset) => Ok(Some(Upload {
            location: at.location.clone(),
            offset,
        })),
        // The answer to HEAD has no body, so there is no problem document: the status decides.
        Err(CallError::Problem(problem, _)) if matches!(problem.status, 404 | 410) => {
            repairs.created += 1;
            if repairs.created > TRIES_MAX {
                return Err(call::protocol("the cloud loses the upload again and again").into());
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What puts a failed call right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    /// The cloud is elsewhere: ask where.
    AskOffset,
    /// The upload is gone: create it, learn where it begins.
    Create,
    /// The cloud has thrown the bytes away: send all again.
    SendAgain,
}

/// How often each repair was tried.
#[derive(Debug, Default)]
struct Repairs {
    asked: u32,
    created: u32,
    damaged: u32,
}

impl Repairs {
    /// What to do about `error`, unless it was tried often enough.
    fn allow(&mut self, error: &UploadError) -> Option<Repair> {
        let UploadError::Call(error) = error else {
            return None;
        };
        let (repair, count) = match error.disposition() {
            Disposition::AskOffset => (Repair::AskOffset, &mut self.asked),
            Disposition::Recreate => (Repair::Create, &mut self.created),
            Disposition::SendAgain => (Repair::SendAgain, &mut self.damaged),
            _ => return None,
        };
        *count += 1;
        (*count <= TRIES_MAX).then_some(repair)
    }

    /// An append that went well; one that brought nothing counts as a repair.
    fn appended(&mut self, at: &Upload, offset: u64) -> Result<Upload, UploadError> {
        self.asked = if offset > at.offset {
            0
        } else {
            self.asked + 1
        };
        if self.asked > TRIES_MAX {
            return Err(call::protocol("the cloud takes no more bytes").into());
        }
        Ok(Upload {
            location: at.location.clone(),
            offset,
        })
    }
}

/// A piece of an object.
struct Part<'a> {
    source: &'a mut dyn ObjectSource,
    offset: u64,
    len: u64,
}

/// Sends a request with `part` as its body, through a small buffer.
fn stream<C: Connection>(
    conn: &mut C,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    part: &mut Part<'_>,
) -> Result<(), UploadError> {
    let mut failure = None;
    let sent = call::send_with(conn, method, path, headers, part.len, &mut |out| {
        let mut buf = vec![0; PIECE_BYTES];
        let mut at = part.offset;
        let mut left = part.len;
        while left > 0 {
            let want = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let room = buf.get_mut(..want).unwrap_or_default();
            let count = match part.source.read_at(at, room) {
                Ok(0) => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it is cut off",
                )),
                read => read,
            }
            .map_err(|error| {
                failure = Some(error);
                io::Error::other("the source failed")
            })?;
            out.write_all(room.get(..count).unwrap_or_default())?;
            let count = u64::try_from(count).unwrap_or(left);
            at = at.saturating_add(count);
            left = left.saturating_sub(count);
        }
        Ok(())
    });
    match failure {
        Some(error) => Err(UploadError::Source(error)),
        None => Ok(sent?),
    }
}

fn offset_header<C: Connection>(conn: &C) -> Result<Option<u64>, CallError> {
    conn.header("Upload-Offset")
        .map(|value| {
            value
                .parse()
                .map_err(|_not_a_number| call::protocol("an Upload-Offset that is no number"))
        })
        .transpose()
}

/// The location as it is used in requests. One with a scheme is left to the connection, which
/// refuses another origin than its own.
fn location(value: &str) -> Result<String, CallError> {
    let refuse = || call::protocol("a Location that leads elsewhere");
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
    if value.is_empty() || value.len() > LOCATION_BYTES_MAX || !plain {
        return Err(refuse());
    }
    if value.starts_with("//") {
        return Err(refuse());
    }
    if value.starts_with('/') || value.starts_with("https://") || value.starts_with("http://") {
        return Ok(value.to_owned());
    }
    if value.contains(':') || value.split('/').any(|part| part == "..") {
        return Err(refuse());
    }
    Ok(format!("/v1/device/{value}"))
}

#[cfg(test)]
mod tests;
