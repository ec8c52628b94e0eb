//! Which kernels mattered: the agent's opinion, Taylor significance, and the plain
//! test of taking one kernel out.

use secateur_net::NetError;
use secateur_net::train::{Variants, losses};
use secateur_net::weights::Weights;
use secateur_onnx::coupling::Role;
use secateur_onnx::graph::Node;
use secateur_search::config::PruneConfig;
use secateur_search::environment::training::{Held, Problem};
use secateur_search::record::{EpochRecord, RunHeader, Stage};

use crate::report::Effectiveness;
use crate::report::stats::spearman;

/// Share of what a run may cost that taking out kernels one by one may cost besides, in sample-MACs.
const MOST_COST: f64 = 0.05;
/// A run that may cost more than the initial training does is taken for one that costs as much.
const MOST_OF_TRAINING: f64 = 1.0;
/// Part of the multiply-adds behind the first layer that reads a kernel, in the mean.
const BEHIND: f64 = 0.5;
/// Where all images are too dear, at least so many tell kernels apart.
const FEWER_IMAGES: usize = 32;
/// Kernels of a layer that are taken out in any case.
const LEAST_KERNELS: usize = 8;

/// Images, and most kernels of a layer, for so many passes of an image.
fn affordable(passes: f64, layers: &[usize], images: usize) -> (usize, usize) {
    let kernels: usize = layers.iter().sum();
    let for_all = (passes / kernels.max(1) as f64) as usize;
    if for_all >= images.min(FEWER_IMAGES) {
        return (images.min(for_all), usize::MAX);
    }
    let images = images.min(FEWER_IMAGES);
    let most = passes / images.max(1) as f64 / layers.len().max(1) as f64;
    (images, (most as usize).max(LEAST_KERNELS))
}

/// Measures the effectiveness of every switchable layer's kernels; of wide layers in large
/// networks, of some kernels at even distances.
pub(super) fn measure(
    problem: &Problem,
    header: &RunHeader,
    history: &[EpochRecord],
    config: &PruneConfig,
) -> Result<Vec<Effectiveness>, NetError> {
    let images = config.search.ablation_images.min(problem.search.part.len());
    if images == 0 {
        return Ok(Vec::new());
    }
    let layers = header.groups.iter().filter(|group| group.switchable);
    let layers: Vec<usize> = layers.map(|group| group.width).collect();
    let cost = MOST_COST * config.search.max_cost.min(MOST_OF_TRAINING);
    let pass = BEHIND * problem.space.size.macs.max(1) as f64;
    let passes = cost * problem.reference.sample_macs / pass;
    let (images, most) = affordable(passes, &layers, images);
    let task = problem.task.as_ref();
    let part = problem.search.part.head(images);
    let held = Held::new(part, task, &problem.original)?;
    let groups = header.groups.iter().enumerate();
    let taken: Vec<(usize, Vec<usize>)> = groups
        .filter(|(_, group)| group.switchable)
        .map(|(g, group)| {
            let count = group.width.min(most);
            (g, (0..count).map(|i| i * group.width / count).collect())
        })
        .collect();
    let sets: Vec<Variants<'_>> = taken
        .iter()
        .map(|(group, kernels)| without(problem, *group, kernels.len()))
        .collect();
    let (given, losses) = losses(
        (&problem.network, task),
        &problem.weights,
        (&held.part, &held.reference),
        &sets,
        |set, number, weights| take_out(problem, taken[set].0, taken[set].1[number], weights),
    )?;
    let measured = taken
        .into_iter()
        .zip(losses)
        .map(|((group, kernels), losses)| {
            let ablation = losses.iter().map(|loss| (loss - given) as f32).collect();
            let width = header.groups[group].width;
            beside_opinions(group, width, kernels, ablation, history)
        });
    Ok(measured.collect())
}

/// What taking kernels out showed, beside what the search thought of them.
fn beside_opinions(
    group: usize,
    width: usize,
    kernels: Vec<usize>,
    ablation: Vec<f32>,
    history: &[EpochRecord],
) -> Effectiveness {
    let mean = |stage: Stage, get: &dyn Fn(&EpochRecord) -> Option<&Vec<f32>>| -> Vec<f32> {
        let of_stage = history.iter().filter(|record| record.stage == stage);
        let rows: Vec<&Vec<f32>> = of_stage
            .filter_map(get)
            .filter(|row| row.len() == width)
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let mean_of = |&k: &usize| rows.iter().map(|row| row[k]).sum::<f32>() / rows.len() as f32;
        kernels.iter().map(mean_of).collect()
    };
    let q_explore = mean(Stage::Explore, &|r| r.q_advantage.get(group));
    let q_exploit = mean(Stage::Exploit, &|r| r.q_advantage.get(group));
    let significance_explore = mean(Stage::Explore, &|r| r.significance.get(group));
    let significance_exploit = mean(Stage::Exploit, &|r| r.significance.get(group));
    let agreement = [
        &q_explore,
        &q_exploit,
        &significance_explore,
        &significance_exploit,
    ]
    .map(|values| spearman(&ablation, values));
    Effectiveness {
        group,
        kernels,
        ablation,
        q_explore,
        q_exploit,
        significance_explore,
        significance_exploit,
        agreement,
    }
}

/// The weights that read a group's kernels, of which so many are taken out.
fn without(problem: &Problem, group: usize, count: usize) -> Variants<'_> {
    let members = problem.space.groups.groups[group].members.iter();
    let inputs = members.filter(|member| member.role == Role::Input);
    let parameters: Vec<&str> = inputs.map(|member| member.tensor.as_str()).collect();
    let nodes = problem.graph.nodes.iter();
    let reads = |node: &&Node| node.reads().any(|name| parameters.contains(&name));
    Variants {
        readers: nodes.filter(reads).map(|node| node.name.as_str()).collect(),
        parameters,
        count,
    }
}

/// Takes a kernel out of what reads it.
fn take_out(problem: &Problem, group: usize, kernel: usize, weights: &mut Weights) {
    let members = &problem.space.groups.groups[group].members;
    for member in members.iter().filter(|m| m.role == Role::Input) {
        let Some(weight) = weights.get_mut(&member.tensor) else {
            continue;
        };
        for block in member.blocks(&weight.shape, kernel) {
            weight.data[block].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_report_shows_keeps_to_its_cost() {
        let layers = [10, 30];
        assert_eq!(affordable(1e9, &layers, 128), (128, usize::MAX));
        assert_eq!(affordable(40.0 * 50.0, &layers, 128), (50, usize::MAX));
        assert_eq!(affordable(40.0 * 50.0, &layers, 20), (20, usize::MAX));
        assert_eq!(affordable(2.0 * 12.0 * 32.0, &layers, 128), (32, 12));
        assert_eq!(affordable(0.0, &layers, 128), (32, LEAST_KERNELS));
        assert_eq!(affordable(0.0, &[], 128), (32, LEAST_KERNELS));
    }
}
