//! The `scantrip` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    scantrip::main_with(std::env::args_os())
}
