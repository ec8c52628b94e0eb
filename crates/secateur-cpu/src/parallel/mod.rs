//! Division of work over as many threads as rayon's pool has.
//!
//! Sums over the batch must not depend on which thread was quicker. So work comes in two
//! kinds. With [`dynamic`] every unit writes only its own outputs, and any thread may take it.
//! With [`fixed`] every task sums over a range of units that depends on the number of threads
//! alone, and the caller adds the tasks' sums in order.

mod crew;
mod region;
mod sync;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crew::{Leftover, Mailbox, Member};

/// A pointer that may go to another thread. Whoever uses it there must see to it that no element
/// that one thread writes is used by another.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: it is an address only; each place that uses it says why that is sound.
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

    /// The address. This is a method so that closures capture all of `self`, which may go to
    /// another thread, and not the field, which may not.
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

/// Calls `body(task, its range of units)` for every task; tasks run on different threads.
pub(crate) fn fixed(units: usize, body: impl Fn(usize, Range<usize>) + Sync) {
    let tasks = n_tasks(units);
    region(tasks, Leftover::Run, &|task| {
        body(task, range_of(task, tasks, units))
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
        // Relaxed is enough: what units write is published by the end of the region.
        let unit = self.next.fetch_add(1, Ordering::Relaxed);
        (unit < self.units).then_some(unit)
    }
}

/// Calls `body` on every thread with a queue of the units, of which it takes the next whenever it
/// is free.
pub(crate) fn dynamic(units: usize, body: impl Fn(&Queue) + Sync) {
    let queue = Queue {
        next: AtomicUsize::new(0),
        units,
    };
    region(n_tasks(units), Leftover::Skip, &|_| body(&queue));
}

/// Runs `body(0)` to `body(tasks - 1)` and returns when all have finished.
fn region(tasks: usize, leftover: Leftover, body: &(dyn Fn(usize) + Sync)) {
    if tasks == 1 {
        body(0);
        return;
    }
    if rayon::current_thread_index().is_some() {
        // This is a thread of rayon's pool. While it waits it must do other work of the pool,
        // or the pool could run out of threads; only rayon's own scope does that.
        rayon::scope(|scope| {
            for task in 1..tasks {
                scope.spawn(move |_| body(task));
            }
            body(0);
        });
        return;
    }
    crew::run(hired(), tasks, leftover, body);
}

/// The process's crew, hired at the first region. If the system refuses a thread, the crew stays
/// smaller and callers do more themselves.
fn hired() -> &'static [Member] {
    static CREW: OnceLock<Vec<Member>> = OnceLock::new();
    CREW.get_or_init(|| {
        (1..threads())
            .map_while(|i| {
                let mailbox = Arc::new(Mailbox::default());
                let own = Arc::clone(&mailbox);
                let work = move || {
                    let mut seen = 0;
                    loop {
                        seen = own.help(seen);
                    }
                };
                let name = format!("routines-{i}");
                let thread = std::thread::Builder::new().name(name).spawn(work).ok()?;
                let thread = thread.thread().clone();
                Some(Member { mailbox, thread })
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

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
    fn panics_reach_the_caller_after_all_tasks_have_ended() {
        for bad in 0..3 {
            let ended = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                region(3, Leftover::Run, &|task| {
                    ended.fetch_add(1, Ordering::Relaxed);
                    assert!(task != bad, "task {task}");
                });
            }));
            let panic = result.expect_err("one task panics");
            assert_eq!(panic.downcast_ref::<String>(), Some(&format!("task {bad}")));
            assert_eq!(ended.load(Ordering::Relaxed), 3);
        }
    }

    #[test]
    fn regions_work_inside_the_pool() {
        let count = AtomicUsize::new(0);
        rayon::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|_| {
                    dynamic(10, |queue| {
                        for _ in queue {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 200);
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

    /// Adds up what `regions` regions compute, one after the other, each after a pause.
    fn sums(regions: usize, pause: std::time::Duration) -> usize {
        let sum = AtomicUsize::new(0);
        for region in 0..regions {
            std::thread::sleep(pause);
            fixed(7, |_, range| {
                for unit in range {
                    sum.fetch_add(region * unit, Ordering::Relaxed);
                }
            });
        }
        sum.into_inner()
    }

    #[test]
    fn callers_at_once_keep_their_regions_apart() {
        let expected = 21 * (0..400).sum::<usize>();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| sums(400, std::time::Duration::ZERO)))
                .collect();
            for caller in callers {
                assert_eq!(caller.join().unwrap(), expected);
            }
        });
    }

    #[test]
    fn threads_that_fell_asleep_work_again() {
        // The crew has fallen asleep by then.
        let pause = std::time::Duration::from_millis(3);
        assert_eq!(sums(20, pause), 21 * (0..20).sum::<usize>());
    }

    #[test]
    fn the_crew_survives_a_panic_in_its_task() {
        for _ in 0..20 {
            let result = catch_unwind(|| {
                region(2, Leftover::Run, &|task| assert!(task == 0, "task {task}"));
            });
            assert!(result.is_err());
        }
        assert_eq!(
            sums(20, std::time::Duration::ZERO),
            21 * (0..20).sum::<usize>()
        );
    }
}
