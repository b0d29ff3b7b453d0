//! Identity and security settings of the simulated MFP: a mixture of good and bad values, the bad
//! ones as they are often found.

use crate::identity::{DeviceIdentity, IdentitySource};
use crate::settings::{Setting, SettingsSource, Severity, Verdict};

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
#[derive(Clone, Copy, Debug)]
pub struct SimSettings;

impl SettingsSource for SimSettings {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        for row in &SETTINGS {
            let verdict = match row.verdict {
                Known::Secure => Verdict::Secure,
                Known::NotSecure => Verdict::NotSecure,
                Known::NotApplicable => Verdict::NotApplicable,
                Known::Unknown(reason) => Verdict::Unknown(short(reason)),
            };
            each(Setting {
                id: row.id,
                title: row.title,
                value: short(row.value),
                secure_value: row.secure_value,
                severity: row.severity,
                verdict,
                method: "simulated",
            });
        }
    }
}

/// As much of a text as fits.
fn short<const N: usize>(text: &str) -> heapless::String<N> {
    let mut short = heapless::String::new();
    for symbol in text.chars() {
        if short.push(symbol).is_err() {
            break;
        }
    }
    short
}

enum Known {
    Secure,
    NotSecure,
    NotApplicable,
    Unknown(&'static str),
}

struct Row {
    id: &'static str,
    title: &'static str,
    value: &'static str,
    secure_value: &'static str,
    severity: Severity,
    verdict: Known,
}

/// In the order of their ids.
const SETTINGS: [Row; 24] = [
    Row {
        id: "auth.admin_password_default",
        title: "Administrator password is the one from the factory",
        value: "false",
        secure_value: "false",
        severity: Severity::Critical,
        verdict: Known::Secure,
    },
    Row {
        id: "auth.lockout_tries",
        title: "Wrong passwords before an account is locked",
        value: "0",
        secure_value: "1 to 5",
        severity: Severity::High,
        verdict: Known::NotSecure,
    },
    Row {
        id: "auth.panel_logout_seconds",
        title: "Seconds until the panel signs a person out",
        value: "120",
        secure_value: "30 to 300",
        severity: Severity::Medium,
        verdict: Known::Secure,
    },
    Row {
        id: "auth.password_min_length",
        title: "Shortest password allowed",
        value: "8",
        secure_value: "12 or more",
        severity: Severity::High,
        verdict: Known::NotSecure,
    },
    Row {
        id: "auth.user_authentication",
        title: "People sign in at the panel",
        value: "external",
        secure_value: "not off",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "data.address_book_locked",
        title: "People cannot change the address book",
        value: "false",
        secure_value: "true",
        severity: Severity::Low,
        verdict: Known::NotSecure,
    },
    Row {
        id: "fw.secure_boot",
        title: "Firmware is checked when the device starts",
        value: "on",
        secure_value: "on",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "fw.update_verified",
        title: "Updates are installed only with a valid signature",
        value: "true",
        secure_value: "true",
        severity: Severity::Critical,
        verdict: Known::Secure,
    },
    Row {
        id: "fw.version_approved",
        title: "Firmware version is one that was approved",
        value: "",
        secure_value: "true",
        severity: Severity::High,
        verdict: Known::Unknown("no list of approved versions is set"),
    },
    Row {
        id: "log.audit_enabled",
        title: "Security events are logged",
        value: "true",
        secure_value: "true",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "log.remote_over_tls",
        title: "Logs are sent away over TLS",
        value: "false",
        secure_value: "true",
        severity: Severity::Medium,
        verdict: Known::NotSecure,
    },
    Row {
        id: "net.fax_separated",
        title: "Fax line and network are separated",
        value: "",
        secure_value: "true, or no fax",
        severity: Severity::Medium,
        verdict: Known::NotApplicable,
    },
    Row {
        id: "net.firewall",
        title: "Packets are filtered",
        value: "filter",
        secure_value: "filter",
        severity: Severity::Medium,
        verdict: Known::Secure,
    },
    Row {
        id: "net.ftp",
        title: "FTP server",
        value: "false",
        secure_value: "false",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "net.http_admin_plain",
        title: "Administration page over plain HTTP",
        value: "true",
        secure_value: "false",
        severity: Severity::High,
        verdict: Known::NotSecure,
    },
    Row {
        id: "net.raw_9100",
        title: "Printing over raw port 9100",
        value: "true",
        secure_value: "false, or filtered by address",
        severity: Severity::Medium,
        verdict: Known::NotSecure,
    },
    Row {
        id: "net.smb1",
        title: "SMB version 1",
        value: "false",
        secure_value: "false",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "net.snmp_default_community",
        title: "SNMP answers to a community name from the factory",
        value: "read",
        secure_value: "none",
        severity: Severity::Critical,
        verdict: Known::NotSecure,
    },
    Row {
        id: "net.telnet",
        title: "Telnet server",
        value: "false",
        secure_value: "false",
        severity: Severity::Critical,
        verdict: Known::Secure,
    },
    Row {
        id: "net.tls_min_version",
        title: "Oldest TLS version accepted",
        value: "1.2",
        secure_value: "1.2 or newer",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "storage.encryption",
        title: "Storage is encrypted",
        value: "all",
        secure_value: "all",
        severity: Severity::Critical,
        verdict: Known::Secure,
    },
    Row {
        id: "storage.temp_overwrite",
        title: "Temporary data is overwritten",
        value: "mode1",
        secure_value: "not off",
        severity: Severity::High,
        verdict: Known::Secure,
    },
    Row {
        id: "time.synchronised",
        title: "The clock is synchronised",
        value: "",
        secure_value: "true, within 1 s",
        severity: Severity::Medium,
        verdict: Known::Unknown("the time service did not answer"),
    },
    Row {
        id: "usb.storage_allowed",
        title: "USB storage can be used",
        value: "true",
        secure_value: "false",
        severity: Severity::Medium,
        verdict: Known::NotSecure,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Vec<Setting> {
        let mut settings = Vec::new();
        SimSettings.read(&mut |setting| settings.push(setting));
        settings
    }

    #[test]
    fn settings_come_in_the_order_of_their_ids() {
        let ids: Vec<_> = read().iter().map(|setting| setting.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
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
