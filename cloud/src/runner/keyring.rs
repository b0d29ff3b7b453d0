//! A tenant's private keys, by key id. Retired keys still open.

use std::collections::BTreeMap;

use scantrip_cloud_client::seal::PrivateKey;

use crate::ports::Ports;
use crate::steps::StepFault;

/// The keys of one tenant.
pub(super) struct Keyring {
    keys: BTreeMap<[u8; 32], PrivateKey>,
    newest: [u8; 32],
}

impl Keyring {
    pub(super) fn load(ports: &Ports, tenant: &str) -> Result<Self, StepFault> {
        let prefix = format!("tenant.{tenant}.seal.");
        let mut generations = Vec::new();
        for name in ports.keys.names(&prefix)? {
            let generation = name
                .strip_prefix(&prefix)
                .and_then(|text| text.parse::<u64>().ok());
            generations.extend(generation.map(|generation| (generation, name)));
        }
        generations.sort();
        let mut keyring = Self {
            keys: BTreeMap::new(),
            newest: [0; 32],
        };
        for (_, name) in generations {
            let secret = ports.keys.secret(&name)?;
            let key = PrivateKey::from_bytes(&secret).map_err(StepFault::internal)?;
            keyring.newest = key.public().key_id();
            keyring.keys.insert(keyring.newest, key);
        }
        Ok(keyring)
    }

    pub(super) fn get(&self, key_id: &[u8; 32]) -> Option<&PrivateKey> {
        self.keys.get(key_id)
    }

    /// The key to seal with.
    pub(super) fn newest(&self) -> Result<&PrivateKey, StepFault> {
        self.get(&self.newest)
            .ok_or_else(|| StepFault::internal("the tenant has no key"))
    }
}
