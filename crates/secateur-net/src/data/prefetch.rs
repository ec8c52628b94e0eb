//! Batches prepared ahead, on threads of their own.
//!
//! The jobs are drawn in order before anyone works on them, and what a job gives depends
//! on nothing else, so the batches are the same whatever the threads do. Of `n` threads
//! thread `i` prepares the batches `i`, `i + n`, `i + 2n` and so on, and hands them over in
//! that order; each waits with one finished batch in its queue.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Augment, Batch, BatchJob, BatchSampler, DataError, Part};

/// Finished batches that a thread may have waiting.
const QUEUE: usize = 1;
/// Threads at most: they hold two batches each.
const MAX_THREADS: usize = 8;

/// The batches of a plan, in order.
pub struct Batches {
    queues: Vec<Receiver<Result<Batch, DataError>>>,
    next: usize,
}

impl Batches {
    /// The next batch; `None` after the last.
    ///
    /// # Errors
    /// [`DataError::Image`] if a file changed since it was checked.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Result<Batch, DataError>> {
        let queue = &self.queues[self.next % self.queues.len()];
        self.next += 1;
        // A thread drops its sender after its last job or an error: then there is no batch.
        queue.recv().ok()
    }
}

/// Calls `work` with the batches of `jobs`, prepared beside it.
pub fn with_batches<J, R>(part: &Part, jobs: J, work: impl FnOnce(&mut Batches) -> R) -> R
where
    J: Iterator<Item = BatchJob> + Clone + Send,
{
    // Copying from memory is quick: one thread keeps up with any network.
    let n_threads = if part.is_in_memory() {
        1
    } else {
        rayon::current_num_threads().clamp(1, MAX_THREADS)
    };
    std::thread::scope(|scope| {
        let queues = (0..n_threads)
            .map(|thread| {
                let (sender, receiver) = sync_channel(QUEUE);
                let mine = jobs.clone().skip(thread).step_by(n_threads);
                scope.spawn(move || prepare(part, mine, &sender));
                receiver
            })
            .collect();
        // Dropped before the scope waits for its threads: those that still want to hand
        // over a batch then end.
        let mut batches = Batches { queues, next: 0 };
        work(&mut batches)
    })
}

fn prepare(
    part: &Part,
    jobs: impl Iterator<Item = BatchJob>,
    queue: &SyncSender<Result<Batch, DataError>>,
) {
    for job in jobs {
        let batch = part.batch(&job);
        let failed = batch.is_err();
        if queue.send(batch).is_err() || failed {
            break;
        }
    }
}

/// Training batches without end, from a sampler's state on; the sampler itself stays.
#[derive(Clone)]
pub(crate) struct Shuffled {
    pub(crate) sampler: BatchSampler,
    pub(crate) augment: Augment,
}

impl Iterator for Shuffled {
    type Item = BatchJob;

    fn next(&mut self) -> Option<BatchJob> {
        Some(self.sampler.next_job(self.augment))
    }
}

/// Every image once, in order.
pub(crate) fn in_order(
    part: &Part,
    batch: usize,
) -> impl Iterator<Item = BatchJob> + Clone + use<'_> {
    (0..part.len())
        .step_by(batch.max(1))
        .map(move |start| part.run(start, batch))
}
