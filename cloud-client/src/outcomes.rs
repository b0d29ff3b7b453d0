//! Asks what became of the device's jobs, and for receipts it has missed.

use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::CallError;
use crate::wire::{Outcome, Outcomes, Receipts, SignedReceipt};

/// Largest answer: 100 outcomes or receipts with their texts.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The outcomes after number `seq`, in order, at most 100. Ask again while there are any.
///
/// # Errors
/// When the call fails, or the answer is not in order after `seq`.
pub fn after<C: Connection>(conn: &mut C, seq: u64) -> Result<Vec<Outcome>, CallError> {
    get(conn, &format!("/v1/device/jobs?after={seq}"))?;
    let Outcomes { outcomes } = call::json(conn, ANSWER_BYTES_MAX)?;
    let mut last = seq;
    for outcome in &outcomes {
        if outcome.seq <= last {
            return Err(call::protocol("outcomes that are not in order"));
        }
        last = outcome.seq;
    }
    Ok(outcomes)
}

/// The receipts after number `seq`, to close a gap in the chain.
///
/// # Errors
/// When the call fails or the answer is no list of receipts.
pub fn receipts_after<C: Connection>(
    conn: &mut C,
    seq: u64,
) -> Result<Vec<SignedReceipt>, CallError> {
    get(conn, &format!("/v1/device/receipts?after={seq}"))?;
    let Receipts { receipts } = call::json(conn, ANSWER_BYTES_MAX)?;
    Ok(receipts)
}

fn get<C: Connection>(conn: &mut C, path: &str) -> Result<(), CallError> {
    call::send(conn, Method::Get, path, &[], None)?;
    call::expect(conn, &[200], call::JSON_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::service::{Service, json};
    use crate::wire::OutcomeState;

    fn outcome(seq: u64) -> Outcome {
        Outcome {
            seq,
            job: "j".to_owned(),
            state: OutcomeState::Delivered,
            at_ms: 1,
            place: None,
            name: None,
            reason: None,
        }
    }

    #[test]
    fn outcomes_come_after_what_is_known_and_in_order() {
        for (seqs, fits) in [
            (vec![6, 9], true),
            (vec![], true),
            (vec![5], false),
            (vec![9, 9], false),
        ] {
            let outcomes = Outcomes {
                outcomes: seqs.into_iter().map(outcome).collect(),
            };
            let sent = outcomes.clone();
            let mut conn = Service::connect(move |heard| {
                assert_eq!(heard.path, "/v1/device/jobs?after=5");
                json(200, &sent)
            });
            let told = after(&mut conn, 5);
            assert_eq!(told.is_ok(), fits);
            assert!(told.is_ok_and(|told| told == outcomes.outcomes) || !fits);
        }
    }

    #[test]
    fn missed_receipts_are_fetched() {
        let receipt = SignedReceipt {
            receipt: "a".to_owned(),
            signature: "b".to_owned(),
            certificate: "c".to_owned(),
        };
        let sent = receipt.clone();
        let mut conn = Service::connect(move |heard| {
            assert_eq!(heard.path, "/v1/device/receipts?after=2");
            json(
                200,
                &Receipts {
                    receipts: vec![sent.clone()],
                },
            )
        });
        assert_eq!(receipts_after(&mut conn, 2).expect("fetched"), [receipt]);
    }
}
