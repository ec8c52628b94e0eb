//! What outputs mean, told from files of known families and of what looks like them.

use std::path::Path;
use std::sync::Arc;

use secateur_net::data::{BatchSampler, InMemory, Part};
use secateur_net::task::{self, Against, Task, TaskKind, TeacherWeight};
use secateur_net::train::{
    Features, Optimizer, OptimizerConfig, OptimizerKind, Original, Reference, Schedule,
    ScheduleKind, Slice, Teacher, evaluate, train_slice,
};
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use crate::common::{images, slice};

const SIDE: usize = 64;

/// Files and what they are told as; the second half are near misses.
const TOLD: [(&str, &str, &str); 24] = [
    ("yolov5", "detect", "rows of centre, size, objectness"),
    ("yolox-raw", "detect", "in cells of a grid"),
    (
        "yolox-decoded",
        "detect",
        "rows of centre, size, objectness",
    ),
    ("yolov8", "detect", "size and 2 classes"),
    ("yolov8-masks", "detect", "size and 2 classes"),
    ("picodet", "detect", "2 classes and distances"),
    ("nanodet", "detect", "2 classes and distances"),
    ("ssd", "detect", "boxes beside class scores"),
    ("detr", "detect", "boxes beside class scores"),
    ("map", "dense", "a map of classes by `y`"),
    ("map-softmax", "dense", "a map of classes"),
    ("map-argmax", "dense", "a map of classes"),
    ("mask", "dense", "a mask"),
    ("steps", "sequence", "7 classes"),
    ("steps-first", "sequence", "7 classes"),
    ("steps-named", "sequence", "7 classes"),
    // Offsets to anchors that the file does not hold.
    ("offsets", "match", "`boxes`, `scores`"),
    // A depth or a mask: nothing says which.
    ("mask-scores", "match", "`y`"),
    ("image", "match", "`y`"),
    ("image-tanh", "match", "`y`"),
    ("coarse", "match", "`y`"),
    ("heat-and-sizes", "match", "`heat`, `size`"),
    ("features", "match", "`y`"),
    ("state", "match", "`state`"),
];

fn graph(name: &str) -> Graph {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/heads");
    let model = Model::read(folder.join(format!("{name}.onnx"))).unwrap();
    Graph::from_model(&model.prepared()).unwrap()
}

fn part(n: usize, seed: u64) -> Part {
    let values = images(n, 3 * SIDE * SIDE, seed);
    Part::of(InMemory::floats([SIDE, SIDE, 3], values, vec![0; n]).unwrap())
}

struct Taught {
    network: Arc<Interpreter>,
    task: Arc<dyn Task>,
    weights: Weights,
    original: Arc<Original>,
}

fn taught(name: &str, wish: Option<TaskKind>) -> Taught {
    let graph = graph(name);
    let task = task::find(&graph, Against::Original, wish).unwrap();
    let engine = Engine::fused();
    let network = Arc::new(Interpreter::new(&graph, &task.outputs(), &engine).unwrap());
    let weights = Weights::from_graph(&graph).unwrap();
    let original = Arc::new(Original::new(network.clone(), &weights).unwrap());
    Taught {
        task: original.fit(task, &part(12, 3)).unwrap(),
        network,
        weights,
        original,
    }
}

#[test]
fn tasks_are_told_from_files() {
    for (name, kind, text) in TOLD {
        let task = task::find(&graph(name), Against::Original, None).unwrap();
        assert_eq!(task.name(), kind, "{name}: {}", task.describe());
        assert!(
            task.describe().contains(text),
            "{name}: {}",
            task.describe()
        );
    }
}

#[test]
fn the_original_is_perfect_and_others_learn_from_it() {
    for (name, kind, _) in TOLD {
        let Taught {
            network,
            task,
            weights,
            original,
        } = taught(name, None);
        let (train, held) = (part(32, 1), part(9, 2));
        let reference = Reference::of(&original, &held, usize::MAX).unwrap();
        let judge = |weights: &Weights, reference: &Reference| {
            evaluate(&network, task.as_ref(), weights, &held, reference).unwrap()
        };
        let own = judge(&weights, &reference);
        assert!(own.samples.iter().all(|&q| q == 1.0), "{name}: {own:?}");
        assert!(own.loss.abs() < 1e-5, "{name}: {}", own.loss);
        let live = judge(&weights, &Reference::Live(original.clone()));
        assert_eq!(live.figures, own.figures, "{name}");

        let mut other = weights.clone();
        for (_, weight) in other.iter_mut() {
            if weight.role == WeightRole::Weight {
                weight.data.iter_mut().for_each(|v| *v *= 0.7);
            }
        }
        let before = judge(&other, &reference);
        assert!(before.loss > 1e-4, "{name}: {before:?}");
        let teacher = Teacher {
            reference: Reference::Live(original.clone()),
            weight: TeacherWeight {
                share: 1.0,
                temperature: 1.0,
            },
            features: Features::default(),
        };
        let schedule = Schedule {
            kind: ScheduleKind::OneCycle,
            peak: 0.01,
            steps: 40,
        };
        let slice = Slice {
            teacher: Some(&teacher),
            ..slice(&network, task.as_ref(), &train, schedule)
        };
        let mut optimizer = Optimizer::new(OptimizerConfig {
            kind: OptimizerKind::Adamw,
            ..OptimizerConfig::default()
        });
        let mut sampler = BatchSampler::new(train.len(), 8, 4);
        train_slice(&slice, &mut other, &mut optimizer, &mut sampler, &mut ()).unwrap();
        let after = judge(&other, &reference);
        let (a, b) = (before.loss, after.loss);
        assert!(b < 0.8 * a, "{name} ({kind}): loss {a} before, {b} after");
    }
}

#[test]
fn a_wish_decides_where_shapes_allow_it() {
    let find = |name: &str, wish| task::find(&graph(name), Against::Original, Some(wish));
    assert_eq!(
        find("mask-scores", TaskKind::Dense).unwrap().name(),
        "dense"
    );
    assert_eq!(
        find("features", TaskKind::Sequence).unwrap().name(),
        "sequence"
    );
    assert_eq!(find("yolov8", TaskKind::Match).unwrap().name(), "match");
    for (name, wish, text) in [
        ("mask", TaskKind::Detect, "boxes are told by their shapes"),
        (
            "yolov8",
            TaskKind::Dense,
            "maps have outputs [n, classes, height, width]",
        ),
        ("mask", TaskKind::Sequence, "class scores for each step"),
        ("map", TaskKind::Classify, "one row of class scores"),
        ("map-argmax", TaskKind::Match, "floating-point numbers"),
    ] {
        let error = find(name, wish).unwrap_err().to_string();
        assert!(error.contains(text), "{name}, {wish}: {error}");
    }
}
