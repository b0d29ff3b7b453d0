//! The shipped program with the switches for faults compiled in; see `tests/Cargo.toml`.

fn main() -> std::process::ExitCode {
    scantrip_cloud::main_with(std::env::args_os())
}
