//! Division of work over the rayon pool.
//!
//! Sums over the batch must not depend on which thread was quicker. So either a
//! unit writes only its own outputs (and may run anywhere, [`dynamic`]), or a task
//! sums over a range of units that depends on the number of threads alone
//! ([`fixed`]), and the tasks' sums are added in order.

mod crew;

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

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
        // Relaxed: the counter orders nothing else; the region's end does.
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
    region(n_tasks(units), Leftover::Skip, &|_| body(&queue));
}

/// What becomes of tasks that no thread has begun when the caller has finished its own.
#[derive(Clone, Copy, PartialEq)]
enum Leftover {
    /// The caller runs them.
    Run,
    /// They would find nothing to do.
    Skip,
}

/// Runs `body(0)` to `body(tasks - 1)` and returns when all have finished.
///
/// The caller works itself, and never waits for a thread that has not begun; the others are
/// the threads of the crew, which are awake while regions follow each other (see there).
fn region(tasks: usize, leftover: Leftover, body: &(dyn Fn(usize) + Sync)) {
    if tasks == 1 {
        body(0);
        return;
    }
    if rayon::current_thread_index().is_some() {
        // On a thread of the pool, waiting must go on with other work of the pool.
        rayon::scope(|scope| {
            for task in 1..tasks {
                scope.spawn(move |_| body(task));
            }
            body(0);
        });
        return;
    }
    let erased: *const (dyn Fn(usize) + Sync + '_) = body;
    // SAFETY: only the lifetime is changed. Threads call the body between claiming a task and
    // reporting it finished, and `region` returns only when all tasks were reported.
    let erased: *const (dyn Fn(usize) + Sync + 'static) = unsafe { std::mem::transmute(erased) };
    let shared = Arc::new(Region {
        body: Body(erased),
        claimed: (1..tasks).map(|_| AtomicBool::new(false)).collect(),
        unfinished: AtomicUsize::new(tasks - 1),
        caller: std::thread::current(),
        panic: Mutex::new(None),
    });
    crew::post(&shared, tasks);
    let own = catch_unwind(AssertUnwindSafe(|| body(0)));
    for task in 1..tasks {
        if shared.claim(task) {
            match leftover {
                Leftover::Run => shared.run(task),
                Leftover::Skip => shared.finish(),
            }
        }
    }
    shared.wait();
    let other = shared
        .panic
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(panic) = own.err().or(other) {
        resume_unwind(panic);
    }
}

/// The body of a region, without its lifetime.
struct Body(*const (dyn Fn(usize) + Sync));

// SAFETY: it points to something `Sync`, and is used only while that lives; see `region`.
unsafe impl Send for Body {}
// SAFETY: as above.
unsafe impl Sync for Body {}

struct Region {
    body: Body,
    claimed: Vec<AtomicBool>,
    unfinished: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Looks at the counter before the caller goes to sleep: about 200 microseconds, since being
/// woken takes 50 and more on a virtual machine.
const SPINS: usize = 5000;

impl Region {
    /// True for one thread only.
    fn claim(&self, task: usize) -> bool {
        !self.claimed[task - 1].swap(true, Ordering::AcqRel)
    }

    /// Runs a task that this thread has claimed.
    fn run(&self, task: usize) {
        // SAFETY: the task is unfinished, so `region` has not returned and the body lives.
        let body = unsafe { &*self.body.0 };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(task))) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        self.finish();
    }

    fn finish(&self) {
        // Release: the caller sees what the task wrote.
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.caller.unpark();
        }
    }

    fn wait(&self) {
        for _ in 0..SPINS {
            if self.unfinished.load(Ordering::Acquire) == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        while self.unfinished.load(Ordering::Acquire) != 0 {
            std::thread::park();
        }
    }
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

    /// Sums of `regions` regions after each other, with a pause before each.
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
        // Longer than the crew looks out.
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
