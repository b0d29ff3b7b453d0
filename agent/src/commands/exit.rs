//! Exit codes: one table for the code, the help and the documentation.

use std::process::ExitCode;

use crate::api::RefusalKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; also when a job is saved here and will be sent.
    Done = 0,
    /// A fault of the agent or of its disk.
    Internal = 1,
    /// A wrong command line, or a request that cannot be carried out.
    Usage = 2,
    /// The configuration has mistakes.
    Config = 3,
    /// The device has not enrolled.
    NotEnrolled = 4,
    /// The cloud, or the running agent, cannot be reached.
    Unreachable = 5,
    /// Paper, cover or scanner need a person; saved pages stay.
    Person = 6,
    /// The spool or the disk is full; nothing was fed.
    Full = 7,
    /// The cloud refused for good.
    Refused = 8,
    /// Another job is being scanned, or another process owns the state.
    Busy = 9,
    /// The device's security settings are not as the workflow requires.
    Posture = 10,
}

impl Exit {
    /// Every code with its meaning, in order.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Done, "done; also: saved here, will be sent"),
        (Self::Internal, "a fault of the agent or of its disk"),
        (
            Self::Usage,
            "wrong command line, or a request that cannot be carried out",
        ),
        (Self::Config, "the configuration has mistakes"),
        (Self::NotEnrolled, "the device has not enrolled"),
        (
            Self::Unreachable,
            "the cloud, or the running agent, cannot be reached",
        ),
        (
            Self::Person,
            "paper, cover or scanner need a person; saved pages stay",
        ),
        (Self::Full, "the spool or the disk is full; nothing was fed"),
        (Self::Refused, "the cloud refused for good"),
        (
            Self::Busy,
            "another job is being scanned, or another process owns the state",
        ),
        (
            Self::Posture,
            "the device's security settings are not as the workflow requires",
        ),
    ];

    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<RefusalKind> for Exit {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Invalid => Self::Usage,
            RefusalKind::NotEnrolled => Self::NotEnrolled,
            RefusalKind::Busy => Self::Busy,
            RefusalKind::Full => Self::Full,
            RefusalKind::Refused => Self::Refused,
            RefusalKind::Unreachable => Self::Unreachable,
            RefusalKind::Scanner => Self::Person,
            RefusalKind::Posture => Self::Posture,
            RefusalKind::Internal => Self::Internal,
        }
    }
}

/// The table for `scantrip --help`.
pub(crate) fn help() -> String {
    let rows = Exit::ALL.iter();
    let rows = rows.map(|(exit, meaning)| format!("  {}  {meaning}\n", exit.code()));
    format!("Exit codes:\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order_and_complete() {
        for (number, (exit, _)) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), number);
        }
        assert_eq!(Exit::ALL.len(), usize::from(Exit::Posture.code()) + 1);
    }

    #[test]
    fn documentation_has_the_same_table() {
        let text = include_str!("../../../docs/operations/commands.md");
        for (exit, meaning) in Exit::ALL {
            let row = format!("| {} | {meaning} |", exit.code());
            assert!(
                text.contains(&row),
                "docs/operations/commands.md lacks {row}"
            );
        }
    }
}
