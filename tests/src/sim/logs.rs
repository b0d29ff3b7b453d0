//! The log of the code under test: looked at for secrets, and shown with the trace.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

use super::shared::Shared;

thread_local! {
    static WORLD: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

struct ToWorld;

impl Log for ToWorld {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("scantrip")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let world = WORLD.with_borrow(Clone::clone);
        if let Some(world) = world {
            world.log(&format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Once a process; harmless to repeat.
pub(crate) fn install() {
    if log::set_logger(&ToWorld).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Lines of this thread belong to `world`.
pub(crate) fn enter(world: &Shared) {
    WORLD.set(Some(world.clone()));
}

/// Lines of this thread belong to nobody.
pub(crate) fn leave() {
    WORLD.set(None);
}
