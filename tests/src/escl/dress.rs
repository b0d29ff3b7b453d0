//! In whose dress the simulated scanner appears: its documents, and what its makers do otherwise.

use std::str::FromStr;

use super::oddity::Oddity;

/// A maker's dress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dress {
    /// A feeder and no glass.
    AdfOnly,
    /// Brother.
    Brother,
    /// Canon, with a feeder for one side.
    Canon,
    /// Epson.
    Epson,
    /// HP.
    Hp,
    /// Kyocera.
    Kyocera,
    /// Xerox.
    Xerox,
}

impl Dress {
    /// Every dress.
    pub const ALL: [Self; 7] = [
        Self::AdfOnly,
        Self::Brother,
        Self::Canon,
        Self::Epson,
        Self::Hp,
        Self::Kyocera,
        Self::Xerox,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdfOnly => "adf-only",
            Self::Brother => "brother",
            Self::Canon => "canon",
            Self::Epson => "epson",
            Self::Hp => "hp",
            Self::Kyocera => "kyocera",
            Self::Xerox => "xerox",
        }
    }

    /// Its `ScannerCapabilities`; see `tests/fixtures/escl/README.md`.
    #[must_use]
    pub const fn capabilities(self) -> &'static str {
        match self {
            Self::AdfOnly => include_str!("../../fixtures/escl/adf-only.xml"),
            Self::Brother => include_str!("../../fixtures/escl/brother.xml"),
            Self::Canon => include_str!("../../fixtures/escl/canon.xml"),
            Self::Epson => include_str!("../../fixtures/escl/epson.xml"),
            Self::Hp => include_str!("../../fixtures/escl/hp.xml"),
            Self::Kyocera => include_str!("../../fixtures/escl/kyocera.xml"),
            Self::Xerox => include_str!("../../fixtures/escl/xerox.xml"),
        }
    }

    /// What these devices were seen to do (escl.md, section 9; issues of sane-airscan).
    #[must_use]
    pub fn oddities(self) -> Vec<Oddity> {
        match self {
            Self::AdfOnly => vec![Oddity::RelativeLocation, Oddity::NoLength],
            Self::Brother => vec![Oddity::EarlyEnd, Oddity::AbsoluteLocation],
            Self::Canon => vec![
                Oddity::UrnJob,
                Oddity::ConflictAtEnd,
                Oddity::ConflictOnFault,
            ],
            Self::Epson => vec![Oddity::HostWithPort, Oddity::AdfProcessing, Oddity::Chunked],
            Self::Hp => vec![
                Oddity::Chunked,
                Oddity::EmptyEarly,
                Oddity::StickyJam,
                Oddity::NoHeight,
            ],
            Self::Kyocera => vec![Oddity::AdfProcessing, Oddity::NotReady(2), Oddity::PdfType],
            Self::Xerox => vec![Oddity::WrongHost, Oddity::LateEnd(2)],
        }
    }

    /// Its `Server` header.
    pub(crate) const fn server(self) -> &'static str {
        match self {
            Self::Hp => {
                "HP HTTP Server; HP LaserJet MFP M426fdn - F6W14A; Serial Number: VNB3K00001"
            }
            Self::Kyocera => "KM-MFP-http/V0.0.1",
            Self::Brother => "debut/1.30",
            Self::Epson => "EPSON_Linux UPnP/1.0 Epson UPnP SDK/1.0",
            _ => "httpd",
        }
    }

    /// What its capabilities say of a source, as text; none when it has no such source.
    pub(crate) fn source(self, name: &str) -> Option<&'static str> {
        let text = self.capabilities();
        let start = text.find(&format!("{name}>"))?;
        let rest = text.get(start + name.len()..)?;
        rest.get(..rest.find(&format!("{name}>"))?)
    }
}

impl FromStr for Dress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|dress| dress.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|dress| dress.name()).collect();
            format!("not a dress: {text}; known are {}", names.join(", "))
        })
    }
}

/// The texts of every element of that local name, in order.
pub(crate) fn texts<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let mut all = Vec::new();
    for part in document.split('<').skip(1) {
        if let Some((tag, text)) = part.split_once('>') {
            let tag = tag.split_whitespace().next().unwrap_or("");
            let local = tag.rsplit_once(':').map_or(tag, |(_, local)| local);
            if local == name && !tag.starts_with('/') {
                all.push(text.trim());
            }
        }
    }
    all
}
