//! Latency in another engine, several files in turn.

use std::borrow::Cow;
use std::path::Path;

use secateur_onnx::model::Model;
use serde::{Deserialize, Serialize};

use crate::runtime::{LoadedModel, RuntimeError};

/// Milliseconds.
pub type Millis = f64;

/// Latency of one file at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Images at once.
    pub batch: usize,
    /// Fastest run.
    pub min_ms: Millis,
    /// Middle run.
    pub median_ms: Millis,
}

/// Times all files at each batch size, one run of each in turn, so that a busy
/// machine hits all alike. Returns a row a file.
///
/// # Errors
/// [`RuntimeError`] for the first file that the engine cannot run, or without an engine.
pub fn bench(
    files: &[(&Path, &Model)],
    batches: &[usize],
    rounds: usize,
) -> Result<Vec<Vec<Latency>>, RuntimeError> {
    // What is compared takes images of one size.
    let sized = files.iter().find(|(_, model)| model.image_size().is_some());
    let files: Vec<(&Path, Cow<'_, Model>)> = files
        .iter()
        .map(|&(path, model)| match sized {
            Some((_, other)) if model.lacks_image_size() => {
                (path, Cow::Owned(model.clone().with_image_size_of(other)))
            }
            _ => (path, Cow::Borrowed(model)),
        })
        .collect();
    let mut rows = vec![Vec::new(); files.len()];
    for &batch in batches {
        let models = files
            .iter()
            .map(|(path, model)| LoadedModel::new(model, path, batch))
            .collect::<Result<Vec<_>, _>>()?;
        for (row, mut times) in rows.iter_mut().zip(times(&models, rounds)?) {
            times.sort_by(f64::total_cmp);
            row.push(Latency {
                batch,
                min_ms: times.first().copied().unwrap_or(0.0),
                median_ms: times.get(times.len() / 2).copied().unwrap_or(0.0),
            });
        }
    }
    Ok(rows)
}

/// Milliseconds of every run, by model.
fn times(models: &[LoadedModel], rounds: usize) -> Result<Vec<Vec<Millis>>, RuntimeError> {
    // Any finite values do; these are neither all alike nor denormal.
    let made_up = |len: usize| (0..len).map(|i| (i % 17) as f32 / 8.5 - 1.0);
    let inputs: Vec<Vec<f32>> = models
        .iter()
        .map(|model| made_up(model.input_len()).collect())
        .collect();
    let mut times = vec![Vec::with_capacity(rounds); models.len()];
    // The first round warms caches and allocators and does not count.
    for round in 0..=rounds {
        for ((model, input), times) in models.iter().zip(&inputs).zip(&mut times) {
            let time = model.time(input)?;
            if round > 0 {
                times.push(time.as_secs_f64() * 1e3);
            }
        }
    }
    Ok(times)
}
