//! The runs of an experiment, and where each lies.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::experiment::{Contender, Experiment, Network};
use super::promise::Promise;

/// A run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Index of the network.
    pub network: usize,
    /// Index of the promise among the network's.
    pub promise: usize,
    /// The seed.
    pub seed: u64,
    /// Index of the contender.
    pub policy: usize,
}

/// One of several parts of an experiment, for machines that share the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    index: usize,
    of: usize,
}

impl Shard {
    /// How one is written.
    pub const FORM: &str = "I/N such as 1/8, I from 1 to N";
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shard = text.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&index).then_some(Self { index, of })
        });
        shard.ok_or_else(|| format!("expected {}, got `{text}`", Self::FORM))
    }
}

impl Experiment {
    /// All runs, or those of a shard: seed by seed, so that every row of the table has a figure
    /// early. Runs that are compared with each other are in one shard: they are made of the same
    /// network, on the same machine.
    pub fn jobs(&self, shard: Option<Shard>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut rows = 0;
        for &seed in &self.seeds {
            for (network, of) in self.networks.iter().enumerate() {
                for promise in 0..of.promises.len() {
                    let is_own = shard.is_none_or(|s| rows % s.of == s.index - 1);
                    rows += 1;
                    jobs.extend(
                        (0..self.policies.len())
                            .filter(|_| is_own)
                            .map(|policy| Job {
                                network,
                                promise,
                                seed,
                                policy,
                            }),
                    );
                }
            }
        }
        jobs
    }

    /// The network of a run.
    pub fn network(&self, job: Job) -> &Network {
        &self.networks[job.network]
    }

    /// The promise of a run.
    pub fn promise(&self, job: Job) -> &Promise {
        &self.network(job).promises[job.promise]
    }

    /// The contender of a run.
    pub fn policy(&self, job: Job) -> &Contender {
        &self.policies[job.policy]
    }

    /// What a run is called.
    pub fn title(&self, job: Job) -> String {
        format!(
            "{} {} {} seed {}",
            self.network(job).name,
            self.promise(job),
            self.policy(job).name,
            job.seed
        )
    }

    /// The folder of a run in the output folder.
    pub fn folder(&self, out: &Path, job: Job) -> PathBuf {
        out.join("runs")
            .join(&self.network(job).name)
            .join(self.promise(job).folder())
            .join(&self.policy(job).name)
            .join(format!("seed-{}", job.seed))
    }

    /// The folder in which the network of a run is trained; `None` where it is given.
    pub fn network_folder(&self, out: &Path, job: Job) -> Option<PathBuf> {
        let network = self.network(job);
        let name = match network.recipe.each_seed {
            true => format!("{}-seed-{}", network.name, job.seed),
            false => network.name.clone(),
        };
        let is_trained = network.file.is_none();
        is_trained.then(|| out.join("networks").join(name))
    }

    /// The file of the network of a run.
    pub fn network_file(&self, out: &Path, job: Job) -> PathBuf {
        let network = self.network(job);
        match (&network.file, self.network_folder(out, job)) {
            (_, Some(folder)) => folder.join(format!("{}.onnx", network.name)),
            (file, None) => file.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Kind;

    #[test]
    fn shards() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, of: 3 }));
        for wrong in ["", "0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    fn experiment(folder: &Path, rest: &str) -> Experiment {
        let file = folder.join("e.toml");
        let text = format!(
            "seeds = [0, 1, 2]\npromises = [\"params=0.5\", \"max-drop=1\"]\n\
             policies = [\"dqn\", \"l2-uniform\"]\n{rest}\
             [[network]]\nname = \"a\"\ndata = \"d\"\nfile = \"a.onnx\"\n"
        );
        std::fs::write(&file, text).unwrap();
        Experiment::read(&file).unwrap()
    }

    #[test]
    fn an_ablation_doubles_what_prunes() {
        let folder = tempfile::tempdir().unwrap();
        let rest = "[[variant]]\nname = \"new\"\nshape_of = \"dqn\"\n\
                    [[ablation]]\nname = \"once\"\nset = { \"search.exchange_epochs\" = 0 }\n";
        let experiment = experiment(folder.path(), rest);
        let names: Vec<&str> = experiment
            .policies
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        let expected = ["dqn", "l2-uniform", "new", "dqn+once", "l2-uniform+once"];
        assert_eq!(names, expected);
        let Kind::Prune(pruning) = &experiment.policies[4].kind else {
            panic!("it prunes");
        };
        let network = &experiment.networks[0];
        let settings = network
            .run_settings(&network.promises[0], pruning, 1)
            .unwrap();
        assert_eq!(settings.search.exchange_epochs, 0);
        assert_eq!(settings.search.policy, "l2-uniform");
    }

    #[test]
    fn shards_share_rows_out_whole() {
        let folder = tempfile::tempdir().unwrap();
        let experiment = experiment(folder.path(), "");
        let all = experiment.jobs(None);
        assert_eq!(all.len(), 12);
        let mut parts = Vec::new();
        for index in 1..=4 {
            let part = experiment.jobs(Some(Shard { index, of: 4 }));
            // Both policies of a row.
            assert!(part.chunks(2).all(|pair| pair[0].policy != pair[1].policy
                && pair[0].seed == pair[1].seed
                && pair[0].promise == pair[1].promise));
            parts.extend(part);
        }
        assert_eq!(parts.len(), all.len());
        assert!(all.iter().all(|job| parts.contains(job)));
    }
}
