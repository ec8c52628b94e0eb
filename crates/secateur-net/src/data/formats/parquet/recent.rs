//! Pages that were read last, kept while there is room.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Values by key, each made once while it is kept; the longest unused go first.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    /// Bytes that may be kept.
    room: usize,
    /// Kept whatever room there is: threads read one after the other from the same page.
    least: usize,
    kept: Mutex<Kept<K, V>>,
}

#[derive(Debug)]
struct Kept<K, V> {
    entries: HashMap<K, Entry<V>>,
    bytes: usize,
    time: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<OnceLock<Arc<V>>>,
    bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    pub(super) fn new(room: usize, least: usize) -> Self {
        Self {
            room,
            least,
            kept: Mutex::new(Kept {
                entries: HashMap::new(),
                bytes: 0,
                time: 0,
            }),
        }
    }

    /// The value of a key, made if it is not kept; `size` says how many bytes it takes.
    pub(super) fn get(
        &self,
        key: K,
        make: impl FnOnce() -> V,
        size: impl FnOnce(&V) -> usize,
    ) -> Arc<V> {
        let place = self.with(|kept| {
            kept.time += 1;
            let entry = kept.entries.entry(key).or_insert_with(|| Entry {
                value: Arc::default(),
                bytes: 0,
                used: 0,
            });
            entry.used = kept.time;
            entry.value.clone()
        });
        // Outside the lock: others that want the same wait for it, the rest go on.
        let mut is_new = false;
        let value = place.get_or_init(|| {
            is_new = true;
            Arc::new(make())
        });
        if is_new {
            let bytes = size(value);
            self.with(|kept| {
                if let Some(entry) = kept.entries.get_mut(&key) {
                    kept.bytes += bytes;
                    kept.bytes -= std::mem::replace(&mut entry.bytes, bytes);
                }
                kept.shrink(self.room, self.least);
            });
        }
        value.clone()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept<K, V>) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Hash + Eq + Copy, V> Kept<K, V> {
    fn shrink(&mut self, room: usize, least: usize) {
        while self.bytes > room && self.entries.len() > least {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first() {
        let recent = Recent::new(2, 1);
        let mut made = Vec::new();
        for key in [1, 2, 1, 3, 1, 2] {
            let value = recent.get(
                key,
                || {
                    made.push(key);
                    key * 10
                },
                |_| 1,
            );
            assert_eq!(*value, key * 10);
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[test]
    fn the_last_stay_without_room() {
        let recent = Recent::new(0, 2);
        let mut n_made = 0;
        for key in [1, 1, 2, 1, 2, 3, 3] {
            recent.get(key, || n_made += 1, |()| 100);
        }
        assert_eq!(n_made, 3);
    }
}
