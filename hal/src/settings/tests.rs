//! Tests of the value types and of the catalogue as a whole.

use super::*;

fn row(id: &str) -> &'static Row {
    Row::find(id).unwrap()
}

#[test]
fn ids_are_unique_and_sorted() {
    assert!(CATALOGUE.is_sorted_by(|a, b| a.id < b.id));
}

#[test]
fn every_line_says_what_it_is_and_how_to_mend_it() {
    for row in CATALOGUE {
        assert!(
            !row.title.is_empty() && !row.secure_value.is_empty(),
            "{}",
            row.id
        );
        assert!(
            !row.reference.is_empty() && !row.methods.is_empty(),
            "{}",
            row.id
        );
        assert!(row.remedy.ends_with('.'), "{}", row.id);
        assert!(
            !row.remedy.trim_end_matches('.').contains(". "),
            "{}",
            row.id
        );
    }
}

#[test]
fn a_title_names_its_setting_and_claims_nothing() {
    const CLAIMS: [&str; 6] = ["is", "are", "can", "cannot", "may", "must"];
    let truths = |row: &&Row| matches!(row.kind, Kind::Bool | Kind::Choice(_));
    for row in CATALOGUE.iter().filter(truths) {
        let claims = row.title.split(' ').any(|word| CLAIMS.contains(&word));
        assert!(
            !claims,
            "{} contradicts a bad value of {}",
            row.title, row.id
        );
    }
}

#[test]
fn rules_name_values_of_the_right_shape() {
    for row in CATALOGUE {
        match row.rule {
            Rule::Is(value) => assert!(row.fits(value), "{}", row.id),
            Rule::OneOf(values) => assert!(values.iter().all(|it| row.fits(it)), "{}", row.id),
            Rule::Between(..) => assert_eq!(row.kind, Kind::Int, "{}", row.id),
            Rule::Within(_) | Rule::Beyond(_) => assert_eq!(row.kind, Kind::Set, "{}", row.id),
            Rule::DaysAhead(_) => assert_eq!(row.kind, Kind::Time, "{}", row.id),
            Rule::Probe | Rule::Policy => {}
        }
    }
}

#[test]
fn values_must_be_canonical() {
    for (id, good, bad) in [
        ("net.telnet", "true", "yes"),
        ("auth.lockout_tries", "3", "03"),
        ("storage.encryption", "all", "some"),
        ("net.listening_ports", "tcp/22,tcp/80", "tcp/80,tcp/22"),
        ("fw.version_approved", "1.2", ""),
        ("net.listening_ports", "tcp/22", "tcp/22,tcp/22"),
        ("net.listening_ports", "", "tcp/22,"),
        ("net.listening_ports", "tcp/22,tcp/80", ",tcp/80"),
        ("net.cert_expires", "2027-01-31T00:00:00Z", "1700000000"),
    ] {
        assert!(row(id).fits(good), "{good}");
        assert!(!row(id).fits(bad), "{bad}");
        let setting = Setting::known(row(id), bad, Method::Vendor, "x", 0);
        assert!(matches!(setting.verdict, Verdict::Unknown(_)), "{bad}");
        assert_eq!(setting.value, "");
    }
}

#[test]
fn values_are_judged_at_their_bounds() {
    for (id, value, secure) in [
        ("auth.lockout_tries", "0", false),
        ("auth.lockout_tries", "1", true),
        ("auth.lockout_tries", "5", true),
        ("auth.lockout_tries", "6", false),
        ("auth.ipp_methods", "none,requesting-user-name", false),
        ("auth.ipp_methods", "basic,none", true),
        ("net.tls_weak_ciphers", "", true),
        ("net.tls_weak_ciphers", "rc4", false),
        ("net.discovery_services", "mdns", true),
        ("net.discovery_services", "llmnr,mdns", false),
    ] {
        assert_eq!(row(id).judge(value, 0), Some(secure), "{id} = {value}");
    }
    let day = 86_400;
    let expires = |days: u64| row("net.cert_expires").judge(&time_text(days * day), 0);
    assert_eq!((expires(30), expires(31)), (Some(false), Some(true)));
}

#[test]
fn times_are_written_as_rfc_3339() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_795_392_000, "2026-11-23T00:00:00Z"),
        (u64::MAX, "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(time_text(seconds), text);
    }
}

#[test]
fn a_set_too_long_tells_how_many_more_there_are() {
    let ports: Vec<_> = (10_000..10_050)
        .map(|it| alloc::format!("tcp/{it}"))
        .collect();
    let row = row("net.listening_ports");
    let setting = Setting::known(row, &ports.join(","), Method::Linux, "x", 0);
    assert!(setting.value.ends_with(",+41"), "{}", setting.value);
    assert_eq!(setting.verdict, Verdict::NotSecure);
}

#[test]
fn the_worse_of_two_readings_counts_and_tells_of_the_other() {
    let telnet = |value, method| Setting::known(row("net.telnet"), value, method, "here", 0);
    let (good, bad) = (telnet("false", Method::Linux), telnet("true", Method::Port));
    for worse in [good.clone().worse(bad.clone()), bad.worse(good.clone())] {
        assert_eq!(worse.verdict, Verdict::NotSecure);
        assert_eq!(worse.evidence, "conflict: linux says false; here");
    }
    let ports = |value, method| {
        let row = row("net.listening_ports");
        Setting::known(row, value, method, "here", 0)
    };
    let open = ports("tcp/22,tcp/80", Method::Linux);
    for fewer in ["", "tcp/22"] {
        let merged = open.clone().worse(ports(fewer, Method::Port));
        assert_eq!(merged, open, "{fewer}");
    }
    let part = |value| {
        let row = row("net.listening_ports");
        Setting::partial(row, value, "some were tried", Method::Port, ("there", 0))
    };
    let merged = open.clone().worse(part("tcp/22"));
    assert_eq!(merged, open, "a part that is within contradicts nobody");
    let whole = ports("tcp/443", Method::Linux);
    assert_eq!(whole.clone().worse(part("tcp/443")), whole);
    assert_eq!(
        whole.worse(part("tcp/9100")).verdict,
        Verdict::NotSecure,
        "an open port is certain"
    );
    let none = Setting::unknown(
        row("net.listening_ports"),
        Why::NoRight,
        "no",
        Method::Linux,
        "x",
    );
    assert_eq!(none.worse(part("tcp/443")), part("tcp/443"));
    let clear = row("net.snmp_v1v2");
    let vendor = Setting::known(clear, "false", Method::Vendor, "export", 0);
    let answers = Setting::unjudged(clear, "true", "it answers", Method::Port, "there");
    for merged in [vendor.clone().worse(answers.clone()), answers.worse(vendor)] {
        assert!(
            matches!(merged.verdict, Verdict::Unknown(_)),
            "what contradicts a secure value casts doubt on it: {merged:?}"
        );
        assert_eq!(merged.evidence, "conflict: vendor says false; there");
    }
    let unknown = Setting::unknown(row("net.telnet"), Why::NoRight, "no", Method::Port, "there");
    assert_eq!(unknown.worse(good.clone()), good);
}
