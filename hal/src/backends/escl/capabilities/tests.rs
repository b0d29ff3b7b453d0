use proptest::prelude::*;

use super::*;

fn wrapped(inner: &str) -> Capabilities {
    let text = format!(
        "<scan:ScannerCapabilities xmlns:scan='http://schemas.hp.com/imaging/escl/2011/05/03' \
         xmlns:pwg='http://www.pwg.org/schemas/2010/12/sm'>{inner}</scan:ScannerCapabilities>"
    );
    Capabilities::parse(text.as_bytes()).unwrap()
}

fn platen(inner: &str) -> InputCaps {
    let text = format!("<Platen><PlatenInputCaps>{inner}</PlatenInputCaps></Platen>");
    wrapped(&text).platen.unwrap()
}

fn profile(inner: &str) -> Profile {
    let text =
        format!("<SettingProfiles><SettingProfile>{inner}</SettingProfile></SettingProfiles>");
    platen(&text).profiles.remove(0)
}

#[test]
fn what_is_left_out_is_as_every_device_has_it() {
    let caps = wrapped("<Platen><PlatenInputCaps/></Platen>");
    let source = caps.scanner().platen.unwrap();
    assert_eq!(source.formats, [DocumentFormat::Jpeg]);
    assert_eq!(source.resolutions_dpi, [300]);
    assert_eq!(source.max, MediaSize::A4);
    assert!(caps.scanner().adf.is_none());
}

#[test]
fn a_profile_of_the_whole_device_counts_for_a_source_without_one() {
    let profile = |mode: &str, dpi: u16| {
        format!(
            "<SettingProfiles><SettingProfile><ColorModes><ColorMode>{mode}</ColorMode>\
             </ColorModes><SupportedResolutions><DiscreteResolutions><DiscreteResolution>\
             <XResolution>{dpi}</XResolution></DiscreteResolution></DiscreteResolutions>\
             </SupportedResolutions></SettingProfile></SettingProfiles>"
        )
    };
    let caps = wrapped(&format!(
        "{}<Platen><PlatenInputCaps/></Platen><Adf><AdfSimplexInputCaps>{}\
         </AdfSimplexInputCaps></Adf>",
        profile("Grayscale8", 200),
        profile("RGB24", 600)
    ));
    let (platen, adf) = (caps.scanner().platen.unwrap(), caps.scanner().adf.unwrap());
    assert_eq!(platen.color_modes, [ColorMode::Grayscale8]);
    assert_eq!(platen.resolutions_dpi, [200]);
    assert_eq!(adf.color_modes, [ColorMode::Rgb24]);
    assert_eq!(adf.resolutions_dpi, [600]);
}

#[test]
fn a_feeder_alone_is_a_scanner() {
    let caps = wrapped(
        "<Adf><AdfSimplexInputCaps><MaxHeight>36600</MaxHeight></AdfSimplexInputCaps>\
         <AdfDuplexInputCaps><MaxHeight>4200</MaxHeight></AdfDuplexInputCaps>\
         <FeederCapacity>50</FeederCapacity>\
         <Justification><XImagePosition>Center</XImagePosition></Justification></Adf>",
    );
    let scanner = caps.scanner();
    assert!(scanner.platen.is_none() && scanner.adf_duplex);
    assert_eq!(scanner.adf.unwrap().max.height, 36_600);
    assert_eq!(caps.adf_duplex.unwrap().max.height, 4200);
    assert!(caps.adf_centered);
}

#[test]
fn a_wrong_namespace_and_strange_numbers_do_no_harm() {
    let caps = wrapped(
        "<scan:Manufacturer>Xerox</scan:Manufacturer><x:Version xmlns:x='urn:x'>2.6</x:Version>\
         <scan:Platen><scan:PlatenInputCaps><scan:MaxWidth>-5</scan:MaxWidth>\
         <scan:MaxHeight>99999999999</scan:MaxHeight></scan:PlatenInputCaps></scan:Platen>",
    );
    assert_eq!(
        (caps.manufacturer.as_str(), caps.version.as_str()),
        ("Xerox", "2.6")
    );
    assert_eq!(caps.platen.unwrap().max, USUAL_MAX);
}

#[test]
fn non_square_resolutions_are_not_offered() {
    let pair = |x: u32, y: u32| {
        format!(
            "<DiscreteResolution><XResolution>{x}</XResolution><YResolution>{y}</YResolution>\
             </DiscreteResolution>"
        )
    };
    let pairs = pair(200, 100) + &pair(200, 200) + &pair(600, 600) + &pair(70_000, 70_000);
    let profile = profile(&format!(
        "<SupportedResolutions><DiscreteResolutions>{pairs}</DiscreteResolutions></SupportedResolutions>"
    ));
    assert_eq!(profile.resolutions_in(ColorMode::Rgb24), [200, 600]);
}

