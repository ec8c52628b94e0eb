//! Raw arguments, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secateur::data::{Colour, Layout, NormaliseBy, Resize};
use secateur::search::config::ranges;

use super::settings::{parse_image_size, within};

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
    /// Latency by batch size, in tract
    Bench(BenchArgs),
    /// Write the report of a run folder again
    Report(ReportArgs),
    /// Train, prune in both modes and report, on the data shipped with the sources
    Demo(DemoArgs),
}

/// Built-in architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// 3x3 convolutions with batch norm and ReLU, 2x2 pooling, fully connected layers
    VggLike,
}

/// Update rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum 0.9
    Sgd,
    /// Adam with decoupled weight decay
    Adamw,
}

/// Shapes of the learning rate over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScheduleName {
    /// Rise, then fall to almost zero
    OneCycle,
    /// Fall from the peak to almost zero
    Cosine,
    /// Constant
    Constant,
}

/// How data are read; shared by the commands that take data.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", help_heading = DATA)]
    pub data: PathBuf,
    /// How it is read.
    #[command(flatten)]
    pub options: DataOptions,
}

/// How data are read.
#[derive(Debug, Args)]
pub struct DataOptions {
    /// Mean and deviation: measured, imagenet, cifar10, mnist, half, none, bytes, or numbers
    /// such as 0.5,0.5,0.5/0.2,0.2,0.2 [default: the model's, else measured on the training part]
    #[arg(long, value_name = "NAME|MEAN/DEV", help_heading = DATA)]
    pub normalise: Option<NormaliseBy>,
    /// How images in folders get the network's size: crop, crop:SHARE or stretch
    /// [default: the model's, else crop]
    #[arg(long, value_name = "HOW", help_heading = DATA)]
    pub resize: Option<Resize>,
    /// Order of three channels as the network takes them: rgb or bgr
    /// [default: the model's, else rgb]
    #[arg(long, value_name = "ORDER", help_heading = DATA)]
    pub colour: Option<Colour>,
    /// Axes of arrays of images: nhwc or nchw [default: seen from their extents]
    #[arg(long, value_name = "AXES", help_heading = DATA)]
    pub layout: Option<Layout>,
    /// Training images set apart for validation [default: the model's, else 5000, at most a fifth]
    #[arg(long, value_name = "N", help_heading = DATA)]
    pub validation: Option<usize>,
    /// Images that may be left out because they cannot be decoded [default: 10]
    #[arg(long, value_name = "N", help_heading = DATA)]
    pub max_skipped: Option<usize>,
    /// Memory for decoded images, MiB; the rest is decoded beside the training [default: 2048]
    #[arg(long, value_name = "MIB", help_heading = DATA)]
    pub cache_mib: Option<usize>,
}

/// `secateur train`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
secateur train --data data/mnist -o net.onnx\n  \
secateur train --data data/mnist --widths 16,16,M,32,32,M -o small.onnx --epochs 3\n  \
secateur train --data data/mnist --init net.onnx -o better.onnx --lr 0.02\n  \
secateur train --data cifar10 --init resnet20.onnx -o net.onnx --flip --max-shift 4 --epochs 30")]
pub struct TrainArgs {
    /// Architecture to build
    #[arg(long, value_enum, default_value = "vgg-like", conflicts_with = "init")]
    pub arch: Arch,
    /// Kernels a convolution, and M for pooling [default: 32,32,M,64,64,M,128,128,128,M]
    #[arg(long, value_name = "LIST", conflicts_with = "init")]
    pub widths: Option<String>,
    /// Widths of the hidden fully connected layers
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "128",
        conflicts_with = "init",
        value_parser = within::<usize>(ranges::WIDTH)
    )]
    pub hidden: Vec<usize>,
    /// Go on from this model instead of building one
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Data
    #[command(flatten)]
    pub data: DataArgs,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Passes over the training data
    #[arg(long, default_value_t = 6.0, value_parser = within::<f64>(ranges::EPOCHS))]
    pub epochs: f64,
    /// Images a step
    #[arg(long, default_value_t = 128, value_parser = within::<usize>(ranges::BATCH))]
    pub batch_size: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 0.1, value_parser = within::<f32>(ranges::RATE))]
    pub lr: f32,
    /// Update rule
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: OptimizerName,
    /// Learning rate over time
    #[arg(long, value_enum, default_value = "one-cycle")]
    pub schedule: ScheduleName,
    /// Weight decay (not on norms and biases)
    #[arg(long, default_value_t = 5e-4, value_parser = within::<f32>(ranges::WEIGHT_DECAY))]
    pub weight_decay: f32,
    /// Label smoothing
    #[arg(long, default_value_t = 0.0, value_parser = within::<f32>(ranges::NOT_ALL))]
    pub smoothing: f32,
    /// Random shifts of up to this many pixels
    #[arg(long, default_value_t = 0, value_name = "PIXELS", value_parser = within::<usize>(ranges::SHIFT))]
    pub max_shift: usize,
    /// Random rotations of up to this many degrees
    #[arg(long, default_value_t = 0.0, value_name = "DEGREES", value_parser = within::<f32>(ranges::ROTATION))]
    pub max_rotation: f32,
    /// Random changes of the size by up to this share
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = within::<f32>(ranges::ZOOM))]
    pub max_zoom: f32,
    /// Random horizontal flips
    #[arg(long)]
    pub flip: bool,
    /// Size of the images where no model says it: N or HxW [default: their own]
    #[arg(long, value_name = "SIZE", value_parser = parse_image_size, conflicts_with = "init")]
    pub image_size: Option<[usize; 2]>,
    /// Seed of weights, split and batches
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=ranges::MAX_SEED))]
    pub seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// The two promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Accuracy-ensured compression: never below the accuracy floor
    Aec,
    /// Compression-ensured: meets the budget, keeps the most accuracy
    Ceca,
}

