//! Who may come in: connections and requests, counted per address, device and tenant.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::core::global::CertificateOwner;

use super::limits::{Limits, Rate};
use super::rate::Meter;

/// Why somebody has to stay outside, or to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("too many connections")]
    All,
    #[error("too many connections of one address")]
    Address,
    #[error("too many connections without a device certificate of one address")]
    Unproven,
    #[error("too many new connections of one address")]
    Connects,
    #[error("too many connections of this device")]
    Device,
    #[error("too many connections of this customer's devices")]
    Tenant,
}

/// The counts of one address, device or tenant.
#[derive(Debug, Default)]
struct Gate {
    open: AtomicU32,
    unproven: AtomicU32,
    connects: Meter,
    requests: Meter,
}

impl Gate {
    fn is_idle(&self, now: Duration) -> bool {
        self.open.load(Ordering::Relaxed) == 0
            && self.connects.is_rested(now)
            && self.requests.is_rested(now)
    }
}

/// One more, if there is room.
fn enter(count: &AtomicU32, most: u32) -> bool {
    let more = |count: u32| (count < most).then_some(count + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_ok()
}

fn leave(count: &AtomicU32) {
    count.fetch_sub(1, Ordering::Relaxed);
}

/// Gates by key. Those that nobody uses are forgotten now and then.
#[derive(Debug)]
struct Gates<K>(Mutex<Known<K>>);

#[derive(Debug)]
struct Known<K> {
    gates: HashMap<K, Arc<Gate>>,
    sweep_at: usize,
}

/// Fewer are not worth looking for idle ones.
const SWEEP_MIN: usize = 1024;

impl<K: Eq + Hash> Gates<K> {
    fn new() -> Self {
        Self(Mutex::new(Known {
            gates: HashMap::new(),
            sweep_at: SWEEP_MIN,
        }))
    }

    fn gate<Q>(&self, key: &Q, now: Duration) -> Arc<Gate>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = known.gates.get(key) {
            return Arc::clone(gate);
        }
        if known.gates.len() >= known.sweep_at {
            // One that somebody holds may be about to count.
            known
                .gates
                .retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle(now));
            known.sweep_at = SWEEP_MIN.max(known.gates.len() * 2);
        }
        let gate = Arc::<Gate>::default();
        known.gates.insert(key.to_owned(), Arc::clone(&gate));
        gate
    }
}

/// Counts everybody.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    addresses: Gates<IpAddr>,
    devices: Gates<String>,
    tenants: Gates<String>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            addresses: Gates::new(),
            devices: Gates::new(),
            tenants: Gates::new(),
        })
    }

    /// A new connection of `address`, before its handshake.
    pub(crate) fn connect(self: &Arc<Self>, address: IpAddr, now: Duration) -> Result<Visit, Full> {
        let limits = &self.limits;
        let gate = (!limits.front_doors.contains(&address))
            .then(|| self.addresses.gate(&counted_as(address), now));
        if let Some(gate) = &gate {
            if gate
                .connects
                .take(limits.connects_per_address, now)
                .is_err()
            {
                return Err(Full::Connects);
            }
            if !enter(&gate.open, limits.connections_per_address) {
                return Err(Full::Address);
            }
            if !enter(&gate.unproven, limits.unproven_per_address) {
                leave(&gate.open);
                return Err(Full::Unproven);
            }
        }
        Ok(Visit {
            admission: Arc::clone(self),
            address: gate,
            owner: OnceLock::new(),
        })
    }
}

/// An IPv6 address is one of a /64: whoever has one has them all.
fn counted_as(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// One connection in all the counts; leaves them when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    admission: Arc<Admission>,
    address: Option<Arc<Gate>>,
    owner: OnceLock<Result<Owner, Full>>,
}

#[derive(Debug)]
struct Owner {
    device: Arc<Gate>,
    tenant: Arc<Gate>,
}

impl Visit {
    /// Whether the device is known already; see [`Visit::prove`].
    pub(crate) fn is_proven(&self) -> bool {
        self.owner.get().is_some()
    }

    /// The connection is this device's. Counts it once.
    pub(crate) fn prove(&self, owner: &CertificateOwner, now: Duration) {
        self.owner.get_or_init(|| {
            let admission = &self.admission;
            let limits = &admission.limits;
            let device = admission
                .devices
                .gate(&format!("{}/{}", owner.tenant, owner.device), now);
            let tenant = admission.tenants.gate(owner.tenant.as_str(), now);
            if !enter(&device.open, limits.connections_per_device) {
                return Err(Full::Device);
            }
            if !enter(&tenant.open, limits.connections_per_tenant) {
                leave(&device.open);
                return Err(Full::Tenant);
            }
            if let Some(address) = &self.address {
                leave(&address.unproven);
            }
            Ok(Owner { device, tenant })
        });
    }

    /// One more request; or how long to wait, and why.
    pub(crate) fn request(&self, now: Duration) -> Result<(), Wait> {
        let limits = &self.admission.limits;
        let take = |gate: &Gate, rate: Rate, what: &'static str| {
            gate.requests
                .take(rate, now)
                .map_err(|time| Wait { time, what })
        };
        match self.owner.get() {
            Some(Ok(owner)) => {
                let what = "too many requests of this device";
                take(&owner.device, limits.requests_per_device, what)?;
                let what = "too many requests of this customer's devices";
                take(&owner.tenant, limits.requests_per_tenant, what)
            }
            Some(Err(full)) => Err(Wait {
                time: CROWDED,
                what: match full {
                    Full::Tenant => "too many connections of this customer's devices",
                    _ => "too many connections of this device",
                },
            }),
            None => self.address.as_ref().map_or(Ok(()), |gate| {
                let what = "too many requests without a device certificate of this address";
                take(gate, limits.requests_per_address, what)
            }),
        }
    }
}