#[test]
fn a_range_offers_the_usual_resolutions_within() {
    let offered = |step: &str| {
        let range = format!(
            "<SupportedResolutions><ResolutionRange>\
             <XResolutionRange><Min>100</Min><Max>600</Max>{step}</XResolutionRange>\
             <YResolutionRange><Min>100</Min><Max>400</Max>{step}</YResolutionRange>\
             </ResolutionRange></SupportedResolutions>"
        );
        profile(&range).resolutions_in(ColorMode::Rgb24)
    };
    assert_eq!(offered("<Step>1</Step>"), [100, 150, 200, 240, 300, 400]);
    assert_eq!(offered("<Step>50</Step>"), [100, 150, 200, 300, 400]);
    // What cannot be meant.
    for step in ["", "<Step>0</Step>", "<Step>x</Step>"] {
        assert_eq!(offered(step).len(), 6, "{step}");
    }
}

#[test]
fn steps_that_lead_to_no_usual_resolution_are_passed_over() {
    for (range, count) in [
        ("<Min>70</Min><Max>600</Max><Step>1000</Step>", 8),
        // Nothing but its low end, or what nobody asks for.
        ("<Min>75</Min><Max>600</Max><Step>100</Step>", 8),
        ("<Min>75</Min><Max>1200</Max><Step>1125</Step>", 9),
        // Steps from where?
        ("<Max>600</Max><Step>75</Step>", 8),
        ("<Min>75</Min><Max>600</Max><Step>75</Step>", 4),
        ("<Min>300</Min><Max>300</Max><Step>1</Step>", 1),
    ] {
        let text = format!(
            "<SupportedResolutions><ResolutionRange><XResolutionRange>{range}</XResolutionRange>\
             </ResolutionRange></SupportedResolutions>"
        );
        let offered = profile(&text).resolutions_in(ColorMode::Rgb24);
        assert_eq!(offered.len(), count, "{range}");
    }
}

#[test]
fn a_color_mode_has_the_resolutions_of_its_own_block() {
    let block = |mode: &str, dpi: u32| {
        format!(
            "<SupportedResolutions><ColorMode>{mode}</ColorMode><DiscreteResolutions>\
             <DiscreteResolution><XResolution>{dpi}</XResolution></DiscreteResolution>\
             </DiscreteResolutions></SupportedResolutions>"
        )
    };
    let both = block("RGB24", 300) + &block("BlackAndWhite1", 600);
    let profile = profile(&both);
    assert_eq!(profile.resolutions_in(ColorMode::Rgb24), [300]);
    assert_eq!(profile.resolutions_in(ColorMode::BlackAndWhite1), [600]);
    assert_eq!(profile.resolutions_in(ColorMode::Grayscale8), [300, 600]);
}

#[test]
fn a_profile_may_stand_elsewhere_under_a_name() {
    let caps = wrapped(
        "<SettingProfiles><SettingProfile name='p'><ColorModes><ColorMode>Grayscale8</ColorMode>\
         </ColorModes></SettingProfile></SettingProfiles><Platen><PlatenInputCaps>\
         <SettingProfiles><SettingProfile ref='p'/></SettingProfiles></PlatenInputCaps></Platen>",
    );
    let source = caps.scanner().platen.unwrap();
    assert_eq!(source.color_modes, [ColorMode::Grayscale8]);
}

#[test]
fn of_many_resolutions_sixteen_are_kept_with_the_usual_ones() {
    let pairs: String = (51..90)
        .chain([300, 600])
        .map(|dpi| {
            format!("<DiscreteResolution><XResolution>{dpi}</XResolution></DiscreteResolution>")
        })
        .collect();
    let caps = platen(&format!(
        "<SettingProfiles><SettingProfile><SupportedResolutions>{pairs}</SupportedResolutions>\
         </SettingProfile></SettingProfiles>"
    ));
    let dpi = caps.source().resolutions_dpi;
    assert_eq!(dpi.len(), 16);
    assert!(dpi.is_sorted() && dpi.contains(&75) && dpi.contains(&300) && dpi.contains(&600));
}

proptest! {
    #[test]
    fn whatever_is_read_offers_something_of_everything(
        numbers in proptest::collection::vec(any::<u64>(), 4),
        names in proptest::collection::vec("[A-Za-z0-9/]{0,16}", 4),
    ) {
        let [a, b, c, d] = numbers[..] else { unreachable!() };
        let caps = platen(&format!(
            "<MaxWidth>{a}</MaxWidth><MinHeight>{b}</MinHeight><SettingProfiles><SettingProfile>\
             <ColorModes><ColorMode>{}</ColorMode></ColorModes><DocumentFormats>\
             <DocumentFormat>{}</DocumentFormat></DocumentFormats><SupportedResolutions>\
             <DiscreteResolution><XResolution>{c}</XResolution><YResolution>{d}</YResolution>\
             </DiscreteResolution></SupportedResolutions></SettingProfile></SettingProfiles>",
            names[0], names[1],
        ));
        let source = caps.source();
        prop_assert!(!source.color_modes.is_empty() && !source.formats.is_empty());
        prop_assert!(!source.resolutions_dpi.is_empty() && source.max.width > 0);
    }
}
