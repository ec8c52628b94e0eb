//! Training: optimiser, schedule, the loop over a slice, evaluation.

mod evaluate;
mod optimizer;
mod schedule;
mod trainer;

pub use evaluate::{Evaluation, evaluate, predict};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};
pub use schedule::{Schedule, ScheduleKind};
pub use trainer::{Slice, SliceReport, StepObserver, train_slice};
