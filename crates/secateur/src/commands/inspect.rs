//! `secateur inspect`.

mod frontier;
mod latency;
mod verdict;

use std::path::Path;

use anyhow::Result;
use secateur::data::DataConfig;
use secateur::latency::LatencyTable;
use secateur::table::Align;
use secateur_net::interpreter::Frontier;
use secateur_net::task::{self, Against, TaskKind};
use secateur_net::{Engine, Interpreter};
use secateur_onnx::cost::{LayerInfo, Size, format_shape, layer_table};
use secateur_onnx::coupling::{ChannelGroup, FixedLayer};
use secateur_onnx::graph::{Graph, ValueInfo};
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::environment::training::{check_finite, file_notes};
use secateur_search::space::Space;
use serde::Serialize;

use frontier::{Ending, too_early};
use verdict::Verdict;

use super::{inspect_data, print_json, print_notes, say_table};
use crate::cli::args::InspectArgs;
use crate::cli::exit_code;

#[derive(Serialize)]
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
#[derive(Serialize)]
struct Told {
    name: &'static str,
    outputs: String,
    quality_name: &'static str,
}

/// A layer that no group belongs to.
#[derive(Serialize)]
struct Fixed {
    node: String,
    kernels: Option<usize>,
    is_conv: bool,
    reason: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    model: &'a Path,
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
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<String>,
    /// Times of layers, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyTable>,
}

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<u8> {
    if let Some(data) = &args.data {
        return inspect_data::run(data, args);
    }
    // Without data the arguments hold a model.
    let path = args.model.as_deref().unwrap_or(Path::new(""));
    let model = Model::read(path)?.prepared();
    let mut model = model.with_mixing(args.allow_mixing);
    let data = args.settings.over(DataConfig::default());
    model.give_input_shapes(&data.input_shapes)?;
    let mut summary = summary(path, &model, args.plan, data.task)?;
    if args.latency {
        summary.latency = Some(latency::measure(path, &model, args)?);
    }
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary);
        print_notes(&summary.notes);
    }
    Ok(exit_code::SUCCESS)
}

/// Name and extents of an input or output.
pub(super) fn described(value: &ValueInfo) -> String {
    format!("{} [{}]", value.name, format_shape(&value.shape))
}

fn summary<'a>(
    path: &'a Path,
    model: &Model,
    plan: bool,
    wish: Option<TaskKind>,
) -> Result<Summary<'a>> {
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
    let network = task.and_then(|task| Interpreter::new(&graph, &task.outputs(), &Engine::fused()));
    let weights = check_finite(&graph, Some(&space.groups)).err();
    let notes = file_notes(model, &graph, &space.cost);
    let values = |infos: &[ValueInfo]| -> Vec<String> { infos.iter().map(described).collect() };
    Ok(Summary {
        model: path,
        bytes: model.stored_bytes(path),
        opset: graph.opset,
        inputs: values(&graph.inputs),
        outputs: values(&graph.outputs),
        task: told,
        size: space.size,
        layers: layer_table(&graph)?,
        fixed_layers: space.groups.fixed.iter().map(Fixed::new).collect(),
        groups: space
            .groups
            .groups
            .iter()
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

fn print(summary: &Summary<'_>) {
    say!(
        "{}: opset {}, {} bytes",
        summary.model.display(),
        summary.opset,
        summary.bytes
    );
    say!("  in   {}", summary.inputs.join(", "));
    say!("  out  {}", summary.outputs.join(", "));
    if let Some(task) = &summary.task {
        let (name, quality) = (task.name, task.quality_name);
        say!("  task {name}: {}; quality: {quality}", task.outputs);
    }
    let size = &summary.size;
    say!(
        "  {}, {} ({} in convolutions), {} MACs{}",
        counted(size.kernels as usize, "kernel"),
        counted(size.params as usize, "parameter"),
        size.conv_params,
        size.macs,
        if summary.verdict.macs_are_whole() {
            ""
        } else {
            " (not all are known)"
        }
    );
    print_layers(&summary.layers);
    print_groups(&summary.groups, &summary.fixed_layers);
    if !summary.plan.is_empty() {
        say!("\nplan");
        for (index, step) in summary.plan.iter().enumerate() {
            say!("  {:>3}  {step}", index + 1);
        }
    }
    summary.verdict.print();
    if let Some(table) = &summary.latency {
        latency::print(table);
    }
}

fn print_layers(layers: &[LayerInfo]) {
    say!("\nlayers");
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
    say_table(&align, std::iter::once(head).chain(rows));
}

fn print_groups(groups: &[Group], fixed: &[Fixed]) {
    let kind = |is_conv: bool| if is_conv { "kernels" } else { "features" }.to_string();
    say!("\nchannel groups (kernels that go together)");
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
    say_table(&[Align::Right, Align::Left], rows.chain(layers));
}
