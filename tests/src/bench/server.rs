//! The cloud as a server: polls against the bare twin, memory of idle connections, attacks.
//!
//! Both servers are processes of their own; what counts is their time on the processor, which a
//! busy machine disturbs least.

mod crowd;
mod load;
pub(super) mod twin;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::HandshakeKind;
use scantrip_cloud::core::Core;
use scantrip_cloud::data::DataFolder;
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use self::load::Poll;
use super::pairs::median;
use super::stats::Ratio;
use super::{fleet, memory};
use crate::program::{self, Running};
use crate::{attack, descriptors};

/// Devices that the cloud knows.
const DEVICES: usize = 1000;
pub(super) const PAIRS: usize = 11;
/// Of one run on open connections.
const CONNECTIONS: usize = 100;
const POLLS_EACH: usize = 200;
/// New connections of one run.
const NEW: usize = 400;

/// What is measured of the server.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Polls against the twin.
    Polls,
    /// Memory of idle devices.
    Idle,
    /// Memory of attackers, and what honest devices feel of them.
    Attack,
}

/// Every part.
pub(super) const ALL: &[Part] = &[Part::Polls, Part::Idle, Part::Attack];

/// Measures `parts` of the server.
pub(super) fn measure(folder: &Path, parts: &[Part]) -> anyhow::Result<Value> {
    descriptors::raise();
    let site = Site::set_up(folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut all = serde_json::Map::new();
    let mut keep = |part: Value| {
        super::tell(&part);
        all.extend(part.as_object().into_iter().flatten().map(super::own));
    };
    runtime.block_on(async {
        for part in parts {
            match part {
                Part::Polls => keep(against_twin(&site).await?),
                Part::Idle => keep(idle_memory(&site).await?),
                Part::Attack => {
                    keep(crowd::memory(&site).await?);
                    keep(crowd::latency(&site).await?);
                }
            }
        }
        anyhow::Ok(())
    })?;
    Ok(Value::Object(all))
}

/// A cloud's data with many devices, and the twin's.
pub(super) struct Site {
    folder: PathBuf,
    ca: Vec<u8>,
    twin_ca: Vec<u8>,
    members: Vec<fleet::Member>,
    devices: Vec<TlsConnector>,
    poll: Poll,
}

impl Site {
    fn set_up(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder.join("twin"))?;
        let data = folder.join("cloud");
        program::run(
            program::command(program::built("scantrip-cloud")?)
                .arg("--data")
                .arg(&data)
                .arg("init"),
        )?;
        let data = DataFolder::new(data);
        let core = Core::open(data.ports()?, data.service()?.settings())?;
        let members = fleet::enroll(&core, DEVICES)?;
        let ca = core.authority().certificate().to_vec();
        let twin_ca = twin::prepare(&folder.join("twin"), &ca)?;
        let mut site = Self {
            folder: folder.to_path_buf(),
            devices: Vec::new(),
            ca,
            twin_ca,
            members,
            // Each tenant is as it was made.
            poll: Poll::with(twin::TAG),
        };
        site.devices = site.connectors(&site.ca)?;
        Ok(site)
    }

    fn connectors(&self, ca: &[u8]) -> anyhow::Result<Vec<TlsConnector>> {
        let device = |member: &fleet::Member| {
            let credential = (member.certificate.clone(), member.key.serialize_der());
            attack::connector(ca, Some(credential))
        };
        self.members.iter().map(device).collect()
    }

    fn device(&self, number: usize) -> anyhow::Result<&TlsConnector> {
        self.devices
            .get(number)
            .context("so many devices there are not")
    }

    /// Our cloud as it is shipped.
    fn cloud(&self, options: &[&str]) -> anyhow::Result<Side> {
        let mut command = program::command(program::built("scantrip-cloud")?);
        command.arg("--data").arg(self.folder.join("cloud"));
        command.args(["--log", "error", "serve", "--listen", "127.0.0.1:0"]);
        Side::start(command.args(options), "listening on https://", &self.folder)
    }

    fn twin(&self) -> anyhow::Result<Side> {
        let mut command = program::command(std::env::current_exe()?);
        command.arg("twin").arg(self.folder.join("twin"));
        Side::start(&mut command, "listening on ", &self.folder)
    }
}

/// A running server.
pub(super) struct Side {
    running: Running,
    address: SocketAddr,
}

impl Side {
    fn start(
        command: &mut std::process::Command,
        says: &str,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let mut running = Running::start(command, &folder.join("server.log"))?;
        let address = running.wait_for(says)?.parse()?;
        Ok(Self { running, address })
    }

    /// Time on the processor so far, in nanoseconds, by thread (proc(5)).
    fn on_cpu(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.running.id()))?;
        let mut times = BTreeMap::new();
        for task in tasks.flatten() {
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let time = text.split_whitespace().next().context("no time")?.parse()?;
            times.insert(task.file_name().to_string_lossy().into_owned(), time);
        }
        Ok(times)
    }

    /// Nanoseconds on the processor since `before`, over `operations`.
    fn each(&self, before: &BTreeMap<String, u64>, operations: usize) -> anyhow::Result<f64> {
        let spent: u64 = self
            .on_cpu()?
            .iter()
            .map(|(task, time)| time - before.get(task).copied().unwrap_or(0))
            .sum();
        Ok(spent as f64 / operations as f64)
    }

    /// Its anonymous memory once that rests: what a start still reads is no connection's.
    async fn rested_rss(&self) -> anyhow::Result<u64> {
        const LOOKS_MAX: usize = 20;
        let rss = || memory::rss_anon(self.running.id()).context("the server has gone");
        let mut before = rss()?;
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let after = rss()?;
            if after == before {
                return Ok(after);
            }
            before = after;
        }
        anyhow::bail!("its memory does not come to rest")
    }

    fn descriptors(&self) -> anyhow::Result<usize> {
        program::descriptors(self.running.id()).context("the server has gone")
    }
}

