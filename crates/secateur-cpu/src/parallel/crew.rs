//! Threads that stay awake between the regions of a step.
//!
//! A pass over a network is a chain of some hundred regions with little in between. Threads
//! of rayon's pool fall asleep within microseconds, and waking one takes longer (50
//! microseconds and more on a virtual machine) than a whole narrow layer. The crew's threads
//! look out for the next region for about half a millisecond before they sleep.
//!
//! There is one thread less than rayon's pool has: the caller works too. Regions of several
//! callers at once may miss the crew; then each caller does its own tasks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use super::{Region, threads};

/// Looks at the mailbox before a thread goes to sleep: about half a millisecond.
const SPINS: usize = 12_000;

/// Where one thread gets its tasks.
#[derive(Default)]
struct Mailbox {
    /// The region to help with and the number of the task in it.
    task: Mutex<Option<(Arc<Region>, usize)>>,
    /// Grows with every task posted.
    posted: AtomicUsize,
    is_asleep: AtomicBool,
}

struct Member {
    mailbox: Arc<Mailbox>,
    thread: Thread,
}

/// The crew, hired at the first region. A thread that cannot be had is done without.
fn crew() -> &'static [Member] {
    static CREW: OnceLock<Vec<Member>> = OnceLock::new();
    CREW.get_or_init(|| {
        (1..threads())
            .map_while(|i| {
                let mailbox = Arc::new(Mailbox::default());
                let own = Arc::clone(&mailbox);
                let thread = std::thread::Builder::new()
                    .name(format!("routines-{i}"))
                    .spawn(move || work(&own))
                    .ok()?;
                let thread = thread.thread().clone();
                Some(Member { mailbox, thread })
            })
            .collect()
    })
}

/// Offers tasks 1 to `tasks - 1` to the crew, one each. What nobody claims in time is left to
/// the caller.
pub(super) fn post(region: &Arc<Region>, tasks: usize) {
    for (task, member) in (1..tasks).zip(crew()) {
        let mailbox = &member.mailbox;
        *lock(&mailbox.task) = Some((Arc::clone(region), task));
        // Sequentially consistent, against the thread's flag and its last look at `posted`:
        // either it sees the task or we see it asleep.
        mailbox.posted.fetch_add(1, Ordering::SeqCst);
        if mailbox.is_asleep.swap(false, Ordering::SeqCst) {
            member.thread.unpark();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that could panic happens under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread of the crew: until the process ends.
fn work(mailbox: &Mailbox) {
    let mut seen = 0;
    loop {
        seen = next(mailbox, seen);
        let task = lock(&mailbox.task).take();
        if let Some((region, task)) = task
            && region.claim(task)
        {
            region.run(task);
        }
    }
}

/// Waits until more than `seen` tasks were posted.
fn next(mailbox: &Mailbox, seen: usize) -> usize {
    for _ in 0..SPINS {
        let posted = mailbox.posted.load(Ordering::Acquire);
        if posted != seen {
            return posted;
        }
        std::hint::spin_loop();
    }
    loop {
        mailbox.is_asleep.store(true, Ordering::SeqCst);
        let posted = mailbox.posted.load(Ordering::SeqCst);
        if posted != seen {
            mailbox.is_asleep.store(false, Ordering::SeqCst);
            return posted;
        }
        std::thread::park();
    }
}
