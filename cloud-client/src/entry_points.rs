//! The regional front doors of the cloud: which there are, how near they are, which one to use.

use std::time::Duration;

use embedded_svc::http::client::{Connection, Method};

use crate::http::{BaseUrl, ConnectError, HttpClient, call};
use crate::problem::CallError;
use crate::wire::{EntryPoint, EntryPoints};

/// Largest list: some hundred entry points.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Connects per entry point; odd, for the median.
const ROUNDS: usize = 3;
/// Another entry point must be nearer by this part of a hundred, so that the choice does not
/// swing.
const GAIN_PERCENT: u32 = 20;

/// The front doors that the cloud names; none when it has no other than the one that was asked.
///
/// # Errors
/// When the call fails.
pub fn fetch<C: Connection>(conn: &mut C) -> Result<Vec<EntryPoint>, CallError> {
    call::send(conn, Method::Get, "/v1/entry-points", &[], None)?;
    call::expect(conn, &[200], call::JSON_TYPE)?;
    let answer: EntryPoints = call::json(conn, ANSWER_BYTES_MAX)?;
    Ok(answer.entry_points)
}

/// How near an entry point is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// For people.
    pub name: String,
    /// For a region pin.
    pub region: String,
    /// Where it is.
    pub url: String,
    /// What each connect took, in milliseconds; `None` when one failed.
    pub connect_ms: Option<[u32; ROUNDS]>,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl Measurement {
    /// The median of the connects in milliseconds.
    #[must_use]
    pub fn median(&self) -> Option<u32> {
        let mut sorted = self.connect_ms?;
        sorted.sort_unstable();
        sorted.get(ROUNDS / 2).copied()
    }
}

/// Measures each of `entry_points` with `client`: the time of three TCP and TLS connects.
pub fn measure(client: &HttpClient, entry_points: &[EntryPoint]) -> Vec<Measurement> {
    measure_with(entry_points, &mut |url| client.measure(url))
}

/// As [`measure`], with the connect as an argument.
pub fn measure_with(
    entry_points: &[EntryPoint],
    connect: &mut dyn FnMut(&BaseUrl) -> Result<Duration, ConnectError>,
) -> Vec<Measurement> {
    let mut rounds = |url: &str| -> Result<[u32; ROUNDS], String> {
        let url = BaseUrl::parse(url).map_err(|error| error.to_string())?;
        let mut took = [0; ROUNDS];
        for each in &mut took {
            let time = connect(&url).map_err(|error| error.to_string())?;
            *each = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        }
        Ok(took)
    };
    entry_points
        .iter()
        .map(|entry_point| {
            let measured = rounds(&entry_point.url);
            Measurement {
                name: entry_point.name.clone(),
                region: entry_point.region.clone(),
                url: entry_point.url.clone(),
                connect_ms: measured.as_ref().ok().copied(),
                failure: measured.err(),
            }
        })
        .collect()
}

/// Which entry point to use, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name, for people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The reason in words.
    pub why: String,
}

/// Why no entry point can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The pinned region has none.
    #[error("region `{region}` has no entry point; there are {known}")]
    UnknownRegion {
        /// What was asked for.
        region: String,
        /// The regions there are.
        known: String,
    },
    /// None answers.
    #[error("no entry point can be reached: {0}")]
    Unreachable(String),
}

/// Chooses the nearest entry point, within the pinned region if there is one. The `current` URL is
/// kept unless it failed or another is more than a fifth nearer.
///
/// # Errors
/// When the pinned region is unknown or nothing can be reached.
pub fn choose(
    measurements: &[Measurement],
    current: Option<&str>,
    region_pin: Option<&str>,
) -> Result<Choice, ChooseError> {
    let eligible: Vec<&Measurement> = measurements
        .iter()
        .filter(|each| region_pin.is_none_or(|region| each.region == region))
        .collect();
    if let (Some(region), true) = (region_pin, eligible.is_empty()) {
        return Err(ChooseError::UnknownRegion {
            region: region.to_owned(),
            known: known_regions(measurements),
        });
    }
    let reached = || {
        eligible
            .iter()
            .filter_map(|each| Some((*each, each.median()?)))
    };
    let Some((nearest, nearest_ms)) = reached().min_by_key(|(_, median)| *median) else {
        return Err(ChooseError::Unreachable(failures(&eligible)));
    };
    let pinned = region_pin.map_or(String::new(), |region| format!(" of region {region}"));
    let present = reached().find(|(each, _)| Some(each.url.as_str()) == current);
    let (chosen, why) = match present {
        Some((present, present_ms)) if !is_much_nearer(nearest_ms, present_ms) => (
            present,
            if present.url == nearest.url {
                format!("in use and still the nearest{pinned}: {present_ms} ms")
            } else {
                format!(
                    "in use with {present_ms} ms; {}{pinned} with {nearest_ms} ms is not more \
                     than {GAIN_PERCENT} % nearer",
                    nearest.name
                )
            },
        ),
        Some((present, present_ms)) => (
            nearest,
            format!(
                "nearest{pinned}: {nearest_ms} ms against {present_ms} ms of {}",
                present.name
            ),
        ),
        None => (nearest, format!("nearest{pinned}: {nearest_ms} ms")),
    };
    Ok(Choice {
        name: chosen.name.clone(),
        url: chosen.url.clone(),
        why,
    })
}

