//! The options in which trainings differ.

use super::compared_run::ComparedRun;

/// Options that say where things are, and nothing of the training.
const PLACES: [&str; 2] = ["data", "model"];

/// A row for each option that isn't the same in all runs, with its value in each.
pub(super) fn rows(runs: &[ComparedRun]) -> Vec<(String, Vec<String>)> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.options) {
        if !names.contains(&name.as_str()) && !PLACES.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let value = |run: &ComparedRun, wanted: &str| {
        run.options.iter().find(|(name, _)| name == wanted).map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    let row = |name: &&str| (name.to_string(), runs.iter().map(|run| value(run, name)).collect::<Vec<_>>());
    names.iter().map(row).filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}
