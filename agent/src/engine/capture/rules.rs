//! Which settings a scan uses.

use std::cmp::Reverse;

use scantrip_cloud_client::wire::ScanRules;
use scantrip_hal::scanner::{
    ColorMode, DocumentFormat, InputSource, MediaSize, ScanSettings, ScannerCapabilities,
    SourceCapabilities,
};

use crate::api::{Refusal, ScanRequest};
use crate::engine::fields::invalid;
use crate::journal::ScanMemo;

/// Unless workflow or person say otherwise: readable by people and by text recognition.
const RESOLUTION_DPI: u16 = 300;

/// The settings: what the person asked for, else what the workflow says, else what the scanner has;
/// always within what the workflow allows and the scanner can do. With them, in words, what is done
/// instead of what the workflow says and this scanner cannot.
pub(super) fn settings(
    rules: Option<&ScanRules>,
    request: &ScanRequest,
    can: &ScannerCapabilities,
) -> Result<(ScanSettings, Option<String>), Refusal> {
    let mut reachable = rules.cloned().unwrap_or_default();
    let mut instead = Vec::new();
    // Who names the glass allows one side.
    let names_glass = reachable.sources.iter().any(|it| it == "platen");
    let wants_both_sides = reachable.duplex == Some(true) && !names_glass;
    if !reachable.must {
        instead.extend(nearest_source(&mut reachable.sources, can));
    }
    let source = source(&reachable, request, can)?;
    let abilities = abilities(can, source);
    let Some(abilities) = abilities else {
        let message = match source {
            _ if can.adf.is_none() && can.platen.is_none() => {
                "this device offers neither feeder nor glass"
            }
            InputSource::Adf => "this device has no feeder; use the source `platen`",
            InputSource::Platen => "this device has no glass; use the source `adf`",
        };
        return Err(invalid(message.to_owned()));
    };
    if !reachable.must {
        instead.extend(nearest_color_mode(&mut reachable.color_modes, abilities));
        instead.extend(nearest_resolution(
            &mut reachable.resolutions_dpi,
            abilities,
        ));
    }
    let rules = &reachable;
    if wants_both_sides && can.adf.is_none() && request.duplex.is_none() {
        if rules.must {
            return Err(invalid(
                "the workflow wants both sides of each sheet, which this device's glass cannot scan"
                    .to_owned(),
            ));
        }
        instead.push("one side at a time instead of both".to_owned());
    }
    let duplex = match source {
        InputSource::Platen => false,
        InputSource::Adf => request.duplex.or(rules.duplex).unwrap_or(false),
    };
    if duplex && !can.adf_duplex {
        return Err(invalid(
            "this device's feeder takes one side only; scan one side (`--simplex`)".to_owned(),
        ));
    }
    let media = MediaSize::A4;
    let settings = ScanSettings {
        source,
        duplex,
        color_mode: color_mode(rules, request, abilities)?,
        resolution_dpi: resolution(rules, request, abilities)?,
        media: MediaSize {
            width: media.width.min(abilities.max.width),
            height: media.height.min(abilities.max.height),
        },
        format: match abilities.formats.contains(&DocumentFormat::Jpeg) {
            true => DocumentFormat::Jpeg,
            false => abilities
                .formats
                .first()
                .copied()
                .unwrap_or(DocumentFormat::Jpeg),
        },
    };
    let instead = (!instead.is_empty()).then(|| {
        let list = instead.join(", ");
        format!("this device cannot do all that the workflow asks for: {list}")
    });
    Ok((settings, instead))
}

fn nearest_source(rule: &mut Vec<String>, can: &ScannerCapabilities) -> Option<String> {
    let both = [
        can.adf.as_ref().map(|_| "adf"),
        can.platen.as_ref().map(|_| "platen"),
    ];
    let has: Vec<String> = both.into_iter().flatten().map(str::to_owned).collect();
    let (wish, nearest) = nearest(rule, &has, |_| 0)?;
    let place = |name: &str| match name {
        "adf" => "the feeder",
        _ => "the glass",
    };
    let (wish, nearest) = (place(&wish), place(&nearest));
    Some(format!("from {nearest} instead of {wish}"))
}

