//! Prints `docs/settings.md`; see `make settings-doc`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let page = scantrip_hal::settings::document::settings_page();
    std::io::stdout().write_all(page.as_bytes())
}
