//! Any of the decoders: the environment variable `TARGET` picks it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("TARGET").unwrap_or_default();
    let all = [
        scantrip::fuzz::TARGETS,
        scantrip_cloud::fuzz::TARGETS,
        scantrip_cloud_client::fuzz::TARGETS,
        scantrip_config::fuzz::TARGETS,
        scantrip_hal::fuzz::TARGETS,
    ]
    .concat();
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    match all.iter().find(|(name, _)| *name == wanted) {
        Some((_, target)) => *target,
        None => panic!("set TARGET to one of: {}", names()),
    }
});

fuzz_target!(|data: &[u8]| TARGET(data));
