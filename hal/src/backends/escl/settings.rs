//! `ScanSettings` (eSCL section 7): what is asked of the device, clamped to what it offers.

use std::fmt::Write as _;

use super::capabilities::{Capabilities, InputCaps, Profile};
use super::xml::escaped;
use crate::scanner::{ColorMode, DocumentFormat, InputSource, MediaSize, ScanSettings};

/// The newest version that this code was written from; a device is not told of a newer one.
const VERSION_MAX: (u32, u32) = (2, 97);

/// What is asked of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The device's own version of eSCL.
    version: String,
    /// Whether the source knows the intent `Document`.
    intent: bool,
    /// Whether formats are told twice (eSCL 2.1).
    format_ext: bool,
    /// How far from the left the region begins.
    x_offset: u32,
    /// The settings, within the limits of the source.
    pub(crate) settings: ScanSettings,
}

/// The settings as the device can do them, or why it cannot.
pub(crate) fn clamp(caps: &Capabilities, wish: &ScanSettings) -> Result<Ticket, &'static str> {
    let source = source(caps, wish)?;
    let size = wish.media;
    let told = caps.scanner();
    let told = match wish.source {
        InputSource::Platen => told.platen,
        InputSource::Adf => told.adf,
    };
    let told = told.ok_or("the scanner has no such source")?;
    if size.width == 0
        || size.height == 0
        || size.width > told.max.width
        || size.height > told.max.height
    {
        return Err("the region is empty or too large");
    }
    let Some(profile) = profile(source, wish) else {
        return Err("this color mode, resolution or format is not offered");
    };
    // Both sides may have narrower limits than one (HP ScanJet 4500).
    let media = MediaSize {
        width: size
            .width
            .clamp(source.min.width.min(source.max.width), source.max.width),
        height: size
            .height
            .clamp(source.min.height.min(source.max.height), source.max.height),
    };
    let centered = caps.adf_centered && wish.source == InputSource::Adf;
    let x_offset = if centered {
        ((source.max.width - media.width) / 2).min(source.x_offset_max)
    } else {
        0
    };
    let (color_mode, resolution_dpi, format) = profile.nearest(wish);
    Ok(Ticket {
        version: version(&caps.version),
        intent: source.knows_document_intent,
        format_ext: profile.has_format_ext || at_least(&caps.version, (2, 1)),
        x_offset,
        settings: ScanSettings {
            color_mode,
            resolution_dpi,
            format,
            media,
            ..*wish
        },
    })
}

impl Ticket {
    /// What to ask when the device refuses black and white: gray, which every device has, as
    /// NAPS2 does. None if this was something else.
    pub(crate) fn in_gray(&self) -> Option<Self> {
        (self.settings.color_mode == ColorMode::BlackAndWhite1).then(|| Self {
            settings: ScanSettings {
                color_mode: ColorMode::Grayscale8,
                format: DocumentFormat::Jpeg,
                ..self.settings
            },
            ..self.clone()
        })
    }

    /// The document. Children stand in the order that devices are known to take.
    pub(crate) fn to_xml(&self) -> String {
        let settings = &self.settings;
        let source = match settings.source {
            InputSource::Platen => "Platen",
            InputSource::Adf => "Feeder",
        };
        let mode = match settings.color_mode {
            ColorMode::BlackAndWhite1 => "BlackAndWhite1",
            ColorMode::Grayscale8 => "Grayscale8",
            ColorMode::Rgb24 => "RGB24",
        };
        let format = settings.format.media_type();
        let mut out = String::with_capacity(1536);
        out.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <scan:ScanSettings xmlns:scan=\"http://schemas.hp.com/imaging/escl/2011/05/03\" \
             xmlns:pwg=\"http://www.pwg.org/schemas/2010/12/sm\">\n",
        );
        let mut line = |text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        line(&format!(
            "<pwg:Version>{}</pwg:Version>",
            escaped(&self.version)
        ));
        if self.intent {
            line("<scan:Intent>Document</scan:Intent>");
        }
        line("<pwg:ScanRegions><pwg:ScanRegion>");
        line("<pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>");
        line(&format!(
            "<pwg:XOffset>{}</pwg:XOffset><pwg:YOffset>0</pwg:YOffset>",
            self.x_offset
        ));
        line(&format!("<pwg:Width>{}</pwg:Width>", settings.media.width));
        line(&format!(
            "<pwg:Height>{}</pwg:Height>",
            settings.media.height
        ));
        line("</pwg:ScanRegion></pwg:ScanRegions>");
        line(&format!("<pwg:InputSource>{source}</pwg:InputSource>"));
        line(&format!("<scan:ColorMode>{mode}</scan:ColorMode>"));
        line(&format!(
            "<pwg:DocumentFormat>{format}</pwg:DocumentFormat>"
        ));
        if self.format_ext {
            line(&format!(
                "<scan:DocumentFormatExt>{format}</scan:DocumentFormatExt>"
            ));
        }
        for axis in ["X", "Y"] {
            let dpi = settings.resolution_dpi;
            line(&format!(
                "<scan:{axis}Resolution>{dpi}</scan:{axis}Resolution>"
            ));
        }
        if settings.source == InputSource::Adf {
            line(&format!("<scan:Duplex>{}</scan:Duplex>", settings.duplex));
        }
        let _infallible = writeln!(out, "</scan:ScanSettings>");
        out
    }
}

