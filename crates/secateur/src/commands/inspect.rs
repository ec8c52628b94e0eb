//! `secateur inspect`.

use std::path::Path;

use anyhow::Result;
use secateur::table::Align;
use secateur_net::task;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::cost::{ASSUMED_EXTENT, CostModel, LayerInfo, Size, format_shape, layer_table};
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Masks};
use secateur_onnx::graph::{Graph, ValueInfo};
use secateur_onnx::model::Model;
use secateur_search::environment::training::{check_finite, file_notes};
use serde::Serialize;

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

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<u8> {
    if let Some(data) = &args.data {
        return inspect_data::run(data, args.model.as_deref(), args.json);
    }
    // Without data the arguments hold a model.
    let path = args.model.as_deref().unwrap_or(Path::new(""));
    let model = Model::read(path)?.unshared();
    let summary = summary(path, &model, args.plan)?;
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary);
        print_notes(&summary.notes);
    }
    Ok(exit_code::SUCCESS)
}

fn summary<'a>(path: &'a Path, model: &Model, plan: bool) -> Result<Summary<'a>> {
    let graph = Graph::from_model(model)?;
    let groups = ChannelGroups::find(&graph)?;
    let cost = CostModel::new(&graph, &groups)?;
    let network = task::find(&graph)
        .and_then(|task| Interpreter::new(&graph, &task.outputs(), &Engine::fused()));
    let weights = check_finite(&graph);
    let mut notes = file_notes(&graph, &cost);
    if model.lacks_image_size() {
        notes.push(format!(
            "height and width of the input are open: MACs are those of {ASSUMED_EXTENT} x \
             {ASSUMED_EXTENT} pixels"
        ));
    }
    let values = |infos: &[ValueInfo]| -> Vec<String> {
        let text = |info: &ValueInfo| format!("{} [{}]", info.name, format_shape(&info.shape));
        infos.iter().map(text).collect()
    };
    Ok(Summary {
        model: path,
        bytes: model.stored_bytes(path),
        opset: graph.opset,
        inputs: values(&graph.inputs),
        outputs: values(&graph.outputs),
        size: cost.count(&Masks::all_active(&groups)),
        layers: layer_table(&graph)?,
        groups: groups.groups.iter().map(Group::new).collect(),
        trainable: network.is_ok() && weights.is_ok(),
        not_trainable_because: match (&network, weights) {
            (Err(error), _) => Some(error.to_string()),
            (_, Err(error)) => Some(error.to_string()),
            _ => None,
        },
        notes,
        plan: match (&network, plan) {
            (Ok(network), true) => network.describe(),
            _ => Vec::new(),
        },
    })
}

impl Group {
    fn new(group: &ChannelGroup) -> Self {
        Self {
            name: group.name.clone(),
            producers: group.producers.clone(),
            kernels: group.width,
            is_conv: group.is_conv,
            prunable: group.pinned.is_none() && group.width > 1,
            pinned_by: group.pinned.as_ref().map(|p| p.node.clone()),
            reason: group.pinned.as_ref().map(|p| p.reason.clone()),
        }
    }

    /// May it be pruned, and if not, why.
    fn state(&self) -> String {
        match (&self.reason, self.prunable) {
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
    let size = &summary.size;
    say!(
        "  {} kernels, {} parameters ({} in convolutions), {} MACs",
        size.kernels,
        size.params,
        size.conv_params,
        size.macs
    );
    print_layers(&summary.layers);
    print_groups(&summary.groups);
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

fn print_groups(groups: &[Group]) {
    say!("\nchannel groups (kernels that go together)");
    let rows = groups.iter().map(|group| {
        let kind = if group.is_conv { "kernels" } else { "features" };
        let producers = group.producers.join(" + ");
        [
            group.kernels.to_string(),
            kind.to_string(),
            format!("{producers}: {}", group.state()),
        ]
    });
    say_table(&[Align::Right, Align::Left], rows);
}
