//! `config check`, `config show`, and the configuration of every other command.

use std::path::{Path, PathBuf};

use scantrip_config::{Config, ConfigError};
use serde::Serialize;

use super::World;
use super::failure::Failure;

/// The file that is used when none is named.
const DEFAULT_FILE: &str = "/etc/scantrip/scantrip.toml";

/// Reads the named file, or the default one if it is there.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    match file {
        Some(file) => Config::load(file),
        None => match Config::load(Path::new(DEFAULT_FILE)) {
            Err(ConfigError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(Config::default())
            }
            read => read,
        },
    }
}

/// `config check`: every mistake, with its place.
pub(crate) fn check(world: &mut World<'_>, file: Option<&Path>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Checked {
        file: PathBuf,
        mistakes: Vec<Mistake>,
    }
    #[derive(Serialize)]
    struct Mistake {
        line: usize,
        column: usize,
        message: String,
    }
    let file = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let result = Config::load(file);
    if world.output.is_json()
        && let Err(ConfigError::Invalid { faults, .. }) = &result
    {
        let mistakes = faults.iter().map(|fault| Mistake {
            line: fault.line,
            column: fault.column,
            message: fault.message.clone(),
        });
        let checked = Checked {
            file: file.to_owned(),
            mistakes: mistakes.collect(),
        };
        world.output.document(&checked);
        return Err(Failure::told(super::Exit::Config));
    }
    result?;
    let checked = Checked {
        file: file.to_owned(),
        mistakes: Vec::new(),
    };
    world
        .output
        .answer(&checked, || format!("{} is in order\n", file.display()));
    Ok(())
}

/// `config show`: every value in effect.
pub(crate) fn show(world: &mut World<'_>, file: Option<&Path>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown {
        toml: String,
    }
    let toml = load(file)?.effective_toml();
    world.output.answer(&Shown { toml: toml.clone() }, || toml);
    Ok(())
}
