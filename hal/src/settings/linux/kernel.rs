//! What only the running kernel can tell: system calls, behind a trait so that tests answer them.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// The kernel's answers.
pub(super) trait Kernel: Send {
    /// Every table and every chain of nftables, as netlink messages one after the other.
    fn nft_chains(&self) -> io::Result<Vec<u8>>;
    /// How the clock is kept.
    fn clock(&self) -> io::Result<ClockState>;
    /// Whether the file system encrypts what is in this folder (fscrypt).
    fn is_encrypted(&self, folder: &Path) -> io::Result<bool>;
}

/// How the kernel keeps the clock: adjtimex(2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClockState {
    /// What adjtimex returns.
    pub(super) state: i32,
    /// Its bits `STA_*`.
    pub(super) status: i32,
    /// What is left to correct, in microseconds.
    pub(super) offset_us: libc::c_long,
}

/// The kernel that runs.
pub(super) struct LiveKernel;

/// More chains than any rule set has.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

impl Kernel for LiveKernel {
    fn nft_chains(&self) -> io::Result<Vec<u8>> {
        const GET_TABLE: u16 = 10 << 8 | 1;
        const GET_CHAIN: u16 = 10 << 8 | 4;
        const REQUEST_DUMP: u16 = 0x301;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::NETFILTER),
        )?;
        let wait = std::time::Duration::from_secs(2);
        set_socket_timeout(&socket, Timeout::Recv, Some(wait))?;
        let kernel = SocketAddrNetlink::new(0, 0);
        let mut answer = Vec::new();
        let mut buffer = vec![0; 32 * 1024];
        for get in [GET_TABLE, GET_CHAIN] {
            let mut request = Vec::new();
            request.extend_from_slice(&20_u32.to_ne_bytes());
            request.extend_from_slice(&get.to_ne_bytes());
            request.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
            // Sequence, port, and of nfgenmsg: any family, version 0.
            request.extend_from_slice(&[0; 12]);
            let _sent = sendto(&socket, &request, SendFlags::empty(), &kernel)?;
            let mut ended = false;
            while !ended {
                if answer.len() >= ANSWER_BYTES_MAX {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
                let part = buffer.get(..length).unwrap_or_default();
                answer.extend_from_slice(part);
                ended = super::firewall::ends(part)?;
            }
        }
        Ok(answer)
    }

    fn clock(&self) -> io::Result<ClockState> {
        clock_state()
    }

    fn is_encrypted(&self, folder: &Path) -> io::Result<bool> {
        let told = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)?;
        Ok((told.stx_attributes & told.stx_attributes_mask).contains(StatxAttributes::ENCRYPTED))
    }
}

#[expect(
    unsafe_code,
    reason = "adjtimex is the only way to ask, and no safe wrapper reads its status"
)]
fn clock_state() -> io::Result<ClockState> {
    // SAFETY: timex is a C structure of numbers, for which all zero is a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one timex; modes is 0, so that it changes nothing.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let nanoseconds = timex.status & libc::STA_NANO != 0;
    Ok(ClockState {
        state,
        status: timex.status,
        offset_us: if nanoseconds {
            timex.offset / 1000
        } else {
            timex.offset
        },
    })
}
