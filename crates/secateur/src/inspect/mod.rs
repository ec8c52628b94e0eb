//! What a network is made of, what may go, and why the rest stays; and what data are like.

mod data;
mod frontier;
mod latency;
mod verdict;

use std::fmt;
use std::path::{Path, PathBuf};

use secateur_net::interpreter::Frontier;
use secateur_net::task::{self, Against, TaskKind};
use secateur_net::{Engine, Interpreter};
use secateur_onnx::cost::{LayerInfo, Size, format_shape, layer_table};
use secateur_onnx::coupling::{ChannelGroup, FixedLayer};
use secateur_onnx::graph::{Graph, ValueInfo};
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::config::{LatencyConfig, RuntimeConfig};
use secateur_search::environment::training::{check_finite, file_notes};
use secateur_search::space::Space;
use serde::Serialize;

pub use data::DataInspection;
use frontier::{Ending, too_early};
use verdict::Verdict;

use crate::NetworkError;
use crate::latency::LatencyTable;
use crate::table::{Align, write_table};
use crate::verify::CheckObserver;

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    producers: Vec<String>,
    kernels: usize,
    is_conv: bool,
    prunable: bool,
    pinned_by: Option<String>,
    reason: Option<String>,
    /// Why it must stay in training, where it may go without.
    #[serde(skip_serializing_if = "Option::is_none")]
    stays_in_training: Option<String>,
}

/// What the outputs mean.
#[derive(Debug, Serialize)]
struct Told {
    name: &'static str,
    outputs: String,
    quality_name: &'static str,
}

/// A layer that no group belongs to.
#[derive(Debug, Serialize)]
struct Fixed {
    node: String,
    kernels: Option<usize>,
    is_conv: bool,
    reason: String,
}

/// What a network is made of.
#[derive(Debug, Serialize)]
pub struct Inspection {
    model: PathBuf,
    bytes: u64,
    opset: i64,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// What the outputs mean, where that is known.
    task: Option<Told>,
    size: Size,
    layers: Vec<LayerInfo>,
    groups: Vec<Group>,
    fixed_layers: Vec<Fixed>,
    #[serde(flatten)]
    verdict: Verdict,
    /// What the user should know.
    pub notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<String>,
    /// Times of layers by their widths, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyTable>,
}

/// Name and extents of an input or output.
fn described(value: &ValueInfo) -> String {
    format!("{} [{}]", value.name, format_shape(&value.shape))
}

impl Inspection {
    /// Of a prepared model from `path`, with what its outputs mean if they are not what they look
    /// like; `plan` shows how training will run it.
    ///
    /// # Errors
    /// [`NetworkError`] for a graph that contradicts itself.
    pub fn new(
        path: &Path,
        model: &Model,
        plan: bool,
        wish: Option<TaskKind>,
    ) -> Result<Self, NetworkError> {
        let graph = Graph::from_model(model)?;
        let space = Space::survey(&graph, &[])?;
        let frontier = Frontier::find(&graph)?;
        let ending = Ending::find(&graph, &frontier, &space)?;
        let task = task::up_to(&graph, &frontier, Against::Original, wish);
        let told = task.as_ref().ok().map(|task| Told {
            name: task.name(),
            outputs: task.describe(),
            quality_name: task.quality_name(),
        });
        let network =
            task.and_then(|task| Interpreter::new(&graph, &task.outputs(), &Engine::fused()));
        let weights = check_finite(&graph, Some(&space.groups)).err();
        let notes = file_notes(model, &graph, &space.cost);
        let values = |infos: &[ValueInfo]| -> Vec<String> { infos.iter().map(described).collect() };
        let groups = space.groups.groups.iter();
        Ok(Self {
            model: path.to_path_buf(),
            bytes: model.stored_bytes(path),
            opset: graph.opset,
            inputs: values(&graph.inputs),
            outputs: values(&graph.outputs),
            task: told,
            size: space.size,
            layers: layer_table(&graph)?,
            fixed_layers: space.groups.fixed.iter().map(Fixed::new).collect(),
            groups: groups
                .map(|group| Group::new(group, ending.as_ref()))
                .collect(),
            verdict: Verdict::new(
                &space,
                network
                    .as_ref()
                    .err()
                    .map(|error| too_early(&frontier).unwrap_or_else(|| error.to_string())),
                weights.map(|error| error.to_string()),
                ending,
            ),
            notes,
            plan: match (&network, plan) {
                (Ok(network), true) => network.describe(),
                _ => Vec::new(),
            },
            latency: None,
        })
    }

