//! `make herd`: a million devices come back to a cloud that was away and is half of what it was.

use std::process::ExitCode;

fn main() -> ExitCode {
    scantrip_tests::herd::run()
}
