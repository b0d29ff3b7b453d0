//! How safe a device is: a policy's rules over one reading of its security settings.
//!
//! Agent and cloud judge with the same code, so that both say the same of a device. Everything
//! here is a pure function of policy, reading and time.

pub mod assess;
pub mod diff;
pub mod expect;
pub mod policy;
pub mod pwg;
pub mod requirement;
pub mod score;

/// Feature name in a workflow's `must_understand`: the workflow requires settings.
pub const REQUIRES_FEATURE: &str = "posture-requires";
