//! The listener under attack: memory per attacker, and what honest devices feel of them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::load::open;
use super::{PAIRS, Site};
use crate::attack::{self, Kind, Target};
use crate::bench::pairs::median;
use crate::bench::stats::Ratio;
use crate::bench::{memory, now};

/// Attackers whose memory is weighed.
const WEIGHED: usize = 2000;
/// Attackers that disturb, of each kind.
const DISTURBING: usize = 500;
const POLLS: usize = 200;

/// Anonymous memory of the cloud per attacker, before and after the handshake. Limits: 20 and
/// 32 KB.
pub(super) async fn memory(site: &Site) -> anyhow::Result<Value> {
    let before = weigh(site, Kind::Handshake, Duration::from_millis(2500)).await?;
    let head = weigh(site, Kind::Head, Duration::from_millis(6500)).await?;
    let body = weigh(site, Kind::Body, Duration::from_millis(6500)).await?;
    Ok(json!({
        "attacker_bytes_before_handshake": before,
        "attacker_bytes_in_head": head,
        "attacker_bytes_in_body": body,
    }))
}

/// On a cloud of its own, so that nothing is left over from others.
async fn weigh(site: &Site, kind: Kind, after: Duration) -> anyhow::Result<u64> {
    let side = site.cloud(&[])?;
    let target = Target::new(side.address, attack::connector(&site.ca, None)?);
    // What serving at all takes is no attacker's.
    drop(open(side.address, site.device(0)?, &site.poll).await?);
    let idle = side.rested_rss().await?;
    let files = side.descriptors()?;
    let mut attackers = JoinSet::new();
    attack::start(&mut attackers, &target, kind, (0, WEIGHED));
    tokio::time::sleep(after).await;
    let there = side.descriptors()?.saturating_sub(files);
    let full = memory::rss_anon(side.running.id()).context("the cloud has gone")?;
    attackers.abort_all();
    ensure!(there > WEIGHED / 2, "only {there} attackers were let in");
    Ok(full.saturating_sub(idle) / there as u64)
}

/// Latency of honest polls with an attack over that without one. Limit: 2.
pub(super) async fn latency(site: &Site) -> anyhow::Result<Value> {
    // The honest device asks oftener than it may, to be measured.
    let side = site.cloud(&["--requests-per-device=100000000"])?;
    let target = Target::new(side.address, attack::connector(&site.ca, None)?);
    let mut honest = open(side.address, site.device(0)?, &site.poll).await?;
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let quiet = polls(site, &mut honest).await?;
        let mut attackers = JoinSet::new();
        for (index, kind) in [Kind::Handshake, Kind::Head, Kind::Body]
            .into_iter()
            .enumerate()
        {
            attack::start(
                &mut attackers,
                &target,
                kind,
                (index * DISTURBING, DISTURBING),
            );
        }
        // Their handshakes are over: what is measured is their presence.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let attacked = polls(site, &mut honest).await?;
        ratios.push(attacked / quiet);
        attackers.abort_all();
        while attackers.join_next().await.is_some() {}
    }
    Ok(Ratio::of(&ratios).tell("poll_latency_attacked_vs_quiet"))
}

/// The median time of a poll, in seconds.
async fn polls(
    site: &Site,
    stream: &mut tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(POLLS);
    for _ in 0..POLLS {
        let started = now();
        site.poll.ask(stream).await?;
        times.push((now() - started).as_secs_f64());
    }
    Ok(median(&times))
}
