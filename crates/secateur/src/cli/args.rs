//! Raw arguments, as typed.

use std::path::PathBuf;

use crate::compare::Shard;
use crate::data::DataConfig;
use crate::demo::DemoConfig;
use crate::eval::Part;
use crate::latency::CHECKS;
use crate::layered::ModeName;
use crate::new_network::Arch;
use crate::train::TrainConfig;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use secateur_net::settings::{BATCH, INPUTS, WIDTH};
use secateur_onnx::model::InputShape;
use secateur_search::config::{LatencyConfig, Metric, Mode, PruneConfig, RuntimeConfig};

use super::flags::{Flags, within};

const EXIT_CODES: &str = "Exit codes: 0 success; 1 error (stderr says what and why); 2 wrong \
usage; 3 `verify`: the file does not hold what it promises; 130 stopped by Ctrl-C (the run is \
saved, `--resume` goes on).";

const GLOBAL: &str = "Global options";
const DATA: &str = "Data";

/// Makes trained convolutional networks smaller: ONNX in, ONNX out.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Worker threads [default: one a core]
    #[arg(long, global = true, value_name = "N", help_heading = GLOBAL)]
    pub threads: Option<usize>,
    /// Log more to stderr (-v: every pruning epoch, -vv: all)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network and write it as ONNX
    Train(TrainArgs),
    /// Make a trained network smaller
    Prune(Box<PruneArgs>),
    /// Accuracy and loss of a network, per class too
    Eval(EvalArgs),
    /// Layers, shapes, channel groups, what can be pruned and why the rest cannot
    Inspect(InspectArgs),
    /// Check that a pruned file holds what it promises
    Verify(VerifyArgs),
    /// Latency by batch size, in ONNX Runtime where it is found, in tract or in our own
    Bench(BenchArgs),
    /// Write a pruned file with 8-bit integers, by ONNX Runtime's quantiser (Python package)
    Quantise(Box<QuantiseArgs>),
    /// Write the report of a run folder again
    Report(ReportArgs),
    /// Policies over networks, promises and seeds, from one experiment file
    Compare(CompareArgs),
    /// Train, prune in both modes and report, on the data shipped with the sources
    Demo(DemoArgs),
    /// Print what a shell completes words of this program by
    Completions(CompletionsArgs),
    /// Write manual pages
    Man(ManArgs),
}

/// `secateur train`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
secateur train --data data/mnist -o net.onnx\n  \
secateur train --data data/mnist --widths 16,16,M,32,32,M -o small.onnx --epochs 3\n  \
secateur train --data data/mnist --init net.onnx -o better.onnx --lr 0.02\n  \
secateur train --data cifar10 --arch resnet-20 -o net.onnx --flip --max-shift 4 --epochs 30\n  \
secateur train --data data/mnist --init small.onnx --fresh -o scratch.onnx")]
pub struct TrainArgs {
    /// Architecture to build
    #[arg(long, value_enum, default_value = "vgg-like", conflicts_with = "init")]
    pub arch: Arch,
    /// vgg-like: kernels a convolution, and M for pooling [default: 32,32,M,64,64,M,128,128,128,M]
    #[arg(long, value_name = "LIST", conflicts_with = "init")]
    pub widths: Option<String>,
    /// vgg-like: widths of the hidden fully connected layers [default: 128]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "init",
        value_parser = within::<usize>(WIDTH)
    )]
    pub hidden: Option<Vec<usize>>,
    /// Go on from this model instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "image-size")]
    pub init: Option<PathBuf>,
    /// Of the model of --init take the shape alone, and begin with new weights
    #[arg(long, requires = "init")]
    pub fresh: bool,
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Settings (TOML); arguments go first
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to train.
    #[command(flatten)]
    pub settings: Flags<TrainConfig>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur prune`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
secateur prune net.onnx --data data/mnist --mode aec -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode aec --max-drop 0.2 -o small.onnx\n  \
secateur prune net.onnx --data photos --metric 'python3 val.py {model}' --max-drop 0.5 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode ceca --budget params=0.06 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode ceca --budget params=0.4,0.14,0.06 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode ceca --budget latency=0.5 -o small.onnx\n  \
secateur prune detector.onnx --no-train --policy l2-uniform --budget macs=0.5 -o small.onnx\n  \
secateur prune net.onnx --data photos --no-train --calibrate --budget macs=0.7 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist -o small.onnx --resume")]
pub struct PruneArgs {
    /// Trained model
    pub model: PathBuf,
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", required_unless_present = "no_train", help_heading = DATA)]
    pub data: Option<PathBuf>,
    /// Rank kernels by their weights alone and cut once: no data, no training, any model
    #[arg(
        long,
        requires = "budget",
        conflicts_with_all = ["max_drop", "run_dir", "config", "agent", "resume", "tensorboard"]
    )]
    pub no_train: bool,
    /// Choose kernels by what layers lose with them, and solve the weights that are left so that
    /// layers give what they gave: without gradients, on inputs of --data, whose labels are not
    /// looked at
    #[arg(long, requires = "no_train", requires = "data")]
    pub calibrate: bool,
    /// Images to calibrate on
    #[arg(
        long,
        value_name = "N",
        default_value_t = 512,
        requires = "calibrate",
        value_parser = within::<usize>(INPUTS)
    )]
    pub calibration_images: usize,
    /// The promise to keep [default: aec, or as in the config]
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,
    /// AEC: points that accuracy may lose, or with --metric what its number may lose, in its unit
    /// [default: 0]. CECA without a budget: the most compressed network within this many points is
    /// the output [default: 0.5]
    #[arg(
        long,
        value_name = "POINTS",
        conflicts_with = "budget",
        value_parser = within::<f64>(Mode::DROP)
    )]
    pub max_drop: Option<f64>,
    /// CECA: what may remain
    #[arg(long, value_name = "METRIC=SHARE,...", help = budget_help())]
    pub budget: Option<String>,
    /// File to write; several budgets make several files (small.params-0.06.onnx)
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Folder of the run: history, checkpoint, report [default: <output>.run]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Settings (TOML); arguments go first
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to prune.
    #[command(flatten)]
    pub settings: Flags<PruneConfig>,
    /// Start from an agent saved by another run; for the policy dqn
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Start from the agent in this file, where there is one (or in that of `--agent`), and write here what it
    /// has learnt; of layers it learns with `width_noise` above 0
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub learn_into: Option<PathBuf>,
    /// Write quality, size, reward and epsilon of every pruning epoch for TensorBoard, to a sub-folder for
    /// this run
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Go on with the run in the run folder, by its own settings unless told otherwise
    #[arg(long)]
    pub resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur eval`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur eval small.onnx --data data/mnist")]
