//! This machine itself: an identity, no scanner. For a technician who enrols and diagnoses a device
//! before its scanner is set up.
//!
//! Vendor, model and serial number come from the options, else from the firmware's tables
//! (`/sys/class/dmi/id`, the Linux kernel's view of SMBIOS). Where the firmware tells no serial
//! number, or tells it to root alone, one is made of the system's id.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Backend, BackendOption, BackendOptions, Mfp, OpenBackendError};
use crate::identity::{DeviceIdentity, IdentitySource};
use crate::scanner::{
    NextPage, PageSink, ScanSettings, Scanner, ScannerCapabilities, ScannerError, ScannerErrorKind,
    ScannerState, ScannerStatus,
};
use crate::settings::short;

/// The line for [`super::BACKENDS`].
pub(super) const BACKEND: Backend = Backend {
    name: "host",
    doc: "this machine without a scanner, to enrol and diagnose it",
    needs: Some("a machine that tells a serial number, and it has no scanner"),
    options: &[
        BackendOption {
            name: "model",
            doc: "the model; default what the firmware says",
        },
        BackendOption {
            name: "serial",
            doc: "the serial number; default what the firmware says, else one made of /etc/machine-id",
        },
        BackendOption {
            name: "vendor",
            doc: "the maker; default what the firmware says",
        },
    ],
    open,
};

fn open(options: &BackendOptions) -> Result<Mfp, OpenBackendError> {
    let mut serial = told(options, "serial", "product_serial")?;
    if serial.is_empty() {
        serial =
            machine_id()
                .and_then(|id| derived(&id))
                .ok_or_else(|| OpenBackendError::Value {
                    option: "serial".to_owned(),
                    value: serial,
                    reason: "neither the firmware nor /etc/machine-id tells one; set it in the \
                         agent's configuration"
                        .to_owned(),
                })?;
    }
    let identity = DeviceIdentity {
        vendor: short(&told(options, "vendor", "sys_vendor")?),
        model: short(&told(options, "model", "product_name")?),
        serial: short(&serial),
        firmware: short(&table("bios_version")),
    };
    Ok(Mfp {
        scanner: Box::new(NoScanner),
        identity: Box::new(Host(identity)),
        settings: None,
    })
}

fn told(options: &BackendOptions, option: &str, name: &str) -> Result<String, OpenBackendError> {
    Ok(options.optional(option)?.unwrap_or_else(|| table(name)))
}

/// One line of the firmware's tables; empty when it cannot be read.
fn table(name: &str) -> String {
    let path = Path::new("/sys/class/dmi/id").join(name);
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn machine_id() -> Option<String> {
    std::fs::read_to_string("/etc/machine-id").ok()
}

/// A serial number for a machine whose firmware tells none, the same at each start. The id itself
/// never leaves the system, as machine-id(5) asks.
fn derived(machine_id: &str) -> Option<String> {
    let id = machine_id.trim().to_ascii_lowercase();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id || id.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let hash = Sha256::new_with_prefix("scantrip: serial number of a host").chain_update(id);
    let hash = hash.finalize();
    let digits = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
    Some(format!("host-{}", digits.collect::<String>()))
}

struct Host(DeviceIdentity);

impl IdentitySource for Host {
    fn identity(&self) -> DeviceIdentity {
        self.0.clone()
    }
}

struct NoScanner;

fn none() -> ScannerError {
    ScannerError {
        kind: ScannerErrorKind::Offline,
        message: short("this device has no scanner set up; choose a backend that drives one"),
    }
}

impl Scanner for NoScanner {
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
        Err(none())
    }

    fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
        Ok(ScannerStatus {
            state: ScannerState::Down,
            adf: None,
        })
    }

    fn start(&mut self, _settings: &ScanSettings) -> Result<(), ScannerError> {
        Err(none())
    }

    fn next_page(&mut self, _sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
        Err(none())
    }

    fn cancel(&mut self) -> Result<(), ScannerError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::derived;
    use crate::backends;
    use crate::scanner::ScannerErrorKind;

    #[test]
    fn a_device_without_a_scanner_says_so_and_still_has_a_name() {
        let options = [("serial", "S1"), ("vendor", "Example"), ("model", "X")];
        let options: BTreeMap<_, _> = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut mfp = backends::open("host", options).unwrap();
        assert_eq!(mfp.identity.identity().serial, "S1");
        let error = mfp.scanner.capabilities().unwrap_err();
        assert_eq!(error.kind, ScannerErrorKind::Offline);
        assert!(error.message.contains("no scanner"));
    }

    #[test]
    fn a_serial_number_is_made_of_the_systems_id_and_does_not_tell_it() {
        let id = "0123456789abcdef0123456789abcdef";
        let serial = derived(&format!("{id}\n")).unwrap();
        assert_eq!(serial, "host-107694b838a33964");
        assert_eq!(derived(&id.to_uppercase()), Some(serial));
        for none in ["", "uninitialized\n", &"0".repeat(32), "0123"] {
            assert_eq!(derived(none), None, "{none:?}");
        }
    }
}
