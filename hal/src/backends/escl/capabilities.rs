//! `ScannerCapabilities` (eSCL section 8.1.4): what a device says it can do.

use super::xml::{self, Element, XmlError};
use crate::scanner::{
    ColorMode, DocumentFormat, MediaSize, ScannerCapabilities, SourceCapabilities,
};
use crate::sorted::sorted;

/// Resolutions that people ask for; a device that offers a range offers those of them within it.
const USUAL_DPI: [u16; 10] = [75, 100, 150, 200, 240, 300, 400, 600, 1200, 2400];
/// A region without limits in the document: what any office device takes.
const USUAL_MAX: MediaSize = MediaSize {
    width: 2480,
    height: 3508,
};
/// No paper is longer than 100 m; sums of sizes stay far from overflow.
const SIZE_MAX: u32 = 360_000;

/// What a device says it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// The version of eSCL that it speaks, such as `2.63`.
    pub(crate) version: String,
    /// Maker and model in one.
    pub(crate) model: String,
    /// The maker, where it is told apart.
    pub(crate) manufacturer: String,
    /// The serial number.
    pub(crate) serial: String,
    /// The device's UUID.
    pub(crate) uuid: String,
    /// Where people set it up.
    pub(crate) admin_url: String,
    /// The glass.
    pub(crate) platen: Option<InputCaps>,
    /// The feeder, one side.
    pub(crate) adf_simplex: Option<InputCaps>,
    /// The feeder, both sides.
    pub(crate) adf_duplex: Option<InputCaps>,
    /// Sheets that the feeder holds; 0 when not told.
    pub(crate) feeder_capacity: u32,
    /// Whether narrow paper lies in the middle of the feeder.
    pub(crate) adf_centered: bool,
}

/// What one source can do (`InputSourceCaps`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputCaps {
    /// The smallest region.
    pub(crate) min: MediaSize,
    /// The largest region.
    pub(crate) max: MediaSize,
    /// How far a region may begin from the left.
    pub(crate) x_offset_max: u32,
    /// Whether `Document` is among the intents, or none is told.
    pub(crate) knows_document_intent: bool,
    /// What may be combined.
    pub(crate) profiles: Vec<Profile>,
}

/// Color modes, formats and resolutions that may be combined (`SettingProfile`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Color modes that we know.
    pub(crate) color_modes: Vec<ColorMode>,
    /// Formats that we know, from `DocumentFormat` and `DocumentFormatExt`.
    pub(crate) formats: Vec<DocumentFormat>,
    /// Whether formats stand in `DocumentFormatExt` (eSCL 2.1 and later).
    pub(crate) has_format_ext: bool,
    /// Resolutions; a color mode of its own where the device says so (Xerox B235).
    pub(crate) resolutions: Vec<(Option<ColorMode>, Vec<u16>)>,
}

impl Capabilities {
    /// Reads the document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = xml::parse(bytes)?;
        if root.name != "ScannerCapabilities" {
            return Err(XmlError::Malformed(0));
        }
        let text = |name: &str| root.text_of(name).unwrap_or_default().to_owned();
        let caps = |part: Option<&Element>, name: &str| {
            let part = part?.child(name)?;
            Some(InputCaps::read(part, &root))
        };
        let adf = root.child("Adf");
        let centered = adf
            .and_then(|adf| adf.child("Justification"))
            .and_then(|it| it.text_of("XImagePosition"))
            .is_some_and(|place| place.eq_ignore_ascii_case("Center"));
        Ok(Self {
            version: text("Version"),
            model: text("MakeAndModel"),
            manufacturer: text("Manufacturer"),
            serial: text("SerialNumber"),
            uuid: text("UUID"),
            admin_url: text("AdminURI"),
            platen: caps(root.child("Platen"), "PlatenInputCaps"),
            adf_simplex: caps(adf, "AdfSimplexInputCaps"),
            adf_duplex: caps(adf, "AdfDuplexInputCaps"),
            feeder_capacity: adf
                .and_then(|adf| adf.number("FeederCapacity"))
                .unwrap_or(0),
            adf_centered: centered,
        })
    }

    /// What the rest of the program needs to know. Both sides of the feeder are told as one, with
    /// the limits of one side; [`super::settings`] keeps to those of the job.
    pub(crate) fn scanner(&self) -> ScannerCapabilities {
        let adf = self.adf_simplex.as_ref().or(self.adf_duplex.as_ref());
        ScannerCapabilities {
            platen: self.platen.as_ref().map(InputCaps::source),
            adf: adf.map(InputCaps::source),
            adf_duplex: self.adf_duplex.is_some(),
        }
    }
}

