//! Parts: damaged images, normalisation, batches prepared beside the training.

use std::path::Path;

use secateur_net::data::{
    Augment, BatchJob, BatchSampler, Colour, DataConfig, DataError, Normalisation, NormaliseBy,
    Part, Resize, Source, open, with_batches,
};
use secateur_net::train::Reference;
use secateur_net::train::{
    Optimizer, OptimizerConfig, Schedule, ScheduleKind, Slice, StepObserver, evaluate, train_slice,
};
use secateur_net::weights::Weights;
use secateur_net::{Engine, NetError};

use super::make::{class_folders, jpeg, plain, png, write};
use super::refused;
use crate::common::{Case, network, small_vgg};

const AUGMENT: Augment = Augment {
    max_shift: 2,
    max_rotation: 10.0,
    max_zoom: 0.1,
    flip: true,
};

fn source_with(dir: &Path, cache_mib: usize, max_skipped: usize) -> Source {
    let config = DataConfig {
        cache_mib,
        max_skipped,
        ..DataConfig::default()
    };
    open(dir, &config).unwrap()
}

fn all(source: &Source) -> Result<Part, DataError> {
    source.load_train(&(0..source.train.len()).collect::<Vec<_>>())
}

/// 2x9x8 is what the small network takes; images have 3 or 1 channels, so grey is doubled.
fn case() -> Case {
    let mut config = secateur_onnx::arch::VggConfig::new([3, 9, 8], 3);
    config.stages = secateur_onnx::arch::VggConfig::parse_stages("6,M,8,M").unwrap();
    config.hidden = vec![6];
    let model = secateur_onnx::arch::vgg_like(&config, 5).unwrap();
    let graph = secateur_onnx::graph::Graph::from_model(&model).unwrap();
    Case {
        groups: secateur_onnx::coupling::ChannelGroups::find(&graph).unwrap(),
        weights: Weights::from_graph(&graph).unwrap(),
        ..Case {
            model,
            graph,
            ..small_vgg("4,M,5", 1)
        }
    }
}

fn batches(part: &Part, n: usize, threads: usize) -> Vec<(Vec<f32>, Vec<u32>)> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let mut sampler = BatchSampler::new(part.len(), 7, 3);
    let jobs: Vec<BatchJob> = (0..n).map(|_| sampler.next_job(AUGMENT)).collect();
    pool.install(|| {
        with_batches(part, jobs.into_iter(), |batches| {
            let mut result = Vec::new();
            while let Some(batch) = batches.next() {
                let batch = batch.unwrap();
                let images = batch.inputs.as_images().unwrap().to_vec();
                result.push((images, batch.labels));
            }
            result
        })
    })
}

#[test]
fn batches_do_not_depend_on_memory_or_threads() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a", "b", "c"], 12, [9, 8]);
    let kept = all(&source_with(folder.path(), 64, 0)).unwrap();
    let streamed = all(&source_with(folder.path(), 0, 0)).unwrap();
    assert!(kept.is_in_memory() && !streamed.is_in_memory());
    let measured = kept.measure().unwrap();
    assert_eq!(streamed.measure().unwrap(), measured);
    let kept = kept.normalised(&measured).unwrap();
    let streamed = streamed.normalised(&measured).unwrap();
    let expected = batches(&kept, 23, 1);
    assert_eq!(expected.len(), 23);
    for threads in [1, 2, 3, 8] {
        assert!(
            batches(&kept, 23, threads) == expected,
            "{threads} threads, kept"
        );
        assert!(
            batches(&streamed, 23, threads) == expected,
            "{threads} threads, streamed"
        );
    }
}

/// Stops after some steps.
struct StopAfter(usize);

impl StepObserver for StopAfter {
    fn step(&mut self, step: usize, _: usize, _: f32) -> bool {
        step + 1 < self.0
    }
}

/// What a training goes on from.
type State = (Weights, Optimizer, BatchSampler);

fn beginning(case: &Case, part: &Part) -> State {
    (
        case.weights.clone(),
        Optimizer::new(OptimizerConfig::default()),
        BatchSampler::new(part.len(), 8, 1),
    )
}