pub struct EvalArgs {
    /// Model
    pub model: PathBuf,
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: PathBuf,
    /// Take the part [data] of this config of prune or train (TOML); arguments go first
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    pub settings: Flags<DataConfig>,
    /// Hold the model against what this one gives for the same inputs, not against labels
    #[arg(long, value_name = "FILE")]
    pub original: Option<PathBuf>,
    /// Part of the data
    #[arg(long, value_enum, default_value = "test")]
    pub split: Part,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Shapes of inputs that files leave open.
#[derive(Debug, Args)]
pub struct InputShapes {
    /// Shape of an input whose extents the file leaves open, such as x=1x3x48x320; ? for an extent
    /// that stays open. Once for each input
    #[arg(long, value_name = "INPUT=EXTENTS")]
    pub input_shape: Vec<InputShape>,
}

/// `secateur inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  secateur inspect net.onnx\n  \
secateur inspect net.onnx --plan\n  secateur inspect net.onnx --latency --threads 1\n  \
secateur inspect --data cifar10\n  \
secateur inspect net.onnx --data cifar10")]
pub struct InspectArgs {
    /// Model
    #[arg(required_unless_present = "data")]
    pub model: Option<PathBuf>,
    /// Show data instead: samples and classes; with a model, whether they fit it
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: Option<PathBuf>,
    /// How it is read; sizes of open inputs.
    #[command(flatten)]
    pub settings: Flags<DataConfig>,
    /// Show what may go where nodes may mix fewer channels
    #[arg(long, conflicts_with = "data")]
    pub allow_mixing: bool,
    /// Show how training will run it: which nodes are fused, by which method
    #[arg(long)]
    pub plan: bool,
    /// Measure what each layer takes by its width in the engine that files are timed in, and how far
    /// the network's time is told by that
    #[arg(long, conflicts_with = "data")]
    pub latency: bool,
    /// Networks of random widths that are timed to tell how far that is off
    #[arg(
        long,
        value_name = "N",
        default_value_t = CHECKS,
        requires = "latency",
        value_parser = within::<usize>(INPUTS)
    )]
    pub latency_checks: usize,
    /// The engine.
    #[command(flatten)]
    pub runtime: Flags<RuntimeConfig>,
    /// How it is timed.
    #[command(flatten)]
    pub timing: Flags<LatencyConfig>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur verify net.onnx small.onnx")]
