//! One parallel region: a body that is called once for each of its tasks.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::sync::{
    Arc, AtomicBool, AtomicUsize, CALLER_SPINS, Mutex, MutexGuard, Ordering, Thread, current, park,
    spin_loop,
};

/// What a panic carries.
pub(super) type Panic = Box<dyn Any + Send>;

/// The body of a region, without its lifetime.
struct Body(*const (dyn Fn(usize) + Sync));

// SAFETY: it points to something `Sync`, and is used only while that lives; see `Region::new`.
unsafe impl Send for Body {}
// SAFETY: as above.
unsafe impl Sync for Body {}

/// The tasks of a region that other threads than the caller's may run: 1 to `tasks - 1`.
pub(super) struct Region {
    body: Body,
    claimed: Vec<AtomicBool>,
    unfinished: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Panic>>,
}

impl Region {
    /// A region of the calling thread.
    ///
    /// # Safety
    /// The caller must not return before [`Region::wait`] has returned: until then, other
    /// threads may call `body`.
    pub(super) unsafe fn new(tasks: usize, body: &(dyn Fn(usize) + Sync)) -> Arc<Self> {
        let body: *const (dyn Fn(usize) + Sync + '_) = body;
        // SAFETY: only the lifetime is changed. Threads call the body between claiming a task
        // and reporting it finished, and the caller waits for all reports.
        let body: *const (dyn Fn(usize) + Sync + 'static) = unsafe { std::mem::transmute(body) };
        Arc::new(Self {
            body: Body(body),
            claimed: (1..tasks).map(|_| AtomicBool::new(false)).collect(),
            unfinished: AtomicUsize::new(tasks - 1),
            caller: current(),
            panic: Mutex::new(None),
        })
    }

    /// True for the one thread that may run (or finish) the task.
    pub(super) fn claim(&self, task: usize) -> bool {
        !self.claimed[task - 1].swap(true, Ordering::AcqRel)
    }

    /// Runs a task that this thread has claimed.
    pub(super) fn run(&self, task: usize) {
        // SAFETY: the task is unfinished, so the caller still waits and the body lives.
        let body = unsafe { &*self.body.0 };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(task))) {
            *lock(&self.panic) = Some(panic);
        }
        self.finish();
    }

    /// Reports a claimed task as finished. The region must not be used after that for anything
    /// that borrows from the caller.
    pub(super) fn finish(&self) {
        // Release, so that the caller sees what the task wrote.
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.caller.unpark();
        }
    }

    /// Returns when all tasks are finished, with the panic of one of them if there was any.
    pub(super) fn wait(&self) -> Option<Panic> {
        let mut spins = 0;
        while self.unfinished.load(Ordering::Acquire) != 0 {
            if spins < CALLER_SPINS {
                spins += 1;
                spin_loop();
            } else {
                park();
            }
        }
        lock(&self.panic).take()
    }
}

/// The guarded value. A poisoned lock is as good as another, because nothing that could panic
/// happens under the locks of this module.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
