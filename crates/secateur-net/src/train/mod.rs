//! Training: loss, optimiser, schedule, the loop over a slice, evaluation.

mod evaluate;
mod loss;
mod optimizer;
mod schedule;
mod trainer;

pub use evaluate::{Evaluation, evaluate, predict};
pub use loss::{Targets, cross_entropy};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};
pub use schedule::{Schedule, ScheduleKind};
pub use trainer::{Distillation, Slice, SliceReport, StepObserver, train_slice};