/// Until one of too many connections may have ended.
const CROWDED: Duration = Duration::from_secs(10);

/// What a request has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) time: Duration,
    pub(crate) what: &'static str,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let proven = match self.owner.get() {
            Some(Ok(owner)) => {
                leave(&owner.device.open);
                leave(&owner.tenant.open);
                true
            }
            Some(Err(_)) | None => false,
        };
        if let Some(address) = &self.address {
            leave(&address.open);
            if !proven {
                leave(&address.unproven);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn admission(change: impl FnOnce(&mut Limits)) -> Arc<Admission> {
        let mut limits = Limits {
            connections_per_address: 3,
            unproven_per_address: 2,
            connections_per_device: 2,
            connections_per_tenant: 3,
            ..Limits::default()
        };
        change(&mut limits);
        Admission::new(limits)
    }

    fn device(id: &str) -> CertificateOwner {
        CertificateOwner {
            tenant: "t".to_owned(),
            device: id.to_owned(),
        }
    }

    #[test]
    fn strangers_of_an_address_leave_room_for_its_devices() {
        let admission = admission(|_| ());
        let first = admission.connect(ADDRESS, NOW).unwrap();
        let _second = admission.connect(ADDRESS, NOW).unwrap();
        assert_eq!(admission.connect(ADDRESS, NOW).unwrap_err(), Full::Unproven);
        first.prove(&device("d"), NOW);
        let third = admission.connect(ADDRESS, NOW).unwrap();
        assert_eq!(admission.connect(ADDRESS, NOW).unwrap_err(), Full::Address);
        drop(third);
        drop(first);
        let again = admission.connect(ADDRESS, NOW).unwrap();
        assert_eq!(admission.connect(ADDRESS, NOW).unwrap_err(), Full::Unproven);
        drop(again);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_and_a_front_door_as_none() {
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        let admission = admission(|limits| limits.front_doors = vec![ADDRESS]);
        let _first = admission.connect(six("2001:db8::1"), NOW).unwrap();
        let _second = admission.connect(six("2001:db8::2"), NOW).unwrap();
        assert!(admission.connect(six("2001:db8::3"), NOW).is_err());
        assert!(admission.connect(six("2001:db8:0:1::3"), NOW).is_ok());
        let through: Vec<_> = (0..100)
            .map(|_| admission.connect(ADDRESS, NOW).unwrap())
            .collect();
        assert!(through.iter().all(|visit| visit.request(NOW).is_ok()));
    }

    #[test]
    fn a_device_and_a_tenant_have_so_many_connections_and_then_wait() {
        let admission = admission(|limits| {
            limits.connections_per_address = 100;
            limits.unproven_per_address = 100;
        });
        let connect = |id: &str| {
            let visit = admission.connect(ADDRESS, NOW).unwrap();
            visit.prove(&device(id), NOW);
            visit
        };
        let (one, two, three) = (connect("a"), connect("a"), connect("a"));
        assert!(one.request(NOW).is_ok() && two.request(NOW).is_ok());
        assert_eq!(three.request(NOW).unwrap_err().time, CROWDED);
        let (four, five) = (connect("b"), connect("c"));
        assert!(four.request(NOW).is_ok());
        assert!(five.request(NOW).unwrap_err().what.contains("customer"));
        drop(one);
        assert!(connect("a").request(NOW).is_ok());
    }

    #[test]
    fn requests_beyond_the_rate_wait_and_others_do_not_feel_it() {
        let admission = admission(|limits| {
            limits.requests_per_device = Rate::per_second(1);
            limits.requests_per_address = Rate::per_second(1);
        });
        let visit = admission.connect(ADDRESS, NOW).unwrap();
        for _ in 0..10 {
            assert!(visit.request(NOW).is_ok(), "as a stranger");
        }
        assert_eq!(visit.request(NOW).unwrap_err().time, Duration::from_secs(1));
        visit.prove(&device("a"), NOW);
        for _ in 0..10 {
            assert!(visit.request(NOW).is_ok(), "as a device");
        }
        assert!(visit.request(NOW).unwrap_err().what.contains("device"));
        let other = admission.connect(ADDRESS, NOW).unwrap();
        other.prove(&device("b"), NOW);
        assert!(other.request(NOW).is_ok());
    }

    #[test]
    fn whoever_comes_back_too_often_waits_outside() {
        let admission = admission(|limits| limits.connects_per_address = Rate::per_second(1));
        for _ in 0..10 {
            drop(admission.connect(ADDRESS, NOW).unwrap());
        }
        assert_eq!(admission.connect(ADDRESS, NOW).unwrap_err(), Full::Connects);
        assert!(admission.connect(ADDRESS, NOW + CROWDED).is_ok());
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let gates = Gates::<String>::new();
        let held = gates.gate("held", NOW);
        for number in 0..10 * SWEEP_MIN {
            drop(gates.gate(number.to_string().as_str(), NOW));
        }
        let known = gates.0.lock().unwrap();
        assert!(known.gates.len() <= SWEEP_MIN + 1);
        assert!(Arc::ptr_eq(&known.gates["held"], &held));
    }
}
