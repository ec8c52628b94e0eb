//! Training a network.

use std::path::PathBuf;

use anyhow::{Result, bail};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use secateur::layered::{over, read_section};
use secateur::new_network::{Arch, NewNetwork};
use secateur::train::{TrainConfig, Trained, with_new_weights};
use serde::Serialize;

use crate::data::Data;
use crate::job;
use crate::model::ModelInput;
use crate::observer::Told;
use crate::settings::{Words, given};

/// What is trained: a model to go on from, or the shape of a new one.
#[derive(FromPyObject)]
pub struct Start {
    init: Option<ModelInput>,
    fresh: bool,
    arch: String,
    widths: Option<String>,
    hidden: Option<Vec<usize>>,
}

/// What is known of a training.
#[derive(Serialize)]
pub struct Summary {
    quality_name: &'static str,
    validation_quality: f64,
    validation_loss: f64,
    validation_images: usize,
    sample_macs: f64,
    seconds: f64,
    stopped: bool,
    diverged: Option<String>,
    skipped_images: usize,
    notes: Vec<String>,
}

impl Summary {
    pub fn of(trained: &Trained) -> Self {
        Self {
            quality_name: trained.quality_name,
            validation_quality: trained.validation.quality,
            validation_loss: trained.validation.loss,
            validation_images: trained.validation.samples.len(),
            sample_macs: trained.sample_macs,
            seconds: trained.seconds,
            stopped: trained.stopped,
            diverged: trained.diverged.as_ref().map(ToString::to_string),
            skipped_images: trained.skipped.len(),
            notes: trained.notes.clone(),
        }
    }
}

/// Trains; returns the model's message and a summary as JSON. Interrupted, it returns what it has
/// reached, and says so.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    start: Start,
    data: Data,
    config: Option<PathBuf>,
    settings: Words,
    threads: Option<usize>,
    observer: Option<Py<PyAny>>,
) -> PyResult<(Py<PyBytes>, String)> {
    let (bytes, summary) = job::run_as_far_as_asked(py, threads, "after this step", |stop| {
        let config: TrainConfig = match &config {
            None => TrainConfig::default(),
            Some(path) => read_section(path, None)?,
        };
        let config = over(config, &given::<TrainConfig>(settings)?)?;
        let source = data.open(&config.data)?;
        let model = match &start.init {
            Some(init) => {
                let model = init.read()?.prepared();
                match start.fresh {
                    true => with_new_weights(&model, config.seed)?,
                    false => model,
                }
            }
            None => NewNetwork {
                arch: arch(&start.arch)?,
                widths: start.widths,
                hidden: start.hidden,
            }
            .build(&source, config.seed)?,
        };
        let mut told = Told::new(observer.as_ref(), stop);
        let trained = secateur::train::train(&model, &source, &config, &mut told)?;
        let summary = Summary::of(&trained);
        let bytes = trained.model.self_contained()?.to_bytes()?;
        Ok((bytes, serde_json::to_string(&summary)?))
    })?;
    Ok((PyBytes::new(py, &bytes).unbind(), summary))
}

fn arch(name: &str) -> Result<Arch> {
    Ok(match name {
        "vgg-like" => Arch::VggLike,
        "lenet-5" => Arch::LeNet5,
        "resnet-20" => Arch::ResNet20,
        "mobilenet-v2" => Arch::MobileNetV2,
        other => bail!(
            "there is no architecture `{other}`: expected `vgg-like`, `lenet-5`, `resnet-20` or \
             `mobilenet-v2`"
        ),
    })
}