fn nearest_color_mode(rule: &mut Vec<String>, can: &SourceCapabilities) -> Option<String> {
    let has: Vec<String> = can
        .color_modes
        .iter()
        .map(|mode| color_name(*mode).to_owned())
        .collect();
    let rank = |name: &String| COLOR_NAMES.iter().position(|it| it == name).unwrap_or(0);
    let (wish, nearest) = nearest(rule, &has, rank)?;
    Some(format!("in {nearest} instead of {wish}"))
}

fn nearest_resolution(rule: &mut Vec<u16>, can: &SourceCapabilities) -> Option<String> {
    let (wish, nearest) = nearest(rule, &can.resolutions_dpi, |dpi| usize::from(*dpi))?;
    Some(format!("with {nearest} dpi instead of {wish} dpi"))
}

/// Adds the nearest that a device has to a rule of which it has nothing; the rule's first value and
/// that. Of two that are equally near, the one that keeps more of the page.
fn nearest<T: Clone + PartialEq>(
    rule: &mut Vec<T>,
    has: &[T],
    rank: impl Fn(&T) -> usize,
) -> Option<(T, T)> {
    let wish = rule.first()?.clone();
    if rule.iter().any(|it| has.contains(it)) {
        return None;
    }
    let distance = |it: &&T| (rank(it).abs_diff(rank(&wish)), Reverse(rank(it)));
    let nearest = has.iter().min_by_key(distance)?.clone();
    rule.push(nearest.clone());
    Some((wish, nearest))
}

/// A request for more pages like those there are, of which perhaps only the pages are known: what they
/// show may be none of what can be asked for, for devices deliver another resolution than they were asked
/// for (Canon iR2625, Lexmark CX310).
pub(super) fn as_far_as_possible(
    rules: Option<&ScanRules>,
    request: &ScanRequest,
    can: &ScannerCapabilities,
) -> ScanRequest {
    let mut request = request.clone();
    let rule = rules.map_or(&[][..], |rules| &rules.resolutions_dpi);
    let offered = [&can.adf, &can.platen].into_iter().flatten();
    let is_offered = |dpi: &u16| offered.clone().any(|it| it.resolutions_dpi.contains(dpi));
    request.resolution_dpi = request
        .resolution_dpi
        .filter(|dpi| is_offered(dpi) && (rule.is_empty() || rule.contains(dpi)));
    // The workflow may have changed since.
    let allows = |list: fn(&ScanRules) -> &Vec<String>, word: &String| {
        rules.is_none_or(|rules| list(rules).is_empty() || list(rules).contains(word))
    };
    request.source = request
        .source
        .filter(|it| allows(|rules| &rules.sources, it));
    request.color_mode = request
        .color_mode
        .filter(|it| allows(|rules| &rules.color_modes, it));
    request
}

/// The request that leads to the same settings again.
pub(super) fn request(settings: &ScanSettings) -> ScanRequest {
    again(&memo(settings))
}

/// What is remembered of settings.
#[must_use]
pub fn memo(settings: &ScanSettings) -> ScanMemo {
    ScanMemo {
        source: source_name(settings.source).to_owned(),
        duplex: settings.duplex,
        color_mode: color_name(settings.color_mode).to_owned(),
        resolution_dpi: settings.resolution_dpi,
        doubtful: None,
    }
}

/// The request that leads to what is remembered.
pub(super) fn again(memo: &ScanMemo) -> ScanRequest {
    ScanRequest {
        source: Some(memo.source.clone()),
        duplex: Some(memo.duplex),
        color_mode: Some(memo.color_mode.clone()),
        resolution_dpi: Some(memo.resolution_dpi),
        ..ScanRequest::default()
    }
}

fn source(
    rules: &ScanRules,
    request: &ScanRequest,
    can: &ScannerCapabilities,
) -> Result<InputSource, Refusal> {
    let has = |name: &&String| match name.as_str() {
        "adf" => can.adf.is_some(),
        "platen" => can.platen.is_some(),
        _ => true,
    };
    let mut sources = rules.sources.iter();
    let wanted = sources.clone().find(has).or_else(|| sources.next());
    let name = match (&request.source, wanted) {
        (Some(name), _) => {
            allowed(&rules.sources, name, "source")?;
            name
        }
        (None, Some(name)) => name,
        (None, None) if can.adf.is_some() => "adf",
        (None, None) => "platen",
    };
    match name {
        "adf" => Ok(InputSource::Adf),
        "platen" => Ok(InputSource::Platen),
        other => Err(invalid(format!(
            "there is no source `{other}`; use `adf` or `platen`"
        ))),
    }
}

