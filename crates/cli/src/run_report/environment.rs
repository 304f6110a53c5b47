//! With what the model was trained and scored.

use anyhow::Result;
use report::{Section, html};
use run::RunMetrics;

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let result = input.result;
    let mut pairs = Vec::new();
    let mut put = |name: &str, value: Option<String>| pairs.extend(value.map(|value| (name.to_owned(), value)));
    if let Some(environment) = input.environment() {
        put("verdict", Some(environment.version.clone()));
        put("libtorch", environment.libtorch.clone());
        put("system", Some(environment.system.clone()));
        put("processor", environment.processor.clone());
        put("GPU", environment.gpu.clone());
        let threads = environment.threads;
        put("CPU threads", Some(threads.to_string()));
        put("instruction set of the kernels", environment.instruction_set.clone());
    }
    put("scored in", Some(format!("{} on {}", result.precision, result.device)));
    put("seconds of scoring", Some(format!("{:.1}", result.seconds)));
    // Of a run that was trained elsewhere, or isn't finished, nothing is known.
    if let Ok(metrics) = RunMetrics::read(input.run) {
        let set = metrics.instruction_set.map_or_else(String::new, |set| format!(", {set}"));
        put(
            "trained in",
            Some(format!("{} on {} with {} threads{set}", metrics.precision, metrics.device, metrics.threads)),
        );
        put("seconds of training", Some(format!("{:.1}", metrics.seconds)));
        put("peak memory of training", metrics.peak_memory_bytes.map(disk::human_bytes));
    }
    Ok(Section::new("Environment", html::pairs(&pairs)))
}
