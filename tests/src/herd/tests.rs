use super::*;

#[test]
fn a_herd_of_fifty_thousand_is_served_within_two_poll_periods() {
    let report = simulate(Plan::for_devices(50_000));
    assert_eq!(report.broken_promise(), None, "{}", report.text());
}

#[test]
fn the_same_seed_gives_the_same_herd() {
    let plan = Plan::for_devices(2_000);
    assert_eq!(simulate(plan).text(), simulate(plan).text());
}
