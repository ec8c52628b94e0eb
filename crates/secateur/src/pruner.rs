//! What the main job is asked with.

use std::error::Error;
use std::path::{Path, PathBuf};

use secateur_net::Engine;
use secateur_search::config::{Mode, PruneConfig};
use secateur_search::environment::training::OutsideTrainer;
use secateur_search::policy::Policy;
use secateur_search::scores::Score;

use crate::measure::Function;

/// Prunes trained networks, in memory or from file to file.
///
/// ```
/// use secateur::prelude::*;
/// # use secateur::arch::{VggConfig, vgg_like};
///
/// let source = data::open("../../data/mnist".as_ref(), &DataConfig::default())?;
/// # let mut architecture = VggConfig::new([1, 28, 28], 10);
/// # architecture.stages = VggConfig::parse_stages("4,M,6,M")?;
/// # architecture.hidden = vec![8];
/// # let config = TrainConfig { epochs: 0.1, ..TrainConfig::default() };
/// # let model = train(&vgg_like(&architecture, 0)?, &source, &config, &mut ())?.model;
/// let budget = Budget { metric: Metric::Params, remaining: 0.3 };
/// let mode = Mode::Ceca { budgets: vec![budget], max_drop: 0.0 };
/// let mut pruner = Pruner::new(mode);
/// pruner.config.seed = 7;
/// # pruner.config.search.recover_steps = Some(4);
/// # pruner.config.search.ablation_images = 0;
/// # pruner.config.search.agent_updates = 4;
/// let pruned = pruner.run(&model, &source, &mut ())?;
///
/// let before = Network::from_model(model)?;
/// let after = Network::from_model(pruned.networks[0].model.clone())?;
/// assert!(after.size().params as f64 <= 0.3 * before.size().params as f64);
/// assert_eq!(after.size(), pruned.report.after[0].size);
/// let test = after.test(&source)?.expect("MNIST has test data");
/// assert_eq!(Some(test.quality), pruned.report.after[0].test_quality);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pruner<'a> {
    /// The promise and every constant of the search.
    pub config: PruneConfig,
    pub(crate) engine: Engine,
    pub(crate) policy: Option<Box<dyn Policy + 'a>>,
    pub(crate) scores: Vec<&'a dyn Score>,
    pub(crate) agent: Option<PathBuf>,
    pub(crate) learn_into: Option<PathBuf>,
    pub(crate) command: String,
    pub(crate) measure: Option<Box<Function<'a>>>,
    pub(crate) trainer: Option<Box<dyn OutsideTrainer + 'a>>,
}

impl<'a> Pruner<'a> {
    /// With default settings.
    pub fn new(mode: Mode) -> Self {
        Self::with_config(PruneConfig::new(mode))
    }

    /// With these settings.
    pub fn with_config(config: PruneConfig) -> Self {
        Self {
            config,
            engine: Engine::default(),
            policy: None,
            scores: Vec::new(),
            agent: None,
            learn_into: None,
            command: "the library".to_string(),
            measure: None,
            trainer: None,
        }
    }

    /// Computes networks with this engine.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Asks this policy which kernels stay, instead of the one that the settings name.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy + 'a) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// Measures this score too, for policies to look up by its name.
    #[must_use]
    pub fn score(mut self, score: &'a dyn Score) -> Self {
        self.scores.push(score);
        self
    }

    /// Measures written networks by this function, instead of the command that the settings name:
    /// a number for the network in a file, larger is better unless the settings say otherwise.
    /// AEC holds its floor on it, and its `max_drop` is in the number's unit. It is asked of the
    /// given network first, and then seldom.
    #[must_use]
    pub fn measure<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        mut measure: impl FnMut(&Path) -> Result<f64, E> + 'a,
    ) -> Self {
        self.measure = Some(Box::new(move |file| measure(file).map_err(Into::into)));
        self
    }

    /// Has recoveries trained outside of this program: in another framework, on another device. The
    /// settings of training are the trainer's business then.
    #[must_use]
    pub fn trainer(mut self, trainer: impl OutsideTrainer + 'a) -> Self {
        self.trainer = Some(Box::new(trainer));
        self
    }

    /// Starts from an agent that an earlier run has left.
    #[must_use]
    pub fn agent(mut self, path: Option<&Path>) -> Self {
        self.agent = path.map(Path::to_path_buf);
        self
    }

    /// Starts from the agent in this file, where there is one and no other is given, and writes there
    /// what it has learnt once the run is over. A run that is resumed has an agent of its own and is
    /// refused.
    #[must_use]
    pub fn learn_into(mut self, path: Option<&Path>) -> Self {
        self.learn_into = path.map(Path::to_path_buf);
        self
    }

    /// The agent to start from, if there is one.
    pub(crate) fn known_agent(&self) -> Option<&Path> {
        let learnt = self.learn_into.as_deref().filter(|path| path.exists());
        self.agent.as_deref().or(learnt)
    }

    /// What the report says of how the run was made.
    #[must_use]
    pub fn command(mut self, command: String) -> Self {
        self.command = command;
        self
    }
}
