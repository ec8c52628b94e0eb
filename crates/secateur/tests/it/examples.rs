//! The examples that extend secateur from outside run, and do what they are there to show.

use crate::common::data_dir;

#[path = "../../examples/own_data.rs"]
#[allow(dead_code)]
mod own_data;
#[path = "../../examples/own_policy.rs"]
#[allow(dead_code)]
mod own_policy;
#[path = "../../examples/own_score.rs"]
#[allow(dead_code)]
mod own_score;

#[test]
fn data_of_ones_own_train_a_network() {
    let accuracy = own_data::run().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
}

#[test]
fn a_policy_of_ones_own_decides_within_the_promise() {
    let report = own_policy::run(&data_dir(), 0.02).unwrap();
    let (before, after) = (report.before.size.params, report.after[0].size.params);
    assert!(after as f64 <= 0.4 * before as f64, "{after} of {before}");
    assert!(after as f64 > 0.3 * before as f64, "the budget is used");
}

#[test]
fn a_score_of_ones_own_ranks_kernels() {
    let report = own_score::run(&data_dir(), 0.02).unwrap();
    let (before, after) = (report.before.size.params, report.after[0].size.params);
    assert!(after as f64 <= 0.4 * before as f64, "{after} of {before}");
    // Ranked within layers: every layer that can be pruned keeps about the same share.
    let kept = |layer: &secateur::report::LayerFigures| layer.kept[0] as f64 / layer.width as f64;
    let shares: Vec<f64> = report.layers[..3].iter().map(kept).collect();
    assert!(
        shares.iter().all(|share| (0.4..0.9).contains(share)),
        "{shares:?}"
    );
}
