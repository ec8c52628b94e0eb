//! Losses of a network with parts of its weights changed, one change at a time.
//!
//! What lies in front of the first node that reads what changes is computed once for all changes.

use super::evaluate::for_each_batch;
use super::original::Reference;
use crate::data::Part;
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::task::{Gather, Task, Wanted};
use crate::value::Output;
use crate::weights::Weights;

/// Changes of the same parameters.
#[derive(Debug, Clone)]
pub struct Variants<'a> {
    /// The parameters.
    pub parameters: Vec<&'a str>,
    /// All nodes that read them.
    pub readers: Vec<&'a str>,
    /// How many changes there are.
    pub count: usize,
}

/// The mean loss of a network, and that of each of its variants, by set and number.
///
/// `change(set, number, weights)` makes a variant of the network's `weights`, by the parameters of its set
/// alone.
///
/// # Errors
/// As [`super::judge`].
pub fn losses(
    (network, task): (&Interpreter, &dyn Task),
    weights: &Weights,
    (part, reference): (&Part, &Reference),
    variants: &[Variants<'_>],
    change: impl Fn(usize, usize, &mut Weights),
) -> Result<(f64, Vec<Vec<f64>>)> {
    let mut given = Loss::new(task);
    let mut changed: Vec<Vec<Loss<'_>>> = variants
        .iter()
        .map(|set| (0..set.count).map(|_| Loss::new(task)).collect())
        .collect();
    // One copy for all variants: a large network's weights take long to copy.
    let mut variant = weights.clone();
    for_each_batch(part, |batch| {
        let wanted = reference.outputs(&batch)?;
        let wanted = Wanted::of(wanted.as_deref(), &batch.labels);
        let goes = network.goes_with(weights, batch.inputs)?;
        let sizes: Vec<usize> = goes.iter().map(|go| go.n).collect();
        let device = network.engine().device();
        let inputs = goes.into_iter().map(|go| network.input_values(go, device));
        let mut walk = Walk::new(network, weights, &inputs.collect::<Result<Vec<_>>>()?)?;
        let due: Vec<usize> = variants
            .iter()
            .map(|set| walk.first_step_of(&set.readers))
            .collect();
        for step in 0.. {
            if walk.node().is_none() {
                break;
            }
            for (set, of) in variants
                .iter()
                .enumerate()
                .filter(|(set, _)| due[*set] == step)
            {
                for (number, loss) in changed[set].iter_mut().enumerate() {
                    change(set, number, &mut variant);
                    let other = walk.ended_with(&variant, &of.parameters)?;
                    loss.add(&other.outputs(&sizes)?, wanted)?;
                    for &name in &of.parameters {
                        if let Some((was, now)) = weights.get(name).zip(variant.get_mut(name)) {
                            now.data.copy_from_slice(&was.data);
                        }
                    }
                }
            }
            walk.step(weights)?;
        }
        given.add(&walk.outputs(&sizes)?, wanted)
    })?;
    let means = |losses: Vec<Loss<'_>>| losses.iter().map(Loss::mean).collect();
    Ok((given.mean(), changed.into_iter().map(means).collect()))
}

/// The sum of the losses of samples.
struct Loss<'a> {
    task: &'a dyn Task,
    gathered: Option<Box<dyn Gather>>,
    sum: f64,
    samples: usize,
}

impl<'a> Loss<'a> {
    fn new(task: &'a dyn Task) -> Self {
        Self {
            task,
            gathered: task.gather(),
            sum: 0.0,
            samples: 0,
        }
    }

    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<()> {
        let judged = match &mut self.gathered {
            Some(gathered) => gathered.add(outputs, wanted)?,
            None => self.task.judge(outputs, wanted)?,
        };
        self.samples += judged.len();
        self.sum += judged.iter().map(|judged| judged.loss).sum::<f64>();
        Ok(())
    }

    fn mean(&self) -> f64 {
        self.sum / self.samples.max(1) as f64
    }
}
