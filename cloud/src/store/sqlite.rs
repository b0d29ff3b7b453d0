//! The store on SQLite: one file, write-ahead log, every commit on the disk before it is reported.
//!
//! One connection writes. Whoever holds it also does the transactions of all who wait for it, in
//! one commit (group commit), so that many small writers share one `fsync`. A few other
//! connections read without waiting for writers.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::{Change, Expect, Item, Key, OPERATIONS_MAX, Operation, Range, Store, StoreError};

/// Marks the file as ours (`STCS`).
const APPLICATION_ID: i64 = 0x5354_4353;
/// The schema's version.
const SCHEMA_VERSION: i64 = 1;
/// Connections that read; more than the processors of a small server help nobody.
const READERS: usize = 4;
/// Most transactions in one commit: bounds how long the first waits for the last.
const GROUP_MAX: usize = 64;

const SCHEMA: &str = "CREATE TABLE item (
    partition TEXT NOT NULL,
    sort TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at_ms INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (partition, sort)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_expiry ON item (expires_at_ms) WHERE expires_at_ms IS NOT NULL;";

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    queue: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    operations: Vec<Operation>,
    now_ms: u64,
    answer: SyncSender<Result<(), StoreError>>,
}

impl SqliteStore {
    /// Opens the store at `path`, or makes it.
    ///
    /// # Errors
    /// When the file cannot be opened, is no store, or is of a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = connect(path).map_err(engine("open the store"))?;
        prepare(&writer)?;
        let readers = (0..READERS)
            .map(|_| connect(path).map(Mutex::new))
            .collect::<Result<_, _>>()
            .map_err(engine("open the store for reading"))?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers,
            next_reader: AtomicUsize::new(0),
            queue: Mutex::default(),
        })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let first = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let readers = self.readers.len();
        let mut order = (0..readers).filter_map(|step| self.readers.get((first + step) % readers));
        order
            .find_map(|reader| reader.try_lock().ok())
            .unwrap_or_else(|| {
                let reader = self.readers.get(first % readers);
                lock(reader.expect("the index is below the number of readers"))
            })
    }

    /// Does the transactions of everybody who waits, in one commit.
    fn serve_waiting(&self, writer: &mut Connection) {
        let group: Vec<Waiting> = {
            let mut queue = lock(&self.queue);
            let count = queue.len().min(GROUP_MAX);
            queue.drain(..count).collect()
        };
        let answers = write_group(writer, &group);
        for (waiting, answer) in group.iter().zip(answers) {
            // Nobody listens any more when the caller's thread died.
            drop(waiting.answer.send(answer));
        }
    }
}

impl Store for SqliteStore {
    fn get(&self, key: &Key, now_ms: u64) -> Result<Option<Item>, StoreError> {
        let connection = self.reader();
        let mut statement = connection
            .prepare_cached(
                "SELECT sort, version, body FROM item WHERE partition = ?1 AND sort = ?2
                 AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
            )
            .map_err(engine("read an item"))?;
        statement
            .query_row(params![key.partition, key.sort, integer(now_ms)], item)
            .optional()
            .map_err(engine("read an item"))
    }

    fn range(&self, range: &Range<'_>, now_ms: u64) -> Result<Vec<Item>, StoreError> {
        let connection = self.reader();
        let mut statement = connection
            .prepare_cached(
                "SELECT sort, version, body FROM item WHERE partition = ?1
                 AND sort > ?2 AND sort >= ?3 AND sort < ?4
                 AND (expires_at_ms IS NULL OR expires_at_ms > ?5) ORDER BY sort LIMIT ?6",
            )
            .map_err(engine("read items"))?;
        // Above every sort key with this prefix: sort keys are ASCII.
        let end = format!("{}\u{10ffff}", range.prefix);
        let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
        let after = params![
            range.partition,
            range.after,
            range.prefix,
            end,
            integer(now_ms),
            limit
        ];
        statement
            .query_map(after, item)
            .and_then(Iterator::collect)
            .map_err(engine("read items"))
    }

    fn transact(&self, operations: &[Operation], now_ms: u64) -> Result<(), StoreError> {
        if operations.len() > OPERATIONS_MAX {
            return Err(StoreError::TooLarge(operations.len()));
        }
        let (sender, answer) = sync_channel(1);
        lock(&self.queue).push(Waiting {
            operations: operations.to_vec(),
            now_ms,
            answer: sender,
        });
        loop {
            let mut writer = lock(&self.writer);
            if let Some(answer) = arrived(&answer) {
                return answer;
            }
            self.serve_waiting(&mut writer);
        }
    }

    fn sweep(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        lock(&self.writer)
            .execute(
                "DELETE FROM item WHERE (partition, sort) IN (SELECT partition, sort FROM item
                 WHERE expires_at_ms IS NOT NULL AND expires_at_ms <= ?1 LIMIT ?2)",
                params![integer(now_ms), i64::try_from(limit).unwrap_or(i64::MAX)],
            )
            .map_err(engine("remove expired items"))
    }
}

