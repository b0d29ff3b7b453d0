//! The cloud's core: synchronous, and free of sockets, threads and files.

pub mod global;
pub mod jobs;
pub mod record;
pub mod workflows;
