//! Which steps work together: those that an inference pass runs image by image, and those that
//! leave their batch norm to the next in training.

use std::collections::{BTreeMap, HashMap, HashSet};

use secateur_cpu::block::{BlockSpec, is_chain};

use super::step::Step;
use crate::ops::{ConvBlock, Operator};

/// How many steps read each value; `outputs` are read once more.
pub(crate) fn count_readers<'a>(steps: &'a [Step], outputs: &[&'a str]) -> HashMap<&'a str, usize> {
    let mut readers = HashMap::new();
    let read = steps.iter().flat_map(|step| step.inputs());
    for name in read.chain(outputs.iter().copied()) {
        *readers.entry(name).or_default() += 1;
    }
    readers
}

/// The values that are left without their batch norm for their only reader to apply.
pub(crate) fn left_norms(steps: &[Step], outputs: &[&str]) -> HashSet<String> {
    let counts = count_readers(steps, outputs);
    let mut readers: HashMap<&str, &ConvBlock> = HashMap::new();
    for block in steps.iter().filter_map(|step| step.conv_block()) {
        readers.insert(block.inputs()[0], block);
    }
    let is_left = |step: &Step| {
        let block = step.conv_block()?;
        let reader = readers.get(block.output())?;
        let is_only = counts.get(block.output()) == Some(&1);
        (is_only && block.leaves_norm_to(reader)).then(|| block.output().to_string())
    };
    steps.iter().filter_map(is_left).collect()
}

/// Number of steps by the place of the first; chains have two and more.
#[derive(Debug, Default)]
pub(crate) struct Chains(BTreeMap<usize, usize>);

impl Chains {
    /// Convolutions of which each is the only reader of the one before, as long as
    /// [`is_chain`] and the sizes that the file fixes allow; only the last has a residual.
    pub fn find(steps: &[Step], outputs: &[&str]) -> Self {
        let readers = count_readers(steps, outputs);
        let planned = |at: usize| -> Option<(&ConvBlock, BlockSpec)> {
            let block = steps.get(at)?.conv_block()?;
            Some((block, block.planned_spec()?))
        };
        let mut chains = BTreeMap::new();
        let mut at = 0;
        while at < steps.len() {
            let mut specs = Vec::new();
            while let Some((block, spec)) = planned(at + specs.len()) {
                let follows = specs.is_empty()
                    || steps[at + specs.len() - 1].outputs() == [block.inputs()[0]]
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
