//! The listener on the Unix socket.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Scope};

use scantrip_hal::clock::Clock;

use super::connection::serve;
use super::lock::AgentLock;
use super::peer::{may_connect, own_uid, peer_uid};
use super::routes::Routes;
use super::timed::Timed;

/// Most connections at a time: a few commands and a panel; one thread each.
pub const CONNECTIONS_MAX: usize = 16;
/// Stack of a connection's thread. An enrolment goes down to TLS.
const STACK_BYTES: usize = 512 * 1024;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The folder lets others in.
    #[error(
        "the folder of the socket, {}, is open to other users (mode {mode:04o}); \
         run: chmod 700 {}", folder.display(), folder.display()
    )]
    OpenFolder {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something that is no socket is in the way.
    #[error("{} is in the way of the socket; move it, or set paths.socket", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot serve the socket {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A running listener. Dropping it closes every connection, waits for their threads and takes the
/// socket away.
#[derive(Debug)]
pub struct LocalServer {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    open: Mutex<BTreeMap<u64, UnixStream>>,
}

impl LocalServer {
    /// Binds the socket and serves it from a thread of its own. A socket that an agent before
    /// left behind is replaced; the lock says that there is no other now.
    ///
    /// # Errors
    /// When the folder is open to others, or the system refuses.
    pub fn start(
        path: &Path,
        _lock: &AgentLock,
        routes: Routes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServeError> {
        let io = |source| ServeError::Io {
            path: path.to_owned(),
            source,
        };
        prepare_folder(path)?;
        let listener = UnixListener::bind(path).map_err(io)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(io)?;
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("local-api".to_owned())
            .spawn(move || accept(&listener, &of_thread, &routes, &clock))
            .map_err(io)?;
        Ok(Self {
            path: path.to_owned(),
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for stream in self.shared.open().values() {
            let _closed = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which then sees that it shall end.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _removed = fs::remove_file(&self.path);
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, UnixStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prepare_folder(path: &Path) -> Result<(), ServeError> {
    let io = |source| ServeError::Io {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(io)?;
    let mode = fs::metadata(folder).map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ServeError::OpenFolder {
            folder: folder.to_owned(),
            mode,
        });
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(io),
        Ok(_) => Err(ServeError::InTheWay {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(error)),
    }
}

fn accept(listener: &UnixListener, shared: &Shared, routes: &Routes, clock: &Arc<dyn Clock>) {
    thread::scope(|scope| {
        for (number, stream) in (0..).zip(listener.incoming()) {
            if shared.stopping.load(Ordering::SeqCst) {
                break;
            }
            let begun = stream.and_then(|stream| {
                admit(shared, number, &stream)?;
                begin(
                    scope,
                    shared,
                    number,
                    Timed::new(stream, Arc::clone(clock)),
                    routes,
                )
            });
            if let Err(error) = begun {
                log::warn!("local socket: connection refused: {error}");
            }
        }
        for stream in shared.open().values() {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    });
}

/// Notes a connection, if its user may connect and there is room.
fn admit(shared: &Shared, number: u64, stream: &UnixStream) -> io::Result<()> {
    let peer = peer_uid(stream)?;
    if !may_connect(peer, own_uid()) {
        return Err(io::Error::other(format!("user {peer} may not connect")));
    }
    let mut open = shared.open();
    if open.len() >= CONNECTIONS_MAX {
        return Err(io::Error::other("too many connections"));
    }
    open.insert(number, stream.try_clone()?);
    Ok(())
}

fn begin<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared,
    number: u64,
    stream: Timed<UnixStream>,
    routes: &'scope Routes,
) -> io::Result<()> {
    let builder = thread::Builder::new().name("local-api-connection".to_owned());
    let spawned = builder
        .stack_size(STACK_BYTES)
        .spawn_scoped(scope, move || {
            serve(stream, routes);
            shared.open().remove(&number);
        });
    if spawned.is_err() {
        shared.open().remove(&number);
    }
    spawned.map(drop)
}
