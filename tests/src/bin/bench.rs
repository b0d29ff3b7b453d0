//! `make bench`: what the product costs, as ratios from interleaved pairs and as sizes.

use std::process::ExitCode;

fn main() -> ExitCode {
    scantrip_tests::bench::run()
}