/// No limit is in the way of a bench; all are counted.
const UNLIMITED: [&str; 6] = [
    "--connects-per-address=100000000",
    "--requests-per-device=100000000",
    "--requests-per-tenant=100000000",
    "--connections-per-device=100000",
    "--connections-per-tenant=100000",
    "--connections-per-address=100000",
];

/// Polls on open and on new connections, in turns with the twin.
async fn against_twin(site: &Site) -> anyhow::Result<Value> {
    let twin_devices = site.connectors(&site.twin_ca)?;
    let (ours, twin) = (site.cloud(&UNLIMITED)?, site.twin()?);
    let sides = [(&ours, &site.devices), (&twin, &twin_devices)];
    let mut told = serde_json::Map::new();
    for what in [What::Open, What::NewFull, What::NewResumed] {
        let (mut ratios, mut own, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Who goes first changes with each pair.
            let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut figures = [0.0; 2];
            for index in order {
                let (side, devices) = sides[index];
                figures[index] = what.run(site, side, devices, pair).await?;
            }
            ratios.push(figures[0] / figures[1]);
            own.push(figures[0]);
            bare.push(figures[1]);
        }
        let name = what.name();
        let ratio = Ratio::of(&ratios).tell(&format!("{name}_cpu_vs_twin"));
        told.extend(ratio.as_object().into_iter().flatten().map(super::own));
        told.insert(format!("{name}_cpu_ns"), json!(median(&own).round()));
        told.insert(format!("{name}_twin_cpu_ns"), json!(median(&bare).round()));
    }
    Ok(Value::Object(told))
}

/// What is measured.
#[derive(Clone, Copy)]
enum What {
    Open,
    NewFull,
    NewResumed,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "poll",
            Self::NewFull => "poll_new_full",
            Self::NewResumed => "poll_new_resumed",
        }
    }

    /// Nanoseconds on the processor for each poll of one run.
    async fn run(
        self,
        site: &Site,
        side: &Side,
        devices: &[TlsConnector],
        pair: usize,
    ) -> anyhow::Result<f64> {
        let address = side.address;
        match self {
            Self::Open => {
                // Other devices each time.
                let from = pair * CONNECTIONS % (DEVICES - CONNECTIONS);
                let some = &devices[from..from + CONNECTIONS];
                let streams = load::open_all(address, some, &site.poll).await?;
                let before = side.on_cpu()?;
                load::poll_all(streams, &site.poll, POLLS_EACH).await?;
                side.each(&before, CONNECTIONS * POLLS_EACH)
            }
            Self::NewFull => {
                let some: Vec<TlsConnector> =
                    devices.iter().take(NEW).map(without_tickets).collect();
                let before = side.on_cpu()?;
                load::connect_all(address, &some, &site.poll, HandshakeKind::Full).await?;
                side.each(&before, NEW)
            }
            Self::NewResumed => {
                let some = &devices[..NEW];
                // For the tickets.
                drop(load::open_all(address, some, &site.poll).await?);
                let before = side.on_cpu()?;
                load::connect_all(address, some, &site.poll, HandshakeKind::Resumed).await?;
                side.each(&before, NEW)
            }
        }
    }
}

fn without_tickets(connector: &TlsConnector) -> TlsConnector {
    let mut config = rustls::ClientConfig::clone(connector.config());
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(std::sync::Arc::new(config))
}

/// Anonymous memory of an idle connection of a device, and of one of the twin. Aim: 16 KB, at
/// most 24.
async fn idle_memory(site: &Site) -> anyhow::Result<Value> {
    let twin_devices = site.connectors(&site.twin_ca)?;
    let ours = idle(site, &site.cloud(&UNLIMITED)?, &site.devices).await?;
    let bare = idle(site, &site.twin()?, &twin_devices).await?;
    Ok(json!({
        "idle_connection_bytes": ours,
        "idle_connection_twin_bytes": bare,
    }))
}

async fn idle(site: &Site, side: &Side, devices: &[TlsConnector]) -> anyhow::Result<u64> {
    const EACH: usize = 3;
    // Threads and caches are no connection's. Few at a time: what many leave behind on the heap
    // would hide what as many take afterwards.
    let files = side.descriptors()?;
    for some in devices.chunks(16) {
        drop(load::open_all(side.address, some, &site.poll).await?);
    }
    while side.descriptors()? > files + 16 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (before, mut streams) = (side.rested_rss().await?, Vec::new());
    for _ in 0..EACH {
        streams.extend(load::open_all(side.address, devices, &site.poll).await?);
    }
    let there = side.descriptors()?.saturating_sub(files);
    ensure!(
        there + 100 >= EACH * DEVICES,
        "{there} connections are open"
    );
    let after = side.rested_rss().await?;
    Ok(after.saturating_sub(before) / streams.len() as u64)
}
