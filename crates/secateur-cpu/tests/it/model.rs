//! The crew of threads under a model checker (loom): every order in which its threads and their
//! callers can take turns, up to some preemptions, with what the memory model lets each see.
//!
//! `crew.rs` and `region.rs` are compiled a second time here, with loom's primitives. A lost
//! wake-up shows as a deadlock; a caller that returns too early, or that does not see what its
//! tasks wrote, shows as a conflict on a [`Slots`] cell.

#[path = "../../src/parallel/crew.rs"]
mod crew;
#[path = "../../src/parallel/region.rs"]
mod region;

mod sync {
    pub(super) use loom::hint::spin_loop;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(super) use loom::sync::{Arc, MutexGuard};
    pub(super) use loom::thread::{Thread, current, park};
    use std::sync::{LockResult, TryLockError};

    /// Sleeping is what is to be checked, so nobody looks twice before that.
    pub(super) const CREW_SPINS: usize = 1;
    pub(super) const CALLER_SPINS: usize = 1;

    /// A lock that spins: loom takes it for an error if a thread is unparked while it is blocked
    /// on a mutex, which is allowed.
    #[derive(Default)]
    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            loop {
                match self.0.try_lock() {
                    Ok(guard) => return Ok(guard),
                    Err(TryLockError::Poisoned(error)) => return Err(error),
                    Err(TryLockError::WouldBlock) => loom::thread::yield_now(),
                }
            }
        }
    }
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};

use crew::{Leftover, Mailbox, Member};

/// Memory that tasks write and their caller reads; loom reports accesses that nothing orders.
struct Slots(Vec<UnsafeCell<usize>>);

// SAFETY: loom itself watches over the accesses.
unsafe impl Sync for Slots {}

impl Slots {
    fn new(n: usize) -> Self {
        Self((0..n).map(|_| UnsafeCell::new(0)).collect())
    }

    fn add(&self, i: usize) {
        // SAFETY: loom checks that no other thread has access.
        self.0[i].with_mut(|value| unsafe { *value += 1 });
    }

    fn assert_all(&self, expected: usize) {
        for slot in &self.0 {
            // SAFETY: as above.
            assert_eq!(slot.with(|value| unsafe { *value }), expected);
        }
    }
}

/// `n` threads, each of which works until `posts` tasks were posted to it.
fn hire(n: usize, posts: usize) -> (Vec<Member>, Vec<JoinHandle<()>>) {
    (0..n)
        .map(|_| {
            let mailbox = Arc::new(Mailbox::default());
            let own = Arc::clone(&mailbox);
            let handle = thread::spawn(move || {
                let mut seen = 0;
                while seen < posts {
                    seen = own.help(seen);
                }
            });
            let thread = handle.thread().clone();
            (Member { mailbox, thread }, handle)
        })
        .unzip()
}

/// Checks `body` in all orders with up to `preemptions` preemptions.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// Every task of a region runs once, and its caller sees what it wrote.
fn run_all(crew: &[Member], tasks: usize) {
    let slots = Slots::new(tasks);
    crew::run(crew, tasks, Leftover::Run, &|task| slots.add(task));
    slots.assert_all(1);
}

#[test]
fn every_task_runs_once_and_before_the_caller_returns() {
    model(3, || {
        let (crew, handles) = hire(2, 1);
        run_all(&crew, 3);
        handles.into_iter().for_each(|h| h.join().unwrap());
    });
}

#[test]
fn a_thread_that_fell_asleep_wakes_for_the_next_region() {
    model(3, || {
        let (crew, handles) = hire(1, 2);
        run_all(&crew, 2);
        run_all(&crew, 2);
        handles.into_iter().for_each(|h| h.join().unwrap());
    });
}

#[test]
fn leftover_tasks_may_be_skipped_once_their_work_is_done() {
    model(3, || {
        let (crew, handles) = hire(1, 1);
        let (next, slots) = (AtomicUsize::new(0), Slots::new(2));
        crew::run(&crew, 2, Leftover::Skip, &|_| {
            loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= 2 {
                    break;
                }
                slots.add(unit);
            }
        });
        slots.assert_all(1);
        handles.into_iter().for_each(|h| h.join().unwrap());
    });
}

#[test]
fn callers_at_once_share_a_crew() {
    model(3, || {
        let (crew, handles) = hire(1, 2);
        let crew = Arc::new(crew);
        let other = {
            let crew = Arc::clone(&crew);
            thread::spawn(move || run_all(&crew, 2))
        };
        run_all(&crew, 2);
        other.join().unwrap();
        handles.into_iter().for_each(|h| h.join().unwrap());
    });
}
