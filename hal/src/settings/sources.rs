//! All sources of settings together, as the configuration names them. Where two tell of one
//! setting the worse value counts; what none can tell is unknown, with the reason.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::declared::{DeclareError, DeclaredSource};
use super::linux::LinuxSource;
use super::network::{Community, CommunityError, NetworkOptions, NetworkSource, is_beside};
use super::vendor::{Mapping, MappingError, VendorSource};
use super::{CATALOGUE, Method, Revision, Row, Setting, SettingsSource, Verdict, Why};
use crate::printer::PrinterStatus;

/// Which sources there are.
#[derive(Default)]
pub struct SourcesOptions {
    /// Host of the device, when it may be another machine than this one.
    pub device: Option<String>,
    /// The root folder of the device's Linux, if its files are read.
    pub linux: Option<PathBuf>,
    /// Folders where this program keeps documents.
    pub documents: Vec<PathBuf>,
    /// What is asked over the network, if anything.
    pub network: Option<NetworkOptions>,
    /// The file with the community that SNMP is read with, if it is not that of the factory.
    pub community: Option<PathBuf>,
    /// Where the vendor's settings are exported to, if they are read.
    pub vendor: Option<VendorOptions>,
    /// What the operator declares, by id.
    pub declared: BTreeMap<String, String>,
}

/// Settings that the vendor's interface exports.
#[derive(Debug)]
pub struct VendorOptions {
    /// The file with names and values.
    pub export: PathBuf,
    /// The file that says what they mean; `None`: the one for Konica Minolta.
    pub mapping: Option<PathBuf>,
}

/// The sources cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourcesError {
    /// The community cannot be used.
    #[error("settings.snmp_community_file")]
    Community(#[from] CommunityError),
    /// Something is declared that cannot be.
    #[error("settings.declared")]
    Declared(#[from] DeclareError),
    /// The mapping cannot be used.
    #[error("cannot use the mapping of the vendor's settings")]
    Mapping(#[from] MappingError),
}

/// Reads every setting of the catalogue.
pub struct Sources {
    sources: Vec<Box<dyn SettingsSource>>,
    /// Host of the device, when it may be another machine than this one.
    device: Option<String>,
    /// Whether the vendor's export is read.
    has_export: bool,
}

impl Sources {
    /// Sets up the sources.
    ///
    /// # Errors
    /// When a mapping or the community cannot be read or something is declared that the device itself must tell.
    pub fn open(options: SourcesOptions) -> Result<Self, SourcesError> {
        let mut sources: Vec<Box<dyn SettingsSource>> = Vec::new();
        let has_export = options.vendor.is_some();
        if let Some(root) = options.linux {
            sources.push(Box::new(LinuxSource::new(root, options.documents)));
        }
        if let Some(mut network) = options.network {
            if let Some(path) = options.community {
                network.community = Some(Community::load(&path)?);
            }
            sources.push(Box::new(NetworkSource::new(network)));
        }
        if let Some(vendor) = options.vendor {
            let mapping = match vendor.mapping {
                Some(path) => Mapping::load(&path)?,
                None => Mapping::konica_minolta()?,
            };
            sources.push(Box::new(VendorSource::new(vendor.export, mapping)));
        }
        sources.push(Box::new(DeclaredSource::new(options.declared)?));
        Ok(Self {
            sources,
            device: options.device,
            has_export,
        })
    }
}

/// Whether a reading is of another machine than the device beside this one. What is bad here is
/// told: this machine has the device's documents in its hands. All else says nothing of the device.
fn is_of_this_machine(setting: &Setting) -> bool {
    setting.method == Method::Linux && setting.verdict != Verdict::NotSecure
}

impl SettingsSource for Sources {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        let ids: Vec<&str> = CATALOGUE.iter().map(|row| row.id).collect();
        self.read_some(&ids, each);
    }

    fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
        let mut settings = BTreeMap::new();
        let is_beside = self.device.as_deref().is_some_and(is_beside);
        for source in &mut self.sources {
            source.read_some(ids, &mut |setting| {
                if !(is_beside && is_of_this_machine(&setting)) {
                    super::merge(&mut settings, setting);
                }
            });
        }
        for row in CATALOGUE.iter().filter(|row| ids.contains(&row.id)) {
            each(settings.remove(row.id).unwrap_or_else(|| {
                let method = row.methods.first().copied().unwrap_or(Method::Vendor);
                let detail = how_to_know(row, self.has_export);
                Setting::unknown(row, Why::NotSupported, detail, method, "")
            }));
        }
    }

    fn printer(&mut self) -> Option<PrinterStatus> {
        let mut sources = self.sources.iter_mut();
        sources.find_map(|source| source.printer())
    }

    fn revision(&mut self) -> Revision {
        let told = self.sources.iter_mut().map(|source| source.revision());
        let mut revision = told.fold(Revision::default(), Revision::or);
        if self.device.as_deref().is_some_and(is_beside) {
            // A restart of this machine is none of the device.
            revision.boot_id = None;
        }
        revision
    }
}

