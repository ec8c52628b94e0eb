//! Which engine files are checked and timed in, and how they are timed there.

use secateur_net::settings::{BATCH, Range};
use secateur_net::{choices, settings};

/// Threads of an engine.
const THREADS: Range = Range::from_to(1.0, 1024.0);

choices! {
    /// An engine that files are checked and timed in.
    pub enum RuntimeName {
        /// ONNX Runtime, whose library is looked for when the program runs.
        OnnxRuntime = "onnxruntime",
        /// tract, which is built in.
        Tract = "tract",
        /// Our own interpreter, which takes one input of images.
        Own = "own",
    }
}

settings! {
    /// The engine that files are checked and timed in.
    pub struct RuntimeConfig, under "Other engines" {
        /// Engine that files are checked and timed in.
        ///
        /// ONNX Runtime is what most files run in; where it is not found, or does not run the file, the
        /// next one does.
        pub engine: Option<RuntimeName>, unset "the first of onnxruntime, tract and (for checks) own \
            that runs the file", flag "--engine <ENGINE>";
        /// Library of ONNX Runtime, such as `libonnxruntime.so`.
        ///
        /// Most have it as a Python package.
        pub ort_lib: Option<String>, unset "that of `ORT_DYLIB_PATH`, else of the Python package \
            `onnxruntime`", flag "--ort-lib <FILE>";
    }
}

settings! {
    /// How budgets of latency are timed.
    pub struct LatencyConfig, under "Other engines" {
        /// Samples at once where a budget is a latency.
        ///
        /// Who waits for an answer waits for one.
        pub batch: usize = 1, in BATCH, flag "--latency-batch <N>";
        /// Threads of the engine where a budget is a latency.
        ///
        /// The network is timed with what it is pruned with.
        pub threads: Option<usize>, unset "as many as the program has", in THREADS,
            flag "--latency-threads <N>";
    }
}
