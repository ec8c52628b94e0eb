//! The samples of a report on which the given network and the result differ most.

use std::path::Path;

use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{net, path, quick_config, run, stderr, undisturbed};
use crate::given::node;
use crate::message::attribute_proto::AttributeType;
use crate::message::{AttributeProto, GraphProto, TensorProto, ValueInfoProto, with_graph};
use crate::no_train::fixture;
use crate::unlabelled::flat;

const MOST: usize = 12;
/// What a page may take.
const MOST_BYTES: usize = 2_000_000;

/// The list of a run and its page, held against each other; the samples that are shown.
fn checked(run_dir: &Path, kind: &str) -> (Value, String) {
    let list = std::fs::read_to_string(run_dir.join("examples/list.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let page = std::fs::read_to_string(run_dir.join("report.html")).unwrap();
    assert!(page.contains("Where they differ most"), "{list}");
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    let count = |field: &str| list[field].as_u64().unwrap() as usize;
    let shown = list["shown"].as_array().unwrap();
    assert_eq!(
        shown.len(),
        MOST.min(count("samples") - count("alike")),
        "{list}"
    );
    let mut before = f64::INFINITY;
    for example in shown {
        let quality = |of: &str| example[of].as_f64().unwrap();
        let apart = (quality("original_quality") - quality("result_quality")).abs();
        assert!(apart > 0.0 && apart <= before, "{example}");
        before = apart;
        assert_eq!(example["said"]["kind"], kind);
        let picture = example["inputs"][0]["drawn"]["picture"]["file"]
            .as_str()
            .unwrap();
        let bytes = std::fs::read(run_dir.join("examples").join(picture)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        let name = match example["file"].as_str() {
            Some(file) => Path::new(file)
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_string(),
            None => format!("image {}", example["number"]),
        };
        assert!(page.contains(&format!(". {name}<")), "no `{name}`");
    }
    (list["shown"].clone(), page)
}

/// Prunes a network on images without classes, and lets it learn next to nothing, so that it
/// stays worse than it was.
fn pruned(dir: &Path, model: &Path, extra: &[&str]) -> std::path::PathBuf {
    let photos = flat(dir, 40);
    let mode = "{ kind = \"ceca\", budgets = [{ metric = \"params\", remaining = 0.4 }], \
                max_drop = 0.0 }";
    let config = quick_config(dir, mode);
    let text = std::fs::read_to_string(&config).unwrap();
    let learning = "[training]\nrecover_lr = 0.000001\n";
    std::fs::write(&config, text + learning).unwrap();
    let small = dir.join("small.onnx");
    let mut args = vec!["prune", path(model), "--data", path(&photos)];
    args.extend(["--config", path(&config), "-o", path(&small)]);
    let output = run(&[&args[..], extra].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    dir.join("small.onnx.run")
}

#[test]
fn with_labels_right_is_told_from_wrong_and_the_page_can_be_written_anew() {
    let (whole, _) = undisturbed();
    let from = whole.with_file_name("whole.onnx.run");
    let (shown, page) = checked(&from, "classes");
    assert_eq!(shown.as_array().unwrap().len(), MOST);
    assert!(page.contains("right → wrong") || page.contains("wrong → right"));
    for example in shown.as_array().unwrap() {
        let class = example["label"].as_str().unwrap();
        assert!(page.contains(&format!("class {class}: ")));
    }

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("examples")).unwrap();
    let mut names: Vec<String> = ["report.json", "header.json", "history.jsonl"]
        .map(str::to_string)
        .to_vec();
    let pictures = std::fs::read_dir(from.join("examples")).unwrap();
    names.extend(
        pictures.map(|entry| format!("examples/{}", entry.unwrap().file_name().to_str().unwrap())),
    );
    for name in &names {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    let rewritten = || {
        let output = run(&["report", path(folder.path())]);
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read_to_string(folder.path().join("report.html")).unwrap()
    };
    let section = |page: &str| {
        let (_, rest) = page.split_once("<section class=\"examples\"").unwrap();
        rest.split_once("</section>").unwrap().0.to_string()
    };
    assert_eq!(section(&rewritten()), section(&page));
    // The rest of the page does not depend on them.
    std::fs::write(folder.path().join("examples/list.json"), "[]").unwrap();
    let page = rewritten();
    assert!(page.contains("examples are not shown: "));
    assert!(!page.contains("Where they differ most"));
}

#[test]
fn without_labels_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = pruned(dir.path(), net(), &[]);
    let (shown, _) = checked(&run_dir, "classes");
    for example in shown.as_array().unwrap() {
        let file = Path::new(example["file"].as_str().unwrap());
        assert!(file.is_file() && example["label"].is_null(), "{example}");
    }
}

#[test]
fn maps_lie_over_the_input() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("maps.onnx");
    let plain = Model::read(fixture("unet")).unwrap();
    let varied = |graph: &mut GraphProto| {
        let output = graph.output[0].name().to_string();
        vary(graph, &output);
    };
    with_graph(&plain, varied).write(&model).unwrap();
    let run_dir = pruned(dir.path(), &model, &["--task", "dense"]);
    let (shown, page) = checked(&run_dir, "maps");
    assert!(Path::new(shown[0]["file"].as_str().unwrap()).is_file());
    let map = &shown[0]["said"]["maps"][0];
    for name in ["original", "result", "difference"] {
        let file = map[name]["file"].as_str().unwrap();
        assert!(run_dir.join("examples").join(file).is_file());
    }
    assert!(map["agreement"].as_f64().unwrap() < 1.0, "{map}");
    assert!(page.contains("where they differ: "));
}

#[test]
fn boxes_of_both_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("detector.onnx");
    let plain = Model::read(fixture("unet")).unwrap();
    with_graph(&plain, as_detector).write(&model).unwrap();
    let run_dir = pruned(dir.path(), &model, &[]);
    let (shown, page) = checked(&run_dir, "boxes");
    let boxes = shown[0]["said"]["original"].as_array().unwrap();
    assert!(
        boxes.iter().any(|found| found["is_matched"] == false),
        "{shown}"
    );
    assert!(page.contains("<rect class=\"one\"") && page.contains("<rect class=\"both\""));
}

/// Two maps whose values vary as much in every image, as `output`: those of the fixture are nearly
/// the same throughout, and what is cut would not show.
fn vary(graph: &mut GraphProto, output: &str) {
    let plain = graph.output[0].name().to_string();
    for name in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if *name == plain {
            *name = "maps".to_string();
        }
    }
    let inputs = ["maps", "one_each", "none_each"];
    graph
        .node
        .push(node("InstanceNormalization", &inputs, output));
    graph.initializer.extend([
        floats("one_each", &[2], vec![1.0; 2]),
        floats("none_each", &[2], vec![0.0; 2]),
    ]);
}

