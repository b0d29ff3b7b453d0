//! The enrolment code: twelve symbols that a person types once to claim a device.
//!
//! Section 5 of `docs/formats.md`. Eleven random symbols of Crockford's base32 and one check symbol,
//! the value modulo 37: a prime above 32, so every single wrong symbol and every swap of two
//! neighbours is caught before the code is sent. The code is a secret until it is spent: it is
//! erased from memory when dropped, never printed by `Debug`, and errors do not quote it.

use zeroize::Zeroizing;

/// Crockford's alphabet: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Random symbols and the check symbol.
const SYMBOLS: usize = 12;
/// Eleven symbols of five bits.
const VALUE_BITS: u32 = 55;
const CHECK_MODULUS: u64 = 37;

/// A code that was typed without a slip, or made for a device.
#[derive(Clone)]
pub struct EnrollmentCode(Zeroizing<[u8; SYMBOLS]>);

/// Why what was typed cannot be a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The check symbol does not fit.
    #[error("the code was mistyped: compare it symbol by symbol and type it again")]
    Mistyped,
    /// Not twelve symbols.
    #[error("the code has 12 symbols (XXXX-XXXX-XXXX), {symbols} were typed: type all of it")]
    WrongLength {
        /// How many were typed, without dashes and spaces.
        symbols: usize,
    },
    /// A symbol that no code has.
    #[error(
        "symbol {position} of the code is not a digit or a letter that codes use \
         (U and accented letters never occur): look at it again"
    )]
    BadSymbol {
        /// Counted from 1, without dashes and spaces.
        position: usize,
    },
}

impl EnrollmentCode {
    /// Reads what a person typed: any case, O for 0, I and L for 1, dashes and spaces anywhere.
    ///
    /// # Errors
    /// [`CodeError`] says what to do.
    pub fn parse(typed: &str) -> Result<Self, CodeError> {
        let mut code = Zeroizing::new([0; SYMBOLS]);
        let mut symbols = 0;
        for typed in typed
            .chars()
            .filter(|c| !(c.is_whitespace() || is_dash(*c)))
        {
            let symbol = fold(typed).ok_or(CodeError::BadSymbol {
                position: symbols + 1,
            })?;
            if let Some(place) = code.get_mut(symbols) {
                *place = symbol;
            }
            symbols += 1;
        }
        if symbols != SYMBOLS {
            return Err(CodeError::WrongLength { symbols });
        }
        let value = code
            .iter()
            .take(SYMBOLS - 1)
            .fold(0, |value, s| (value << 5) | digit(*s));
        if code.last().map(|check| digit(*check)) != Some(value % CHECK_MODULUS) {
            return Err(CodeError::Mistyped);
        }
        Ok(Self(code))
    }

    /// Draws a new code: 55 random bits, drawn again until the check symbol is an ordinary one.
    pub fn generate(random: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut drawn = Zeroizing::new([0; 8]);
        loop {
            random(drawn.as_mut_slice());
            let value = u64::from_le_bytes(*drawn) >> (u64::BITS - VALUE_BITS);
            if let Some(check) = symbol(value % CHECK_MODULUS) {
                return Self::from_value(value, check);
            }
        }
    }

    /// `XXXX-XXXX-XXXX`, to be shown to a person once.
    pub fn format(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + 2));
        for (index, symbol) in self.0.iter().enumerate() {
            if index > 0 && index % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(*symbol));
        }
        text
    }

    /// The twelve symbols in ASCII, the one form that is sent and looked up.
    pub fn as_bytes(&self) -> &[u8; SYMBOLS] {
        &self.0
    }

    fn from_value(value: u64, check: u8) -> Self {
        let mut code = Zeroizing::new([check; SYMBOLS]);
        for (place, shift) in code.iter_mut().zip((0..VALUE_BITS).step_by(5).rev()) {
            *place = symbol((value >> shift) & 31).expect("five bits are below 32");
        }
        Self(code)
    }
}

/// The symbol meant by a typed character.
fn fold(typed: char) -> Option<u8> {
    let folded = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    u8::try_from(folded)
        .ok()
        .filter(|symbol| ALPHABET.contains(symbol))
}

fn is_dash(typed: char) -> bool {
    // What text programs make of a dash: hyphens, en and em dash, minus.
    matches!(typed, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn symbol(digit: u64) -> Option<u8> {
    ALPHABET.get(usize::try_from(digit).ok()?).copied()
}

fn digit(symbol: u8) -> u64 {
    let position = ALPHABET.iter().position(|known| *known == symbol);
    position.expect("fold admits the alphabet only") as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn generated(seed: u64) -> EnrollmentCode {
        let mut next = seed;
        EnrollmentCode::generate(&mut |bytes| {
            next = next
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040);
            bytes.copy_from_slice(&next.to_be_bytes());
        })
    }

    fn error(typed: &str) -> CodeError {
        EnrollmentCode::parse(typed).err().expect("must not parse")
    }

    proptest! {
        #[test]
        fn every_generated_code_can_be_typed(seed: u64) {
            let code = generated(seed);
            let shown = code.format();
            prop_assert_eq!(shown.len(), 14);
            let typed = EnrollmentCode::parse(&shown).unwrap();
            prop_assert_eq!(typed.as_bytes(), code.as_bytes());
        }

        #[test]
        fn any_text_is_read_or_refused(typed in "\\PC{0,20}") {
            drop(EnrollmentCode::parse(&typed));
        }
    }

    #[test]
    fn people_may_type_it_their_way() {
        let code = EnrollmentCode::from_value(33 << 5, b'M');
        assert_eq!(code.format().as_str(), "0000-0000-110M");
        for typed in [
            "00000000110m",
            "oooo oooo il0m",
            " OOOO\u{2013}0000\u{2014}1I0M\n",
        ] {
            let read = EnrollmentCode::parse(typed).unwrap();
            assert_eq!(read.as_bytes(), code.as_bytes(), "{typed}");
        }
    }

    #[test]
    fn every_wrong_symbol_is_caught() {
        for seed in 0..50 {
            let good = *generated(seed).as_bytes();
            for position in 0..SYMBOLS {
                for other in ALPHABET.iter().filter(|other| **other != good[position]) {
                    let mut typed = good;
                    typed[position] = *other;
                    let typed = std::str::from_utf8(&typed).unwrap();
                    assert_eq!(error(typed), CodeError::Mistyped);
                }
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_caught() {
        for seed in 0..500 {
            let good = *generated(seed).as_bytes();
            for position in 1..SYMBOLS {
                let mut typed = good;
                typed.swap(position - 1, position);
                if typed != good {
                    let typed = std::str::from_utf8(&typed).unwrap();
                    assert_eq!(error(typed), CodeError::Mistyped);
                }
            }
        }
    }

    #[test]
    fn errors_say_what_to_do_and_nothing_of_the_code() {
        assert_eq!(error(""), CodeError::WrongLength { symbols: 0 });
        assert_eq!(
            error("0000-0000-110"),
            CodeError::WrongLength { symbols: 11 }
        );
        assert_eq!(
            error("0000-0000-110M-0"),
            CodeError::WrongLength { symbols: 13 }
        );
        assert_eq!(
            error("0000-0U00-110M"),
            CodeError::BadSymbol { position: 6 }
        );
        assert_eq!(
            error("0000-0000-11é0"),
            CodeError::BadSymbol { position: 11 }
        );
        assert_eq!(
            error("0000-0000-110").to_string(),
            "the code has 12 symbols (XXXX-XXXX-XXXX), 11 were typed: type all of it"
        );
    }
}
