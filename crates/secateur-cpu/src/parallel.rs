//! Division of work over the rayon pool.
//!
//! Sums over the batch must not depend on which thread was quicker. So either a
//! unit writes only its own outputs (and may run anywhere, [`dynamic`]), or a task
//! sums over a range of units that depends on the number of threads alone
//! ([`fixed`]), and the tasks' sums are added in order.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pointer that may go to another thread. Whoever uses it there must see to it
/// that no two threads touch the same element, one of them writing.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: only an address; each use of it carries its own argument.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn read(values: &[f32]) -> Self {
        Self(values.as_ptr().cast_mut())
    }

    pub(crate) fn write(values: &mut [f32]) -> Self {
        Self(values.as_mut_ptr())
    }

    /// The address. A method, so that closures capture the whole, not the raw pointer.
    pub(crate) fn ptr(self) -> *mut f32 {
        self.0
    }
}

/// Number of threads that take part.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Number of tasks that [`fixed`] makes of `units`.
pub(crate) fn n_tasks(units: usize) -> usize {
    threads().min(units).max(1)
}

/// Range of units of task `task` of `tasks`.
pub(crate) fn range_of(task: usize, tasks: usize, units: usize) -> Range<usize> {
    let (each, extra) = (units / tasks, units % tasks);
    let start = task * each + task.min(extra);
    start..start + each + usize::from(task < extra)
}

/// Calls `body(task, its range of units)` for every task, each on a thread.
pub(crate) fn fixed(units: usize, body: impl Fn(usize, Range<usize>) + Sync) {
    let tasks = n_tasks(units);
    if tasks == 1 {
        body(0, 0..units);
        return;
    }
    let body = &body;
    rayon::scope(|scope| {
        for task in 1..tasks {
            scope.spawn(move |_| body(task, range_of(task, tasks, units)));
        }
        body(0, range_of(0, tasks, units));
    });
}

/// Hands out units one by one.
pub(crate) struct Queue {
    next: AtomicUsize,
    units: usize,
}

impl Iterator for &Queue {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        // Relaxed: the counter orders nothing else; the scope's end does.
        let unit = self.next.fetch_add(1, Ordering::Relaxed);
        (unit < self.units).then_some(unit)
    }
}

/// Calls `body` on every thread with a queue of the units, whoever is free takes the next.
pub(crate) fn dynamic(units: usize, body: impl Fn(&Queue) + Sync) {
    let queue = Queue {
        next: AtomicUsize::new(0),
        units,
    };
    let tasks = n_tasks(units);
    if tasks == 1 {
        body(&queue);
        return;
    }
    let (body, queue) = (&body, &queue);
    rayon::scope(|scope| {
        for _ in 1..tasks {
            scope.spawn(move |_| body(queue));
        }
        body(queue);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_all_units_in_order() {
        for tasks in 1..9 {
            for units in 0..40 {
                let all: Vec<usize> = (0..tasks).flat_map(|t| range_of(t, tasks, units)).collect();
                assert_eq!(all, (0..units).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn every_unit_runs_once() {
        for units in [0, 1, 2, 3, 17] {
            let counts: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
            dynamic(units, |queue| {
                for unit in queue {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                }
            });
            fixed(units, |_, range| {
                for unit in range {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 2));
        }
    }
}
