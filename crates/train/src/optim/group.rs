//! What a parameter's name decides: whether it decays, and how fast it learns.

/// Whether weight decay applies: to everything but biases and norms, by the same names as transformers' `Trainer`.
pub fn decays(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_norm = |part: &str| part == "norm" || part.ends_with("_norm");
    !(name.contains("bias") || name.contains("layernorm") || name.contains("rmsnorm") || name.split('.').any(is_norm))
}

/// How far above the input a parameter lies: 0 for embeddings, `i + 1` for encoder layer `i`, `None` for what lies on
/// top of all layers (pooler, classifier).
fn depth(name: &str) -> Option<u32> {
    if name.split('.').any(|part| part == "embeddings") {
        return Some(0);
    }
    let (_, rest) = name.split_once("encoder.layer.")?;
    let number = rest.split('.').next()?;
    number.parse::<u32>().ok().map(|layer| layer + 1)
}

/// The learning-rate multiplier of each name under layer-wise decay: `layer_decay^(top - depth)`, so that pooler and
/// classifier learn at the full rate and every layer below at `layer_decay` times the rate of the one above it.
pub fn rate_multipliers(names: &[&str], layer_decay: f64) -> Vec<f64> {
    let depths: Vec<Option<u32>> = names.iter().map(|name| depth(name)).collect();
    let top = depths.iter().flatten().max().map_or(0, |deepest| deepest + 1);
    depths.iter().map(|depth| layer_decay.powi((top - depth.unwrap_or(top)) as i32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference: tests/fixtures/optimizers/make_optimizers.py.
    #[test]
    fn of_bert_the_same_parameters_decay_as_in_transformers() {
        let text = include_str!("../../../../tests/fixtures/optimizers/optimizers.json");
        let fixture: serde_json::Value = serde_json::from_str(text).expect("the fixture is JSON");
        let reference = fixture["decays"].as_object().expect("names");
        assert_eq!(reference.len(), 41);
        for (name, decays_there) in reference {
            assert_eq!(Some(decays(name)), decays_there.as_bool(), "{name}");
        }
    }

    #[test]
    fn biases_and_norms_do_not_decay() {
        for name in [
            "bert.embeddings.LayerNorm.weight",
            "bert.embeddings.LayerNorm.bias",
            "bert.encoder.layer.0.attention.self.query.bias",
            "encoder.final_norm.weight",
            "norm.weight",
            "head.norm",
            "layers.0.RMSNorm.weight",
        ] {
            assert!(!decays(name), "{name}");
        }
        for name in [
            "bert.embeddings.word_embeddings.weight",
            "bert.embeddings.position_embeddings.weight",
            "bert.encoder.layer.11.output.dense.weight",
            "bert.pooler.dense.weight",
            "classifier.weight",
            "encoder.normal.weight",
        ] {
            assert!(decays(name), "{name}");
        }
    }

    #[test]
    fn lower_layers_learn_slower() {
        let names = [
            "bert.embeddings.word_embeddings.weight",
            "bert.encoder.layer.0.output.dense.weight",
            "bert.encoder.layer.1.output.dense.bias",
            "bert.pooler.dense.weight",
            "classifier.weight",
        ];
        assert_eq!(rate_multipliers(&names, 0.5), [0.125, 0.25, 0.5, 1.0, 1.0]);
        assert_eq!(rate_multipliers(&names, 1.0), [1.0; 5]);
        assert_eq!(rate_multipliers(&["classifier.weight"], 0.5), [1.0]);
    }
}