fn floats(name: &str, dims: &[i64], values: Vec<f32>) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.set_name(name.to_string());
    tensor.set_data_type(1);
    tensor.dims = dims.to_vec();
    tensor.float_data = values;
    tensor
}

/// The two maps of a network as scores of two classes for a box around each of its 64 positions.
fn as_detector(graph: &mut GraphProto) {
    vary(graph, "varied");
    let with = |op: &str, inputs: &[&str], output: &str, attribute: Option<(&str, Vec<i64>)>| {
        let mut made = node(op, inputs, output);
        if let Some((name, values)) = attribute {
            let mut attribute = AttributeProto::new();
            attribute.set_name(name.to_string());
            match values.as_slice() {
                [value] => {
                    attribute.set_type(AttributeType::INT);
                    attribute.set_i(*value);
                }
                _ => {
                    attribute.set_type(AttributeType::INTS);
                    attribute.ints = values;
                }
            }
            made.attribute.push(attribute);
        }
        made
    };
    let last = || Some(("perm", vec![0, 2, 1]));
    graph.node.extend([
        with("Reshape", &["varied", "two_rows"], "flat_scores", None),
        with("Transpose", &["flat_scores"], "raw_scores", last()),
        with("Sigmoid", &["raw_scores"], "scores", None),
        with(
            "Concat",
            &["varied", "varied"],
            "four_maps",
            Some(("axis", vec![1])),
        ),
        with("Reshape", &["four_maps", "four_rows"], "flat_boxes", None),
        with("Transpose", &["flat_boxes"], "raw_boxes", last()),
        with("Mul", &["raw_boxes", "little"], "moved", None),
        with("Add", &["moved", "places"], "boxes", None),
    ]);
    let shape = |name: &str, rows: i64| {
        let mut tensor = TensorProto::new();
        tensor.set_name(name.to_string());
        tensor.set_data_type(7);
        tensor.dims = vec![3];
        tensor.int64_data = vec![0, rows, 64];
        tensor
    };
    // Left, top, right, bottom of boxes two pixels wide and high.
    let places = (0..64u8).flat_map(|place| {
        let (x, y) = (f32::from(place % 8), f32::from(place / 8));
        [x - 1.0, y - 1.0, x + 1.0, y + 1.0]
    });
    graph.initializer.extend([
        shape("two_rows", 2),
        shape("four_rows", 4),
        floats("little", &[1], vec![0.05]),
        floats("places", &[1, 64, 4], places.collect()),
    ]);
    let value = |name: &str, values: i64| {
        let mut value = ValueInfoProto::new();
        value.set_name(name.to_string());
        let tensor = value.type_.mut_or_insert_default().mut_tensor_type();
        tensor.set_elem_type(1);
        let shape = tensor.shape.mut_or_insert_default();
        shape.dim.resize_with(3, Default::default);
        shape.dim[0].set_dim_param("batch".to_string());
        shape.dim[1].set_dim_value(64);
        shape.dim[2].set_dim_value(values);
        value
    };
    graph.output = vec![value("boxes", 4), value("scores", 2)];
}
