//! What is odd about particular devices, as data.
//!
//! A row matches by the beginning of maker and model, or by what the `Server` header contains. All
//! rows that match are taken together. Add a row with the device and who has seen it; what helps
//! every device belongs into [`super::job`] instead.

/// What is odd about a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// `ScanJobs` is answered only to the host `localhost`.
    pub(crate) localhost: bool,
    /// The `Host` header must carry the port, also the usual one.
    pub(crate) host_with_port: bool,
    /// A page that is asked for at once is answered with 404: wait before asking.
    pub(crate) early_404: bool,
    /// Wait so long between the job and its first page.
    pub(crate) first_page_after_ms: u32,
    /// 404 and 410 mean: not yet.
    pub(crate) gone_is_not_yet: bool,
    /// Takes minutes to delete a job that ended by itself.
    pub(crate) slow_delete: bool,
    /// Ends a job after a page; `ScannerAdfProcessing` means then that there is more paper.
    pub(crate) processing_is_paper: bool,
}

impl Quirks {
    const NONE: Self = Self {
        localhost: false,
        host_with_port: false,
        early_404: false,
        first_page_after_ms: 0,
        gone_is_not_yet: false,
        slow_delete: false,
        processing_is_paper: false,
    };

    /// Those of a device.
    pub(crate) fn of(model: &str, server: &str) -> Self {
        let mut all = Self::NONE;
        for row in TABLE.iter().filter(|row| row.matches(model, server)) {
            let more = row.quirks;
            all.localhost |= more.localhost;
            all.host_with_port |= more.host_with_port;
            all.early_404 |= more.early_404;
            all.first_page_after_ms = all.first_page_after_ms.max(more.first_page_after_ms);
            all.gone_is_not_yet |= more.gone_is_not_yet;
            all.slow_delete |= more.slow_delete;
            all.processing_is_paper |= more.processing_is_paper;
        }
        all
    }
}

/// Which devices, and what is odd about them.
struct Row {
    /// How maker and model begin; empty: any.
    model: &'static str,
    /// What the `Server` header contains; empty: anything.
    server: &'static str,
    quirks: Quirks,
}

impl Row {
    fn matches(&self, model: &str, server: &str) -> bool {
        let begins = model
            .get(..self.model.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(self.model));
        begins && server.contains(self.server)
    }
}

const fn row(model: &'static str, server: &'static str, quirks: Quirks) -> Row {
    Row {
        model,
        server,
        quirks,
    }
}

const NOT_YET: Quirks = Quirks {
    gone_is_not_yet: true,
    slow_delete: true,
    ..Quirks::NONE
};

/// Seen by the users of sane-airscan; the numbers are its issues.
const TABLE: &[Row] = &[
    // HP LaserJet M630, M578 (#116). Never for all: OKI MC853 (#92), Canon MF411 (#98).
    row(
        "",
        "HP_Compact_Server",
        Quirks {
            localhost: true,
            ..Quirks::NONE
        },
    ),
    // #136.
    row(
        "EPSON",
        "",
        Quirks {
            host_with_port: true,
            ..Quirks::NONE
        },
    ),
    // #357, #385: one page and `Completed`, while the device goes on feeding.
    row(
        "EPSON WF-2930",
        "",
        Quirks {
            processing_is_paper: true,
            ..Quirks::NONE
        },
    ),
    // #39, #347.
    row(
        "Brother",
        "",
        Quirks {
            early_404: true,
            ..Quirks::NONE
        },
    ),
    row("Xerox B205", "", NOT_YET),
    row("Xerox B215", "", NOT_YET),
    row(
        "Xerox WorkCentre 3345",
        "",
        Quirks {
            gone_is_not_yet: true,
            ..Quirks::NONE
        },
    ),
    // #356.
    row(
        "RICOH SP 3710",
        "",
        Quirks {
            first_page_after_ms: 5000,
            ..Quirks::NONE
        },
    ),
    row(
        "RICOH MP 501",
        "",
        Quirks {
            first_page_after_ms: 5000,
            ..Quirks::NONE
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_model_or_server() {
        assert!(Quirks::of("Brother MFC-L2710DW series", "debut/1.30").early_404);
        assert!(Quirks::of("HP LaserJet M630", "HP_Compact_Server").localhost);
        assert!(!Quirks::of("HP LaserJet M426", "HP HTTP Server; HP M426").localhost);
        let epson = Quirks::of("Epson WF-2930", "");
        assert!(epson.host_with_port && epson.processing_is_paper && !epson.early_404);
        assert_eq!(Quirks::of("", ""), Quirks::NONE);
    }

    #[test]
    fn every_row_names_a_device_and_something_odd() {
        for row in TABLE {
            assert!(!row.model.is_empty() || !row.server.is_empty());
            assert_ne!(row.quirks, Quirks::NONE, "{}", row.model);
        }
    }
}
