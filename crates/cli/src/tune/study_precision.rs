//! The number format of a study. All its trials compute in one, or their scores would differ for another reason than their
//! options: it is chosen once, by the first process, and kept in the study.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::ValueEnum;
use model::{ChosenPrecision, Precision, PrecisionChoice, ProductRates};
use serde::{Deserialize, Serialize};
use train::TrainConfig;
use tune::space::Space;
use tune::{Distribution, Study};

/// The attribute of the study with its number format.
const PRECISION: &str = "verdict:precision";

/// The value of the attribute.
#[derive(Serialize, Deserialize)]
struct StoredPrecision {
    format: Precision,
    /// The rates that it was chosen by; empty where nothing was measured.
    product_gflops: BTreeMap<String, f64>,
}

/// What `auto` means in all trials of a study: what is stored in it, otherwise what `config` gives on this machine. `None` for
/// a space whose trials name a format each.
///
/// # Errors
/// A model that can't be found; a study that can't be read or written.
pub(super) fn study_precision(
    study: &mut Study,
    space: &Space,
    mut config: TrainConfig,
) -> Result<Option<ChosenPrecision>> {
    if !has_auto_trials(space) {
        return Ok(None);
    }
    let stored = match study.user_attrs().remove(PRECISION) {
        Some(stored) => stored,
        None => {
            // Of several models, the first decides.
            config.model = values(space, "model").into_iter().next().or(config.model);
            let chosen = train::resolve_precision(&config)?;
            let product_gflops = chosen.rates.map(|rates| rates.by_name()).unwrap_or_default();
            let new = serde_json::to_value(StoredPrecision { format: chosen.format, product_gflops })?;
            study.user_attr_or_set(PRECISION, &new)?
        }
    };
    let what = || format!("{}: the attribute {PRECISION} is {stored}, no number format", study.path().display());
    let StoredPrecision { format, product_gflops } = serde_json::from_value(stored.clone()).with_context(what)?;
    Ok(Some(ChosenPrecision { format, rates: ProductRates::from_names(&product_gflops) }))
}

/// Whether a value of `precision` leaves the format to the program.
pub(super) fn is_auto(value: &str) -> bool {
    PrecisionChoice::from_str(value, true) == Ok(PrecisionChoice::Auto)
}

fn has_auto_trials(space: &Space) -> bool {
    let values = values(space, "precision");
    let always = space.parameters().iter().all(|one| one.name != "precision" || one.conditions.is_empty());
    values.is_empty() || !always || values.iter().any(|value| is_auto(value))
}

/// The words that an option may be in a space: the fixed one, or the choices; none where it isn't in the space.
fn values(space: &Space, name: &str) -> Vec<String> {
    if let Some(fixed) = space.fixed().get(name).and_then(toml::Value::as_str) {
        return vec![fixed.to_owned()];
    }
    let varied = space.parameters().iter().find(|parameter| parameter.name == name);
    match varied.map(|parameter| &parameter.distribution) {
        Some(Distribution::Categorical { choices }) => choices.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use tune::StudyDirection;
    use tune::space::SpaceFields;

    use super::*;

    fn space(precision: &str) -> Space {
        let fields = SpaceFields { names: &["precision", "model", "seed"], check: &|_, _| Ok(()) };
        Space::parse(Path::new("space.toml"), &format!("seed = [1, 2]\n{precision}"), &fields).unwrap()
    }

    #[test]
    fn a_study_whose_trials_name_a_format_has_none() {
        for named in ["precision = \"bf16\"", "precision = [\"fp32\", \"bf16\"]"] {
            assert!(!has_auto_trials(&space(named)), "{named}");
        }
        let sometimes = "precision = { choices = [\"fp32\", \"bf16\"], when = { seed = 1 } }";
        for auto in ["", "precision = \"AUTO\"", "precision = [\"fp32\", \"auto\"]", sometimes] {
            assert!(has_auto_trials(&space(auto)), "{auto}");
        }
        assert_eq!(values(&space("model = [\"a\", \"b\"]"), "model"), ["a", "b"]);
    }

    #[test]
    fn the_stored_format_is_kept_without_a_measurement() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = Study::open(&folder.path().join("study.jsonl"), "s", StudyDirection::Maximize).unwrap();
        // There is neither data nor a model here that could be measured.
        let config = || TrainConfig { data: Some(folder.path().join("none")), ..TrainConfig::default() };
        assert!(study_precision(&mut study, &space(""), config()).is_err());
        let rates = json!({"bf16": 115.0, "fp32": 195.0});
        study.set_user_attr(PRECISION, &json!({"format": "fp32", "product_gflops": rates})).unwrap();
        let kept = study_precision(&mut study, &space(""), config()).unwrap().unwrap();
        assert_eq!(kept.to_string(), "fp32 (115 GFLOP/s in bf16, 195 in fp32)");
        study.set_user_attr(PRECISION, &json!("fp8")).unwrap();
        let error = study_precision(&mut study, &space(""), config()).unwrap_err().to_string();
        assert!(error.contains("verdict:precision is \"fp8\""), "{error}");
    }
}
