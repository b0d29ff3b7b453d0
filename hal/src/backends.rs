//! The ports on a Linux system.

pub mod folder_disk;
pub mod key_file;
pub mod system;