/// `secateur prune`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
secateur prune net.onnx --data data/mnist --mode aec -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode aec --max-drop 0.2 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode ceca --budget params=0.06 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist --mode ceca --budget params=0.4,0.14,0.06 -o small.onnx\n  \
secateur prune detector.onnx --no-train --policy l2 --budget macs=0.5 -o small.onnx\n  \
secateur prune net.onnx --data data/mnist -o small.onnx --resume")]
pub struct PruneArgs {
    /// Trained model
    pub model: PathBuf,
    /// Data: a folder of images, IDX files and so on (docs/data.md)
    #[arg(long, value_name = "DIR", required_unless_present = "no_train", help_heading = DATA)]
    pub data: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    pub data_options: DataOptions,
    /// Rank kernels by their weights alone and cut once: no data, no training, any model
    #[arg(
        long,
        requires = "budget",
        conflicts_with_all = ["data", "max_drop", "run_dir", "config", "agent", "resume"]
    )]
    pub no_train: bool,
    /// The promise to keep [default: aec, or as in the config]
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,
    /// AEC: points that accuracy may lose [default: 0]. CECA without a budget: the most compressed
    /// network within this many points is the output [default: 0.5]
    #[arg(
        long,
        value_name = "POINTS",
        conflicts_with = "budget",
        value_parser = within::<f64>(ranges::POINTS)
    )]
    pub max_drop: Option<f64>,
    /// CECA: what may remain, such as params=0.06; several: params=0.4,0.14,0.06.
    /// Counted in params, macs, kernels or conv-params
    #[arg(long, value_name = "METRIC=SHARE,...")]
    pub budget: Option<String>,
    /// File to write; several budgets make several files (small.params-0.06.onnx)
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Folder of the run: history, checkpoint, report [default: <output>.run]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Seed of every random choice [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=ranges::MAX_SEED))]
    pub seed: Option<u64>,
    /// Settings (TOML); arguments go first
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Layers to leave alone (names or globs)
    #[arg(long, value_name = "LAYER", num_args = 1..)]
    pub ignore: Vec<String>,
    /// Keep a multiple of N kernels in every layer
    #[arg(long, value_name = "N", value_parser = within::<usize>(ranges::WIDTH))]
    pub round_to: Option<usize>,
    /// Random shifts of training images by up to this many pixels [default: 1 in the final
    /// recovery, 0 before]
    #[arg(long, value_name = "PIXELS", value_parser = within::<usize>(ranges::SHIFT))]
    pub max_shift: Option<usize>,
    /// Random rotations of training images in the final recovery by up to this many degrees
    #[arg(long, value_name = "DEGREES", value_parser = within::<f32>(ranges::ROTATION))]
    pub max_rotation: Option<f32>,
    /// Random changes of the size of training images in the final recovery by up to this share
    #[arg(long, value_name = "SHARE", value_parser = within::<f32>(ranges::ZOOM))]
    pub max_zoom: Option<f32>,
    /// Random horizontal flips of training images
    #[arg(long)]
    pub flip: bool,
    /// Who ranks kernels: dqn, random, uniform-l1, global-l1, global-taylor. With --no-train:
    /// l1, l2, random, each also as uniform- (the same share of every layer) or global-
    /// [default: l2]
    #[arg(long)]
    pub policy: Option<String>,
    /// Start from an agent saved by another run; for the policy dqn
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Go on with the run in the run folder, by its own settings unless told otherwise
    #[arg(long)]
    pub resume: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Parts of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Test images
    Test,
    /// Images set apart from the training data
    Validation,
    /// Images trained on
    Train,
}

/// `secateur eval`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  secateur eval small.onnx --data data/mnist")]
pub struct EvalArgs {
    /// Model
    pub model: PathBuf,
    /// Data
    #[command(flatten)]
    pub data: DataArgs,
    /// Part of the data
    #[arg(long, value_enum, default_value = "test")]
    pub split: Part,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `secateur inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  secateur inspect net.onnx\n  \
secateur inspect net.onnx --plan\n  secateur inspect --data cifar10\n  \
secateur inspect net.onnx --data cifar10")]
pub struct InspectArgs {
    /// Model
    #[arg(required_unless_present = "data")]
    pub model: Option<PathBuf>,
    /// Show data instead: images and classes; with a model, whether they fit it
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Show how training will run it: which nodes are fused, by which method
    #[arg(long)]
    pub plan: bool,
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
    /// Batch sizes
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub batch: Vec<usize>,
    /// Timed runs of each
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
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
    /// Passes over the training data in the initial training
    #[arg(long, default_value_t = 3.0, value_parser = within::<f64>(ranges::EPOCHS))]
    pub epochs: f64,
    /// Seed
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=ranges::MAX_SEED))]
    pub seed: u64,
}
