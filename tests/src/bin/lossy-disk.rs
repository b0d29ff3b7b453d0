//! `lossy-disk AT BEHIND SEED`: a FUSE file system that loses what was not flushed when killed.

use std::path::Path;

#[expect(clippy::print_stdout, reason = "the harness waits for this line")]
fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [at, behind, seed] = arguments.as_slice() else {
        anyhow::bail!("usage: lossy-disk AT BEHIND SEED");
    };
    println!("mounting {at}");
    scantrip_tests::lossy_disk::serve(Path::new(at), Path::new(behind), seed.parse()?)?;
    Ok(())
}
