//! A reading in the terms of PWG 5110.1-2013, the imaging industry's health attributes.
//!
//! Attributes that the device did not tell are left out. Each subsystem of the standard is an
//! object; ours reads the system as a whole.

use serde::Serialize;

use super::diff::{config_state, state};
use crate::wire::{ReportDevice, ReportSetting, Verdict};

/// A device's attributes. Names are those of the standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// The subsystem `System`.
    pub system: System,
}

/// The attributes of the whole device; their numbers are those of the standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct System {
    /// 1: language of the texts, RFC 5646.
    pub attributes_natural_language: &'static str,
    /// 2.
    pub machine_type_model: String,
    /// 3.
    pub vendor_name: String,
    /// 20: whether the administrator's password is that of the factory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_password_enabled: Option<bool>,
    /// 21: each port that is open, as `tcp/443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_setting: Option<Firewall>,
    /// 22: `Disabled`, `Enabled` or `Unknown`.
    pub forwarding_enabled: &'static str,
    /// 61.
    pub firmware_string_version: String,
    /// 104: whether applications of users may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_application_enabled: Option<bool>,
    /// 201: equal means unchanged.
    pub configuration_state: String,
}

/// What is told of the firewall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Firewall {
    /// Whether packets are filtered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtering: Option<bool>,
    /// Ports that are not blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<Vec<String>>,
}

/// The attributes of a device.
#[must_use]
pub fn health(device: &ReportDevice, readings: &[ReportSetting]) -> Health {
    let known = |id: &str| {
        let reading = readings.iter().find(|reading| reading.id == id)?;
        let told = match reading.verdict {
            Verdict::NotApplicable => false,
            Verdict::Unknown => !reading.value.is_empty(),
            _ => true,
        };
        told.then(|| state(reading))
    };
    let truth = |id: &str| known(id)?.parse::<bool>().ok();
    let filtering = known("net.firewall").map(|value| value != "off");
    let open = known("net.listening_ports");
    // How many more there are is no port.
    let open = open.map(|list| {
        super::expect::members(&list)
            .into_iter()
            .filter(|port| !port.starts_with('+'))
            .map(str::to_owned)
            .collect()
    });
    Health {
        system: System {
            attributes_natural_language: "en",
            machine_type_model: device.model.clone(),
            vendor_name: device.vendor.clone(),
            default_password_enabled: truth("auth.admin_password_default"),
            firewall_setting: (filtering.is_some() || open.is_some())
                .then_some(Firewall { filtering, open }),
            forwarding_enabled: match truth("net.ip_forwarding") {
                Some(true) => "Enabled",
                Some(false) => "Disabled",
                None => "Unknown",
            },
            firmware_string_version: device.firmware.clone(),
            user_application_enabled: truth("app.user_enabled"),
            configuration_state: config_state(readings),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Severity;

    #[test]
    fn attributes_have_the_names_of_the_standard_and_unknown_ones_are_left_out() {
        let reading = |id: &str, value: &str, verdict| ReportSetting {
            id: id.to_owned(),
            value: value.to_owned(),
            severity: Severity::Low,
            verdict,
            reason: None,
        };
        let device = ReportDevice {
            vendor: "V".to_owned(),
            model: "M".to_owned(),
            serial: "S".to_owned(),
            firmware: "1.2".to_owned(),
        };
        let readings = [
            reading("auth.admin_password_default", "false", Verdict::Secure),
            reading("net.ip_forwarding", "", Verdict::Unknown),
            reading(
                "net.listening_ports",
                "tcp/443,tcp/9100,+?",
                Verdict::NotSecure,
            ),
        ];
        let text = serde_json::to_string(&health(&device, &readings)).unwrap();
        let state = config_state(&readings);
        assert_eq!(
            text,
            format!(
                "{{\"System\":{{\"AttributesNaturalLanguage\":\"en\",\"MachineTypeModel\":\"M\",\
                 \"VendorName\":\"V\",\"DefaultPasswordEnabled\":false,\
                 \"FirewallSetting\":{{\"Open\":[\"tcp/443\",\"tcp/9100\"]}},\
                 \"ForwardingEnabled\":\"Unknown\",\"FirmwareStringVersion\":\"1.2\",\
                 \"ConfigurationState\":\"{state}\"}}}}"
            )
        );
    }
}
