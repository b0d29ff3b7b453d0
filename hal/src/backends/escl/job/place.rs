//! What `Content-Location` proves about a page that comes after a load that failed.
//!
//! It is evidence only where it tells pages apart: some devices say the same for all of them, most
//! say nothing.

/// What was said of the loads around the last whole page.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Of the answer that is being read.
    now: Option<String>,
    /// Of the load that failed since the last whole page.
    failed: Option<String>,
    /// Whether several loads failed, and not all of the same page.
    moved: bool,
    /// Of the last whole page.
    last: Option<String>,
}

/// What a whole page is, seen from the load that failed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// That cannot be told.
    None,
    /// The page that was to be loaded then.
    Same,
    /// Another one.
    Other,
}

impl Places {
    /// What the answer that is being read says.
    pub(super) fn hear(&mut self, place: Option<String>) {
        self.now = place;
    }

    /// It was no whole page.
    pub(super) fn fail(&mut self) {
        if let Some(now) = self.now.take() {
            self.moved |= self.failed.as_ref().is_some_and(|failed| *failed != now);
            self.failed = Some(now);
        }
    }

    /// It was a whole page.
    pub(super) fn succeed(&mut self) -> Proof {
        let moved = std::mem::take(&mut self.moved);
        let last = std::mem::replace(&mut self.last, self.now.take());
        let (Some(now), Some(failed)) = (&self.last, self.failed.take()) else {
            return Proof::None;
        };
        if moved || *now != failed {
            Proof::Other
        } else if last.is_some_and(|last| last != failed) {
            Proof::Same
        } else {
            Proof::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proof for the page at `now`, after one at `last` and failed loads.
    fn proof(last: &str, failed: &[&str], now: &str) -> Proof {
        let told = |place: &str| (!place.is_empty()).then(|| place.to_owned());
        let mut places = Places::default();
        places.hear(told(last));
        places.succeed();
        for place in failed {
            places.hear(told(place));
            places.fail();
        }
        places.hear(told(now));
        places.succeed()
    }

    #[test]
    fn the_same_place_proves_the_same_page_where_places_differ() {
        assert_eq!(proof("1", &["2"], "2"), Proof::Same);
        assert_eq!(proof("1", &["2", "", "2"], "2"), Proof::Same);
        assert_eq!(proof("1", &["2"], "3"), Proof::Other);
        assert_eq!(proof("1", &["2", "3"], "3"), Proof::Other);
        assert_eq!(proof("", &["1"], "2"), Proof::Other);
    }

    #[test]
    fn what_is_not_said_or_always_the_same_proves_nothing() {
        for (last, failed, now) in [
            ("1", "", "2"),
            ("1", "2", ""),
            ("", "1", "1"),
            ("1", "1", "1"),
            ("", "", ""),
        ] {
            assert_eq!(proof(last, &[failed], now), Proof::None);
        }
    }
}
