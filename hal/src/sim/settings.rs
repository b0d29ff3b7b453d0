//! Identity and security settings of the simulated MFP: a mixture of good and bad values, the bad
//! ones as they are often found.

use crate::identity::{DeviceIdentity, IdentitySource};
use crate::printer::{PrinterState, PrinterStatus, Supply};
use crate::settings::{CATALOGUE, Method, Setting, SettingsSource, Why, short};

/// Who the simulated MFP says it is.
#[derive(Clone, Debug)]
pub struct SimIdentity {
    identity: DeviceIdentity,
}

impl SimIdentity {
    pub(super) fn new(serial: &str) -> Self {
        Self {
            identity: DeviceIdentity {
                vendor: short("ScanTrip"),
                model: short("Simulated MFP"),
                serial: short(serial),
                firmware: short(env!("CARGO_PKG_VERSION")),
            },
        }
    }
}

impl IdentitySource for SimIdentity {
    fn identity(&self) -> DeviceIdentity {
        self.identity.clone()
    }
}

/// The settings of the simulated MFP.
#[derive(Clone, Debug, Default)]
pub struct SimSettings {
    /// Values in the place of the usual ones, by id.
    pub(super) values: Vec<(String, String)>,
}

impl SettingsSource for SimSettings {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        let by_id = |id: &str| SETTINGS.iter().find(|(known, _)| *known == id);
        for row in CATALOGUE {
            let method = Method::Simulated;
            if let Some((_, value)) = self.values.iter().find(|(id, _)| id == row.id) {
                each(Setting::known(row, value, method, EVIDENCE, 0));
                continue;
            }
            let Some((_, reads)) = by_id(row.id) else {
                continue;
            };
            each(match *reads {
                Reads::Value(value) => Setting::known(row, value, method, EVIDENCE, 0),
                Reads::NotApplicable => Setting::not_applicable(row, method, EVIDENCE),
                Reads::Unknown(reason) => {
                    Setting::unknown(row, Why::NotAnswered, reason, method, EVIDENCE)
                }
            });
        }
    }

    fn printer(&mut self) -> Option<PrinterStatus> {
        let supply = |(name, kind, left): (&str, &str, u8)| Supply {
            name: name.to_owned(),
            kind: kind.to_owned(),
            left_percent: Some(left),
            is_low: left <= 10,
        };
        Some(PrinterStatus {
            state: PrinterState::Idle,
            reasons: vec!["toner-low-warning".to_owned()],
            supplies: SUPPLIES.into_iter().map(supply).collect(),
        })
    }
}

const SUPPLIES: [(&str, &str, u8); 3] = [
    ("Black Toner", "toner", 8),
    ("Waste Toner", "waste-toner", 60),
    ("Tray 1", "paper", 90),
];

const EVIDENCE: &str = "made up";

enum Reads {
    Value(&'static str),
    NotApplicable,
    Unknown(&'static str),
}

const SETTINGS: [(&str, Reads); 24] = [
    ("auth.admin_password_default", Reads::Value("false")),
    ("auth.lockout_tries", Reads::Value("0")),
    ("auth.panel_logout_seconds", Reads::Value("120")),
    ("auth.password_min_length", Reads::Value("8")),
    ("auth.user_authentication", Reads::Value("external")),
    ("data.address_book_locked", Reads::Value("false")),
    ("fw.secure_boot", Reads::Value("on")),
    ("fw.update_verified", Reads::Value("true")),
    (
        "fw.version_approved",
        Reads::Unknown("no list of approved versions is set"),
    ),
    ("log.audit_enabled", Reads::Value("true")),
    ("log.remote_over_tls", Reads::Value("false")),
    ("net.fax_separated", Reads::NotApplicable),
    ("net.firewall", Reads::Value("filter")),
    ("net.ftp", Reads::Value("false")),
    ("net.http_admin_plain", Reads::Value("true")),
    ("net.raw_9100", Reads::Value("true")),
    ("net.smb1", Reads::Value("false")),
    ("net.snmp_default_community", Reads::Value("read")),
    ("net.telnet", Reads::Value("false")),
    ("net.tls_min_version", Reads::Value("1.2")),
    ("storage.encryption", Reads::Value("all")),
    ("storage.temp_overwrite", Reads::Value("mode1")),
    (
        "time.synchronised",
        Reads::Unknown("the time service did not answer"),
    ),
    ("usb.storage_allowed", Reads::Value("true")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Row, Verdict};

    fn read() -> Vec<Setting> {
        let mut settings = Vec::new();
        SimSettings::default().read(&mut |setting| settings.push(setting));
        settings
    }

    #[test]
    fn settings_come_in_the_order_of_their_ids() {
        let ids: Vec<_> = read().iter().map(|setting| setting.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn each_is_in_the_catalogue() {
        assert!(SETTINGS.iter().all(|(id, _)| Row::find(id).is_some()));
        assert_eq!(read().len(), SETTINGS.len());
    }

    #[test]
    fn every_verdict_occurs() {
        let settings = read();
        let any = |wanted: fn(&Verdict) -> bool| settings.iter().any(|s| wanted(&s.verdict));
        assert!(any(|verdict| *verdict == Verdict::Secure));
        assert!(any(|verdict| *verdict == Verdict::NotSecure));
        assert!(any(|verdict| *verdict == Verdict::NotApplicable));
        assert!(any(|verdict| matches!(verdict, Verdict::Unknown(_))));
    }

    #[test]
    fn a_serial_number_too_long_is_cut() {
        let identity = SimIdentity::new(&"9".repeat(100)).identity();
        assert_eq!(identity.serial.len(), 48);
    }
}
