//! Files that the engine of `verify` and `bench` cannot run: exported in training mode.

use secateur_onnx::model::Model;

use crate::common::{MODE, net, path, prune, quick_config, run, stderr};
use crate::message::attribute_proto::AttributeType;
use crate::message::with_graph;

#[test]
fn a_run_is_finished_without_the_other_engine_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_graph(&Model::read(net()).unwrap(), |graph| {
        let mut nodes = graph.node.iter_mut();
        let norm = nodes.find(|n| n.op_type() == "BatchNormalization");
        let norm = norm.unwrap();
        norm.output
            .extend(["mean_out".to_string(), "var_out".to_string()]);
        let mut attribute = norm.attribute[0].clone();
        attribute.set_name("training_mode".to_string());
        attribute.set_type(AttributeType::INT);
        attribute.clear_f();
        attribute.set_i(1);
        norm.attribute.push(attribute);
    });
    let given = folder.path().join("net.onnx");
    model.write(&given).unwrap();

    let small = folder.path().join("small.onnx");
    let output = prune(&given, &quick_config(folder.path(), MODE), &small);
    assert!(output.status.success(), "{}", stderr(&output));
    let report = std::fs::read_to_string(folder.path().join("small.onnx.run/report.json")).unwrap();
    for said in ["latencies were not measured", "training mode"] {
        assert!(report.contains(said), "`{said}` is not in the report");
    }
    assert!(folder.path().join("small.onnx.run/report.html").is_file());
    // What no other engine runs is compared in our own.
    let output = run(&["verify", path(&given), path(&small)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("secateur's own interpreter"), "{said}");
}
