//! The simulated MFP as a backend, set up from the configuration.

use super::{Backend, BackendOption, BackendOptions, Mfp, OpenBackendError};
use crate::settings::Row;
use crate::sim::{Fault, SimConfig, SimMfp};

/// The line for [`super::BACKENDS`].
pub(super) const BACKEND: Backend = Backend {
    name: "sim",
    doc: "a simulated MFP with flatbed, duplex feeder and faults on demand",
    needs: None,
    options: OPTIONS,
    open,
};

const OPTIONS: &[BackendOption] = &[
    option(
        "control",
        "file with orders to the running MFP: sheets=N faults=LIST",
    ),
    option(
        "dpi",
        "highest resolution offered in dpi, 75 to 600; default 300",
    ),
    option(
        "duplex_content",
        "whether backs have content: true or false; default true",
    ),
    option(
        "faults",
        "what goes wrong, for example jam-after=7,slow=3:5000; default none",
    ),
    option(
        "images",
        "folder of JPEG images to feed instead of drawn pages",
    ),
    option(
        "page_ms",
        "how long a page takes in milliseconds; default 0",
    ),
    option("record", "folder that gets each page fed, as NNNN.jpg"),
    option(
        "seed",
        "what the pages are drawn from, a whole number; default 1",
    ),
    option("serial", "serial number; default SIM-0001"),
    option(
        "settings",
        "security settings with other values than usual: ID=VALUE;ID=VALUE",
    ),
    option(
        "sheets",
        "sheets in the feeder; default 10, or one for each image",
    ),
];

const fn option(name: &'static str, doc: &'static str) -> BackendOption {
    BackendOption { name, doc }
}

fn open(options: &BackendOptions) -> Result<Mfp, OpenBackendError> {
    let default = SimConfig::default();
    let sheets = options.optional("sheets")?;
    let config = SimConfig {
        seed: options.value("seed", default.seed)?,
        sheets: sheets.unwrap_or(default.sheets),
        duplex_content: options.value("duplex_content", default.duplex_content)?,
        images: options.optional("images")?,
        record: options.optional("record")?,
        control: options.optional("control")?,
        page_ms: options.value("page_ms", default.page_ms)?,
        dpi: dpi(options, default.dpi)?,
        serial: options.value("serial", default.serial)?,
        faults: faults(options)?,
        settings: settings(options)?,
        sleep: default.sleep,
        power_cut: default.power_cut,
    };
    let one_for_each_image = sheets.is_none() && config.images.is_some();
    let mfp = SimMfp::new(config).map_err(|cause| OpenBackendError::Failed {
        backend: BACKEND.name,
        source: Box::new(cause),
    })?;
    if one_for_each_image {
        mfp.load(mfp.images());
    }
    Ok(Mfp {
        scanner: Box::new(mfp.scanner()),
        identity: Box::new(mfp.identity()),
        settings: Some(Box::new(mfp.settings())),
    })
}

fn dpi(options: &BackendOptions, default: u16) -> Result<u16, OpenBackendError> {
    let dpi = options.value("dpi", default)?;
    if (75..=600).contains(&dpi) {
        return Ok(dpi);
    }
    Err(OpenBackendError::Value {
        option: "dpi".to_owned(),
        value: dpi.to_string(),
        reason: "expected 75 to 600".to_owned(),
    })
}

fn settings(options: &BackendOptions) -> Result<Vec<(String, String)>, OpenBackendError> {
    let text: String = options.value("settings", String::new())?;
    let words = text.split(';').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let pair = word
                .split_once('=')
                .filter(|(id, _)| Row::find(id).is_some());
            let pair = pair.map(|(id, value)| (id.to_owned(), value.to_owned()));
            pair.ok_or_else(|| OpenBackendError::Value {
                option: "settings".to_owned(),
                value: word.to_owned(),
                reason: "expected the id of a setting, = and a value".to_owned(),
            })
        })
        .collect()
}

fn faults(options: &BackendOptions) -> Result<Vec<Fault>, OpenBackendError> {
    let text: String = options.value("faults", String::new())?;
    Fault::parse_list(&text).map_err(|cause| OpenBackendError::Value {
        option: "faults".to_owned(),
        value: text.clone(),
        reason: cause.to_string(),
    })
}