/// Takes the steps of a training of 12 that are not `done`.
fn train(
    case: &Case,
    part: &Part,
    (weights, optimizer, sampler): &mut State,
    done: usize,
    observer: &mut dyn StepObserver,
) -> Result<(), NetError> {
    let net = network(case, &Engine::fused());
    let slice = Slice {
        network: &net,
        task: case.task.as_ref(),
        data: part,
        schedule: Schedule {
            kind: ScheduleKind::OneCycle,
            peak: 0.02,
            steps: 12,
        },
        done,
        smoothing: 0.0,
        augment: AUGMENT,
        teacher: None,
        collector: None,
    };
    train_slice(&slice, weights, optimizer, sampler, observer)?;
    Ok(())
}

#[test]
fn training_is_the_same_from_memory_and_from_files_and_after_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a", "b", "c"], 12, [9, 8]);
    let case = case();
    let run = |cache_mib: usize, stop: Option<usize>| {
        let part = all(&source_with(folder.path(), cache_mib, 0)).unwrap();
        let half: NormaliseBy = "half".parse().unwrap();
        let half = half.resolve(3, Colour::Rgb).unwrap().unwrap();
        let part = part.normalised(&half).unwrap();
        let mut state = beginning(&case, &part);
        if let Some(stop) = stop {
            let observer = &mut StopAfter(stop);
            train(&case, &part, &mut state, 0, observer).unwrap();
            // As a run does that goes on after a kill.
            let text = serde_json::to_string(&state).unwrap();
            state = serde_json::from_str(&text).unwrap();
        }
        train(&case, &part, &mut state, stop.unwrap_or(0), &mut ()).unwrap();
        let weights = state.0;
        let net = network(&case, &Engine::fused());
        (
            evaluate(
                &net,
                case.task.as_ref(),
                &weights,
                &part,
                &Reference::Labels,
            )
            .unwrap(),
            weights,
        )
    };
    let expected = run(64, None);
    assert_eq!(run(0, None), expected, "streamed");
    assert_eq!(run(64, Some(5)), expected, "stopped and gone on");
    assert_eq!(run(0, Some(5)), expected, "streamed, stopped and gone on");
}

fn damage(dir: &Path) -> Vec<std::path::PathBuf> {
    let good = jpeg([40, 40], &|y, x| {
        [(y * 6) as u8, (x * 6) as u8, ((x * y) % 251) as u8]
    });
    let flat = png([40, 40], &|y, x| {
        [(y * x) as u8, (y ^ x) as u8, (7 * x + y) as u8]
    });
    let files: [(&str, &[u8]); 5] = [
        ("a/cut.jpg", &good[..good.len() * 2 / 3]),
        ("a/cut.png", &flat[..flat.len() / 2]),
        ("b/empty.png", b""),
        ("b/text.jpg", b"<html>404</html>"),
        ("b/head.webp", b"RIFF\x10\0\0\0WEBPVP8L"),
    ];
    files
        .iter()
        .map(|(name, bytes)| {
            let path = dir.join("train").join(name);
            write(&path, bytes);
            path
        })
        .collect()
}

#[test]
fn damaged_images_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a", "b"], 6, [9, 8]);
    let clean = all(&source_with(folder.path(), 64, 0)).unwrap();
    let damaged = damage(folder.path());
    for cache_mib in [64, 0] {
        let source = source_with(folder.path(), cache_mib, 5);
        assert_eq!(source.train.len(), 17);
        let part = all(&source).unwrap();
        assert_eq!(part.len(), 12);
        // Images and labels of the others stay together.
        let job = |n| BatchJob {
            indices: (0..n).collect(),
            augment: Augment::default(),
            seed: 0,
        };
        assert_eq!(
            part.batch(&job(12)).unwrap(),
            clean.batch(&job(12)).unwrap()
        );
        assert_eq!(part.measure().unwrap(), clean.measure().unwrap());
        let mut named: Vec<_> = source.skipped().into_iter().map(|s| s.path).collect();
        named.sort();
        let mut expected = damaged.clone();
        expected.sort();
        assert_eq!(named, expected);
        // Met again, an image counts once.
        all(&source).unwrap();
        assert_eq!(source.skipped().len(), 5);
    }
}