fn arrived(answer: &Receiver<Result<(), StoreError>>) -> Option<Result<(), StoreError>> {
    match answer.try_recv() {
        Ok(answer) => Some(answer),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(StoreError::Engine {
            operation: "write items",
            source: "the thread that wrote for this one died".into(),
        })),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

fn prepare(writer: &Connection) -> Result<(), StoreError> {
    let number = |name: &str| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let reading = engine("read the store's version");
    let (application, version) = number("application_id")
        .and_then(|id| Ok((id, number("user_version")?)))
        .map_err(reading)?;
    let tables: i64 = writer
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(engine("read the store"))?;
    match (application, version) {
        (0, 0) if tables == 0 => {}
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            return Err(StoreError::Newer {
                found,
                known: SCHEMA_VERSION,
            });
        }
        (APPLICATION_ID, _) => {}
        _ => return Err(StoreError::Foreign),
    }
    writer
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .and_then(|()| writer.execute_batch("PRAGMA synchronous = FULL"))
        .map_err(engine("set up the store"))?;
    if tables == 0 {
        let schema = format!(
            "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        );
        writer
            .execute_batch(&schema)
            .map_err(engine("make the store"))?;
    }
    Ok(())
}

fn write_group(writer: &mut Connection, group: &[Waiting]) -> Vec<Result<(), StoreError>> {
    let written = (|| {
        let mut transaction =
            writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let savepoint = transaction.savepoint()?;
            let refused = apply(&savepoint, &waiting.operations, waiting.now_ms)?;
            match refused {
                Some(index) => {
                    answers.push(Err(StoreError::Conflict { index }));
                    drop(savepoint);
                }
                None => {
                    savepoint.commit()?;
                    answers.push(Ok(()));
                }
            }
        }
        transaction.commit()?;
        Ok::<_, rusqlite::Error>(answers)
    })();
    written.unwrap_or_else(|error| {
        // Nothing of the group was committed; each of its members hears why.
        let reason = error.to_string();
        let failed = |_: &Waiting| {
            Err(StoreError::Engine {
                operation: "write items",
                source: reason.clone().into(),
            })
        };
        group.iter().map(failed).collect()
    })
}

/// Applies one transaction; `Some` is the first operation whose condition does not hold.
fn apply(
    connection: &Connection,
    operations: &[Operation],
    now_ms: u64,
) -> rusqlite::Result<Option<usize>> {
    let mut find = connection.prepare_cached(
        "SELECT version FROM item WHERE partition = ?1 AND sort = ?2
         AND (expires_at_ms IS NULL OR expires_at_ms > ?3)",
    )?;
    for (index, Operation { key, expect, .. }) in operations.iter().enumerate() {
        let found = find
            .query_row(params![key.partition, key.sort, integer(now_ms)], |row| {
                row.get::<_, i64>(0)
            })
            .optional()?;
        let wanted = match expect {
            Expect::Absent => None,
            Expect::Version(version) => Some(integer(*version)),
        };
        if found != wanted {
            return Ok(Some(index));
        }
    }
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO item (partition, sort, version, expires_at_ms, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut delete =
        connection.prepare_cached("DELETE FROM item WHERE partition = ?1 AND sort = ?2")?;
    for Operation {
        key,
        expect,
        change,
    } in operations
    {
        match change {
            Change::Put {
                body,
                expires_at_ms,
            } => put.execute(params![
                key.partition,
                key.sort,
                integer(expect.next_version()),
                expires_at_ms.map(integer),
                body
            ])?,
            Change::Delete => delete.execute(params![key.partition, key.sort])?,
            Change::Check => 0,
        };
    }
    Ok(None)
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        sort: row.get(0)?,
        version: row.get::<_, i64>(1)?.unsigned_abs(),
        body: row.get(2)?,
    })
}

/// SQLite's integers have a sign; times and versions stay far below 2^63.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn engine(operation: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Engine {
        operation,
        source: source.into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_passes_the_store_suite() {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicUsize::new(0);
        super::super::conformance::check(&|| {
            let name = count.fetch_add(1, Ordering::Relaxed).to_string();
            Box::new(SqliteStore::open(&folder.path().join(name)).unwrap())
        });
    }

    #[test]
    fn a_newer_or_foreign_file_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        drop(SqliteStore::open(&path).unwrap());
        drop(SqliteStore::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA user_version = 2").unwrap();
        assert!(matches!(
            SqliteStore::open(&path),
            Err(StoreError::Newer { found: 2, known: 1 })
        ));
        connection
            .execute_batch("PRAGMA application_id = 1")
            .unwrap();
        assert!(matches!(SqliteStore::open(&path), Err(StoreError::Foreign)));
    }

    #[test]
    fn racing_writers_each_win_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store")).unwrap();
        let won: usize = std::thread::scope(|scope| {
            let race = |_| {
                scope.spawn(|| {
                    let wins = |number: &usize| {
                        let operation = Operation {
                            key: Key::new("p", number.to_string()),
                            expect: Expect::Absent,
                            change: Change::Put {
                                body: vec![1],
                                expires_at_ms: None,
                            },
                        };
                        store.transact(&[operation], 0).is_ok()
                    };
                    (0..50).filter(wins).count()
                })
            };
            let threads: Vec<_> = (0..4).map(race).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(won, 50);
    }
}
