//! What the layers of the original give at sampled positions: the targets.

use std::collections::{HashMap, HashSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::form::Extents;
use super::layers::Layer;
use super::plain::Plain;
use super::sampled::Sampled;
use super::system::product;
use super::{Affine, Inputs};
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::weights::Weights;

/// The targets of one layer; rows of all batches, in their order.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub layer: Layer,
    /// Per batch, the sampled positions of the output, and the extents that they are counted
    /// over: all axes of the output but that of the channels.
    pub positions: Vec<Vec<usize>>,
    pub extents: Vec<Vec<usize>>,
    /// Output channels of the original.
    pub channels: usize,
    /// What the layer gives, `[rows, channels]`.
    pub own: Vec<f32>,
    /// The sum that its output goes into, and where the other term comes from.
    pub sum: Option<(Vec<f32>, Other)>,
}

/// The other term of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// Computed before the layer.
    Value,
    /// What the layer gives that is solved just before.
    Layer,
}

/// The targets of an original.
pub(super) struct Targets {
    /// By the node in front of whose step they are solved, in their order: one, or the two terms
    /// of a sum that only read what is there already.
    pub by_node: HashMap<String, Vec<Target>>,
    /// Multiply-adds that the layers took at the sampled positions.
    pub multiply_adds: f64,
}

/// Samples `rows` positions of every layer and computes what it gives there.
///
/// # Errors
/// As an inference pass.
pub(super) fn targets(
    network: &Interpreter,
    weights: &Weights,
    layers: &HashMap<String, Layer>,
    inputs: &Inputs,
    rows: usize,
    seed: u64,
) -> Result<Targets> {
    let mut by_node: HashMap<String, Vec<Target>> = HashMap::new();
    let mut multiply_adds = 0.0;
    let total: usize = inputs.sizes.iter().sum();
    for (batch, size) in inputs.sizes.iter().enumerate() {
        let mut walk = Walk::new(network, weights, &inputs.named(batch..batch + 1))?;
        let mut index = 0;
        let mut found: HashSet<String> = HashSet::new();
        while let Some(node) = walk.node() {
            if let Some(layer) = layers.get(node).filter(|_| !found.contains(node)) {
                index += 1;
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                rng.set_stream(index << 32 | batch as u64);
                let here = OriginalWalk {
                    walk: &walk,
                    weights,
                };
                let together = here.due(layer, layers)?;
                // A solution needs some rows for every column.
                let columns = together.iter().map(|place| place.sizes.columns).max();
                let rows = rows.max(2 * columns.unwrap_or(0));
                let targets = here.targets(&together, (rows * size).div_ceil(total), &mut rng)?;
                multiply_adds += together
                    .iter()
                    .zip(&targets)
                    .map(|(place, target)| place.multiply_adds(target))
                    .sum::<f64>();
                found.extend(targets.iter().map(|target| target.layer.node.clone()));
                append(by_node.entry(node.to_string()).or_default(), targets, batch);
            }
            walk.step(weights)?;
        }
    }
    // A layer that cannot be read in one of the batches has no rows to match there.
    by_node.retain(|_, targets| {
        !targets.is_empty()
            && targets
                .iter()
                .all(|target| target.positions.len() == inputs.sizes.len())
    });
    Ok(Targets {
        by_node,
        multiply_adds,
    })
}

/// Adds the rows of another batch, if they are those of the same layers.
fn append(known: &mut Vec<Target>, more: Vec<Target>, batch: usize) {
    let nodes = |targets: &[Target]| -> Vec<String> {
        targets
            .iter()
            .map(|target| target.layer.node.clone())
            .collect()
    };
    if batch == 0 {
        *known = more;
    } else if nodes(known) == nodes(&more) {
        known
            .iter_mut()
            .zip(more)
            .for_each(|(known, more)| known.append(more));
    }
}

/// A layer in front of its step, with what it reads.
struct Place<'a> {
    layer: &'a Layer,
    input: Plain,
    /// Extents of the output, without its channels, and the axis of those.
    extents: Vec<usize>,
    axis: usize,
    sizes: Extents,
}

impl Place<'_> {
    fn channels(&self) -> usize {
        self.sizes.groups * self.sizes.c_out
    }

    fn multiply_adds(&self, target: &Target) -> f64 {
        let rows = target.positions.iter().map(Vec::len).sum();
        product(rows, self.channels(), self.sizes.columns)
    }
}

/// A walk over one batch, in front of a step.
struct OriginalWalk<'a, 'n> {
    walk: &'a Walk<'n>,
    weights: &'a Weights,
}

