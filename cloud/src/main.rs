//! `scantrip-cloud`.

use std::process::ExitCode;

fn main() -> ExitCode {
    scantrip_cloud::main_with(std::env::args_os())
}
