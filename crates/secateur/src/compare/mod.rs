//! Policies compared over networks, promises and seeds, as an experiment file says.
//!
//! [`Experiment`] is the file, checked; [`Work`] makes its runs, each a process of this program in a
//! folder of its own, so that what was made is not made again; [`Results`] reads what they brought,
//! [`Comparison`] takes means and paired differences, [`output`] writes tables and plots. [`CompareJob`] does
//! all of it.

mod agenda;
mod bootstrap;
mod check;
mod child;
mod contenders;
mod error;
mod experiment;
mod file;
mod folder;
pub mod output;
mod plan;
mod promise;
mod recipe;
mod results;
mod room;
mod step;
mod summary;
mod whole;
mod work;

pub use agenda::{Progress, Work};
pub use child::Program;
pub use error::CompareError;
pub use experiment::{Contender, Experiment, Kind, Network, Pruning};
pub use plan::{Job, Shard};
pub use promise::Promise;
pub use recipe::Recipe;
pub use results::{Failure, Results, Row};
pub use room::at_once;
pub use step::{Step, Workplace};
pub use summary::{Comparison, Difference, Figure, Group, Line, Overall};
pub use whole::CompareJob;
pub use work::{Done, Watch};
