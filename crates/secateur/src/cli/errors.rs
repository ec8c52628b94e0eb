//! Errors for people: what, where, why, and a way out.

use secateur::data::DataError;
use secateur::net::NetError;
use secateur::onnx::OnnxError;
use secateur::prune::JobError;
use secateur::search::env::ProblemError;
use secateur::search::pruner::PruneError;
use secateur::search::run_dir::RunDirError;
use secateur::train::TrainError;
use secateur::verify::VerifyError;

use super::exit_code;

/// Prints an error with its causes and its hint; returns the exit code.
pub fn print(error: &anyhow::Error) -> u8 {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent errors repeat their source word for word.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    if let Some(JobError::Prune(PruneError::Interrupted { .. })) = error.downcast_ref::<JobError>()
    {
        eprintln!("{text}");
        if let Some(hint) = hint(error) {
            eprintln!("\nhint: {hint}");
        }
        return exit_code::INTERRUPTED;
    }
    eprintln!("error: {text}");
    if let Some(hint) = hint(error) {
        eprintln!("\nhint: {hint}");
    }
    exit_code::ERROR
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        cause
            .downcast_ref::<JobError>()
            .and_then(JobError::hint)
            .or_else(|| {
                cause
                    .downcast_ref::<PruneError>()
                    .and_then(PruneError::hint)
            })
            .or_else(|| {
                cause
                    .downcast_ref::<ProblemError>()
                    .and_then(ProblemError::hint)
            })
            .or_else(|| {
                cause
                    .downcast_ref::<TrainError>()
                    .and_then(TrainError::hint)
            })
            .or_else(|| {
                cause
                    .downcast_ref::<VerifyError>()
                    .and_then(VerifyError::hint)
            })
            .or_else(|| cause.downcast_ref::<NetError>().and_then(NetError::hint))
            .or_else(|| cause.downcast_ref::<OnnxError>().and_then(OnnxError::hint))
            .or_else(|| cause.downcast_ref::<DataError>().and_then(DataError::hint))
            .or_else(|| {
                cause
                    .downcast_ref::<RunDirError>()
                    .and_then(RunDirError::hint)
            })
    })
}