impl InputCaps {
    fn read(part: &Element, root: &Element) -> Self {
        let size = |name: &str| part.number(name).filter(|it| (1..SIZE_MAX).contains(it));
        let intents = part.child("SupportedIntents");
        let knows_document_intent = intents.is_none_or(|intents| {
            ["Intent", "SupportedIntent"]
                .iter()
                .flat_map(|name| intents.children(name))
                .any(|intent| intent.text == "Document")
        });
        // What stands for the whole device counts for a source that says nothing of its own.
        let own = part.child("SettingProfiles");
        let mut profiles: Vec<Profile> = own
            .or_else(|| root.child("SettingProfiles"))
            .into_iter()
            .flat_map(|it| it.children("SettingProfile"))
            .map(|profile| Profile::read(referred(profile, root)))
            .collect();
        if profiles.is_empty() {
            profiles.push(Profile::default());
        }
        for profile in &mut profiles {
            profile.complete();
        }
        Self {
            min: MediaSize {
                width: size("MinWidth").unwrap_or(0),
                height: size("MinHeight").unwrap_or(0),
            },
            max: MediaSize {
                width: size("MaxWidth").unwrap_or(USUAL_MAX.width),
                height: size("MaxHeight").unwrap_or(USUAL_MAX.height),
            },
            x_offset_max: size("MaxXOffset").unwrap_or(0),
            knows_document_intent,
            profiles,
        }
    }

    /// All that the profiles offer, without what may be combined.
    fn source(&self) -> SourceCapabilities {
        let modes = [
            ColorMode::Rgb24,
            ColorMode::Grayscale8,
            ColorMode::BlackAndWhite1,
        ];
        let formats = [
            DocumentFormat::Jpeg,
            DocumentFormat::Pdf,
            DocumentFormat::Tiff,
        ];
        let has_mode = |mode: &ColorMode| self.profiles.iter().any(|it| it.offers(*mode));
        let has_format =
            |format: &DocumentFormat| self.profiles.iter().any(|it| it.formats.contains(format));
        let resolutions = self.profiles.iter().flat_map(|it| it.resolutions.iter());
        let all = sorted(resolutions.flat_map(|(_, list)| list.iter().copied()));
        // Sixteen are kept: those that people ask for first.
        let (usual, other): (Vec<u16>, Vec<_>) =
            all.into_iter().partition(|dpi| USUAL_DPI.contains(dpi));
        let dpi = sorted(usual.into_iter().chain(other).take(16));
        SourceCapabilities {
            max: self.max,
            color_modes: modes.into_iter().filter(has_mode).collect(),
            resolutions_dpi: dpi.into_iter().take(16).collect(),
            formats: formats.into_iter().filter(has_format).collect(),
        }
    }
}

impl Profile {
    fn read(profile: &Element) -> Self {
        let color_modes = profile
            .child("ColorModes")
            .map(|modes| modes.children("ColorMode"))
            .into_iter()
            .flatten()
            .filter_map(|mode| color_mode(&mode.text))
            .collect();
        let mut formats = Vec::new();
        let mut has_format_ext = false;
        if let Some(list) = profile.child("DocumentFormats") {
            has_format_ext = list.child("DocumentFormatExt").is_some();
            for name in ["DocumentFormat", "DocumentFormatExt"] {
                formats.extend(list.children(name).filter_map(|it| format(&it.text)));
            }
        }
        let resolutions = profile
            .children("SupportedResolutions")
            .map(|block| {
                let mode = block.text_of("ColorMode").and_then(color_mode);
                (mode, resolutions(block))
            })
            .collect();
        Self {
            color_modes,
            formats,
            has_format_ext,
            resolutions,
        }
    }

