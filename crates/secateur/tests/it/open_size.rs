//! Files that leave height and width of their images open.

use secateur_onnx::graph::{Dim, Graph};
use secateur_onnx::model::{INPUT_SHAPES, Model};

use crate::common::{MODE, data_dir, net, path, prune, quick_config, run, stderr};
use crate::message::{edited, with_graph};

fn open(model: &Model) -> Vec<Dim> {
    let model = edited(model, |proto| {
        let entries = &mut proto.metadata_props;
        entries.retain(|entry| entry.key() != INPUT_SHAPES);
    });
    Graph::from_model(&model).unwrap().inputs[0].shape.clone()
}

#[test]
fn they_are_pruned_at_the_size_of_the_data_and_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_graph(&Model::read(net()).unwrap(), |graph| {
        let shape = graph.input[0].type_.as_mut().unwrap().mut_tensor_type();
        for (axis, name) in [(2, "height"), (3, "width")] {
            shape.shape.as_mut().unwrap().dim[axis].set_dim_param(name.to_string());
        }
    });
    let given = folder.path().join("open.onnx");
    model.write(&given).unwrap();
    let dims = open(&model);
    assert_eq!(dims[2], Dim::Named("height".to_string()));

    let small = folder.path().join("small.onnx");
    let output = prune(&given, &quick_config(folder.path(), MODE), &small);
    assert!(output.status.success(), "{}", stderr(&output));
    let pruned = Model::read(&small).unwrap();
    assert_eq!(open(&pruned), dims);
    assert_eq!(pruned.metadata(INPUT_SHAPES), Some("input=?x1x28x28"));
    let data = data_dir();
    for args in [
        // The given file does not say a size: that of the other counts.
        vec!["verify", path(&given), path(&small)],
        vec!["bench", path(&given), path(&small), "--rounds", "1"],
        vec!["eval", path(&given), "--data", path(&data)],
        vec!["eval", path(&small), "--data", path(&data)],
        vec!["inspect", path(&given), "--data", path(&data)],
    ] {
        let output = run(&args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
}
