//! A reading in the terms of PWG 5110.1-2013, the imaging industry's health attributes.
//!
//! Attributes that nothing told are left out; `ForwardingEnabled` has a word for it. Each subsystem
//! of the standard is an object; ours reads the system as a whole.
//!
//! Told are 1 to 3, 20 to 22, 62, 104 and 201. Nothing on a device tells us the others: `VendorSMICode`
//! (4), `PSTNFaxEnabled` (40), `TimeSource` (50), `FirmwareName`, `FirmwarePatches` and
//! `FirmwareVersion` (60, 61, 63), the lists of applications (80 to 83, 100 to 103),
//! `UserApplicationPersistenceEnabled` (105) and `CertificationState` (200).

use serde::Serialize;

use super::diff::{config_state, state};
use super::expect::members;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_type_model: Option<String>,
    /// 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_name: Option<String>,
    /// 20: whether the administrator's password is that of the factory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_password_enabled: Option<bool>,
    /// 21: ports that are not blocked. The list says of every other port that nothing can be
    /// reached there, so it is told whole or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall_setting: Option<Vec<PortFilter>>,
    /// 22: `Disabled`, `Enabled` or `Unknown`.
    pub forwarding_enabled: &'static str,
    /// 62: of the device, else of what it prints with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_string_version: Option<String>,
    /// 104: whether applications of users may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_application_enabled: Option<bool>,
    /// 201: equal means unchanged.
    pub configuration_state: String,
}

/// An entry of a port filter (RFC 5792 section 4.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortFilter {
    /// Whether packets to it are dropped.
    pub blocked: bool,
    /// The number of the protocol: 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// The port's number.
    pub port: u16,
}

impl PortFilter {
    /// An open port from a word such as `tcp/443`.
    fn open(word: &str) -> Option<Self> {
        let (protocol, port) = word.split_once('/')?;
        let protocol = match protocol {
            "tcp" => 6,
            "udp" => 17,
            _ => return None,
        };
        let port = port.parse().ok()?;
        Some(Self {
            blocked: false,
            protocol,
            port,
        })
    }
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
    let named = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    Health {
        system: System {
            attributes_natural_language: "en",
            machine_type_model: named(&device.model),
            vendor_name: named(&device.vendor),
            default_password_enabled: truth("auth.admin_password_default"),
            firewall_setting: ports(known("net.firewall"), known("net.listening_ports")),
            forwarding_enabled: match truth("net.ip_forwarding") {
                Some(true) => "Enabled",
                Some(false) => "Disabled",
                None => "Unknown",
            },
            firmware_string_version: named(&device.firmware)
                .or_else(|| known("fw.version_approved")),
            user_application_enabled: truth("app.user_enabled"),
            configuration_state: config_state(readings),
        },
    }
}

/// The ports that are not blocked. A filter's rules are not read, and behind one a port that
/// listens may be blocked; a part of the ports (`+?`, `+12`) says nothing of the others.
fn ports(firewall: Option<String>, listening: Option<String>) -> Option<Vec<PortFilter>> {
    if firewall? != "off" {
        return None;
    }
    members(&listening?)
        .into_iter()
        .map(PortFilter::open)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::Severity;

    /// Every attribute of the standard that this says, with its number.
    const NUMBERS: [(&str, u32); 9] = [
        ("AttributesNaturalLanguage", 1),
        ("MachineTypeModel", 2),
        ("VendorName", 3),
        ("DefaultPasswordEnabled", 20),
        ("FirewallSetting", 21),
        ("ForwardingEnabled", 22),
        ("FirmwareStringVersion", 62),
        ("UserApplicationEnabled", 104),
        ("ConfigurationState", 201),
    ];

    fn reading(id: &str, value: &str) -> ReportSetting {
        ReportSetting {
            id: id.to_owned(),
            value: value.to_owned(),
            severity: Severity::Low,
            verdict: match value {
                "" => Verdict::Unknown,
                _ => Verdict::NotSecure,
            },
            reason: None,
        }
    }

    fn device() -> ReportDevice {
        ReportDevice {
            vendor: "V".to_owned(),
            model: "M".to_owned(),
            serial: "S".to_owned(),
            firmware: "1.2".to_owned(),
        }
    }

    fn system(device: &ReportDevice, readings: &[ReportSetting]) -> Value {
        serde_json::to_value(health(device, readings)).unwrap()["System"].take()
    }

    #[test]
    fn attributes_have_the_names_values_and_order_of_the_standard() {
        let readings = [
            reading("app.user_enabled", "true"),
            reading("auth.admin_password_default", "false"),
            reading("net.firewall", "off"),
            reading("net.ip_forwarding", "true"),
            reading("net.listening_ports", "tcp/443,udp/5353"),
        ];
        let told = system(&device(), &readings);
        let expected = json!({
            "AttributesNaturalLanguage": "en",
            "MachineTypeModel": "M",
            "VendorName": "V",
            "DefaultPasswordEnabled": false,
            "FirewallSetting": [
                { "Blocked": false, "Protocol": 6, "Port": 443 },
                { "Blocked": false, "Protocol": 17, "Port": 5353 },
            ],
            "ForwardingEnabled": "Enabled",
            "FirmwareStringVersion": "1.2",
            "UserApplicationEnabled": true,
            "ConfigurationState": config_state(&readings),
        });
        assert_eq!(told, expected);
        let text = serde_json::to_string(&health(&device(), &readings)).unwrap();
        let places = NUMBERS.map(|(name, _)| text.find(&format!("\"{name}\":")));
        assert!(places.is_sorted() && places[0].is_some(), "{text}");
        assert!(NUMBERS.is_sorted_by_key(|(_, number)| number));
    }

    #[test]
    fn what_nothing_told_is_left_out() {
        let readings = [reading("net.ip_forwarding", "")];
        let told = system(&ReportDevice::default(), &readings);
        let names: Vec<_> = told.as_object().unwrap().keys().collect();
        let always = [
            "AttributesNaturalLanguage",
            "ConfigurationState",
            "ForwardingEnabled",
        ];
        assert_eq!(names, always);
        assert_eq!(told["ForwardingEnabled"], "Unknown");
    }

    #[test]
    fn ports_are_told_only_when_each_is_known_and_none_may_be_filtered() {
        let told = |firewall, ports| {
            let readings = [
                reading("net.firewall", firewall),
                reading("net.listening_ports", ports),
            ];
            system(&device(), &readings)["FirewallSetting"].clone()
        };
        for (firewall, ports) in [
            ("off", "tcp/443,+?"),
            ("off", "tcp/443,+12"),
            ("off", "(hidden)"),
            ("off", ""),
            ("", "tcp/443"),
            ("filter", "tcp/443"),
        ] {
            assert_eq!(told(firewall, ports), Value::Null, "{firewall} {ports}");
        }
        assert_eq!(told("off", "none"), json!([]));
    }

    #[test]
    fn a_device_without_a_version_of_its_own_has_that_of_its_printer() {
        let mut device = device();
        let readings = [reading("fw.version_approved", "4.1")];
        assert_eq!(system(&device, &readings)["FirmwareStringVersion"], "1.2");
        device.firmware.clear();
        assert_eq!(system(&device, &readings)["FirmwareStringVersion"], "4.1");
    }
}
