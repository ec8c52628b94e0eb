//! Training: optimiser, schedule, the loop over a slice, evaluation.

mod evaluate;
mod features;
mod footprint;
mod optimizer;
mod original;
mod schedule;
mod trainer;
mod variants;

pub use evaluate::{Evaluation, Judgement, evaluate, judge, judge_by, predict};
pub use features::Features;
pub use footprint::footprint_of_a_sample;
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};
pub use original::{Original, Reference};
pub use schedule::{Schedule, ScheduleKind};
pub use trainer::{Lesson, Slice, SliceReport, StepObserver, Teacher, train_slice};
pub use variants::{Variants, losses};
