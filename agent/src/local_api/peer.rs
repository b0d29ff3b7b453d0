//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::AsFd;

/// Whether a process of user `peer` may talk to an agent of user `own`: the same user, or root,
/// who can do everything anyway.
#[must_use]
pub const fn may_connect(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// User id of the process that connected (`SO_PEERCRED`, noted by the kernel).
pub(super) fn peer_uid(socket: impl AsFd) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(socket)?.uid.as_raw())
}

/// User id of this process.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_root_may_connect() {
        assert!(may_connect(1000, 1000));
        assert!(may_connect(0, 1000));
        assert!(!may_connect(1001, 1000));
        assert!(!may_connect(1000, 0));
    }

    #[test]
    fn kernel_tells_the_peer() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(peer_uid(&one).unwrap(), own_uid());
    }
}
