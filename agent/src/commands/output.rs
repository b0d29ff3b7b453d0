//! Where answers go: standard output for answers, standard error for failures and questions.
//!
//! When nobody reads any more, output is dropped and the work goes on.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::render::progress::Shown;
use crate::render::{is_hidden, plain};

/// Both streams of a command.
pub(crate) struct Output<'a> {
    out: Box<dyn Write + 'a>,
    err: Box<dyn Write + 'a>,
    json: bool,
    /// Whether a line can be rewritten.
    terminal: bool,
    /// Whether a line stands that will be rewritten.
    live: bool,
}

/// The document of a failure.
#[derive(Serialize)]
struct FailureDocument<'a> {
    error: &'a str,
    exit_code: u8,
}

impl Output<'static> {
    /// The streams of this process.
    pub(crate) fn standard(json: bool) -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            json,
            terminal: io::stdout().is_terminal(),
            live: false,
        }
    }
}

impl<'a> Output<'a> {
    /// Streams of a test.
    #[cfg(test)]
    pub(crate) fn to(out: impl Write + 'a, err: impl Write + 'a, json: bool, tty: bool) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            json,
            terminal: tty,
            live: false,
        }
    }

    /// How wide a line may be: as the terminal is, or as most are.
    pub(crate) fn width(&self) -> usize {
        if self.terminal { columns() } else { 80 }
    }

    /// Whether a machine reads.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// The answer: a document for a machine, or else text for people.
    pub(crate) fn answer<T: Serialize>(&mut self, document: &T, text: impl FnOnce() -> String) {
        if self.json {
            self.document(document);
        } else {
            self.settle();
            let text = text();
            self.write(&text);
        }
    }

    /// A document on a line of its own. It reads the same, and is as harmless to a terminal as text.
    pub(crate) fn document<T: Serialize>(&mut self, document: &T) {
        match serde_json::to_string(document) {
            Ok(text) => self.write(&(harmless(&text) + "\n")),
            Err(error) => log::error!("the answer cannot be written as JSON: {error}"),
        }
    }

    /// A line for people; machines do not get it.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.json {
            self.settle();
            self.write(&format!("{text}\n"));
        }
    }

    /// A piece of progress for people.
    pub(crate) fn progress(&mut self, shown: &Shown) {
        match shown {
            Shown::Nothing => {}
            Shown::Line(text) => self.line(text),
            Shown::Live { text, .. } if self.terminal && !self.json => {
                // A longer line would be broken and could not be rewritten.
                let fitting: String = text.chars().take(columns() - 1).collect();
                self.write(&format!("\r{fitting}\x1b[K"));
                self.live = true;
            }
            Shown::Live { text, milestone } => {
                if *milestone {
                    self.line(text);
                }
            }
        }
    }

    /// A remark beside the answer, also when a machine reads.
    pub(crate) fn remark(&mut self, text: &str) {
        self.settle();
        let _unread = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }

    /// Tells why the command failed.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if failure.message.is_empty() {
            return;
        }
        if self.json {
            self.document(&FailureDocument {
                error: &failure.message,
                exit_code: failure.exit.code(),
            });
            return;
        }
        let lines: Vec<String> = failure.message.lines().map(plain).collect();
        self.remark(&format!("scantrip: {}", lines.join("\n")));
    }

    /// Ends a line that would be rewritten.
    fn settle(&mut self) {
        if std::mem::take(&mut self.live) {
            self.write("\n");
        }
    }

    fn write(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        let _unread = written.and_then(|()| self.out.flush());
    }
}

/// JSON with what a terminal would act on in JSON's own escapes; serde_json does it for the characters
/// below U+0020 alone.
fn harmless(json: &str) -> String {
    let mut harmless = String::with_capacity(json.len());
    for symbol in json.chars() {
        if is_hidden(symbol) {
            harmless.push_str(&format!("\\u{:04x}", u32::from(symbol)));
        } else {
            harmless.push(symbol);
        }
    }
    harmless
}

/// Width of the terminal; at least 20, and 80 where there is none.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { 80 } else { columns.max(20) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Exit;

    fn shown(tty: bool, json: bool) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::to(&mut out, &mut err, json, tty);
        output.line("begin");
        for milestone in [true, false] {
            let text = format!("page {milestone}");
            output.progress(&Shown::Live { text, milestone });
        }
        output.failure(&Failure::new(Exit::Full, "it is full\x1b\nreally"));
        drop(output);
        (
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn terminal_rewrites_a_line_and_others_get_milestones() {
        let (out, err) = shown(true, false);
        assert_eq!(out, "begin\n\rpage true\x1b[K\rpage false\x1b[K\n");
        assert_eq!(err, "scantrip: it is full\\u{1b}\nreally\n");
        assert_eq!(shown(false, false).0, "begin\npage true\n");
    }

    #[test]
    fn machine_gets_documents_only() {
        let (out, err) = shown(true, true);
        assert_eq!(
            out,
            "{\"error\":\"it is full\\u001b\\nreally\",\"exit_code\":7}\n"
        );
        assert_eq!(err, "");
    }

    #[test]
    fn a_document_reads_the_same_and_moves_no_cursor() {
        let text = "a\u{202e}b\u{2066}c\u{9b}d\u{7f}e\u{1b}\"\\\nGröße 文書";
        let mut out = Vec::new();
        Output::to(&mut out, Vec::new(), true, true).document(&text);
        let out = String::from_utf8(out).unwrap();
        let line = out.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(is_hidden), "{line}");
        assert!(
            line.contains("\\u202e") && line.contains("Größe 文書"),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<String>(line).unwrap(), text);
    }

    #[test]
    fn broken_pipe_is_no_panic() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut output = Output::to(Broken, Broken, false, true);
        output.line("a");
        output.remark("b");
        output.document(&1);
    }
}