    /// With what each layer takes by its width in the engine that files are timed in, held against the
    /// times of so many other networks.
    ///
    /// # Errors
    /// [`NetworkError::Runtime`] where no engine runs the model.
    pub fn with_latency(
        self,
        model: &Model,
        runtime: &RuntimeConfig,
        timing: &LatencyConfig,
        checks: usize,
        observer: &mut dyn CheckObserver,
    ) -> Result<Self, NetworkError> {
        let table = latency::measure(&self.model, model, (runtime, timing), checks, observer)?;
        Ok(Self {
            latency: Some(table),
            ..self
        })
    }
}

impl Fixed {
    fn new(layer: &FixedLayer) -> Self {
        Self {
            node: layer.node.clone(),
            kernels: layer.kernels,
            is_conv: layer.is_conv,
            reason: layer.reason.clone(),
        }
    }
}

impl Group {
    fn new(group: &ChannelGroup, ending: Option<&Ending>) -> Self {
        let prunable = group.pinned.is_none() && group.width > 1;
        let kept = ending.filter(|_| prunable).and_then(|ending| {
            let mut producers = group.producers.iter();
            producers.find_map(|layer| ending.keeps(layer))
        });
        Self {
            name: group.name.clone(),
            producers: group.producers.clone(),
            kernels: group.width,
            is_conv: group.is_conv,
            prunable,
            pinned_by: group.pinned.as_ref().map(|p| p.node.clone()),
            reason: group.pinned.as_ref().map(|p| p.reason.clone()),
            stays_in_training: kept.map(str::to_string),
        }
    }

    /// May it be pruned, and if not, why.
    fn state(&self) -> String {
        match (&self.reason, self.prunable) {
            (None, true) if self.stays_in_training.is_some() => {
                let why = self.stays_in_training.as_deref().unwrap_or("");
                format!("can be pruned without training, must stay with it: {why}")
            }
            (Some(reason), _) => {
                let node = self.pinned_by.as_deref().unwrap_or("");
                format!("must stay: {node} ({reason})")
            }
            (None, true) => "can be pruned".to_string(),
            (None, false) => "must stay: a single kernel".to_string(),
        }
    }
}

/// The network, its layers, its groups and what can be done with it; notes are left to the caller.
impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: opset {}, {} bytes",
            self.model.display(),
            self.opset,
            self.bytes
        )?;
        writeln!(f, "  in   {}", self.inputs.join(", "))?;
        writeln!(f, "  out  {}", self.outputs.join(", "))?;
        if let Some(task) = &self.task {
            let (name, quality) = (task.name, task.quality_name);
            writeln!(f, "  task {name}: {}; quality: {quality}", task.outputs)?;
        }
        let size = &self.size;
        writeln!(
            f,
            "  {}, {} ({} in convolutions), {} MACs{}",
            counted(size.kernels as usize, "kernel"),
            counted(size.params as usize, "parameter"),
            size.conv_params,
            size.macs,
            match self.verdict.macs_are_whole() {
                true => "",
                false => " (not all are known)",
            }
        )?;
        write_layers(f, &self.layers)?;
        write_groups(f, &self.groups, &self.fixed_layers)?;
        if !self.plan.is_empty() {
            writeln!(f, "\nplan")?;
            for (index, step) in self.plan.iter().enumerate() {
                writeln!(f, "  {:>3}  {step}", index + 1)?;
            }
        }
        self.verdict.fmt(f)?;
        match &self.latency {
            Some(table) => latency::write(f, table),
            None => Ok(()),
        }
    }
}

fn write_layers(f: &mut fmt::Formatter<'_>, layers: &[LayerInfo]) -> fmt::Result {
    writeln!(f, "\nlayers")?;
    let head = ["node", "operator", "output", "parameters", "MACs"].map(str::to_string);
    let rows = layers.iter().map(|layer| {
        [
            layer.node.clone(),
            layer.op_type.clone(),
            layer.output_shape.clone(),
            layer.n_params.to_string(),
            layer.n_macs.to_string(),
        ]
    });
    let align = [Align::Left, Align::Left, Align::Left, Align::Right];
    write_table(f, &align, std::iter::once(head).chain(rows))
}

fn write_groups(f: &mut fmt::Formatter<'_>, groups: &[Group], fixed: &[Fixed]) -> fmt::Result {
    let kind = |is_conv: bool| if is_conv { "kernels" } else { "features" }.to_string();
    writeln!(f, "\nchannel groups (kernels that go together)")?;
    let rows = groups.iter().map(|group| {
        let producers = group.producers.join(" + ");
        [
            group.kernels.to_string(),
            kind(group.is_conv),
            format!("{producers}: {}", group.state()),
        ]
    });
    let layers = fixed.iter().map(|layer| {
        [
            layer
                .kernels
                .map_or_else(|| "?".to_string(), |n| n.to_string()),
            kind(layer.is_conv),
            format!("{}: must stay: {}", layer.node, layer.reason),
        ]
    });
    write_table(f, &[Align::Right, Align::Left], rows.chain(layers))
}