/// What the operator can do about a setting that no source told.
fn how_to_know(row: &Row, has_export: bool) -> &'static str {
    if !has_export || !row.methods.contains(&Method::Vendor) {
        return row.how_to_know();
    }
    match row.methods.contains(&Method::Declared) {
        true => {
            "the mapping of the vendor's export lacks it; you may declare it; see [settings.declared]"
        }
        false => "the mapping of the vendor's export lacks it; see [settings] vendor_mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Row;

    struct Fixed(&'static str, &'static str, Method);

    impl SettingsSource for Fixed {
        fn read(&mut self, each: &mut dyn FnMut(Setting)) {
            let row = Row::find(self.0).unwrap();
            each(Setting::known(row, self.1, self.2, "here", 0));
        }
    }

    #[test]
    fn every_setting_is_told_once_in_order_and_the_worse_counts() {
        let mut sources = Sources {
            sources: vec![
                Box::new(Fixed("net.telnet", "true", Method::Linux)),
                Box::new(Fixed("net.telnet", "false", Method::Port)),
            ],
            device: None,
            has_export: false,
        };
        let mut settings = Vec::new();
        sources.read(&mut |it| settings.push(it));
        let ids: Vec<_> = settings.iter().map(|it| it.id).collect();
        assert_eq!(ids, CATALOGUE.iter().map(|it| it.id).collect::<Vec<_>>());
        let telnet = settings.iter().find(|it| it.id == "net.telnet").unwrap();
        assert_eq!(telnet.verdict, Verdict::NotSecure);
        assert_eq!(telnet.evidence, "conflict: port says false; here");
        let rest = settings.iter().filter(|it| it.id != "net.telnet");
        for setting in rest {
            let Verdict::Unknown(unknown) = &setting.verdict else {
                panic!("{} is known", setting.id);
            };
            assert!(unknown.detail.contains("tell") || unknown.detail.contains("declare"));
        }
    }

    #[test]
    fn with_an_export_nobody_is_told_to_configure_one() {
        let detail = |export: bool, id: &str| {
            let vendor = export.then(|| VendorOptions {
                export: "/nowhere/export".into(),
                mapping: None,
            });
            let options = SourcesOptions {
                vendor,
                ..SourcesOptions::default()
            };
            let mut told = String::new();
            let mut sources = Sources::open(options).unwrap();
            sources.read_some(&[id], &mut |it| {
                if let Verdict::Unknown(unknown) = &it.verdict {
                    told = unknown.detail.as_str().to_owned();
                }
            });
            told
        };
        for id in ["app.user_enabled", "storage.wipe_ready"] {
            assert!(detail(false, id).contains("the vendor's export may tell it"));
            let told = detail(true, id);
            assert!(
                told.contains("the mapping of the vendor's export lacks it"),
                "{told}"
            );
            assert!(
                told.ends_with(']') || told.ends_with("vendor_mapping"),
                "{told}"
            );
        }
    }

    /// Tells that only a few ports were tried.
    struct Tried;

    impl SettingsSource for Tried {
        fn read(&mut self, each: &mut dyn FnMut(Setting)) {
            let row = Row::find("net.listening_ports").unwrap();
            let detail = "some were tried";
            each(Setting::partial(
                row,
                "tcp/631",
                detail,
                Method::Port,
                ("here", 0),
            ));
        }
    }

    #[test]
    fn this_machine_does_not_vouch_for_a_device_beside_it() {
        for (id, linux, by_network, beside, here) in [
            ("net.listening_ports", "tcp/631", true, None, Some(true)),
            // Nothing tells it of the device.
            ("net.ip_forwarding", "false", false, None, Some(true)),
            ("storage.encryption", "all", false, None, Some(true)),
            ("net.ip_forwarding", "true", false, Some(false), Some(false)),
        ] {
            for (device, wanted) in [("192.0.2.77", beside), ("127.0.0.1", here)] {
                let linux = Box::new(Fixed(id, linux, Method::Linux));
                let mut sources = Sources {
                    sources: vec![linux],
                    device: Some(device.to_owned()),
                    has_export: false,
                };
                if by_network {
                    sources.sources.push(Box::new(Tried));
                }
                let mut told = Vec::new();
                sources.read_some(&[id], &mut |it| told.push(it));
                let [setting] = told.as_slice() else {
                    panic!("{told:?}");
                };
                let is_secure = match setting.verdict {
                    Verdict::Secure => Some(true),
                    Verdict::NotSecure => Some(false),
                    Verdict::Unknown(_) | Verdict::NotApplicable => None,
                };
                assert_eq!(is_secure, wanted, "{device}: {setting:?}");
            }
        }
    }

    /// Tells this.
    struct Told(Setting);

    impl SettingsSource for Told {
        fn read(&mut self, each: &mut dyn FnMut(Setting)) {
            each(self.0.clone());
        }
    }

    #[test]
    fn what_this_machine_lacks_or_cannot_judge_is_none_of_a_device_beside_it() {
        let row = |id| Row::find(id).unwrap();
        let linux = Method::Linux;
        for setting in [
            Setting::not_applicable(row("net.wifi_direct"), linux, "no radio"),
            // A policy would take the value.
            Setting::unjudged(row("fw.version_approved"), "1.2", "policy", linux, "here"),
        ] {
            let ids = [setting.id];
            let mut sources = Sources {
                sources: vec![Box::new(Told(setting))],
                device: Some("192.0.2.77".to_owned()),
                has_export: false,
            };
            let mut told = Vec::new();
            sources.read_some(&ids, &mut |it| told.push(it));
            let verdict = &told[0].verdict;
            assert!(matches!(verdict, Verdict::Unknown(_)), "{told:?}");
            assert_eq!(told[0].value, "");
        }
    }

    #[test]
    fn a_device_beside_is_known_without_the_network_too() {
        let options = SourcesOptions {
            device: Some("192.0.2.77".to_owned()),
            ..SourcesOptions::default()
        };
        let sources = Sources::open(options).unwrap();
        assert_eq!(sources.device.as_deref(), Some("192.0.2.77"));
    }

    /// Tells of a restart in one of two ways.
    struct Started(Revision);

    impl SettingsSource for Started {
        fn read(&mut self, _each: &mut dyn FnMut(Setting)) {}

        fn revision(&mut self) -> Revision {
            self.0.clone()
        }
    }

    #[test]
    fn a_restart_of_this_machine_is_none_of_a_device_beside_it() {
        let up = Some(super::super::Uptime {
            by: "hrSystemUptime",
            seconds: 9,
        });
        for (device, here) in [("192.0.2.77", None), ("127.0.0.1", Some("a"))] {
            let linux = Revision {
                boot_id: Some("a".to_owned()),
                ..Revision::default()
            };
            let network = Revision {
                up,
                ..Revision::default()
            };
            let mut sources = Sources {
                sources: vec![Box::new(Started(linux)), Box::new(Started(network))],
                device: Some(device.to_owned()),
                has_export: false,
            };
            let told = sources.revision();
            assert_eq!((told.boot_id.as_deref(), told.up), (here, up), "{device}");
        }
    }
}