fn source<'a>(caps: &'a Capabilities, wish: &ScanSettings) -> Result<&'a InputCaps, &'static str> {
    let (source, missing) = match (wish.source, wish.duplex) {
        (InputSource::Platen, true) => return Err("the glass takes one side"),
        (InputSource::Platen, false) => (caps.platen.as_ref(), "the scanner has no glass"),
        (InputSource::Adf, true) => (caps.adf_duplex.as_ref(), "the feeder takes one side only"),
        (InputSource::Adf, false) => {
            let one_side = caps.adf_simplex.as_ref().or(caps.adf_duplex.as_ref());
            (one_side, "the scanner has no feeder")
        }
    };
    source.ok_or(missing)
}

/// The profile that fits best; none if color mode, resolution or format is in no profile at all.
fn profile<'a>(source: &'a InputCaps, wish: &ScanSettings) -> Option<&'a Profile> {
    let all = || source.profiles.iter();
    let offered = all().any(|it| it.color_modes.contains(&wish.color_mode))
        && all().any(|it| it.formats.contains(&wish.format))
        && all().any(|it| {
            let mut blocks = it.resolutions.iter();
            blocks.any(|(_, list)| list.contains(&wish.resolution_dpi))
        });
    // The color mode matters most: a wrong one cannot be mended later.
    let fit = |it: &&Profile| {
        let dpi = it
            .resolutions_in(wish.color_mode)
            .contains(&wish.resolution_dpi);
        let mode = it.color_modes.contains(&wish.color_mode);
        (mode, it.formats.contains(&wish.format), dpi)
    };
    all().max_by_key(fit).filter(|_| offered)
}

