//! An agent that is put together: what the threads of [`super::Runtime`] run, and what a simulation
//! runs in one thread with its own network.

use std::sync::Arc;

use scantrip_hal::storage::SealedStorage;

use super::events::Events;
use super::{Mode, Parts, StartError, recovery};
use crate::drivers::keeper::Keeper;
use crate::drivers::network::NetworkSettings;
use crate::drivers::scanner::ScannerDriver;
use crate::drivers::time::Time;
use crate::drivers::{Context, ContextParts};
use crate::engine::moment::Moment;
use crate::engine::{Engine, Start, session};
use crate::journal::Journal;
use crate::spool::Spool;
use crate::store::{Identity, State, TimeFloor};

/// The parts of one agent, recovered from its disk, with nothing running yet.
pub struct Assembly {
    /// What the drivers share.
    pub context: Arc<Context>,
    /// What decides.
    pub engine: Engine,
    /// What writes down.
    pub keeper: Keeper,
    /// What scans.
    pub scanner: ScannerDriver,
    pub(super) network: NetworkSettings,
    pub(super) events: Arc<Events>,
    pub(super) spool_bytes_max: u64,
}

impl Assembly {
    /// Opens what outlives the process and puts an agent together around it.
    ///
    /// # Errors
    /// When spool, journal or saved state cannot be opened.
    pub fn open(parts: Parts, mode: Mode) -> Result<Self, StartError> {
        let Parts {
            disk,
            keys,
            clock,
            mut entropy,
            mfp,
            network,
            ..
        } = parts;
        let state = State::new(SealedStorage::new(
            Arc::clone(&disk),
            Arc::clone(&keys),
            "state",
        ));
        let floor = state.load::<TimeFloor>()?.unwrap_or_default();
        let time = Time::new(clock, floor.unix_ms);
        let identity = state.load::<Identity>()?;
        let active = identity
            .as_ref()
            .and_then(|known| known.certificate(known.active));
        time.raise_floor(active.map_or(0, |certificate| certificate.not_before_ms));
        let (spool, recovered) = Spool::open(Arc::clone(&disk), "spool", parts.limits)?;
        let (journal, damage) = Journal::open(disk, Arc::clone(&keys), "state", &mut *entropy)?;
        if damage.records > 0 {
            log::warn!("the journal lost {} entries", damage.records);
        }
        let context = Arc::new(Context::new(ContextParts {
            time,
            state,
            keys,
            spool,
            journal,
            device: mfp.identity.identity(),
            entropy,
            settings: mfp.settings,
        }));
        let events = Arc::new(Events::default());
        let jobs = recovery::reconcile(&context, recovered, &events)?;
        let state = &context.state;
        let start = Start {
            session: session::Settings {
                stays: mode == Mode::Service,
                ..parts.session
            },
            online: mode != Mode::Look,
            telemetry: parts.telemetry,
            settings_every: parts.settings_every,
            identity,
            choice: state.load()?,
            desired: state.load()?,
            report: state.load()?.unwrap_or_default(),
            outcome: state.load()?.unwrap_or_default(),
            head: state.load()?.unwrap_or_default(),
            drafts: jobs.drafts,
            found: jobs.found,
        };
        Ok(Self {
            engine: Engine::new(start, &moment(&context)),
            keeper: Keeper::new(Arc::clone(&context)),
            scanner: ScannerDriver::new(Arc::clone(&context), mfp.scanner),
            context,
            network,
            events,
            spool_bytes_max: parts.limits.bytes_max,
        })
    }
}

/// Now. Without randomness jitter is a constant, which only costs the fleet its spread.
#[must_use]
pub fn moment(context: &Context) -> Moment {
    Moment {
        boot: context.time.boot(),
        wall: context.time.wall(),
        clock: context.time.clock(),
        random: context.random().unwrap_or(u64::MAX / 2),
    }
}
