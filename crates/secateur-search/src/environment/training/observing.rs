//! What policies see of the present network.

use super::TrainingEnvironment;
use super::state::KernelState;
use crate::observation::{KernelFacts, LayerFacts};
use crate::scores::{Evidence, Scores, Statistics};

impl TrainingEnvironment<'_> {
    /// All scores of all kernels.
    pub(super) fn measured(&self) -> Scores {
        let of_group = |kernels: &Vec<KernelState>| kernels.iter().map(|k| k.statistics).collect();
        let statistics: Vec<Vec<Statistics>> = self.state.kernels.iter().map(of_group).collect();
        let evidence = Evidence {
            space: &self.problem.space,
            tensors: &self.state.weights,
            statistics: Some(&statistics),
            errors: &self.errors,
        };
        Scores::measure(self.scores.iter().copied(), &evidence)
    }

    /// What is known of the layers.
    pub(super) fn layers(&self) -> Vec<LayerFacts> {
        let space = &self.problem.space;
        let masks = &self.state.standing.masks;
        let marginal = space.cost.marginal(masks);
        let size = space.count(masks);
        let given = space.cost.marginal(&space.all_active());
        let share = |of_one: u64, of_all: u64| of_one as f32 / of_all.max(1) as f32;
        let n = space.groups.groups.len();
        let groups = space.groups.groups.iter().enumerate();
        groups
            .map(|(g, group)| LayerFacts {
                depth: g as f32 / (n - 1).max(1) as f32,
                width: group.width,
                active: masks.active(g),
                param_share: share(marginal[g].params, size.params),
                mac_share: share(marginal[g].macs, size.macs),
                given_param_share: share(given[g].params, space.size.params),
                given_mac_share: share(given[g].macs, space.size.macs),
                coupled: group.producers.len(),
                is_conv: group.is_conv,
                switchable: space.switchable[g],
            })
            .collect()
    }

    /// What is known of the kernels besides their scores.
    pub(super) fn kernels(&self) -> Vec<Vec<KernelFacts>> {
        let masks = &self.state.standing.masks.0;
        let facts = |(kernel, &active): (&KernelState, &bool)| KernelFacts {
            active,
            score_age: kernel.age,
            since_switch: kernel.since_switch,
            times_switched: kernel.times_switched,
        };
        let groups = self.state.kernels.iter().zip(masks);
        groups
            .map(|(kernels, mask)| kernels.iter().zip(mask).map(facts).collect())
            .collect()
    }
}
