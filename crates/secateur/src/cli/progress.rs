//! Progress on stderr, with rates and time left: bars on a terminal, elsewhere a line now and then.

mod check;
mod log;
mod prune;
mod train;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressStyle;

pub use check::CheckProgress;
pub use prune::PruneProgress;
pub use train::TrainProgress;

/// Set by Ctrl-C; `when` says what is done first.
pub fn stop_flag(when: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::SeqCst) {
            // Asked twice: what was written last stands.
            std::process::exit(i32::from(super::exit_code::INTERRUPTED));
        }
        eprintln!("\nstopping {when}; press Ctrl-C again to stop at once");
    })?;
    Ok(flag)
}

fn style(template: &str) -> ProgressStyle {
    // The templates are fixed; a wrong one would show in the first run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
