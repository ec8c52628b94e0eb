//! What the modes promise holds in the files they write.

use secateur::report::{NetworkFigures, RunReport, read_json};
use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use crate::common::{data_dir, net, path, prune, quick_config, run, stderr};

pub fn size(file: &std::path::Path) -> Size {
    let graph = Graph::from_model(&Model::read(file).unwrap()).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    CostModel::new(&graph, &groups)
        .unwrap()
        .count(&Masks::all_active(&groups))
}

#[test]
fn ceca_meets_every_budget_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let mode = "{ kind = \"ceca\", budgets = [{ metric = \"params\", remaining = 0.5 }, \
                { metric = \"params\", remaining = 0.25 }], max_drop = 0.0 }";
    let config = quick_config(folder.path(), mode);
    let output = folder.path().join("small.onnx");
    let done = prune(net(), &config, &output);
    assert!(done.status.success(), "{}", stderr(&done));
    let before = size(net());
    for (budget, name) in [
        (0.5, "small.params-0.5.onnx"),
        (0.25, "small.params-0.25.onnx"),
    ] {
        let file = folder.path().join(name);
        let after = size(&file);
        assert!(
            after.params as f64 <= budget * before.params as f64,
            "{name}: {after:?}"
        );
        assert!(
            after.params as f64 > 0.5 * budget * before.params as f64,
            "{name}: {after:?}"
        );
        let verified = run(&["verify", path(net()), path(&file)]);
        assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    }
    let report: RunReport = read_json(&folder.path().join("small.onnx.run/report.json")).unwrap();
    assert_eq!(report.after.len(), 2);
    for network in &report.after {
        let file = folder.path().join(&network.file);
        assert_eq!(
            network.size.params,
            size(&file).params,
            "reported size is the file's"
        );
        assert_eq!(network.size.macs, size(&file).macs);
        assert_eq!(network.bytes, std::fs::metadata(&file).unwrap().len());
        assert!(network.test_quality.unwrap() > 0.3);
    }
    let page = std::fs::read_to_string(folder.path().join("small.onnx.run/report.html")).unwrap();
    for needle in ["conv1", "conv2", "fc1", "params=0.25", "Turned on again"] {
        assert!(page.contains(needle), "the report lacks {needle}");
    }
    // The page needs nothing from anywhere: the one address in it names the language of pictures.
    let without = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for address in ["://", "<script", "<link", "@import", "url("] {
        assert!(!without.contains(address), "the report holds `{address}`");
    }
}

#[test]
fn aec_holds_its_floor_or_returns_the_given_network() {
    let folder = tempfile::tempdir().unwrap();
    let config = quick_config(folder.path(), "{ kind = \"aec\", max_drop = 0.0 }");
    for drop in ["0", "60"] {
        let output = folder.path().join(format!("small{drop}.onnx"));
        let done = run(&[
            "prune",
            path(net()),
            "--data",
            path(&data_dir()),
            "--config",
            path(&config),
            "--max-drop",
            drop,
            "-o",
            path(&output),
        ]);
        assert!(done.status.success(), "{}", stderr(&done));
        let run_dir = folder.path().join(format!("small{drop}.onnx.run"));
        let report: RunReport = read_json(&run_dir.join("report.json")).unwrap();
        let (before, after) = (&report.before, &report.after[0]);
        let floor = drop.parse::<f64>().unwrap() / 100.0;
        // On both halves together.
        let of_both = |n: &NetworkFigures| (n.search_quality + n.confirm_quality) / 2.0;
        assert!(of_both(after) >= of_both(before) - floor - 1e-9);
        // On neither by more than chance: the square root of the floor's errors, of 2,500.
        let chance = |floor: f64| ((1.0 - floor) / 2500.0).sqrt() + 1e-9;
        for (before, after) in [
            (before.search_quality, after.search_quality),
            (before.confirm_quality, after.confirm_quality),
        ] {
            assert!(after >= before - floor - chance(before - floor));
        }
        if drop == "60" {
            assert!(
                after.size.params < before.size.params,
                "60 points of slack cut something"
            );
        }
        if after.size.params == before.size.params {
            assert!(
                report
                    .warnings
                    .iter()
                    .any(|w| w.contains("returned unchanged"))
            );
        }
    }
}