fn is_much_nearer(nearest_ms: u32, present_ms: u32) -> bool {
    u64::from(nearest_ms) * 100 < u64::from(present_ms) * u64::from(100 - GAIN_PERCENT)
}

fn known_regions(measurements: &[Measurement]) -> String {
    let mut regions: Vec<&str> = measurements
        .iter()
        .map(|each| each.region.as_str())
        .collect();
    regions.sort_unstable();
    regions.dedup();
    match regions.is_empty() {
        true => "none".to_owned(),
        false => regions.join(", "),
    }
}

fn failures(measurements: &[&Measurement]) -> String {
    let reasons: Vec<String> = measurements
        .iter()
        .map(|each| {
            let reason = each.failure.as_deref().unwrap_or("not measured");
            format!("{}: {reason}", each.name)
        })
        .collect();
    match reasons.is_empty() {
        true => "there is none".to_owned(),
        false => reasons.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, ms: Option<u32>) -> Measurement {
        Measurement {
            name: name.to_owned(),
            region: format!("{}-1", name.to_lowercase()),
            url: format!("https://{}.example", name.to_lowercase()),
            connect_ms: ms.map(|ms| [ms + 500, ms, 0]),
            failure: ms.is_none().then(|| "refused".to_owned()),
        }
    }

    #[test]
    fn one_slow_connect_does_not_count() {
        assert_eq!(at("Tokyo", Some(40)).median(), Some(40));
    }

    #[test]
    fn the_nearest_is_chosen_and_the_reason_told() {
        let all = [
            at("Virginia", Some(90)),
            at("Frankfurt", Some(12)),
            at("Tokyo", None),
        ];
        let choice = choose(&all, None, None).expect("a choice");
        assert_eq!(choice.url, "https://frankfurt.example");
        assert_eq!(choice.why, "nearest: 12 ms");
    }

    #[test]
    fn the_present_one_is_kept_until_another_is_a_fifth_nearer() {
        let present = Some("https://a.example");
        for (other_ms, chosen) in [(99, "A"), (80, "A"), (79, "B")] {
            let all = [at("A", Some(100)), at("B", Some(other_ms))];
            assert_eq!(
                choose(&all, present, None).expect("a choice").name,
                chosen,
                "{other_ms}"
            );
        }
    }

    #[test]
    fn a_present_one_that_failed_is_left() {
        let all = [at("A", None), at("B", Some(500))];
        let choice = choose(&all, Some("https://a.example"), None).expect("a choice");
        assert_eq!(choice.name, "B");
    }

    #[test]
    fn a_pin_outweighs_distance() {
        let all = [at("A", Some(1)), at("B", Some(500))];
        assert_eq!(choose(&all, None, Some("b-1")).expect("a choice").name, "B");
    }

    #[test]
    fn an_unknown_pin_names_the_regions_there_are() {
        let all = [at("B", Some(1)), at("A", Some(1))];
        let error = choose(&all, None, Some("mars")).expect_err("no such region");
        assert_eq!(
            error.to_string(),
            "region `mars` has no entry point; there are a-1, b-1"
        );
    }

    #[test]
    fn when_nothing_answers_each_reason_is_told() {
        let all = [at("A", None), at("B", None)];
        let error = choose(&all, None, None).expect_err("none");
        assert!(
            error.to_string().contains("A: refused; B: refused"),
            "{error}"
        );
        assert!(choose(&[], None, None).is_err());
    }

    #[test]
    fn a_bad_url_is_a_failed_measurement() {
        let entry_point = EntryPoint {
            name: "X".to_owned(),
            region: "x".to_owned(),
            url: "http://x".to_owned(),
        };
        let measured = measure_with(&[entry_point], &mut |_| Ok(Duration::ZERO));
        assert!(measured[0].median().is_none() && measured[0].failure.is_some());
    }
    #[test]
    fn the_list_is_fetched_and_must_not_be_empty() {
        use crate::testing::service::{Service, json};
        for count in [0, 2] {
            let entry_points = vec![
                EntryPoint {
                    name: "X".to_owned(),
                    region: "x".to_owned(),
                    url: "https://x".to_owned(),
                };
                count
            ];
            let answer = EntryPoints { entry_points };
            let sent = answer.clone();
            let mut conn = Service::connect(move |heard| {
                assert_eq!(heard.path, "/v1/entry-points");
                json(200, &sent)
            });
            match fetch(&mut conn) {
                Ok(fetched) => assert_eq!(fetched, answer.entry_points),
                Err(_) => assert_eq!(count, 0),
            }
        }
    }
}
