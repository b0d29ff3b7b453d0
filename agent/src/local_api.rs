//! How commands reach a running agent: HTTP/1.1 over a Unix socket.
//!
//! | Call | Body and answer |
//! |---|---|
//! | `POST /v1/requests` | a [`Request`](crate::api::Request); a [`Reply`](crate::api::Reply) |
//! | `POST /v1/enroll` | the enrolment code as text; a [`Reply`](crate::api::Reply) |
//! | `GET /v1/jobs/{id}/events?from=N&wait=S` | a list of [`JobEvent`](crate::api::JobEvent) |
//!
//! A refusal is a status of 400 and up with a [`Refusal`](crate::api::Refusal) as JSON. The
//! [`Routes`] are embedded-svc handlers and do not know the socket, so that the panel's listener
//! can serve them too. The socket belongs to its owner alone, and who connects is checked again:
//! the same user, or root.

pub mod client;
mod connection;
mod head;
mod lock;
mod peer;
mod routes;
mod server;
mod timed;

pub use connection::{ServerConnection, ServerExchange, serve};
pub use head::{HEAD_BYTES_MAX, RequestError, RequestHead};
pub use lock::{AgentLock, LockError};
pub use peer::may_connect;
pub use routes::{BODY_BYTES_MAX, Routes};
pub use server::{CONNECTIONS_MAX, LocalServer, ServeError};
pub use timed::{Socket, Timed};
