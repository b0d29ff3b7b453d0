//! Hashes of passwords as crypt(5) writes them with `$6$`: SHA-512, by Ulrich Drepper's
//! "Unix crypt using SHA-256 and SHA-512".

use sha2::{Digest as _, Sha512};

/// More rounds than anybody waits for at sign-in; a file may not keep the agent busy.
const ROUNDS_MAX: u32 = 100_000;
const ROUNDS: u32 = 5000;

/// Whether a hash is that of one of these passwords; `None` when it is of another kind.
pub(super) fn is_one_of<'a>(
    hash: &str,
    passwords: impl IntoIterator<Item = &'a str>,
) -> Option<bool> {
    let (settings, wanted) = hash.strip_prefix("$6$")?.rsplit_once('$')?;
    let (rounds, salt) = match settings.split_once('$') {
        Some((rounds, salt)) => (rounds.strip_prefix("rounds=")?.parse().ok()?, salt),
        None => (ROUNDS, settings),
    };
    if rounds > ROUNDS_MAX || salt.len() > 16 {
        return None;
    }
    let rounds = rounds.max(1000);
    let mut passwords = passwords.into_iter();
    Some(passwords.any(|it| sha512_crypt(it.as_bytes(), salt.as_bytes(), rounds) == wanted))
}

fn sha512_crypt(password: &[u8], salt: &[u8], rounds: u32) -> String {
    let repeated = |digest: &[u8; 64], length: usize| -> Vec<u8> {
        digest.iter().copied().cycle().take(length).collect()
    };
    let alternate = sha512(&[password, salt, password]);
    let mut start = Sha512::new();
    start.update(password);
    start.update(salt);
    start.update(repeated(&alternate, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        match bits & 1 {
            1 => start.update(alternate),
            _ => start.update(password),
        }
        bits >>= 1;
    }
    let mut digest: [u8; 64] = start.finalize().into();
    let mut of_password = Sha512::new();
    for _ in 0..password.len() {
        of_password.update(password);
    }
    let p = repeated(&of_password.finalize().into(), password.len());
    let mut of_salt = Sha512::new();
    for _ in 0..16 + usize::from(digest[0]) {
        of_salt.update(salt);
    }
    let s = repeated(&of_salt.finalize().into(), salt.len());
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let first: &[u8] = if odd { &p } else { &digest };
        let last: &[u8] = if odd { &digest } else { &p };
        let salt: &[u8] = if round % 3 == 0 { &[] } else { &s };
        let middle: &[u8] = if round % 7 == 0 { &[] } else { &p };
        digest = sha512(&[first, salt, middle, last]);
    }
    encoded(&digest)
}

fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Sha512::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The digest in crypt's own order and alphabet.
fn encoded(digest: &[u8; 64]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let byte = |at: usize| u32::from(digest.get(at).copied().unwrap_or_default());
    let mut text = String::new();
    let mut push = |mut bits: u32, symbols: u32| {
        for _ in 0..symbols {
            let symbol = ALPHABET.get(bits as usize & 63).copied().unwrap_or(b'.');
            text.push(char::from(symbol));
            bits >>= 6;
        }
    };
    let (mut a, mut b, mut c) = (0, 21, 42);
    for _ in 0..21 {
        push(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
        (a, b, c) = (b + 1, c + 1, a + 1);
    }
    push(byte(63), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd -6`, the second with `-salt 'rounds=10000$saltstringsaltst'`.
    #[test]
    fn hashes_are_those_of_openssl() {
        let hash = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        assert_eq!(is_one_of(hash, ["x", "Hello world!"]), Some(true));
        assert_eq!(is_one_of(hash, ["Hello world"]), Some(false));
        let hash = "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.";
        assert_eq!(is_one_of(hash, ["Hello world!"]), Some(true));
    }

    #[test]
    fn what_takes_too_long_or_is_of_another_kind_is_left() {
        for hash in ["$6$rounds=999999999$salt$x", "$y$j9T$a$b", "", "$6$", "*"] {
            assert_eq!(is_one_of(hash, ["x"]), None, "{hash}");
        }
    }
}