pub struct VerifyArgs {
    /// The model that was pruned
    pub original: PathBuf,
    /// What `prune` wrote
    pub small: PathBuf,
    /// Sizes of open inputs.
    #[command(flatten)]
    pub shapes: InputShapes,
    /// What runs them.
    #[command(flatten)]
    pub runtime: Flags<RuntimeConfig>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur bench`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur bench net.onnx small.onnx --batch 1,32")]
pub struct BenchArgs {
    /// Models; several are timed in turn
    #[arg(required = true)]
    pub models: Vec<PathBuf>,
    /// Sizes of open inputs.
    #[command(flatten)]
    pub shapes: InputShapes,
    /// What runs them.
    #[command(flatten)]
    pub runtime: Flags<RuntimeConfig>,
    /// Batch sizes; a file of fixed batch is timed at its own
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub batch: Vec<usize>,
    /// Timed runs of each
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur quantise`.
#[derive(Debug, Args)]
#[command(
    after_help = "The quantiser is that of the Python package `onnxruntime`: the command of the \
Python package of secateur calls it (`pip install './python[quantise]'`); without Python this says so.\n\n\
Example:\n  secateur quantise small.onnx --data data/mnist -o small.int8.onnx"
)]
pub struct QuantiseArgs {
    /// Model
    pub model: PathBuf,
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: PathBuf,
    /// Take the part [data] of this config of prune or train (TOML); arguments go first
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    pub settings: Flags<DataConfig>,
    /// Training images to calibrate on
    #[arg(
        long,
        value_name = "N",
        default_value_t = 512,
        value_parser = within::<usize>(INPUTS)
    )]
    pub calibration_images: usize,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Folder of the run that made the model, whose report gets the figures [default: looked for beside
    /// the model; a report of its own without one]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// ONNX Runtime.
    #[command(flatten)]
    pub runtime: Flags<RuntimeConfig>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur report`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur report small.onnx.run")]
pub struct ReportArgs {
    /// Run folder
    pub run_dir: PathBuf,
    /// Print report.json instead of writing the page
    #[arg(long)]
    pub json: bool,
}

/// `secateur compare`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
secateur compare experiments/mnist-tiny.toml\n  \
secateur compare experiments/cifar10-vgg16.toml --data cifar10 --jobs 4 -o runs/vgg16\n  \
secateur compare experiments/cifar10-vgg16.toml --dry-run\n  \
secateur compare experiments/cifar10-vgg16.toml --shard 2/8 -o runs/vgg16-2\n  \
secateur compare experiments/cifar10-vgg16.toml --merge runs/vgg16-* -o runs/vgg16")]
pub struct CompareArgs {
    /// What is compared: networks, promises, policies, seeds (docs/compare.md)
    pub experiment: PathBuf,
    /// Folder for everything that is written; runs that it holds are not made again
    /// [default: runs/<experiment>]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Runs at once [default: as many as cores and memory allow]
    #[arg(long, value_name = "N", value_parser = within::<usize>(BATCH))]
    pub jobs: Option<usize>,
    /// Data of all networks, instead of those that the experiment names
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: Option<PathBuf>,
    /// Make one part of so many of the runs, for machines that share the work
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    pub shard: Option<Shard>,
    /// Make no runs; tables and plots of the runs in these folders
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub merge: Vec<PathBuf>,
    /// List the commands of the runs that are not done, and do nothing
    #[arg(long, conflicts_with = "merge")]
    pub dry_run: bool,
    /// Compare by test data, once the design is decided by validation data
    #[arg(long)]
    pub test: bool,
    /// Print the result as JSON
    #[arg(long, conflicts_with = "dry_run")]
    pub json: bool,
}

/// `secateur demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo run --release -- demo")]
pub struct DemoArgs {
    /// MNIST folder
    #[arg(long, value_name = "DIR", default_value = "data/mnist")]
    pub data: PathBuf,
    /// Folder for everything that is written; emptied of an earlier demo
    #[arg(short, long, value_name = "DIR", default_value = "runs/demo")]
    pub output: PathBuf,
    /// How the initial training goes.
    #[command(flatten)]
    pub settings: Flags<DemoConfig>,
}

/// `secateur completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
secateur completions bash > ~/.local/share/bash-completion/completions/secateur")]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `secateur man`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur man -o ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for `secateur.1` and a page each command
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

fn budget_help() -> String {
    format!(
        "CECA: what may remain, such as params=0.06, or latency=3ms; a network each: \
         params=0.4,0.14,0.06; one that keeps all: latency=0.5+params=0.3. Counted in {}",
        Metric::names()
    )
}
