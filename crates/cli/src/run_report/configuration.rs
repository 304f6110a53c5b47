//! The options of the training, as the run saved them; a model folder of other making has none.

use anyhow::Result;
use report::{Section, html};
use run::RUN_TOML;

use super::ReportInput;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let path = input.run.join(RUN_TOML);
    if !path.is_file() {
        return Ok(Section::default());
    }
    let toml = std::fs::read_to_string(path)?;
    Ok(Section::new("Configuration", html::pairs(&options(&toml))))
}

/// Each option with its value, a text without its quotes.
pub(crate) fn options(toml: &str) -> Vec<(String, String)> {
    let pairs = toml.lines().filter_map(|line| line.split_once(" = "));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_with_a_value_is_an_option() {
        let toml =
            "# made by a run\nmodel = \"bert-base-uncased\"\n\nlearning_rate = 2e-5\n[section]\nname = \"a = b\"\n";
        let found = options(toml);
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, [("model", "bert-base-uncased"), ("learning_rate", "2e-5"), ("name", "a = b")]);
    }
}
