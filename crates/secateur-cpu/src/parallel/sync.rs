//! The primitives that the crew and its regions are made of.
//!
//! They are named in one place because `tests/it/model.rs` compiles `crew.rs` and `region.rs` a
//! second time, with those of a model checker and with fewer spins.

pub(super) use std::hint::spin_loop;
pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
pub(super) use std::thread::{Thread, current, park};

/// How often a thread of the crew looks for a task before it goes to sleep: about half a
/// millisecond.
pub(super) const CREW_SPINS: usize = 12_000;

/// How often a caller looks whether its region has ended before it goes to sleep: about 200
/// microseconds, since waking a thread takes 50 and more on a virtual machine.
pub(super) const CALLER_SPINS: usize = 5000;
