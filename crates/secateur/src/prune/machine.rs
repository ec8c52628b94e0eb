//! What machine this is, for the report.

use secateur_onnx::text::counted;

/// Processor, threads, vector unit in use.
pub fn machine_text() -> String {
    let cpu = fs_err::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_string())
        })
        .unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH));
    let threads = counted(rayon::current_num_threads(), "thread");
    format!(
        "{cpu}, {threads}, {}",
        secateur_cpu::isa::active().to_string().to_uppercase()
    )
}