impl OriginalWalk<'_, '_> {
    /// The layers to be solved in front of the step of `layer`, in their order: the layer alone,
    /// or with the one that gives the other term of its sum, if that too only reads what is
    /// there. Of two, the one with more weights comes last, to give what the sum lacks.
    fn due<'a>(
        &self,
        layer: &'a Layer,
        layers: &'a HashMap<String, Layer>,
    ) -> Result<Vec<Place<'a>>> {
        let Some(place) = self.place(layer)? else {
            return Ok(Vec::new());
        };
        let term = layer.other_term.as_deref();
        let other = term.filter(|term| self.walk.value(0, term).is_none());
        let other = other.and_then(|term| layers.values().find(|layer| layer.term == term));
        let Some(other) = other.map(|other| self.place(other)).transpose()?.flatten() else {
            return Ok(vec![place]);
        };
        let shape = |place: &Place<'_>| (place.extents.clone(), place.axis, place.channels());
        if shape(&place) != shape(&other) {
            return Ok(vec![place]);
        }
        let is_larger = other.sizes.columns > place.sizes.columns;
        let takes_sum = other.layer.other_term.as_ref() == Some(&layer.term);
        Ok(if is_larger && takes_sum {
            vec![place, other]
        } else {
            vec![other, place]
        })
    }

    /// A layer and what it reads; `None` if that is not there or does not fit its form.
    fn place<'a>(&self, layer: &'a Layer) -> Result<Option<Place<'a>>> {
        let Some(input) = self.walk.value(0, &layer.input) else {
            return Ok(None);
        };
        let input = Plain::new(&input, self.walk.device());
        let shape = &self.weights.require(&layer.node, &layer.weight)?.shape;
        let form = &layer.form;
        let found = form
            .positions(&input.dims)
            .zip(form.channel_axis(input.dims.len()));
        let sizes = form.extents(shape, &input.dims, form.c_out(shape));
        Ok(found.zip(sizes).map(|((extents, axis), sizes)| Place {
            layer,
            input,
            extents,
            axis,
            sizes,
        }))
    }

    /// What layers that are solved together give at `count` positions.
    fn targets(
        &self,
        together: &[Place<'_>],
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<Target>> {
        let Some(place) = together.first() else {
            return Ok(Vec::new());
        };
        let all: usize = place.extents.iter().product();
        let mut positions = rand::seq::index::sample(rng, all, count.min(all)).into_vec();
        positions.sort_unstable();
        let mut targets: Vec<Target> = Vec::new();
        for place in together {
            let mut target = self.own(place, positions.clone())?;
            let other = match targets.first() {
                Some(first) => Some((first.terms(self.weights), Other::Layer)),
                None => self
                    .other_term(place, &positions)
                    .map(|rows| (rows, Other::Value)),
            };
            target.sum = other.map(|(mut sum, other)| {
                let terms = target.terms(self.weights);
                sum.iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term);
                (sum, other)
            });
            targets.push(target);
        }
        Ok(targets)
    }

    /// What a layer gives by itself.
    fn own(&self, place: &Place<'_>, positions: Vec<usize>) -> Result<Target> {
        let Place { layer, sizes, .. } = place;
        let mut x = vec![0.0; positions.len() * sizes.groups * sizes.columns];
        layer.form.rows(&place.input, &positions, &mut x);
        let sampled = Sampled {
            x,
            rows: positions.len(),
            extents: *sizes,
        };
        Ok(Target {
            layer: (*layer).clone(),
            own: sampled.outputs(layer, self.weights)?,
            positions: vec![positions],
            extents: vec![place.extents.clone()],
            channels: place.channels(),
            sum: None,
        })
    }

    /// The other term of a layer's sum, if it is computed already.
    fn other_term(&self, place: &Place<'_>, positions: &[usize]) -> Option<Vec<f32>> {
        let other = self.walk.value(0, place.layer.other_term.as_ref()?)?;
        let mut dims = place.extents.clone();
        dims.insert(place.axis, place.channels());
        let fits = other.onnx_dims() == dims;
        fits.then(|| Plain::new(&other, self.walk.device()).channels(positions, place.axis))
    }
}

impl Target {
    /// What the layer adds to a sum.
    fn terms(&self, weights: &Weights) -> Vec<f32> {
        Affine::new(&self.layer, weights, self.channels).all(&self.own)
    }

    fn append(&mut self, other: Self) {
        self.positions.extend(other.positions);
        self.extents.extend(other.extents);
        self.own.extend(other.own);
        match (&mut self.sum, other.sum) {
            (Some((sum, from)), Some((more, other))) if *from == other => sum.extend(more),
            (sum, _) => *sum = None,
        }
    }
}