fn color_mode(
    rules: &ScanRules,
    request: &ScanRequest,
    can: &SourceCapabilities,
) -> Result<ColorMode, Refusal> {
    let has = |name: &&String| {
        let mut modes = can.color_modes.iter();
        modes.any(|mode| color_name(*mode) == *name)
    };
    let mut modes = rules.color_modes.iter();
    let wanted = modes.clone().find(has).or_else(|| modes.next());
    let name = match (&request.color_mode, wanted) {
        (Some(name), _) => {
            allowed(&rules.color_modes, name, "colour mode")?;
            name
        }
        (None, Some(name)) => name,
        (None, None) => return Ok(can.color_modes.first().copied().unwrap_or(ColorMode::Rgb24)),
    };
    let all = [
        ColorMode::Rgb24,
        ColorMode::Grayscale8,
        ColorMode::BlackAndWhite1,
    ];
    let Some(mode) = all.into_iter().find(|mode| color_name(*mode) == name) else {
        let message = format!("there is no colour mode `{name}`; use `color`, `gray` or `bw`");
        return Err(invalid(message));
    };
    if !can.color_modes.contains(&mode) {
        return Err(invalid(format!("this device cannot scan in `{name}`")));
    }
    Ok(mode)
}

fn resolution(
    rules: &ScanRules,
    request: &ScanRequest,
    can: &SourceCapabilities,
) -> Result<u16, Refusal> {
    let rule = &rules.resolutions_dpi;
    let has = |dpi: &&u16| can.resolutions_dpi.contains(dpi);
    let first = rule.iter().find(has).or_else(|| rule.first());
    let wanted = request.resolution_dpi.or_else(|| first.copied());
    if let (Some(asked), false) = (request.resolution_dpi, rule.is_empty())
        && !rule.contains(&asked)
    {
        let list = list(rule);
        return Err(invalid(format!(
            "the workflow does not allow {asked} dpi; it allows {list}"
        )));
    }
    let possible = &can.resolutions_dpi;
    match wanted {
        Some(wanted) if !possible.contains(&wanted) => {
            let list = list(possible);
            Err(invalid(format!(
                "this device cannot scan at {wanted} dpi; it can do {list}"
            )))
        }
        Some(wanted) => Ok(wanted),
        // The nearest that the scanner has.
        None => Ok(possible
            .iter()
            .copied()
            .min_by_key(|dpi| dpi.abs_diff(RESOLUTION_DPI))
            .unwrap_or(RESOLUTION_DPI)),
    }
}

fn allowed(rule: &[String], name: &str, what: &str) -> Result<(), Refusal> {
    if rule.is_empty() || rule.iter().any(|allowed| allowed == name) {
        return Ok(());
    }
    let list = rule.join(", ");
    Err(invalid(format!(
        "the workflow does not allow the {what} `{name}`; it allows {list}"
    )))
}

fn list(numbers: &[u16]) -> String {
    let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

const fn abilities(can: &ScannerCapabilities, source: InputSource) -> Option<&SourceCapabilities> {
    match source {
        InputSource::Platen => can.platen.as_ref(),
        InputSource::Adf => can.adf.as_ref(),
    }
}

const fn source_name(source: InputSource) -> &'static str {
    match source {
        InputSource::Platen => "platen",
        InputSource::Adf => "adf",
    }
}

/// The color modes as people write them, from the least to the most of a page.
const COLOR_NAMES: [&str; 3] = ["bw", "gray", "color"];

/// A color mode as people write it.
pub const fn color_name(mode: ColorMode) -> &'static str {
    match mode {
        ColorMode::Rgb24 => "color",
        ColorMode::Grayscale8 => "gray",
        ColorMode::BlackAndWhite1 => "bw",
    }
}
