//! Packet filters, as the kernel lists them.

use super::*;

/// A chain as the kernel lists it.
fn chain(family: u8, hook: u32, policy: u32, rules: u32) -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes
    };
    let hook = attribute(1, &hook.to_be_bytes());
    let mut body = vec![family, 0, 0, 0];
    body.extend(attribute(1, b"table\0\0\0"));
    body.extend(attribute(4 | 0x8000, &hook));
    body.extend(attribute(5, &policy.to_be_bytes()));
    body.extend(attribute(6, &rules.to_be_bytes()));
    message(10 << 8 | 3, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn packets_are_filtered_only_when_the_rest_is_dropped() {
    const IPV6: Files = &[("/proc/net/if_inet6", "")];
    let of = |files, chains: &[Vec<u8>]| {
        let kernel = Told {
            chains: chains.concat(),
            ..Told::default()
        };
        told("net.firewall", files, &kernel)
    };
    assert_eq!(of(&[], &[]), "off bad");
    assert_eq!(of(IPV6, &[chain(1, 1, 0, 5)]), "filter ok");
    let table = |flags| message(10 << 8, &[1, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, flags]);
    assert_eq!(of(IPV6, &[table(0), chain(1, 1, 0, 5)]), "filter ok");
    assert_eq!(of(IPV6, &[table(1), chain(1, 1, 0, 5)]), "not-supported");
    assert_eq!(of(IPV6, &[chain(2, 1, 0, 5)]), "not-supported");
    assert_eq!(
        of(IPV6, &[chain(2, 1, 0, 5), chain(10, 1, 0, 5)]),
        "filter ok"
    );
    assert_eq!(of(&[], &[chain(2, 1, 0, 5)]), "filter ok");
    assert_eq!(of(&[], &[chain(1, 1, 1, 5)]), "not-supported");
    assert_eq!(of(&[], &[chain(1, 1, 1, 0)]), "off bad");
    assert_eq!(of(&[], &[chain(1, 2, 0, 5)]), "off bad");
    assert_eq!(
        of(&[("/proc/net/ip_tables_names", "filter\n")], &[]),
        "not-supported"
    );
    let refused = Told {
        refused: true,
        ..Told::default()
    };
    assert_eq!(told("net.firewall", &[], &refused), "no-right");
}

#[test]
fn a_broken_list_of_chains_does_no_harm() {
    let whole = [chain(1, 1, 0, 5), message(3, &[0; 4])].concat();
    assert!(firewall::ends(&whole).unwrap());
    for end in 0..whole.len() {
        let kernel = Told {
            chains: whole[..end].to_vec(),
            ..Told::default()
        };
        let _told = told("net.firewall", &[], &kernel);
    }
    let refused = message(2, &(-1_i32).to_ne_bytes());
    let error = firewall::ends(&refused).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}