impl Profile {
    /// The wish, each part replaced by the nearest that this profile has.
    fn nearest(&self, wish: &ScanSettings) -> (ColorMode, u16, DocumentFormat) {
        let mode = match self.color_modes.contains(&wish.color_mode) {
            true => wish.color_mode,
            false => self.color_modes.first().copied().unwrap_or(wish.color_mode),
        };
        let dpi = self
            .resolutions_in(mode)
            .into_iter()
            .min_by_key(|dpi| dpi.abs_diff(wish.resolution_dpi))
            .unwrap_or(wish.resolution_dpi);
        let format = match self.formats.contains(&wish.format) {
            true => wish.format,
            false => self.formats.first().copied().unwrap_or(wish.format),
        };
        (mode, dpi, format)
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn at_least(version: &str, least: (u32, u32)) -> bool {
    // 2.6 and 2.63 are written so; 2.10 was never seen.
    numbers(version).is_some_and(|known| known >= least)
}

fn version(told: &str) -> String {
    match numbers(told) {
        Some(known) if known <= VERSION_MAX => told.to_owned(),
        Some(_) => format!("{}.{}", VERSION_MAX.0, VERSION_MAX.1),
        None => "2.0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    fn caps() -> Capabilities {
        let source = |width: u32, height: u32, modes: &str| {
            format!(
                "<MinWidth>300</MinWidth><MaxWidth>{width}</MaxWidth><MaxHeight>{height}</MaxHeight>\
                 <MaxXOffset>400</MaxXOffset><SettingProfiles><SettingProfile><ColorModes>{modes}\
                 </ColorModes><SupportedResolutions><DiscreteResolutions><DiscreteResolution>\
                 <XResolution>300</XResolution></DiscreteResolution><DiscreteResolution>\
                 <XResolution>600</XResolution></DiscreteResolution></DiscreteResolutions>\
                 </SupportedResolutions></SettingProfile></SettingProfiles>"
            )
        };
        let modes = "<ColorMode>RGB24</ColorMode><ColorMode>BlackAndWhite1</ColorMode>";
        let text = format!(
            "<ScannerCapabilities><Version>2.63</Version><Adf>\
             <AdfSimplexInputCaps>{}</AdfSimplexInputCaps>\
             <AdfDuplexInputCaps>{}</AdfDuplexInputCaps>\
             <Justification><XImagePosition>Center</XImagePosition></Justification></Adf>\
             </ScannerCapabilities>",
            source(2600, 36_600, modes),
            source(2600, 4200, modes),
        );
        Capabilities::parse(text.as_bytes()).unwrap()
    }

    fn wish() -> ScanSettings {
        ScanSettings {
            source: InputSource::Adf,
            duplex: false,
            color_mode: ColorMode::Rgb24,
            resolution_dpi: 300,
            media: MediaSize::A4,
            format: DocumentFormat::Jpeg,
        }
    }

    #[test]
    fn what_is_asked_is_xml_in_the_order_that_devices_take() {
        let ticket = clamp(&caps(), &wish()).unwrap();
        let text = ticket.to_xml();
        let root = xml::parse(text.as_bytes()).unwrap();
        assert_eq!(root.text_of("Version"), Some("2.63"));
        assert_eq!(root.text_of("Duplex"), Some("false"));
        assert_eq!(
            root.below("XOffset")[0].text,
            "60",
            "narrow paper lies in the middle"
        );
        let order = [
            "Version",
            "Intent",
            "ScanRegions",
            "InputSource",
            "ColorMode",
            "DocumentFormat>",
            "DocumentFormatExt",
            "XResolution",
            "YResolution",
            "Duplex",
        ];
        let places: Vec<_> = order.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn both_sides_keep_to_their_own_limits() {
        let long = ScanSettings {
            duplex: true,
            media: MediaSize {
                width: 100,
                height: 30_000,
            },
            ..wish()
        };
        let media = clamp(&caps(), &long).unwrap().settings.media;
        assert_eq!((media.width, media.height), (300, 4200));
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let refused = |wish: ScanSettings| clamp(&caps(), &wish).unwrap_err();
        let platen = ScanSettings {
            source: InputSource::Platen,
            ..wish()
        };
        assert!(refused(platen).contains("no glass"));
        let dpi = ScanSettings {
            resolution_dpi: 301,
            ..wish()
        };
        assert!(refused(dpi).contains("not offered"));
        let gray = ScanSettings {
            color_mode: ColorMode::Grayscale8,
            ..wish()
        };
        assert!(refused(gray).contains("not offered"));
        let wide = ScanSettings {
            media: MediaSize {
                width: 2601,
                height: 1,
            },
            ..wish()
        };
        assert!(refused(wide).contains("too large"));
    }

    #[test]
    fn black_and_white_may_become_gray_and_nothing_else() {
        let bw = ScanSettings {
            color_mode: ColorMode::BlackAndWhite1,
            ..wish()
        };
        let gray = clamp(&caps(), &bw).unwrap().in_gray().unwrap();
        assert_eq!(gray.settings.color_mode, ColorMode::Grayscale8);
        assert_eq!(clamp(&caps(), &wish()).unwrap().in_gray(), None);
    }

    #[test]
    fn a_device_is_not_told_of_a_version_that_it_or_we_do_not_know() {
        for (told, asked) in [
            ("2.63", "2.63"),
            ("2.0", "2.0"),
            ("3.1", "2.97"),
            ("new", "2.0"),
        ] {
            assert_eq!(version(told), asked);
        }
        assert!(at_least("2.63", (2, 1)) && !at_least("2.0", (2, 1)));
    }
}
