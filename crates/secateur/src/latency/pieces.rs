//! Pieces of a network at some widths, timed.

use std::collections::BTreeMap;
use std::fmt::Write;

use secateur_onnx::OnnxError;
use secateur_onnx::cost::{Channels, Latency, PieceTimes, Timing};
use secateur_onnx::graph::{Dim, Graph, ValueInfo};
use secateur_onnx::model::{Model, Tensor};
use secateur_onnx::pieces::{Piece, Pieces};
use secateur_onnx::shape::{Inferred, infer};
use secateur_onnx::surgery;
use secateur_search::space::Space;

use super::cache::Cache;
use crate::runtime::{Element, Feed, Runtime, feeds, made_up};

/// A network whose pieces are timed.
pub(super) struct Network<'a> {
    pub model: &'a Model,
    pub graph: &'a Graph,
    pub space: &'a Space,
    pub batch: usize,
    pub pieces: Pieces,
    /// Of each piece.
    pub channels: Vec<Channels>,
}

impl<'a> Network<'a> {
    pub fn new(
        model: &'a Model,
        graph: &'a Graph,
        space: &'a Space,
        batch: usize,
    ) -> Result<Self, OnnxError> {
        let known = known(graph, batch)?;
        let pieces = Pieces::of(graph, &known);
        let channels = Channels::of(graph, &space.groups, &pieces.pieces)?;
        Ok(Self {
            model,
            graph,
            space,
            batch,
            pieces,
            channels,
        })
    }

    /// What counts its time, from times of its pieces by their names.
    pub fn latency(&self, times: &BTreeMap<&str, &[Timing]>) -> Latency {
        let pieces = self.pieces.pieces.iter().zip(&self.channels);
        Latency::new(pieces.filter_map(|(piece, channels)| {
            let times = times.get(piece.name.as_str())?;
            Some((channels.clone(), PieceTimes::new(times)))
        }))
    }

    /// Widths of the given network.
    pub fn full(&self) -> Vec<usize> {
        let groups = self.space.groups.groups.iter();
        groups.map(|group| group.width).collect()
    }

    /// The network with these widths.
    pub fn narrowed(&self, widths: &[usize]) -> Result<Model, OnnxError> {
        surgery::remove(self.model, &self.space.groups, &self.space.narrowed(widths))
    }

    /// Nanoseconds of those of its pieces that `is_wanted`, at these widths; why one was not timed
    /// where it was not.
    pub fn times(
        &self,
        engine: &dyn Runtime,
        widths: &[usize],
        cache: &mut Cache,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<BTreeMap<usize, Result<f64, String>>, OnnxError> {
        let model = self.narrowed(widths)?;
        let graph = Graph::outline(&model)?;
        let known = known(&graph, self.batch)?;
        let mut files = Files {
            around: around(&graph),
            engine,
            model: &model,
            known: &known,
            cache,
        };
        let pieces = self.pieces.pieces.iter().enumerate();
        let wanted = pieces.filter(|(index, _)| is_wanted(*index));
        Ok(wanted
            .map(|(index, piece)| (index, files.time(piece)))
            .collect())
    }
}

/// Most bytes that are passed over between runs of a piece: more than caches hold.
const MOST_AROUND: usize = 1 << 27;

/// Bytes of a network's stored tensors, to a power of two: times are known anew by it.
fn around(graph: &Graph) -> usize {
    let bytes: usize = graph.initializers.values().map(Tensor::n_bytes).sum();
    bytes.next_power_of_two().min(MOST_AROUND)
}

/// Shapes at the inputs that are made up for so many samples; those of one where it cannot be.
fn known(graph: &Graph, batch: usize) -> Result<Inferred, OnnxError> {
    let Ok(feeds) = feeds(graph, batch) else {
        return infer(graph, None);
    };
    let inputs = graph.inputs.iter().zip(&feeds);
    let inputs: Vec<ValueInfo> = inputs
        .map(|(input, feed)| ValueInfo {
            shape: feed
                .shape
                .iter()
                .map(|&extent| Dim::Fixed(extent))
                .collect(),
            ..input.clone()
        })
        .collect();
    infer(graph, Some(&inputs))
}

/// The pieces of one network as files.
struct Files<'a> {
    engine: &'a dyn Runtime,
    model: &'a Model,
    known: &'a Inferred,
    cache: &'a mut Cache,
    around: usize,
}

impl Files<'_> {
    /// Nanoseconds of a piece, or why it was not timed.
    fn time(&mut self, piece: &Piece) -> Result<f64, String> {
        let inputs = piece.inputs.iter().enumerate();
        let inputs = inputs.map(|(index, (name, type_))| self.input(index, name, *type_));
        let inputs = inputs.collect::<Result<Vec<_>, String>>()?;
        let (inputs, feeds): (Vec<ValueInfo>, Vec<Feed>) = inputs.into_iter().unzip();
        let file = self.model.cut(&piece.nodes, &inputs, &piece.outputs);
        let file = file.map_err(|error| error.to_string())?;
        let graph = Graph::outline(&file).map_err(|error| error.to_string())?;
        let key = format!("{} {}", self.around, fingerprint(&graph));
        self.cache.get(&key, || {
            let nodes = graph.nodes.len();
            self.engine.piece_time(&file, nodes, &feeds, self.around)
        })
    }

    /// An input of a piece, and values for it.
    fn input(&self, index: usize, name: &str, type_: i32) -> Result<(ValueInfo, Feed), String> {
        let shape = self.known.shapes.get(name).ok_or("a shape is not known")?;
        let element = Element::from_onnx(type_).ok_or("a type is not known")?;
        let info = ValueInfo {
            name: name.to_string(),
            shape: shape.clone(),
            elem_type: type_,
            has_shape: true,
        };
        let extents: Option<Vec<usize>> = shape.iter().map(Dim::fixed).collect();
        let extents = extents.ok_or("an extent is not known")?;
        Ok((info, made_up(name, element, index, extents)?))
    }
}

/// What a piece's time depends on, whatever its values are called: operators, attributes, shapes,
/// and which node reads what.
fn fingerprint(graph: &Graph) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = format!("{};", graph.opset);
    for input in &graph.inputs {
        let number = numbers.len();
        numbers.insert(&input.name, number);
        let _ = write!(text, "{number}:{}{:?};", input.elem_type, input.shape);
    }
    for node in &graph.nodes {
        let _ = write!(
            text,
            "{}.{}{:?}(",
            node.domain, node.op_type, node.attributes
        );
        for name in node.inputs.iter().flatten() {
            match graph.initializers.get(name) {
                Some(tensor) => {
                    let _ = write!(text, "{:?}", tensor.shape);
                    // Shapes, axes and bounds are told by numbers.
                    if let Some(numbers) = tensor.as_i64() {
                        let _ = write!(text, "{numbers:?}");
                    }
                }
                None => {
                    let _ = write!(text, "{:?}", numbers.get(name.as_str()));
                }
            }
        }
        for name in &node.outputs {
            let number = numbers.len();
            numbers.insert(name, number);
            let _ = write!(text, ")->{number}");
        }
    }
    for output in &graph.outputs {
        let _ = write!(text, ";{:?}", numbers.get(output.name.as_str()));
    }
    text
}
