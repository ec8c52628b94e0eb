//! Threads that stay awake between the regions of a step.
//!
//! A pass over a network is a sequence of some hundred regions with little in between. Threads
//! of rayon's pool fall asleep within microseconds, and waking one takes longer (50
//! microseconds and more on a virtual machine) than a whole narrow layer. The crew's threads
//! look out for the next region for about half a millisecond before they sleep.
//!
//! The crew has one thread less than rayon's pool, because the caller works too. If several
//! callers have regions at once, a region may find the crew busy; its caller then does all of
//! its tasks itself.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::region::{Region, lock};
use super::sync::{
    Arc, AtomicBool, AtomicUsize, CREW_SPINS, Mutex, Ordering, Thread, park, spin_loop,
};

/// What becomes of tasks that no thread has begun when the caller has finished its own.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Leftover {
    /// The caller runs them.
    Run,
    /// Nobody does: they would find nothing to do.
    Skip,
}

/// Where one thread gets its tasks.
#[derive(Default)]
pub(super) struct Mailbox {
    /// The region to help with and the number of the task in it.
    task: Mutex<Option<(Arc<Region>, usize)>>,
    /// Grows with every task posted.
    posted: AtomicUsize,
    is_asleep: AtomicBool,
}

/// A thread of the crew, as callers see it.
pub(super) struct Member {
    pub mailbox: Arc<Mailbox>,
    pub thread: Thread,
}

/// Runs `body(0)` to `body(tasks - 1)` and returns when all have finished; resumes the panic of
/// one that panicked.
///
/// The caller works itself, and never waits for a thread that has not begun.
pub(super) fn run(
    crew: &[Member],
    tasks: usize,
    leftover: Leftover,
    body: &(dyn Fn(usize) + Sync),
) {
    // SAFETY: nothing below returns or unwinds before `wait` has returned.
    let region = unsafe { Region::new(tasks, body) };
    post(crew, &region, tasks);
    let own = catch_unwind(AssertUnwindSafe(|| body(0)));
    for task in 1..tasks {
        if region.claim(task) {
            match leftover {
                Leftover::Run => region.run(task),
                Leftover::Skip => region.finish(),
            }
        }
    }
    let other = region.wait();
    if let Some(panic) = own.err().or(other) {
        resume_unwind(panic);
    }
}

/// Offers tasks 1 to `tasks - 1` to the crew, one each. What nobody claims in time is left to
/// the caller.
fn post(crew: &[Member], region: &Arc<Region>, tasks: usize) {
    for (task, member) in (1..tasks).zip(crew) {
        let mailbox = &member.mailbox;
        *lock(&mailbox.task) = Some((Arc::clone(region), task));
        // The thread raises its flag and then looks at `posted` once more before it sleeps; here
        // it is the other way round. Every access to the flag is a read-modify-write, so of the
        // two the later one sees what the other did before: either the thread finds the task, or
        // we find it asleep.
        mailbox.posted.fetch_add(1, Ordering::Release);
        if mailbox.is_asleep.swap(false, Ordering::AcqRel) {
            member.thread.unpark();
        }
    }
}

impl Mailbox {
    /// Waits until more than `seen` tasks were posted, and does the last of them unless somebody
    /// else has. Returns how many were posted.
    pub(super) fn help(&self, seen: usize) -> usize {
        let seen = self.next(seen);
        let task = lock(&self.task).take();
        if let Some((region, task)) = task
            && region.claim(task)
        {
            region.run(task);
        }
        seen
    }

    fn next(&self, seen: usize) -> usize {
        for _ in 0..CREW_SPINS {
            let posted = self.posted.load(Ordering::Acquire);
            if posted != seen {
                return posted;
            }
            spin_loop();
        }
        loop {
            self.is_asleep.swap(true, Ordering::AcqRel);
            let posted = self.posted.load(Ordering::Acquire);
            if posted != seen {
                self.is_asleep.swap(false, Ordering::AcqRel);
                return posted;
            }
            park();
        }
    }
}
