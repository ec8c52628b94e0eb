//! Made-up inputs of any type and shape.

use secateur_onnx::cost::{counted_inputs, named_batch};
use secateur_onnx::graph::{Dim, Graph, ValueInfo};
use secateur_onnx::model::Model;

/// Most numbers of an input that is made up: 1 GiB of f32.
const MOST_NUMBERS: usize = 1 << 28;

/// Types of numbers, as ONNX counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F64,
    F16,
    Bf16,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Element {
    /// Of an ONNX data type number; `None` for text and types of fewer than 8 bits.
    pub(crate) fn from_onnx(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::Bf16,
            _ => return None,
        })
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

/// One input of a run.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub name: String,
    pub element: Element,
    pub shape: Vec<usize>,
    /// In the input's own layout; whole numbers where the type has no others.
    pub values: Vec<f32>,
}

/// The batch that a model takes: that of its first input, where the file fixes it; one sample, where there
/// is no axis for a batch.
pub(crate) fn fixed_batch(graph: &Graph) -> Option<usize> {
    if graph.no_batch {
        return Some(1);
    }
    graph.inputs.first()?.shape.first()?.fixed()
}

/// The batch that the metadata give for the first input.
pub(crate) fn given_batch(model: &Model, graph: &Graph) -> Option<usize> {
    let first = graph.inputs.first().filter(|_| !graph.no_batch)?;
    let shapes = model.input_shapes();
    let given = shapes.iter().find(|shape| shape.input == first.name)?;
    *given.extents.first()?
}

/// Inputs of every type and shape for a batch of `batch` samples, at the sizes that
/// multiply-adds are counted at.
///
/// # Errors
/// Says which input cannot be made up, and why.
pub(crate) fn feeds(graph: &Graph, batch: usize) -> Result<Vec<Feed>, String> {
    let counted = counted_inputs(graph).map_err(|error| error.to_string())?;
    let name = named_batch(&counted.inputs);
    let inputs = counted.inputs.iter().enumerate();
    let mut feeds = inputs
        .map(|(i, input)| feed(input, i, (name, batch)))
        .collect::<Result<Vec<Feed>, _>>()?;
    for feed in feeds.iter_mut().filter(|feed| feed.values.len() == 1) {
        if let Some(value) = compared_with(graph, &feed.name).filter(|_| !feed.element.is_float()) {
            feed.values = vec![value];
        }
    }
    Ok(feeds)
}

/// The number that a network compares an input with: a sampling rate, a mode. With another it
/// may take a branch that other inputs do not fit.
fn compared_with(graph: &Graph, input: &str) -> Option<f32> {
    let mut nodes = graph.nodes.iter().filter(|node| node.op_type == "Equal");
    nodes.find_map(|node| {
        let operands = [node.input(0)?, node.input(1)?];
        let place = operands.iter().position(|name| *name == input)?;
        let stored = graph.initializers.get(operands[1 - place])?;
        match stored.as_i64()?.as_ref() {
            [value] => Some(*value as f32),
            _ => None,
        }
    })
}

/// `batch` is how many samples, and the name that axes of them have, if any.
fn feed(
    input: &ValueInfo,
    index: usize,
    (batch_name, batch): (Option<&Dim>, usize),
) -> Result<Feed, String> {
    let name = &input.name;
    let element = Element::from_onnx(input.elem_type)
        .ok_or_else(|| format!("no values can be made up for the type of its input `{name}`"))?;
    if !input.has_shape {
        return Err(format!("the file states no shape for its input `{name}`"));
    }
    let extent = |(axis, dim): (usize, &Dim)| match (axis, dim) {
        (_, Dim::Fixed(extent)) => Ok(*extent),
        (0, _) => Ok(batch),
        (_, dim) if Some(dim) == batch_name => Ok(batch),
        (_, other) => Err(format!("extent `{other}` of its input `{name}` is open")),
    };
    let shape: Vec<usize> = input
        .shape
        .iter()
        .enumerate()
        .map(extent)
        .collect::<Result<_, _>>()?;
    made_up(name, element, index, shape)
}

/// Values of a type and shape for the input of that number.
///
/// # Errors
/// Says that they are too many.
pub(crate) fn made_up(
    name: &str,
    element: Element,
    index: usize,
    shape: Vec<usize>,
) -> Result<Feed, String> {
    let len = shape.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
    let len = len
        .filter(|&n| n <= MOST_NUMBERS)
        .ok_or_else(|| format!("its input `{name}` of {shape:?} is too large to be made up"))?;
    let kind = Kind::of(element, index, shape.len());
    Ok(Feed {
        name: name.to_string(),
        element,
        values: (0..len).map(|i| kind.value(i)).collect(),
        shape,
    })
}

/// What an input most likely holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Normalised images: a fixed, uneven pattern over about -2..2.
    Images,
    /// Images of bytes.
    Bytes,
    /// Scales and sizes beside the images: about 1.
    Scales,
    /// Indices, masks: 0 and 1, which every table has.
    Indices,
    /// Lengths and counts: 1, unless the network compares it with another number.
    Counts,
}

impl Kind {
    fn of(element: Element, index: usize, rank: usize) -> Self {
        match (element, rank) {
            (_, 0 | 1) if !element.is_float() => Self::Counts,
            (Element::U8 | Element::I8, 3..) => Self::Bytes,
            _ if !element.is_float() => Self::Indices,
            (_, 0..=2) if index > 0 => Self::Scales,
            _ => Self::Images,
        }
    }

    fn value(self, i: usize) -> f32 {
        let uneven = i * 7919 % 1009;
        let pattern = (uneven as f32 / 252.0 - 2.0) * ((i % 13) as f32 / 12.0);
        match self {
            Self::Images => pattern,
            Self::Bytes => (uneven % 128) as f32,
            Self::Scales => 1.0 + pattern / 8.0,
            Self::Indices => (uneven % 2) as f32,
            Self::Counts => 1.0,
        }
    }
}

/// `x 8x3x224x224, lengths 8`.
pub(crate) fn shapes_text(feeds: &[Feed]) -> String {
    let text = |feed: &Feed| {
        let extents: Vec<String> = feed.shape.iter().map(ToString::to_string).collect();
        format!("{} {}", feed.name, extents.join("x"))
            .trim_end()
            .to_string()
    };
    feeds.iter().map(text).collect::<Vec<_>>().join(", ")
}
