//! What the figures shall be. `aim` is what we want, `limit` what is red.

use serde_json::{Map, Value, json};

/// Whether more is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

use Better::{Less, More};

/// One figure's goal.
struct Goal {
    figure: &'static str,
    /// For people.
    what: &'static str,
    better: Better,
    aim: f64,
    limit: f64,
}

const fn goal(
    figure: &'static str,
    what: &'static str,
    better: Better,
    aim: f64,
    limit: f64,
) -> Goal {
    Goal {
        figure,
        what,
        better,
        aim,
        limit,
    }
}

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// Every goal, one a line; the figure's name is the one that its bench tells.
#[rustfmt::skip]
const GOALS: &[Goal] = &[
    goal("agent_binary_bytes", "the agent's program, bytes", Less, 3.0 * MIB, 3.25 * MIB),
    goal("spool_vs_ceiling", "saving a page against its bare cryptography, time", More, 0.9, 0.6),
    goal("upload_vs_curl", "sealed upload against curl's plain one, time", More, 1.3, 1.0),
    goal("restart_ms", "restart with 10,000 queued jobs, ms", Less, 50.0, 250.0),
    goal("agent_rss_anon_idle_bytes", "the agent's memory at rest, bytes", Less, MIB, 2.0 * MIB),
    goal("agent_rss_anon_peak_bytes", "its peak in a job of 10,000 pages, bytes", Less, 8.0 * MIB, 12.0 * MIB),
    goal("start_to_first_poll_ms", "from start to the first poll, ms", Less, 250.0, 1000.0),
    goal("poll_cpu_vs_twin", "a poll in the cloud against a bare 304, on-CPU time", Less, 1.0, 1.15),
    goal("poll_new_full_cpu_vs_twin", "the same on a new connection, full handshake", Less, 1.0, 1.3),
    goal("poll_new_resumed_cpu_vs_twin", "the same, resumed", Less, 1.0, 1.3),
    goal("idle_connection_bytes", "the cloud's memory for an idle device, bytes", Less, 16.0 * KIB, 24.0 * KIB),
    goal("attacker_bytes_before_handshake", "for an attacker before the handshake, bytes", Less, 16.0 * KIB, 20.0 * KIB),
    goal("attacker_bytes_in_head", "for one in the head, bytes", Less, 24.0 * KIB, 32.0 * KIB),
    goal("attacker_bytes_in_body", "for one in the body, bytes", Less, 24.0 * KIB, 32.0 * KIB),
    goal("poll_latency_attacked_vs_quiet", "an honest poll while 1500 attack, time", Less, 1.2, 2.0),
];

/// What became of the goals.
pub(super) struct Verdict {
    /// For people.
    pub(super) table: String,
    /// Figures over their limit, or not measured.
    pub(super) missed: Vec<&'static str>,
}

/// Puts each goal beside its figure.
pub(super) fn judge(summary: &mut Map<String, Value>) -> Verdict {
    let mut table = format!(
        "\n{:<52} {:>12} {:>12} {:>12}\n",
        "", "measured", "aim", "limit"
    );
    let mut missed = Vec::new();
    for goal in GOALS {
        let Some(value) = summary.get(goal.figure).and_then(Value::as_f64) else {
            missed.push(goal.figure);
            continue;
        };
        let reaches = |bound: f64| match goal.better {
            More => value >= bound,
            Less => value <= bound,
        };
        let word = match (reaches(goal.aim), reaches(goal.limit)) {
            (true, _) => "",
            (false, true) => "  misses its aim",
            (false, false) => "  MISSES ITS LIMIT",
        };
        if !reaches(goal.limit) {
            missed.push(goal.figure);
        }
        table.push_str(&format!(
            "{:<52} {:>12} {:>12} {:>12}{word}\n",
            goal.what, value, goal.aim, goal.limit
        ));
        let entry = json!({
            "value": value,
            "interval": summary.get(&format!("{}_interval", goal.figure)),
            "aim": goal.aim,
            "limit": goal.limit,
            "reaches_aim": reaches(goal.aim),
            "ok": reaches(goal.limit),
        });
        summary.insert(goal.figure.to_owned(), entry);
    }
    Verdict { table, missed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(figures: &[(&str, f64)]) -> (Map<String, Value>, Verdict) {
        let mut summary = GOALS
            .iter()
            .map(|goal| (goal.figure.to_owned(), json!(goal.aim)))
            .chain(
                figures
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), json!(value))),
            )
            .collect();
        let verdict = judge(&mut summary);
        (summary, verdict)
    }

    #[test]
    fn only_a_missed_limit_is_red() {
        let (summary, verdict) = of(&[("restart_ms", 100.0), ("upload_vs_curl", 1.1)]);
        assert_eq!(verdict.missed, [""; 0]);
        assert_eq!(summary["restart_ms"]["reaches_aim"], json!(false));
        assert_eq!(summary["upload_vs_curl"]["ok"], json!(true));
        let (_, verdict) = of(&[("restart_ms", 251.0), ("upload_vs_curl", 0.99)]);
        assert_eq!(verdict.missed, ["upload_vs_curl", "restart_ms"]);
    }

    #[test]
    fn a_figure_that_was_not_measured_is_red() {
        let verdict = judge(&mut Map::new());
        assert_eq!(verdict.missed.len(), GOALS.len());
    }
}
