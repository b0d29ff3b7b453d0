//! The key `requires`: checked against the list of all settings, so that a slip is found here and
//! not by a device that refuses to scan.

use scantrip_cloud_client::posture::expect::Expectation;
use scantrip_cloud_client::posture::requirement::{Requirement, unknown};
use scantrip_hal::settings::{CATALOGUE, Kind, Row};
use toml::Spanned;

use super::Fault;

/// Far more than any workflow needs.
const REQUIRES_MAX: usize = 20;

/// Checks every requirement; gives them in their one form.
pub(super) fn check(raw: &[Spanned<String>]) -> Result<Vec<String>, Fault> {
    if let Some(first) = raw.get(REQUIRES_MAX) {
        let message = format!("expected at most {REQUIRES_MAX} requirements");
        return Err(Fault::new(message, first.span()));
    }
    raw.iter()
        .map(|text| {
            let checked = text.get_ref().parse::<Requirement>();
            checked
                .map_err(|error| error.to_string())
                .and_then(|requirement| known(&requirement).map(|()| requirement.to_string()))
                .map_err(|message| Fault::new(message, text.span()))
        })
        .collect()
}

/// Whether there is such a setting, and its values can be compared so.
fn known(requirement: &Requirement) -> Result<(), String> {
    let id = &requirement.id;
    let Some(row) = Row::find(id) else {
        let all = CATALOGUE.iter().map(|row| row.id);
        return Err(unknown(id, all));
    };
    let fits = match &requirement.expect {
        Expectation::Eq(value) | Expectation::Ne(value) => row.fits(value),
        Expectation::In(values) => values.iter().all(|value| row.fits(value)),
        Expectation::Gte(_) | Expectation::Lte(_) => row.kind == Kind::Int,
        Expectation::VersionGte(oldest) => match row.kind {
            Kind::Choice(words) => words.contains(&oldest.as_str()),
            kind => kind == Kind::Text,
        },
        _ => true,
    };
    if fits {
        return Ok(());
    }
    Err(format!("`{id}` {}", values(row.kind)))
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Bool => "is true or false".to_owned(),
        Kind::Int => "is a number".to_owned(),
        Kind::Choice(words) => format!("is one of {}", words.join(", ")),
        Kind::Set => "is a set: words in order with commas between, such as a,b".to_owned(),
        Kind::Text => "is a text".to_owned(),
        Kind::Time => "is a time such as 2027-01-31T00:00:00Z".to_owned(),
    }
}
