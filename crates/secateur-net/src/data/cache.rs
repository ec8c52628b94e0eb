//! What all parts of a source share: room for decoded images, and the account of damaged ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::skipped::Ledger;

/// What loading a part may use.
#[derive(Debug)]
pub(super) struct Loader {
    /// Bytes that decoded images may still take.
    cache: AtomicUsize,
    pub(super) ledger: Ledger,
}

impl Loader {
    /// With room for `cache` bytes of decoded images, and for `max_skipped` damaged ones.
    pub(super) fn new(cache: usize, max_skipped: usize) -> Self {
        Self {
            cache: AtomicUsize::new(cache),
            ledger: Ledger::new(max_skipped),
        }
    }
}

/// Bytes taken from the cache until this is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    loader: Arc<Loader>,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` from the cache, if it has them.
    pub(super) fn new(loader: &Arc<Loader>, bytes: usize) -> Option<Self> {
        let taken = loader
            .cache
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(bytes)
            });
        taken.ok().map(|_| Self {
            loader: loader.clone(),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.loader.cache.fetch_add(self.bytes, Ordering::SeqCst);
    }
}
