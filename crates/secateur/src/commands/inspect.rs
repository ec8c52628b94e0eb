//! `secateur inspect`.

use std::path::Path;

use anyhow::Result;
use secateur::net::interpreter::{Engine, Network};
use secateur::onnx::cost::{ASSUMED_EXTENT, CostModel, LayerInfo, Size, format_shape, layer_table};
use secateur::onnx::coupling::{ChannelGroups, Masks};
use secateur::onnx::graph::{Graph, ValueInfo};
use secateur::onnx::model::Model;
use secateur::search::env::{check_finite, file_notes};
use serde::Serialize;

use super::{inspect_data, print_json, print_notes};
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
}

#[derive(Serialize)]
struct Summary<'a> {
    model: &'a Path,
    bytes: u64,
    opset: i64,
    inputs: Vec<String>,
    outputs: Vec<String>,
    size: Size,
    layers: Vec<LayerInfo>,
    groups: Vec<Group>,
    trainable: bool,
    not_trainable_because: Option<String>,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plan: Vec<String>,
}

fn value(info: &ValueInfo) -> String {
    format!("{} [{}]", info.name, format_shape(&info.shape))
}

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<u8> {
    if let Some(data) = &args.data {
        return inspect_data::run(data, args.model.as_deref(), args.json);
    }
    // Without data a model is required.
    let path = args.model.as_deref().unwrap_or(Path::new(""));
    let model = Model::read(path)?.unshared();
    let graph = Graph::from_model(&model)?;
    let groups = ChannelGroups::find(&graph)?;
    let cost = CostModel::new(&graph, &groups)?;
    let size = cost.count(&Masks::all_active(&groups));
    let network = Network::new(&graph, Engine::Fused);
    let weights = check_finite(&graph);
    let mut notes = file_notes(&graph, &cost);
    if model.lacks_image_size() {
        notes.push(format!(
            "height and width of the input are open: MACs are those of {ASSUMED_EXTENT} x \
             {ASSUMED_EXTENT} pixels"
        ));
    }
    let summary = Summary {
        model: path,
        bytes: model.stored_bytes(path),
        opset: graph.opset,
        inputs: graph.inputs.iter().map(value).collect(),
        outputs: graph.outputs.iter().map(value).collect(),
        size,
        layers: layer_table(&graph)?,
        groups: groups
            .groups
            .iter()
            .map(|group| Group {
                name: group.name.clone(),
                producers: group.producers.clone(),
                kernels: group.width,
                is_conv: group.is_conv,
                prunable: group.pinned.is_none() && group.width > 1,
                pinned_by: group.pinned.as_ref().map(|p| p.node.clone()),
                reason: group.pinned.as_ref().map(|p| p.reason.clone()),
            })
            .collect(),
        trainable: network.is_ok() && weights.is_ok(),
        not_trainable_because: match (&network, weights) {
            (Err(error), _) => Some(error.to_string()),
            (_, Err(error)) => Some(error.to_string()),
            _ => None,
        },
        notes,
        plan: match (&network, args.plan) {
            (Ok(network), true) => network.describe(),
            _ => Vec::new(),
        },
    };
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary);
        print_notes(&summary.notes);
    }
    Ok(exit_code::SUCCESS)
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
    let size = &summary.size;
    say!(
        "  {} kernels, {} parameters ({} in convolutions), {} MACs",
        size.kernels,
        size.params,
        size.conv_params,
        size.macs
    );
    say!("\nlayers");
    let width = summary
        .layers
        .iter()
        .map(|l| l.node.len())
        .max()
        .unwrap_or(0);
    let op_width = summary
        .layers
        .iter()
        .map(|l| l.op_type.len())
        .max()
        .unwrap_or(0);
    let shape_width = summary
        .layers
        .iter()
        .map(|l| l.output_shape.len())
        .max()
        .unwrap_or(0);
    say!(
        "  {:<width$}  {:<op_width$}  {:<shape_width$}  {:>11}  {:>13}",
        "node",
        "operator",
        "output",
        "parameters",
        "MACs"
    );
    for layer in &summary.layers {
        say!(
            "  {:<width$}  {:<op_width$}  {:<shape_width$}  {:>11}  {:>13}",
            layer.node,
            layer.op_type,
            layer.output_shape,
            layer.n_params,
            layer.n_macs
        );
    }
    say!("\nchannel groups (kernels that go together)");
    for group in &summary.groups {
        let kind = if group.is_conv { "kernels" } else { "features" };
        let state = match (&group.reason, group.prunable) {
            (Some(reason), _) => {
                format!(
                    "must stay: {} ({reason})",
                    group.pinned_by.as_deref().unwrap_or("")
                )
            }
            (None, true) => "can be pruned".to_string(),
            (None, false) => "must stay: a single kernel".to_string(),
        };
        say!(
            "  {:>5} {kind:<8}  {}: {state}",
            group.kernels,
            group.producers.join(" + ")
        );
    }
    match &summary.not_trainable_because {
        None => say!("\ncan be trained and pruned"),
        Some(reason) => say!("\n{reason}"),
    }
    if !summary.plan.is_empty() {
        say!("\nplan");
        for (index, step) in summary.plan.iter().enumerate() {
            say!("  {:>3}  {step}", index + 1);
        }
    }
}
