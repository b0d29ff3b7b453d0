//! Questions to a person, and the enrolment code, which is not shown while it is typed.

use std::io::{self, IsTerminal as _, Read, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::{Zeroize as _, Zeroizing};

/// Longest answer: a code with dashes, spaces and slips.
const ANSWER_BYTES_MAX: usize = 256;

/// Who answers questions, if anybody.
pub(crate) trait Person {
    /// Whether somebody is there to be asked.
    fn is_there(&self) -> bool;

    /// Asks in the open; `None`: no answer.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>>;

    /// Asks without showing what is typed.
    fn ask_hidden(&mut self, question: &str) -> io::Result<Option<Zeroizing<String>>>;

    /// The first line of standard input, when nobody is there.
    fn piped(&mut self) -> io::Result<Zeroizing<String>>;
}

/// The terminal of this process: reads standard input, asks on standard error.
pub(crate) struct Terminal;

impl Person for Terminal {
    fn is_there(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        let mut err = io::stderr();
        err.write_all(question.as_bytes())?;
        err.flush()?;
        let line = read_line(&mut io::stdin())?;
        Ok(line.map(|line| line.trim().to_owned()))
    }

    fn ask_hidden(&mut self, question: &str) -> io::Result<Option<Zeroizing<String>>> {
        let mut err = io::stderr();
        err.write_all(question.as_bytes())?;
        err.flush()?;
        let quiet = Quiet::begin()?;
        let line = read_typed(&mut io::stdin());
        drop(quiet);
        err.write_all(b"\n")?;
        line
    }

    fn piped(&mut self) -> io::Result<Zeroizing<String>> {
        Ok(read_line(&mut io::stdin())?.unwrap_or_default())
    }
}

/// A terminal that does not show what is typed, until this is dropped. Ctrl-C is read as a symbol
/// meanwhile, so that the terminal is never left like this.
struct Quiet {
    before: Termios,
}

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        let shown = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.local_modes.remove(shown);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _restored = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Reads up to the end of a line; `None`: the input is at its end.
pub(crate) fn read_line(input: &mut dyn Read) -> io::Result<Option<Zeroizing<String>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    loop {
        match read_byte(input)? {
            None if bytes.is_empty() => return Ok(None),
            None | Some(b'\n') => return text(&mut bytes).map(Some),
            Some(byte) => push(&mut bytes, byte)?,
        }
    }
}

/// Reads what is typed at a quiet terminal: Enter ends it, Backspace and Ctrl-U take back,
/// Ctrl-C and Ctrl-D give up.
fn read_typed(input: &mut dyn Read) -> io::Result<Option<Zeroizing<String>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    loop {
        match read_byte(input)? {
            None | Some(0x03 | 0x04) => return Ok(None),
            Some(b'\n' | b'\r') => return text(&mut bytes).map(Some),
            Some(0x08 | 0x7f) => {
                bytes.pop();
            }
            Some(0x15) => bytes.zeroize(),
            Some(byte) => push(&mut bytes, byte)?,
        }
    }
}

fn read_byte(input: &mut dyn Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Never grows the buffer: a copy left behind by growing would not be wiped.
fn push(bytes: &mut Vec<u8>, byte: u8) -> io::Result<()> {
    if bytes.len() >= ANSWER_BYTES_MAX {
        let error = "this is too long for an enrolment code";
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    bytes.push(byte);
    Ok(())
}

fn text(bytes: &mut Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    match String::from_utf8(std::mem::take(&mut **bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            let error = "this is no text";
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_can_be_taken_back() {
        let typed = |keys: &[u8]| read_typed(&mut &keys[..]).unwrap().map(|it| it.to_string());
        assert_eq!(typed(b"ABX\x7fC\r"), Some("ABC".to_owned()));
        assert_eq!(typed(b"wrong\x15AB\n"), Some("AB".to_owned()));
        assert_eq!(typed(b"AB\x03"), None);
        assert_eq!(typed(b"AB"), None);
    }

    #[test]
    fn piped_line_may_lack_its_end() {
        let line = |text: &[u8]| read_line(&mut &text[..]).unwrap().map(|it| it.to_string());
        assert_eq!(line(b"AB\nCD"), Some("AB".to_owned()));
        assert_eq!(line(b"AB"), Some("AB".to_owned()));
        assert_eq!(line(b""), None);
    }

    #[test]
    fn endless_and_binary_input_is_refused() {
        assert!(read_line(&mut io::repeat(b'a')).is_err());
        assert!(read_line(&mut &b"\xff\xfe\n"[..]).is_err());
    }
}
