//! Order for short lists.

use alloc::vec::Vec;

/// The items in their order, each once. For lists of some ten to a few hundred: the standard library's sort is the
/// faster one for long lists, and costs 3 KB of program for each type.
pub(crate) fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for item in items {
        if let Err(at) = all.binary_search(&item) {
            all.insert(at, item);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_stands_once_in_its_order() {
        assert_eq!(sorted([3, 1, 2, 3, 1]), [1, 2, 3]);
        assert_eq!(sorted::<u8>([]), []);
    }
}
