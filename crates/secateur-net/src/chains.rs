//! Which steps an inference pass runs together, image by image.

use std::collections::{BTreeMap, HashMap};

use secateur_cpu::block::{BlockSpec, is_chain};

use crate::ops::{ConvBlock, Operator};

/// How many steps read each value; `outputs` are read once more.
pub(crate) fn count_readers<'a>(
    steps: &'a [Box<dyn Operator>],
    outputs: &[&'a str],
) -> HashMap<&'a str, usize> {
    let mut readers = HashMap::new();
    let read = steps.iter().flat_map(|step| step.inputs());
    for name in read.chain(outputs.iter().copied()) {
        *readers.entry(name).or_default() += 1;
    }
    readers
}

/// Number of steps by the place of the first; chains have two and more.
#[derive(Debug, Default)]
pub(crate) struct Chains(BTreeMap<usize, usize>);

impl Chains {
    /// Convolutions of which each is the only reader of the one before, as long as
    /// [`is_chain`] and the sizes that the file fixes allow; only the last has a residual.
    pub fn find(steps: &[Box<dyn Operator>], outputs: &[&str]) -> Self {
        let readers = count_readers(steps, outputs);
        let planned = |at: usize| -> Option<(&ConvBlock, BlockSpec)> {
            let block = steps.get(at)?.as_conv_block()?;
            Some((block, block.planned_spec()?))
        };
        let mut chains = BTreeMap::new();
        let mut at = 0;
        while at < steps.len() {
            let mut specs = Vec::new();
            while let Some((block, spec)) = planned(at + specs.len()) {
                let follows = specs.is_empty()
                    || steps[at + specs.len() - 1].output() == block.inputs()[0]
                        && readers.get(block.inputs()[0]) == Some(&1);
                specs.push(spec);
                if !follows || !is_chain(&specs) {
                    specs.pop();
                    break;
                }
                if block.has_residual() {
                    break;
                }
            }
            if specs.len() > 1 {
                chains.insert(at, specs.len());
            }
            at += specs.len().max(1);
        }
        Self(chains)
    }

    /// Steps that run together from `at` on, 1 and up.
    pub fn len_at(&self, at: usize) -> usize {
        self.0.get(&at).copied().unwrap_or(1)
    }
}
