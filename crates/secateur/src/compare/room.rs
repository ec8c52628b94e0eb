//! How many runs fit on this machine at once.

use std::thread::available_parallelism;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::experiment::Experiment;

/// As many runs as cores and free memory allow; one in any case.
pub fn at_once(experiment: &Experiment) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    let refresh = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(refresh);
    // Of a container's limit, where there is one.
    let free = system
        .cgroup_limits()
        .map_or(u64::MAX, |limits| limits.free_memory);
    let free = free.min(system.available_memory());
    let gib = free as f64 / f64::from(1 << 30);
    limit(cores, gib, experiment.threads, experiment.memory_gib)
}

fn limit(cores: usize, free_gib: f64, threads: usize, memory_gib: f64) -> usize {
    let by_memory = (free_gib / memory_gib).floor() as usize;
    (cores / threads).min(by_memory).max(1)
}

#[cfg(test)]
mod tests {
    use super::limit;

    #[test]
    fn cores_and_memory() {
        assert_eq!(limit(8, 64.0, 1, 2.0), 8);
        assert_eq!(limit(8, 64.0, 3, 2.0), 2);
        assert_eq!(limit(8, 9.0, 1, 2.0), 4);
        // One is tried where none fits.
        assert_eq!(limit(2, 1.0, 4, 2.0), 1);
    }
}
