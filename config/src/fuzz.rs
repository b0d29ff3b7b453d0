//! What `tests/fuzz` feeds with arbitrary bytes; only with the feature `fuzz`.

use crate::{Config, ProxyUrl};

/// One line per decoder: none may panic, whatever it is given.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[("config", config), ("proxy-url", proxy_url)];

/// A configuration that is accepted says the same after it was written out.
fn config(data: &[u8]) {
    match Config::parse(&String::from_utf8_lossy(data), "fuzz") {
        Ok(config) => {
            let text = config.effective_toml();
            let again = Config::parse(&text, "again");
            let hidden = text.contains("(hidden)");
            assert!(hidden || again.is_ok_and(|again| again == config), "{text}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn proxy_url(data: &[u8]) {
    if let Ok(url) = String::from_utf8_lossy(data).parse::<ProxyUrl>() {
        let again = url.to_string().parse::<ProxyUrl>();
        assert!(again.is_ok_and(|again| again == url), "{url}");
    }
}
