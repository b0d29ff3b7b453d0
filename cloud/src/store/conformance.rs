//! What every engine of the store must do; an engine is accepted by passing it.

use super::{Change, Expect, Key, OPERATIONS_MAX, Operation, Range, Store, StoreError};

/// Runs the whole suite, each part on a fresh store.
pub fn check(fresh: &dyn Fn() -> Box<dyn Store>) {
    an_item_is_put_once_and_changed_by_version(&*fresh());
    a_transaction_happens_whole_or_not_at_all(&*fresh());
    expired_items_are_absent(&*fresh());
    ranges_are_ordered_and_bounded(&*fresh());
    too_many_operations_are_refused(&*fresh());
}

fn put(partition: &str, sort: &str, expect: Expect, body: &[u8]) -> Operation {
    Operation {
        key: Key::new(partition, sort),
        expect,
        change: Change::Put {
            body: body.to_vec(),
            expires_at_ms: None,
        },
    }
}

fn conflict_at(result: Result<(), StoreError>) -> usize {
    match result {
        Err(StoreError::Conflict { index }) => index,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

fn an_item_is_put_once_and_changed_by_version(store: &dyn Store) {
    let key = Key::new("p", "s");
    assert_eq!(store.get(&key, 0).unwrap(), None);
    store
        .transact(&[put("p", "s", Expect::Absent, b"one")], 0)
        .unwrap();
    assert_eq!(
        conflict_at(store.transact(&[put("p", "s", Expect::Absent, b"x")], 0)),
        0
    );
    assert_eq!(
        conflict_at(store.transact(&[put("p", "s", Expect::Version(2), b"x")], 0)),
        0
    );
    store
        .transact(&[put("p", "s", Expect::Version(1), b"two")], 0)
        .unwrap();
    let item = store.get(&key, 0).unwrap().unwrap();
    assert_eq!((item.version, item.body.as_slice()), (2, b"two".as_slice()));
    let delete = |version| Operation {
        key: key.clone(),
        expect: Expect::Version(version),
        change: Change::Delete,
    };
    assert_eq!(conflict_at(store.transact(&[delete(1)], 0)), 0);
    store.transact(&[delete(2)], 0).unwrap();
    assert_eq!(store.get(&key, 0).unwrap(), None);
}

fn a_transaction_happens_whole_or_not_at_all(store: &dyn Store) {
    store
        .transact(&[put("p", "b", Expect::Absent, b"old")], 0)
        .unwrap();
    let failed = store.transact(
        &[
            put("p", "a", Expect::Absent, b"new"),
            put("p", "b", Expect::Absent, b"new"),
        ],
        0,
    );
    assert_eq!(conflict_at(failed), 1);
    assert_eq!(store.get(&Key::new("p", "a"), 0).unwrap(), None);
    let check = Operation {
        key: Key::new("p", "b"),
        expect: Expect::Version(1),
        change: Change::Check,
    };
    store
        .transact(&[put("q", "a", Expect::Absent, b"new"), check], 0)
        .unwrap();
    assert_eq!(
        store.get(&Key::new("p", "b"), 0).unwrap().unwrap().version,
        1
    );
    assert!(store.get(&Key::new("q", "a"), 0).unwrap().is_some());
}

fn expired_items_are_absent(store: &dyn Store) {
    let key = Key::new("p", "s");
    let short = Operation {
        key: key.clone(),
        expect: Expect::Absent,
        change: Change::Put {
            body: b"short".to_vec(),
            expires_at_ms: Some(1000),
        },
    };
    store.transact(std::slice::from_ref(&short), 0).unwrap();
    assert!(store.get(&key, 999).unwrap().is_some());
    assert_eq!(
        conflict_at(store.transact(std::slice::from_ref(&short), 999)),
        0
    );
    assert_eq!(store.get(&key, 1000).unwrap(), None);
    let all = Range {
        partition: "p",
        prefix: "",
        after: "",
        limit: 10,
    };
    assert_eq!(store.range(&all, 1000).unwrap(), []);
    store
        .transact(&[put("p", "s", Expect::Absent, b"again")], 1000)
        .unwrap();
    assert_eq!(store.get(&key, 2000).unwrap().unwrap().version, 1);
    let other = Operation {
        key: Key::new("p", "t"),
        ..short
    };
    store.transact(&[other], 0).unwrap();
    assert_eq!(store.sweep(2000, 10).unwrap(), 1);
    assert_eq!(store.sweep(2000, 10).unwrap(), 0);
}

fn ranges_are_ordered_and_bounded(store: &dyn Store) {
    for sort in ["a#2", "b#1", "a#1", "a#3", "a"] {
        store
            .transact(&[put("p", sort, Expect::Absent, b"")], 0)
            .unwrap();
    }
    store
        .transact(&[put("pp", "a#1", Expect::Absent, b"")], 0)
        .unwrap();
    let sorts = |prefix, after, limit| {
        let range = Range {
            partition: "p",
            prefix,
            after,
            limit,
        };
        let items = store.range(&range, 0).unwrap();
        items.into_iter().map(|item| item.sort).collect::<Vec<_>>()
    };
    assert_eq!(sorts("a#", "", 10), ["a#1", "a#2", "a#3"]);
    assert_eq!(sorts("a#", "a#1", 1), ["a#2"]);
    assert_eq!(sorts("", "a#3", 10), ["b#1"]);
    assert_eq!(sorts("", "", 10).len(), 5);
    assert_eq!(sorts("c", "", 10).len(), 0);
}

fn too_many_operations_are_refused(store: &dyn Store) {
    let operations: Vec<Operation> = (0..=OPERATIONS_MAX)
        .map(|number| put("p", &number.to_string(), Expect::Absent, b""))
        .collect();
    assert!(matches!(
        store.transact(&operations, 0),
        Err(StoreError::TooLarge(_))
    ));
    store.transact(&operations[1..], 0).unwrap();
}
