//! `make bench`: what the product costs, as ratios from interleaved pairs and as sizes.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    scantrip_tests::bench::run(&arguments)
}