#[test]
fn more_damaged_images_than_allowed_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a", "b"], 6, [9, 8]);
    damage(folder.path());
    for cache_mib in [64, 0] {
        let error = refused(
            all(&source_with(folder.path(), cache_mib, 4)),
            &["more than 4 images", "the training images", "train"],
        );
        assert!(matches!(error, DataError::TooManySkipped { limit: 4, .. }));
        assert!(error.hint().unwrap().contains("`max_skipped`"));
    }
    let only = tempfile::tempdir().unwrap();
    write(
        &only.path().join("train/a/0.png"),
        &png([3, 3], &plain([1; 3])),
    );
    write(&only.path().join("train/a/1.png"), b"bad");
    let source = source_with(only.path(), 64, 9);
    refused(source.load_train(&[1]), &["no images"]);
}

#[test]
fn a_file_that_goes_away_ends_the_training_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a", "b", "c"], 12, [9, 8]);
    let part = all(&source_with(folder.path(), 0, 5)).unwrap();
    let gone = folder.path().join("train/b/003.png");
    std::fs::remove_file(&gone).unwrap();
    let case = case();
    let mut state = beginning(&case, &part);
    let error = train(&case, &part, &mut state, 0, &mut ()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("003.png") && text.contains("No such file"),
        "{text}"
    );
    let net = network(&case, &Engine::fused());
    let task = case.task.as_ref();
    let text = evaluate(&net, task, &case.weights, &part, &Reference::Labels)
        .unwrap_err()
        .to_string();
    assert!(text.contains("003.png"), "{text}");
}

#[test]
fn memory_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    // 36 images of 100x100x3: a little over 1 MiB.
    class_folders(
        &folder.path().join("train"),
        &["a", "b", "c"],
        12,
        [100, 100],
    );
    let source = source_with(folder.path(), 2, 0);
    let first = all(&source).unwrap();
    assert!(first.is_in_memory());
    assert!(
        !all(&source).unwrap().is_in_memory(),
        "no room for it twice"
    );
    drop(first);
    assert!(all(&source).unwrap().is_in_memory());
}

#[test]
fn channels_are_normalised_in_the_networks_order() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("train/a/0.png"),
        &png([1, 1], &plain([255, 51, 0])),
    );
    let normalisation = Normalisation {
        mean: vec![0.0, 0.1, 0.5],
        std: vec![1.0, 0.5, 0.25],
    };
    let pixel = |colour, cache_mib| {
        let source = source_with(folder.path(), cache_mib, 0);
        let source = source.fitted([3, 1, 1], Resize::default(), colour);
        let part = all(&source).unwrap();
        let measured = part.measure().unwrap().mean;
        let part = part.normalised(&normalisation).unwrap();
        let job = BatchJob {
            indices: vec![0],
            augment: Augment::default(),
            seed: 0,
        };
        (part.batch(&job).unwrap().inputs, measured)
    };
    for cache_mib in [0, 1] {
        let (rgb, measured) = pixel(Colour::Rgb, cache_mib);
        assert_eq!(measured, [1.0, 0.2, 0.0]);
        for (found, expected) in rgb.as_images().unwrap().iter().zip([1.0, 0.2, -2.0]) {
            assert!((found - expected).abs() < 1e-6, "{rgb:?}");
        }
        let (bgr, measured) = pixel(Colour::Bgr, cache_mib);
        assert_eq!(measured, [0.0, 0.2, 1.0]);
        for (found, expected) in bgr.as_images().unwrap().iter().zip([0.0, 0.2, 2.0]) {
            assert!((found - expected).abs() < 1e-6, "{bgr:?}");
        }
    }
    let part = all(&source_with(folder.path(), 1, 0)).unwrap();
    refused(
        part.normalised(&Normalisation::identity(1)),
        &["3 means", "0/1"],
    );
}