    /// What the document leaves out is what the standard says of every device.
    fn complete(&mut self) {
        if self.color_modes.is_empty() {
            self.color_modes = vec![ColorMode::Rgb24, ColorMode::Grayscale8];
        }
        if self.formats.is_empty() {
            self.formats.push(DocumentFormat::Jpeg);
        }
        self.resolutions.retain(|(_, list)| !list.is_empty());
        if self.resolutions.is_empty() {
            self.resolutions.push((None, vec![300]));
        }
    }

    fn offers(&self, mode: ColorMode) -> bool {
        self.color_modes.contains(&mode)
    }

    /// The resolutions in that color mode.
    pub(crate) fn resolutions_in(&self, mode: ColorMode) -> Vec<u16> {
        let of = |wanted: Option<ColorMode>| {
            let blocks = self.resolutions.iter().filter(move |it| it.0 == wanted);
            blocks.flat_map(|(_, list)| list.iter().copied())
        };
        let own: Vec<u16> = of(Some(mode)).chain(of(None)).collect();
        if own.is_empty() {
            let all = self.resolutions.iter();
            return all.flat_map(|(_, list)| list.iter().copied()).collect();
        }
        own
    }
}

/// The profile that stands elsewhere under a name, if this one only refers to it.
fn referred<'a>(profile: &'a Element, root: &'a Element) -> &'a Element {
    let Some(name) = profile.attribute("ref") else {
        return profile;
    };
    let named = root.below("SettingProfile").into_iter();
    named
        .filter(|it| it.attribute("name") == Some(name))
        .find(|it| it.attribute("ref").is_none())
        .unwrap_or(profile)
}

/// Pairs with the same number both ways: of others the picture would be stretched.
fn resolutions(block: &Element) -> Vec<u16> {
    let discrete = block.below("DiscreteResolution").into_iter();
    let mut list: Vec<u16> = discrete
        .filter_map(|pair| {
            let across = pair.number("XResolution")?;
            let same = pair.number("YResolution").is_none_or(|it| it == across);
            u16::try_from(across).ok().filter(|dpi| same && *dpi > 0)
        })
        .collect();
    for range in block.below("ResolutionRange") {
        let limit = |name: &str| {
            let axis = |axis: &str| range.child(axis).and_then(|it| it.number(name));
            (axis("XResolutionRange"), axis("YResolutionRange"))
        };
        let (x, y) = limit("Min");
        let told = x.max(y);
        let low = told.unwrap_or(75);
        let (x, y) = limit("Max");
        let high = x.unwrap_or(600).min(y.unwrap_or(u32::MAX));
        let (x, y) = limit("Step");
        let step = x.unwrap_or(1).max(y.unwrap_or(1)).max(1);
        let within = USUAL_DPI
            .into_iter()
            .filter(|dpi| (low..=high).contains(&u32::from(*dpi)));
        let on_step = |dpi: &u16| u32::from(*dpi).abs_diff(low).is_multiple_of(step);
        // Steps from nowhere, or that lead to nothing usual, are not meant so.
        let leads_on = |dpi: u16| u32::from(dpi) > low && dpi <= 600 && on_step(&dpi);
        match told.is_some() && within.clone().any(leads_on) {
            true => list.extend(within.filter(on_step)),
            false => list.extend(within),
        }
    }
    list
}

fn color_mode(text: &str) -> Option<ColorMode> {
    Some(match text {
        "RGB24" => ColorMode::Rgb24,
        "Grayscale8" => ColorMode::Grayscale8,
        "BlackAndWhite1" => ColorMode::BlackAndWhite1,
        _ => return None,
    })
}

fn format(text: &str) -> Option<DocumentFormat> {
    Some(match text.to_ascii_lowercase().as_str() {
        "image/jpeg" | "image/jpg" => DocumentFormat::Jpeg,
        "application/pdf" => DocumentFormat::Pdf,
        "image/tiff" => DocumentFormat::Tiff,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
