//! The ports on a Linux system, and the list of MFPs that this program can work with.
//!
//! A new backend is one file below `backends/` and one line in [`BACKENDS`]; see
//! `docs/how-to/add-a-backend.md`.

pub mod escl;
pub mod folder_disk;
mod host;
pub mod key_file;
#[cfg(feature = "sim")]
mod sim;
pub mod system;

use core::fmt::Display;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::error::Error;

use crate::identity::IdentitySource;
use crate::scanner::Scanner;
use crate::settings::SettingsSource;
use crate::web::Ports;

/// Every backend compiled in, in the order of their names.
pub const BACKENDS: &[Backend] = &[
    escl::BACKEND,
    host::BACKEND,
    #[cfg(feature = "sim")]
    sim::BACKEND,
];

/// One way to reach an MFP.
pub struct Backend {
    /// The name in the configuration.
    pub name: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// What it needs that a test machine may not have; the conformance suite leaves it out then.
    pub needs: Option<&'static str>,
    /// Every option it takes.
    pub options: &'static [BackendOption],
    /// Opens the MFP. Called by [`open`], which has refused unknown options.
    pub open: fn(&BackendOptions) -> Result<Mfp, OpenBackendError>,
}

/// An option of a backend.
pub struct BackendOption {
    /// The name in the configuration.
    pub name: &'static str,
    /// One line for people: meaning, unit, default.
    pub doc: &'static str,
}

/// An MFP, ready to be used.
pub struct Mfp {
    /// Its scanner.
    pub scanner: Box<dyn Scanner>,
    /// Who it says it is.
    pub identity: Box<dyn IdentitySource>,
    /// Its security settings, when the backend reads them itself; `None`: from the sources that
    /// the configuration names.
    pub settings: Option<Box<dyn SettingsSource>>,
}

/// What the configuration says of a backend: values by name, as text.
#[derive(Clone, Debug, Default)]
pub struct BackendOptions {
    /// The values.
    pub values: BTreeMap<String, String>,
    /// The way to the network, for a device that is reached over it.
    pub ports: Option<Ports>,
}

impl BackendOptions {
    /// The value of an option, or `default` when it is not given.
    ///
    /// # Errors
    /// When the value cannot be understood.
    pub fn value<T>(&self, name: &str, default: T) -> Result<T, OpenBackendError>
    where
        T: FromStr,
        T::Err: Display,
    {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// The value of an option, if it is given.
    ///
    /// # Errors
    /// When the value cannot be understood.
    pub fn optional<T>(&self, name: &str) -> Result<Option<T>, OpenBackendError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(value) = self.values.get(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(cause) => Err(OpenBackendError::Value {
                option: name.to_owned(),
                value: value.clone(),
                reason: T::Err::to_string(&cause),
            }),
        }
    }
}

/// An MFP cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBackendError {
    /// No backend has this name.
    #[error("[device] backend = {name:?}: there is none of this name; known are: {known}")]
    UnknownBackend {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The backend has no such option.
    #[error("[device.options] backend {backend} has no option {option:?}; known are: {known}")]
    UnknownOption {
        /// The backend.
        backend: &'static str,
        /// The option asked for.
        option: String,
        /// The options there are.
        known: String,
    },
    /// A value cannot be understood.
    #[error("[device.options] {option} = {value:?}: {reason}")]
    Value {
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The device or a folder it needs is not there.
    #[error("cannot set up backend {backend}")]
    Failed {
        /// The backend.
        backend: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Opens the MFP that the configuration names.
///
/// # Errors
/// When there is no such backend or option, a value cannot be understood, or the MFP is not there.
pub fn open(name: &str, options: BTreeMap<String, String>) -> Result<Mfp, OpenBackendError> {
    open_with(name, options, None)
}

/// As [`open`], with a way to devices on the network.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    name: &str,
    options: BTreeMap<String, String>,
    ports: Option<Ports>,
) -> Result<Mfp, OpenBackendError> {
    let Some(backend) = BACKENDS.iter().find(|backend| backend.name == name) else {
        return Err(OpenBackendError::UnknownBackend {
            name: name.to_owned(),
            known: joined(BACKENDS.iter().map(|backend| backend.name)),
        });
    };
    let has = |name: &str| backend.options.iter().any(|option| option.name == name);
    if let Some(unknown) = options.keys().find(|name| !has(name)) {
        return Err(OpenBackendError::UnknownOption {
            backend: backend.name,
            option: unknown.clone(),
            known: joined(backend.options.iter().map(|option| option.name)),
        });
    }
    (backend.open)(&BackendOptions {
        values: options,
        ports,
    })
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, options: &[(&str, &str)]) -> String {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        open(name, options.collect()).err().unwrap().to_string()
    }

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(BACKENDS.is_sorted_by(|a, b| a.name < b.name));
        for backend in BACKENDS {
            assert!(backend.options.is_sorted_by(|a, b| a.name < b.name));
        }
    }

    #[test]
    fn every_backend_and_option_is_documented() {
        for backend in BACKENDS {
            assert!(!backend.doc.is_empty(), "{}", backend.name);
            for option in backend.options {
                assert!(!option.doc.is_empty(), "{}", option.name);
            }
        }
    }

    #[test]
    fn an_unknown_backend_is_refused_with_what_is_known() {
        let refusal = refusal("fax", &[]);
        assert!(refusal.contains("\"fax\""), "{refusal}");
        for backend in BACKENDS {
            assert!(refusal.contains(backend.name), "{refusal}");
        }
    }

    #[test]
    #[cfg(feature = "sim")]
    fn an_unknown_option_is_refused_with_what_is_known() {
        let refusal = refusal("sim", &[("sheet", "3")]);
        assert!(
            refusal.contains("\"sheet\"") && refusal.contains("sheets"),
            "{refusal}"
        );
    }

    #[test]
    #[cfg(feature = "sim")]
    fn a_value_of_the_wrong_kind_is_refused_with_its_name() {
        for (name, value) in [
            ("sheets", "many"),
            ("faults", "fire"),
            ("duplex_content", "perhaps"),
            ("seed", "-1"),
            ("dpi", "70000"),
            ("dpi", "10"),
        ] {
            let refusal = refusal("sim", &[(name, value)]);
            assert!(
                refusal.contains(name) && refusal.contains(value),
                "{refusal}"
            );
        }
    }

    #[test]
    #[cfg(feature = "sim")]
    fn a_folder_that_is_not_there_is_told_with_its_cause() {
        let refusal = open(
            "sim",
            BTreeMap::from([("images".to_owned(), "/nowhere".to_owned())]),
        );
        let cause = refusal.err().unwrap().source().unwrap().to_string();
        assert!(cause.contains("/nowhere"), "{cause}");
    }
}
