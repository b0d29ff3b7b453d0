//! All sources of settings together, as the configuration names them. Where two tell of one
//! setting the worse value counts; what none can tell is unknown, with the reason.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::declared::{DeclareError, DeclaredSource};
use super::linux::LinuxSource;
use super::network::{NetworkOptions, NetworkSource, is_beside};
use super::vendor::{Mapping, MappingError, VendorSource};
use super::{CATALOGUE, Method, Setting, SettingsSource, Verdict, Why};
use crate::printer::PrinterStatus;

/// Which sources there are.
#[derive(Debug, Default)]
pub struct SourcesOptions {
    /// The root folder of the device's Linux, if its files are read.
    pub linux: Option<PathBuf>,
    /// Folders where this program keeps documents.
    pub documents: Vec<PathBuf>,
    /// What is asked over the network, if anything.
    pub network: Option<NetworkOptions>,
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
}

impl Sources {
    /// Sets up the sources.
    ///
    /// # Errors
    /// When a mapping cannot be read or something is declared that the device itself must tell.
    pub fn open(options: SourcesOptions) -> Result<Self, SourcesError> {
        let mut sources: Vec<Box<dyn SettingsSource>> = Vec::new();
        let device = options.network.as_ref().and_then(|it| it.device.clone());
        if let Some(root) = options.linux {
            sources.push(Box::new(LinuxSource::new(root, options.documents)));
        }
        if let Some(network) = options.network {
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
        Ok(Self { sources, device })
    }
}

/// Takes a reading of a device beside this machine in: that the one is good says nothing of the
/// other, of which it is not known.
fn merge_beside(settings: &mut BTreeMap<&'static str, Setting>, setting: Setting) {
    let of_device = matches!(
        setting.method,
        Method::Ipp | Method::Snmp | Method::Tls | Method::Port
    );
    let is_good = |it: &Setting| it.method == Method::Linux && it.verdict == Verdict::Secure;
    if of_device
        && matches!(setting.verdict, Verdict::Unknown(_))
        && settings.get(setting.id).is_some_and(is_good)
    {
        let _this_machine = settings.insert(setting.id, setting);
    } else {
        super::merge(settings, setting);
    }
}

impl SettingsSource for Sources {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        let ids: Vec<&str> = CATALOGUE.iter().map(|row| row.id).collect();
        self.read_some(&ids, each);
    }

    fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
        let mut settings = BTreeMap::new();
        let merge = match self.device.as_deref().is_some_and(is_beside) {
            true => merge_beside,
            false => super::merge,
        };
        for source in &mut self.sources {
            source.read_some(ids, &mut |setting| merge(&mut settings, setting));
        }
        for row in CATALOGUE.iter().filter(|row| ids.contains(&row.id)) {
            each(settings.remove(row.id).unwrap_or_else(|| {
                let method = row.methods.first().copied().unwrap_or(Method::Vendor);
                Setting::unknown(row, Why::NotSupported, row.how_to_know(), method, "")
            }));
        }
    }

    fn printer(&mut self) -> Option<PrinterStatus> {
        let mut sources = self.sources.iter_mut();
        sources.find_map(|source| source.printer())
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

    /// Tells that only a few ports were tried.
    struct Tried;

    impl SettingsSource for Tried {
        fn read(&mut self, each: &mut dyn FnMut(Setting)) {
            let row = Row::find("net.listening_ports").unwrap();
            let detail = "some were tried";
            each(Setting::partial(
                row,
                "tcp/443",
                detail,
                Method::Port,
                ("here", 0),
            ));
        }
    }

    #[test]
    fn this_machine_does_not_vouch_for_a_device_beside_it() {
        for (device, is_known) in [("192.0.2.77", false), ("127.0.0.1", true)] {
            let linux = Fixed("net.listening_ports", "tcp/631", Method::Linux);
            let mut sources = Sources {
                sources: vec![Box::new(linux), Box::new(Tried)],
                device: Some(device.to_owned()),
            };
            let mut verdict = None;
            sources.read_some(&["net.listening_ports"], &mut |it| {
                verdict = Some(it.verdict);
            });
            let secure = verdict == Some(Verdict::Secure);
            assert_eq!(secure, is_known, "{device}: {verdict:?}");
        }
    }
}
