//! What agent and cloud say to people on a terminal, in the same words on both sides.

/// A clock that is off by less is right: the cloud tells its time in whole seconds, and the answer
/// takes its way.
const SKEW_MS_MAX: u64 = 2_000;

/// Whether a terminal would act on the character rather than show it: control characters and changes
/// of writing direction.
#[must_use]
pub fn is_hidden(symbol: char) -> bool {
    symbol.is_control() || matches!(symbol, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text behind `first` in lines of at most `width` characters, broken after spaces and commas;
/// lines that follow begin below the first word. A longer word is broken where the line ends.
#[must_use]
pub fn wrapped(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count().min(width / 2);
    let mut page = String::new();
    let mut line = first.to_owned();
    let mut columns = first.chars().count();
    let mut has_words = false;
    for word in text.split_inclusive([' ', ',']) {
        if has_words && columns + word.trim_end().chars().count() > width {
            page.push_str(line.trim_end());
            page.push('\n');
            line = " ".repeat(indent);
            columns = indent;
        }
        for symbol in word.chars() {
            if columns >= width && columns > indent && symbol != ' ' {
                page.push_str(line.trim_end());
                page.push('\n');
                line = " ".repeat(indent);
                columns = indent;
            }
            line.push(symbol);
            columns += 1;
        }
        has_words = true;
    }
    page.push_str(line.trim_end());
    page.push('\n');
    page
}

/// A span in its largest fitting unit: `45 s`, `12 min`, `3 h`, `90 days`.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How right a device's clock is: `right`, `60 min fast, compared with the cloud`.
#[must_use]
pub fn clock(skew_ms: i64) -> String {
    let off_ms = skew_ms.unsigned_abs();
    if off_ms < SKEW_MS_MAX {
        return "right".to_owned();
    }
    let word = if skew_ms > 0 { "slow" } else { "fast" };
    format!("{} {word}, compared with the cloud", span(off_ms / 1000))
}

/// Maker and model as people say them: a model that begins with its maker's name stands alone.
#[must_use]
pub fn kind(vendor: &str, model: &str) -> String {
    let (vendor, model) = (vendor.trim(), model.trim());
    let named = model.get(..vendor.len()).is_some_and(|start| {
        let rest = model.get(vendor.len()..).unwrap_or_default();
        start.eq_ignore_ascii_case(vendor) && !rest.starts_with(char::is_alphanumeric)
    });
    if named {
        model.to_owned()
    } else {
        format!("{vendor} {model}").trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_broken_after_spaces_and_commas_and_begin_below_the_first_word() {
        assert_eq!(
            wrapped("high  ", "net.listening_ports is tcp/21,tcp/22,tcp/23", 26),
            "high  net.listening_ports\n      is tcp/21,tcp/22,\n      tcp/23\n"
        );
        assert_eq!(wrapped("a ", "bcdefgh", 6), "a bcde\n  fgh\n");
        assert_eq!(wrapped("", "", 10), "\n");
    }

    proptest! {
        #[test]
        fn no_line_is_longer_and_no_word_is_lost(
            first in "[a-z ]{0,12}", text in "[a-zü ,/]{0,200}", width in 14_usize..100,
        ) {
            let page = wrapped(&first, &text, width);
            prop_assert!(page.lines().all(|line| line.chars().count() <= width), "{page}");
            let letters = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(letters(&page), letters(&(first + &text)));
        }
    }

    #[test]
    fn what_moves_the_cursor_or_turns_the_line_is_hidden_and_letters_are_not() {
        for symbol in ['\u{1b}', '\n', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}'] {
            assert!(is_hidden(symbol), "{symbol:?}");
        }
        assert!(!"Größe 文書 \u{202f}\u{2065}".chars().any(is_hidden));
    }

    #[test]
    fn a_clock_less_than_two_seconds_off_is_right() {
        for (skew_ms, told) in [
            (-613, "right"),
            (1_999, "right"),
            (-2_000, "2 s fast, compared with the cloud"),
            (3_600_000, "60 min slow, compared with the cloud"),
        ] {
            assert_eq!(clock(skew_ms), told);
        }
    }

    #[test]
    fn spans_have_a_fitting_unit() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(600), "10 min");
        assert_eq!(span(7_200), "2 h");
        assert_eq!(span(86_400 * 90), "90 days");
    }

    #[test]
    fn the_maker_is_named_once() {
        for (vendor, model, told) in [
            ("HP", "HP LaserJet MFP M426fdn", "HP LaserJet MFP M426fdn"),
            ("Canon", "canon MF642C", "canon MF642C"),
            (
                "Konica Minolta",
                "bizhub C360i",
                "Konica Minolta bizhub C360i",
            ),
            ("HP", "HPE 1", "HP HPE 1"),
            ("HP", "", "HP"),
            ("", "M1", "M1"),
            ("", "", ""),
            ("Ä", "Ö1", "Ä Ö1"),
        ] {
            assert_eq!(kind(vendor, model), told);
        }
    }
}
