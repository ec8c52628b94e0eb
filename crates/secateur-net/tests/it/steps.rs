//! Whole training steps: what they allocate, and that threads do not change them.

use secateur_cpu::memory;
use secateur_net::Engine;
use secateur_net::Inputs;

use crate::common::{
    Case, images, largest, loss_of, max_difference, network, scores_of, small_mobilenet,
    small_resnet,
};

/// Promised by the documentation.
const THREADS_TOLERANCE: f32 = 1e-5;

const LABELS: [u32; 6] = [0, 1, 2, 1, 0, 2];

/// Scores and gradients of one step, one after another.
fn step(case: &Case) -> Vec<Vec<f32>> {
    let net = network(case, &Engine::fused());
    let x = images(6, net.input_shape().unwrap().iter().product(), 5);
    let bound = net.bind_training(&case.weights);
    let pass = net
        .forward_training(&bound, Inputs::images(x, 6), None)
        .unwrap();
    let scores: Vec<f32> = scores_of(&pass);
    let gradients = pass.backward(&loss_of(case, &pass, &LABELS, 0.1)).unwrap();
    let mut values = vec![scores];
    values.extend(case.weights.iter().filter_map(|(name, _)| {
        let gradient = bound.tensor(name)?.grad(&gradients)?;
        Some(gradient.into_data().iter().collect())
    }));
    values
}

#[test]
fn thread_counts_agree_and_repeat() {
    for case in [small_resnet(1), small_mobilenet(2)] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| step(&case))
        };
        let one = run(1);
        // Small gradients are differences of large ones: the scale is that of the largest.
        let scale = one[1..].iter().map(|g| largest(g)).fold(0.0, f32::max);
        for threads in [2, 3, 5] {
            let other = run(threads);
            let error = max_difference(&one[0], &other[0]) / largest(&one[0]);
            assert!(
                error < THREADS_TOLERANCE,
                "{threads} threads, scores: {error}"
            );
            for (a, b) in one[1..].iter().zip(&other[1..]) {
                let error = max_difference(a, b) / scale;
                assert!(error < THREADS_TOLERANCE, "{threads} threads: {error}");
            }
            assert!(other == run(threads), "{threads} threads: bits differ");
        }
    }
}

/// Set in the process that counts allocations: the pool of memory is one for the process, so
/// the test runs again in a process of its own, on one thread, where nothing depends on which
/// thread was quicker.
const ALONE: &str = "SECATEUR_TEST_ALONE";

#[test]
fn warm_steps_take_no_memory_from_the_system() {
    if std::env::var_os(ALONE).is_none() {
        let this = std::env::current_exe().unwrap();
        let name = "steps::warm_steps_take_no_memory_from_the_system";
        let status = std::process::Command::new(this)
            .args([name, "--exact", "--test-threads=1"])
            .env(ALONE, "1")
            .env("RAYON_NUM_THREADS", "1")
            .status()
            .unwrap();
        assert!(status.success(), "{status}");
        return;
    }
    for case in [small_resnet(1), small_mobilenet(2)] {
        step(&case);
        let cold = memory::usage().n_allocations;
        assert!(cold > 0);
        (0..3).for_each(|_| drop(step(&case)));
        assert_eq!(memory::usage().n_allocations, cold);
    }
}
