//! The store port: small items under (partition, sort key), as DynamoDB has them.
//!
//! Every tenant's items lie in partitions that begin with `T#` and the tenant's id. An item has a
//! clear version for conditions and a body that is opaque here (see [`crate::sealed_store`]).
//! Writing happens in small transactions, all or nothing, durable when the call returns. Expired
//! items are never returned, whether swept or not. One suite, `conformance`, accepts the engines.

#[cfg(test)]
pub mod conformance;
pub mod memory;
pub mod sqlite;

/// Most operations in one transaction, as DynamoDB limits it.
pub const OPERATIONS_MAX: usize = 100;

/// Where an item lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition.
    pub partition: String,
    /// The place in the partition's order (bytewise).
    pub sort: String,
}

impl Key {
    /// The key of `sort` in `partition`.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            sort: sort.into(),
        }
    }
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The place in the partition.
    pub sort: String,
    /// 1 when made, one more with each change.
    pub version: u64,
    /// The content.
    pub body: Vec<u8>,
}

/// What must be true of an item for a transaction to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is none, or it expired.
    Absent,
    /// It has this version.
    Version(u64),
}

impl Expect {
    /// The version an item gets when it is put under this condition.
    #[must_use]
    pub const fn next_version(self) -> u64 {
        match self {
            Self::Absent => 1,
            Self::Version(version) => version + 1,
        }
    }
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The item.
    pub key: Key,
    /// What must be true of it before.
    pub expect: Expect,
    /// What happens to it.
    pub change: Change,
}

/// What happens to an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets this body and the next version.
    Put {
        /// The content.
        body: Vec<u8>,
        /// From this moment on it is as if it were not there.
        expires_at_ms: Option<u64>,
    },
    /// It goes.
    Delete,
    /// Nothing; only the condition counts.
    Check,
}

/// A failed store operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else changed an item in between; nothing was written.
    #[error("an item was changed in between (operation {index})")]
    Conflict {
        /// The first operation whose condition did not hold.
        index: usize,
    },
    /// More operations than a transaction may have; a defect of the caller.
    #[error("a transaction of {0} operations, {OPERATIONS_MAX} at most")]
    TooLarge(usize),
    /// The store is of a newer version of this program.
    #[error("the store has version {found}, this program reads up to {known}: use a newer program")]
    Newer {
        /// Its version.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The file is no store of ours.
    #[error("the file is a database of another program")]
    Foreign,
    /// The engine failed.
    #[error("cannot {operation}")]
    Engine {
        /// What was attempted.
        operation: &'static str,
        /// The engine's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Items under (partition, sort key).
pub trait Store: Send + Sync {
    /// The item under `key`, unless there is none or it expired by `now_ms`.
    ///
    /// # Errors
    /// When the engine cannot read.
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError>;

    /// The items of a partition whose sort keys begin with `prefix` and come after `after`, in
    /// order, at most `limit`.
    ///
    /// # Errors
    /// When the engine cannot read.
    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError>;

    /// Does all operations or none; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a condition does not hold, or when the engine cannot write.
    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError>;

    /// Removes what expired by `now_ms`, at most `limit` items; returns how many.
    ///
    /// # Errors
    /// When the engine cannot write.
    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError>;
}

/// Which items of a partition, see [`Store::range`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<'a> {
    /// The partition.
    pub partition: &'a str,
    /// What the sort keys begin with.
    pub prefix: &'a str,
    /// The sort key to start behind; empty: at the first.
    pub after: &'a str,
    /// Most items to return.
    pub limit: usize,
}
