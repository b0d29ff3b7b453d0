//! Settings that only the operator knows, from `[settings.declared]` of the configuration.

use std::collections::BTreeMap;

use super::{CATALOGUE, Method, Row, Setting, SettingsSource};

/// A declaration cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeclareError {
    /// It is not for the operator to say.
    #[error("{id} cannot be declared; what can be is {known}")]
    NotForDeclaring {
        /// The id.
        id: String,
        /// The ids that can be.
        known: String,
    },
    /// The value has another shape.
    #[error("{id}: {value:?} is not a value of it; secure is: {secure}")]
    Value {
        /// The id.
        id: &'static str,
        /// The value.
        value: String,
        /// What a secure value looks like.
        secure: &'static str,
    },
}

/// What the operator declared.
#[derive(Debug)]
pub(super) struct DeclaredSource {
    values: Vec<(&'static Row, String)>,
}

impl DeclaredSource {
    pub(super) fn new(declared: BTreeMap<String, String>) -> Result<Self, DeclareError> {
        let open = |row: &&Row| row.methods.contains(&Method::Declared);
        let mut values = Vec::new();
        for (id, value) in declared {
            let Some(row) = Row::find(&id).filter(open) else {
                let known: Vec<_> = CATALOGUE.iter().filter(open).map(|row| row.id).collect();
                let known = known.join(", ");
                return Err(DeclareError::NotForDeclaring { id, known });
            };
            if !row.fits(&value) {
                let secure = row.secure_value;
                return Err(DeclareError::Value {
                    id: row.id,
                    value,
                    secure,
                });
            }
            values.push((row, value));
        }
        Ok(Self { values })
    }
}

impl SettingsSource for DeclaredSource {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        for (row, value) in &self.values {
            let evidence = "[settings.declared]";
            each(Setting::known(row, value, Method::Declared, evidence, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(id: &str, value: &str) -> Result<DeclaredSource, DeclareError> {
        DeclaredSource::new(BTreeMap::from([(id.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_the_device_itself_must_tell_cannot_be_declared() {
        let refusal = declare("storage.encryption", "all")
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("storage.wipe_ready"), "{refusal}");
        assert!(declare("storage.wipe_ready", "true").is_ok());
        assert!(declare("storage.wipe_ready", "yes").is_err());
    }
}
