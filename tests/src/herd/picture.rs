//! Draws a report as SVG.

use std::fmt::Write as _;

use super::{Report, Second};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// Top and height of the two charts.
const RATES: (f64, f64) = (70.0, 210.0);
const SHARE: (f64, f64) = (330.0, 110.0);
/// One of the rates.
type Pick = fn(&Second) -> f64;

/// Seconds around the return that are shown, and how many make one point.
const SHOWN: (i64, i64) = (-660, 600);
const POINT_S: usize = 5;

/// The picture: above connections a second, below the share of the fleet that waits.
pub(super) fn draw(report: &Report) -> String {
    let top = scale(report);
    let mut svg = String::new();
    let _infallible = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 490\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{WIDTH}\" height=\"490\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{} devices: the cloud is away for 10 minutes \
         and returns at half capacity</text>\n",
        grouped(report.plan.devices)
    );
    shade(&mut svg, report);
    grid(&mut svg, RATES, top, "connections a second", |value| {
        grouped(value as u32)
    });
    grid(
        &mut svg,
        SHARE,
        100.0,
        "% of the fleet not yet served",
        |value| format!("{value:.0}"),
    );
    capacity(&mut svg, report, top);
    let series: [(&str, &str, Pick); 3] = [
        ("#bbb", "arrive", |second| f64::from(second.offered)),
        ("#c33", "turned away", |second| f64::from(second.shed)),
        ("#06c", "served", |second| f64::from(second.served)),
    ];
    for (index, (color, name, pick)) in series.into_iter().enumerate() {
        line(&mut svg, report, RATES, top, color, pick);
        legend(&mut svg, index, color, name);
    }
    let devices = f64::from(report.plan.devices);
    let waiting = |second: &Second| 100.0 * f64::from(second.waiting) / devices;
    line(&mut svg, report, SHARE, 100.0, "#06c", waiting);
    times(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// A round number above everything after the return, and above the steady rate.
fn scale(report: &Report) -> f64 {
    let back = report.plan.back_s();
    let highest = points(report, |second| f64::from(second.offered))
        .filter(|(at, _)| *at >= 0.0)
        .map(|(_, value)| value)
        .fold(report.capacity * 2.2, f64::max);
    debug_assert!(back > 0, "the cloud was away");
    let step = 10_f64.powf(highest.log10().floor());
    (highest / step * 2.0).ceil() / 2.0 * step
}

/// Means of some seconds each, by seconds since the return.
fn points<'a>(
    report: &'a Report,
    pick: impl Fn(&Second) -> f64 + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    let back = report.plan.back_s() as f64;
    let chunks = report.seconds.chunks(POINT_S).enumerate();
    chunks.map(move |(index, seconds)| {
        let at = (index * POINT_S) as f64 + POINT_S as f64 / 2.0 - back;
        (
            at,
            seconds.iter().map(&pick).sum::<f64>() / seconds.len() as f64,
        )
    })
}

fn x(at: f64) -> f64 {
    let (from, to) = (SHOWN.0 as f64, SHOWN.1 as f64);
    LEFT + (at - from) / (to - from) * (WIDTH - LEFT - RIGHT)
}

fn y((top, height): (f64, f64), value: f64, highest: f64) -> f64 {
    top + height * (1.0 - (value / highest).min(1.0))
}

fn line(
    svg: &mut String,
    report: &Report,
    chart: (f64, f64),
    highest: f64,
    color: &str,
    pick: impl Fn(&Second) -> f64,
) {
    let shown = |at: f64| (SHOWN.0 as f64..=SHOWN.1 as f64).contains(&at);
    let mut path = String::new();
    for (at, value) in points(report, pick).filter(|(at, _)| shown(*at)) {
        let _infallible = write!(path, "{:.1},{:.1} ", x(at), y(chart, value, highest));
    }
    let _infallible = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\"/>",
        path.trim_end()
    );
}

fn grid(
    svg: &mut String,
    chart: (f64, f64),
    highest: f64,
    title: &str,
    label: impl Fn(f64) -> String,
) {
    let _infallible = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{title}</text>",
        chart.0 - 8.0
    );
    for quarter in 0..=4 {
        let value = highest * f64::from(quarter) / 4.0;
        let at = y(chart, value, highest);
        let _infallible = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            label(value)
        );
    }
}

fn shade(svg: &mut String, report: &Report) {
    let from = x(-report.plan.away.as_secs_f64());
    let _infallible = writeln!(
        svg,
        "<rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"#f3f0e6\"/>\
         <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#877\">the cloud is away</text>",
        RATES.0,
        x(0.0) - from,
        SHARE.0 + SHARE.1 - RATES.0,
        (from + x(0.0)) / 2.0,
        RATES.0 + 16.0
    );
}

fn capacity(svg: &mut String, report: &Report, highest: f64) {
    let at = y(RATES, report.capacity, highest);
    let _infallible = writeln!(
        svg,
        "<path d=\"M{:.1} {at:.1}H{}\" stroke=\"#2a2\" stroke-dasharray=\"6 4\"/>\
         <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#2a2\">capacity</text>",
        x(0.0),
        WIDTH - RIGHT,
        WIDTH - RIGHT,
        at - 5.0
    );
}

fn legend(svg: &mut String, index: usize, color: &str, name: &str) {
    let from = WIDTH - RIGHT - 300.0 + 100.0 * index as f64;
    let at = RATES.0 - 12.0;
    let _infallible = writeln!(
        svg,
        "<path d=\"M{from} {at}h18\" stroke=\"{color}\" stroke-width=\"3\"/>\
         <text x=\"{}\" y=\"{}\">{name}</text>",
        from + 23.0,
        at + 4.0
    );
}

fn times(svg: &mut String) {
    let bottom = SHARE.0 + SHARE.1;
    for minutes in (-10..=10).step_by(2) {
        let at = x(f64::from(minutes) * 60.0);
        let _infallible = writeln!(
            svg,
            "<path d=\"M{at:.1} {bottom}v5\" stroke=\"#666\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{minutes}</text>",
            bottom + 18.0
        );
    }
    let _infallible = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">minutes since the \
         return</text>",
        x(0.0),
        bottom + 38.0
    );
}

/// A number with its thousands apart.
fn grouped(value: u32) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
