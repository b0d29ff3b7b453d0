//! What listens and how the device is on its networks.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "net.discovery_services",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:14E9 00000000:0000 07\n"),
        ],
        "mdns ok",
    ),
    (
        "net.discovery_services",
        &[
            (TCP, "h\n"),
            (
                UDP,
                "h\n 0: 00000000:14E9 00000000:0000 07\n 1: 00000000:076C 00000000:0000 07\n",
            ),
        ],
        "mdns,ssdp bad",
    ),
    (
        "net.dot1x",
        &[
            (
                "/etc/wpa_supplicant/wpa.conf",
                "network={\n key_mgmt=IEEE8021X\n}\n",
            ),
            ("/run/wpa_supplicant/eth0", ""),
        ],
        "true ok",
    ),
    (
        "net.dot1x",
        &[(
            "/etc/wpa_supplicant/wpa.conf",
            "network={\n key_mgmt=IEEE8021X\n}\n",
        )],
        "false bad",
    ),
    (
        "net.ftp",
        &[
            (TCP, "h\n 0: 00000000:0015 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "true bad",
    ),
    (
        "net.ftp",
        &[
            (TCP, "h\n 0: 0100007F:0015 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "false ok",
    ),
    (
        "net.telnet",
        &[
            (TCP, "h\n 0: 0100007F:0017 00000000:0000 0A\n"),
            (
                "/proc/net/tcp6",
                "h\n 0: 00000000000000000000000000000000:0017 0:0 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "true bad",
    ),
    (
        "net.telnet",
        &[
            (TCP, "h\n"),
            (
                "/proc/net/tcp6",
                "h\n 0: 00000000000000000000000001000000:0017 0:0 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "false ok",
    ),
    (
        "net.tftp",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:0045 00000000:0000 07\n"),
        ],
        "true bad",
    ),
    (
        "net.tftp",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:0045 00000000:0001 01\n"),
        ],
        "false ok",
    ),
    (
        "net.listening_ports",
        &[
            (
                TCP,
                "h\n 0: 00000000:01BB 00000000:0000 0A\n 1: 00000000:01BC 00000000:0001 01\n",
            ),
            (UDP, "h\n"),
        ],
        "tcp/443 ok",
    ),
    (
        "net.listening_ports",
        &[
            (
                TCP,
                "h\n 0: 00000000:01BB 00000000:0000 0A\n 1: 00000000:0016 00000000:0000 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "tcp/22,tcp/443 bad",
    ),
    ("net.listening_ports", &[], "not-supported"),
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv6/conf/all/forwarding", "0\n"),
        ],
        "false ok",
    ),
    (
        "net.ip_forwarding",
        &[("/proc/sys/net/ipv4/ip_forward", "1\n")],
        "true bad",
    ),
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv6/conf/all/forwarding", "1\n"),
        ],
        "true bad",
    ),
    (
        "net.wifi_direct",
        &[("/sys/class/net/eth0/type", "1\n")],
        "none",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            ("/sys/class/net/p2p-wlan0-0/type", "1\n"),
        ],
        "true bad",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            ("/etc/wpa_supplicant.conf", "p2p_disabled=1\n"),
        ],
        "false ok",
    ),
    (
        "net.wifi_direct",
        &[("/sys/class/net/wlan0/phy80211/x", "")],
        "not-supported",
    ),
    // The network of the first process is that of the device.
    (
        "net.telnet",
        &[
            (TCP, "h\n"),
            (UDP, "h\n"),
            ("/proc/1/net/tcp", "h\n 0: 00000000:0017 0:0 0A\n"),
            ("/proc/1/net/udp", "h\n"),
        ],
        "true bad",
    ),
    // One interface alone passes packets on.
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv4/conf/eth0/forwarding", "1\n"),
        ],
        "true bad",
    ),
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv6/conf/eth0/forwarding", "1\n"),
        ],
        "true bad",
    ),
    // The one that runs is for the radio, or may do without signing in.
    (
        "net.dot1x",
        &[
            ("/etc/wpa_supplicant/wpa.conf", "key_mgmt=IEEE8021X\n"),
            ("/run/wpa_supplicant/wlan0", ""),
            ("/sys/class/net/wlan0/phy80211/x", ""),
        ],
        "false bad",
    ),
    (
        "net.dot1x",
        &[
            ("/etc/wpa_supplicant/wpa.conf", "key_mgmt=NONE IEEE8021X\n"),
            ("/run/wpa_supplicant/eth0", ""),
        ],
        "false bad",
    ),
    (
        "net.dot1x",
        &[
            (
                "/etc/wpa_supplicant/wpa.conf",
                "key_mgmt=IEEE8021X\ndisabled=1\n",
            ),
            ("/run/wpa_supplicant/eth0", ""),
        ],
        "false bad",
    ),
    // An access point is a network of its own as well.
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            (
                "/etc/wpa_supplicant/wpa.conf",
                "p2p_disabled=1\nnetwork={\n mode=2\n}\n",
            ),
        ],
        "not-supported",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            ("/etc/wpa_supplicant/wpa.conf", "p2p_disabled=1\n"),
            ("/run/hostapd/wlan0", ""),
        ],
        "not-supported",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            (
                "/etc/wpa_supplicant/wpa.conf",
                "p2p_disabled=1\np2p_disabled = 0\n",
            ),
        ],
        "not-supported",
    ),
];

#[test]
fn a_listener_is_found_behind_thousands_of_other_sockets() {
    let line = |state: &str, port: u16| {
        let zeros = "00000000:0000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0";
        format!("   0: 00000000:{port:04X} 00000000:0000 {state} {zeros}\n")
    };
    let mut table = "  sl  local_address rem_address   st tx_queue rx_queue\n".to_owned();
    for port in 0..20_000 {
        table.push_str(&line("06", port));
    }
    table.push_str(&line("0A", 23));
    assert!(table.len() as u64 > FILE_BYTES_MAX);
    let files: [(&str, &[u8]); 2] = [(TCP, table.as_bytes()), ("/proc/net/udp", b"")];
    let settings = read_all(&files, &Told::default());
    assert_eq!(settings["net.telnet"].value, "true");
    assert_eq!(settings["net.listening_ports"].value, "tcp/23");
}
