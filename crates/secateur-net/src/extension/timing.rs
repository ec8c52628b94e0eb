//! How long the routines ran: what remains of a step is the framework's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static NANOSECONDS: AtomicU64 = AtomicU64::new(0);

/// Runs `body` on the clock.
pub(crate) fn timed<T>(body: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = body();
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    // Relaxed is enough: no other memory is read because of this sum.
    NANOSECONDS.fetch_add(elapsed, Ordering::Relaxed);
    result
}

/// Time that fused operations and updates of this process have spent in the CPU routines,
/// over all threads that called them. Two clock readings an operation: some 50 ns of a layer.
pub fn time_in_routines() -> Duration {
    Duration::from_nanos(NANOSECONDS.load(Ordering::Relaxed))
}
