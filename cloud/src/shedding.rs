//! What a cloud says to those whom it cannot serve now: come back then.
//!
//! A full handshake costs a cloud some twenty times what it costs to turn a connection away. So it
//! turns away before the handshake, and says in clear after how many seconds there is room. The
//! answers are given out like places in a queue: each coming second gets as many as were served in
//! a second. Who was turned away finds room then, the cloud never idles while somebody waits, and
//! nobody has to be remembered. `docs/herd.md` shows what comes of it.

/// The longest wait that is asked for: a poll period of a slow fleet.
pub const WAIT_SECONDS_MAX: u64 = 300;
/// Served per second before anything was counted.
const RATE_FIRST: u64 = 500;

/// Gives out the places. Time is an argument, in whole seconds of any clock that is not set back.
#[derive(Clone, Debug)]
pub struct Shedding {
    /// Served in a second, lately.
    rate: u64,
    /// The second that is being counted, and what was served in it.
    counted: u64,
    served: u64,
    /// Whether somebody was turned away in it: only then is `served` what can be served.
    full: bool,
    /// The second whose places are being given out, and how many are gone.
    next: u64,
    given: u64,
}

impl Default for Shedding {
    fn default() -> Self {
        Self {
            rate: RATE_FIRST,
            counted: 0,
            served: 0,
            full: false,
            next: 0,
            given: 0,
        }
    }
}

impl Shedding {
    /// A connection was served.
    pub const fn serve(&mut self, now_s: u64) {
        self.count(now_s);
        self.served += 1;
    }

    /// A connection is turned away; gives the seconds after which it finds room.
    pub fn turn_away(&mut self, now_s: u64) -> u64 {
        self.count(now_s);
        self.full = true;
        let soonest = now_s + 1;
        if self.next < soonest {
            (self.next, self.given) = (soonest, 0);
        }
        self.given += 1;
        if self.given > self.rate {
            (self.next, self.given) = (self.next + 1, 1);
        }
        if self.next > now_s + WAIT_SECONDS_MAX {
            // More wait than the longest wait can hold: from its middle on once more.
            self.next = now_s + WAIT_SECONDS_MAX / 2;
        }
        self.next - now_s
    }

    /// A second that was full from end to end tells what a second can serve.
    const fn count(&mut self, now_s: u64) {
        if now_s <= self.counted {
            return;
        }
        if self.full && now_s == self.counted + 1 {
            // A quarter of the way, so that one odd second says little.
            if self.served > self.rate {
                self.rate += (self.served - self.rate).div_ceil(4);
            } else {
                self.rate -= (self.rate - self.served).div_ceil(4);
            }
            if self.rate == 0 {
                self.rate = 1;
            }
        }
        (self.counted, self.served, self.full) = (now_s, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shedding that has learnt to serve `rate` a second.
    fn learnt(rate: u64) -> Shedding {
        let mut shedding = Shedding::default();
        for second in 1..=60 {
            for _ in 0..rate {
                shedding.serve(second);
            }
            shedding.turn_away(second);
        }
        shedding
    }

    #[test]
    fn places_of_each_second_are_as_many_as_were_served_in_one() {
        let mut shedding = learnt(100);
        let mut told = [0; 6];
        for _ in 0..400 {
            told[usize::try_from(shedding.turn_away(100)).unwrap()] += 1;
        }
        assert_eq!(told, [0, 100, 100, 100, 100, 0]);
    }

    #[test]
    fn who_comes_later_stands_behind() {
        let mut shedding = learnt(10);
        for _ in 0..50 {
            shedding.turn_away(100);
        }
        assert_eq!(shedding.turn_away(103), 3, "the second 106");
        assert_eq!(shedding.turn_away(200), 1, "that queue is long gone");
    }

    #[test]
    fn nobody_is_sent_away_for_longer_than_the_limit() {
        let mut shedding = learnt(1);
        let waits: Vec<u64> = (0..100_000).map(|_| shedding.turn_away(100)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (1..=WAIT_SECONDS_MAX).contains(wait))
        );
    }

    #[test]
    fn a_quiet_second_says_nothing_of_what_can_be_served() {
        let mut shedding = learnt(100);
        for second in 200..260 {
            shedding.serve(second);
        }
        assert_eq!(shedding.rate, 100);
    }
}
