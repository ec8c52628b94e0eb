//! Recoveries of AEC that try again.
//!
//! A network as good as the given one misses the floor by chance as often as it holds it. After a short,
//! gentle recovery it decides otherwise for a few samples: another draw, at little cost.

use super::Ledger;

/// Share of `max_cost` that each takes.
const SHARE: f64 = 0.06;
/// As many are kept back for.
const COUNT: f64 = 2.0;
/// None is shorter than this many passes over the training images: it would change nothing.
const LEAST_PASSES: f64 = 0.5;

/// What may be spent on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retries {
    /// Steps of the present network in one.
    each: f64,
    /// Steps that are left.
    left: f64,
    /// Steps of a pass.
    pass: f64,
}

impl Retries {
    /// Peak of their learning rate, as share of the usual one: the network stays what it has become.
    pub const RATE: f32 = 0.4;

    /// Those of a run that may cost `max_cost`, and `most_cost` with its recoveries, as shares of the initial
    /// training; none where they would be too short.
    pub fn of(ledger: &Ledger<'_>, max_cost: f64, most_cost: f64) -> Option<Self> {
        let costs = ledger.costs;
        let step = costs.step_work(ledger.macs());
        let retries = Self {
            each: costs.of_share(SHARE * max_cost) / step.max(1.0),
            left: ledger.steps_allowed(most_cost),
            pass: costs.steps_of_a_pass(),
        };
        (retries.each >= LEAST_PASSES * retries.pass).then_some(retries)
    }

    /// Have the long recoveries left no more than these take?
    pub fn are_due(&self) -> bool {
        self.left < (COUNT + 0.5) * self.each
    }

    /// Is enough left for one?
    pub fn are_paid(&self) -> bool {
        self.left >= LEAST_PASSES * self.pass
    }

    /// Steps of the next.
    pub fn steps(&self) -> f64 {
        self.each.min(self.left)
    }

    /// Steps that a long recovery leaves for them.
    pub fn kept_back(&self) -> f64 {
        COUNT * self.each
    }
}

#[cfg(test)]
mod tests {
    use secateur_net::task::Against;
    use secateur_onnx::arch::{VggConfig, vgg_like};
    use secateur_onnx::graph::Graph;

    use super::*;
    use crate::baseline::Baseline;
    use crate::config::SearchConfig;
    use crate::costs::{Costs, Reference, TRAINING_PASS};
    use crate::environment::Standing;
    use crate::promise::floor::tests::evaluation;
    use crate::promise::{Aec, Candidate, Finish, Promise};
    use crate::space::Space;

    fn space() -> Space {
        let mut config = VggConfig::new([1, 8, 8], 3);
        config.stages = VggConfig::parse_stages("16,M,32,M").unwrap();
        let graph = Graph::from_model(&vgg_like(&config, 0).unwrap()).unwrap();
        Space::new(&graph, &[]).unwrap()
    }

    /// Prices of a network that was trained for 40 passes over 1,000 samples.
    fn costs(space: &Space) -> Costs {
        Costs {
            reference: Reference {
                sample_macs: 40_000.0 * TRAINING_PASS * space.size.macs as f64,
                seconds: None,
                is_measured: true,
            },
            full_macs: space.size.macs as f64,
            traffic: 0.0,
            batch_size: 10,
            n_train: 1000,
            n_search: 10,
            n_probe: 1,
            training_pass: TRAINING_PASS,
            teacher_macs: 0.0,
            setup: 0.0,
            effort: 0.0,
        }
    }

    fn recovered(quality: f64, loss: f64) -> Candidate {
        Candidate {
            snapshot: 0,
            record: 0,
            stop: None,
            remaining: 1.0,
            quality,
            loss,
            finish: Finish::Recovered,
            reading: None,
        }
    }

    /// What the promise says when a share of the money is spent, all kernels being on.
    fn after<R>(
        space: &Space,
        candidates: &[Candidate],
        spent: f64,
        check: impl Fn(&Aec, &Ledger<'_>) -> R,
    ) -> R {
        let given = evaluation(980, 1000, 0.1);
        let baseline = Baseline {
            against: Against::Labels,
            search: given.clone(),
            confirm: given,
        };
        let aec = Aec::new(0.0, &SearchConfig::default(), space, &baseline, "accuracy");
        let costs = costs(space);
        let spent = spent * costs.of_share(aec.most_cost());
        let standing = Standing {
            masks: space.all_active(),
            quality: 0.98,
            loss: 0.1,
            convergence: 0.0,
        };
        let ledger = Ledger {
            space,
            costs: &costs,
            standing: &standing,
            candidates,
            spent,
            worked: spent,
        };
        check(&aec, &ledger)
    }

    #[test]
    fn a_quarter_then_the_rest_but_for_what_tries_again() {
        let space = space();
        after(&space, &[], 0.0, |aec, ledger| {
            let all = ledger.steps_allowed(aec.most_cost());
            let first = aec.recovery(0, ledger);
            assert_eq!((first.steps, first.rate), ((all / 4.0) as usize, 1.0));
        });
        let one = [recovered(0.979, 0.09)];
        after(&space, &one, 0.25, |aec, ledger| {
            let left = ledger.steps_allowed(aec.most_cost());
            let retries = aec.retries(ledger).unwrap();
            let second = aec.recovery(1, ledger);
            let expected = (left - COUNT * retries.each) as usize;
            assert_eq!((second.steps, second.rate), (expected, 1.0));
        });
        after(&space, &one, 0.9, |aec, ledger| {
            let retries = aec.retries(ledger).unwrap();
            let third = aec.recovery(2, ledger);
            let expected = (retries.each as usize, Retries::RATE);
            assert_eq!((third.steps, third.rate), expected);
        });
    }

    #[test]
    fn it_tries_again_where_chance_decides() {
        let space = space();
        let goes_on = |quality: f64, loss: f64, spent: f64, confirmed: usize| {
            let candidates = [recovered(quality, loss)];
            after(&space, &candidates, spent, |aec, ledger| {
                let confirm = &mut |_: &Candidate| Ok(evaluation(confirmed, 1000, 0.09));
                aec.goes_on(1, ledger, confirm).unwrap()
            })
        };
        assert!(goes_on(0.979, 0.09, 0.9, 979));
        assert!(
            goes_on(0.985, 0.09, 0.9, 970),
            "lucky on the search part alone"
        );
        assert!(!goes_on(0.979, 0.09, 0.9, 982), "confirmed");
        assert!(goes_on(0.979, 0.11, 0.9, 979), "whatever the loss");
        assert!(!goes_on(0.95, 0.09, 0.9, 950), "clearly below");
        assert!(!goes_on(0.979, 0.09, 0.999, 979), "nothing left");
    }
}
