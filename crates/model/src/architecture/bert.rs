//! BERT (Devlin et al. 2018): the names and shapes of its parameters, and its layers.

use super::{Family, Network};
use crate::builder::{Builder, Role, Scope};
use crate::config::{Activation, Config};
use crate::head::Head;
use crate::layers::attention::Attention;
use crate::layers::embeddings::{Embeddings, LARGE_TABLE, TABLE};
use crate::layers::encoder_layer::{EncoderLayer, FeedForward};
use crate::layers::layer_norm::LayerNorm;
use crate::layers::linear::Linear;

pub(super) const FAMILY: Family =
    Family { class: "BertForSequenceClassification", attribute_map: &[], build, current_name };

fn build(config: &Config, builder: &mut Builder) -> Network {
    let (d, eps) = (config.hidden_size, config.layer_norm_eps);
    let mut scope = builder.scope(Role::Embedding, "bert.embeddings");
    let mut table =
        |name: &str, rows, traits| scope.parameter(&format!("{name}_embeddings.weight"), &[rows, d], traits);
    let embeddings = Embeddings {
        word: table("word", config.vocab_size, LARGE_TABLE),
        position: table("position", config.max_position_embeddings, TABLE),
        token_type: Some(table("token_type", config.type_vocab_size, TABLE)),
        norm: LayerNorm::new(scope.scope("LayerNorm"), d, eps),
        dropout: config.hidden_dropout_prob,
    };
    let layers = 0..config.num_hidden_layers as usize;
    let layers =
        layers.map(|i| layer(config, builder.scope(Role::Layer(i), &format!("bert.encoder.layer.{i}")))).collect();
    let head = Head {
        dense: Linear::new(builder.scope(Role::Head, "bert.pooler.dense"), d, d),
        activation: Activation::Tanh,
        dropout: config.classifier_dropout_prob(),
        classifier: Linear::new(builder.scope(Role::Head, "classifier").per_class(), d, config.num_classes()),
    };
    Network { embeddings, layers, head }
}

fn layer(config: &Config, mut scope: Scope) -> EncoderLayer {
    let (d, i, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
    EncoderLayer {
        attention: Attention {
            qkv: Linear::fused(scope.scope("attention.self"), &["query", "key", "value"], d, d),
            output: Linear::new(scope.scope("attention.output.dense"), d, d),
            norm: LayerNorm::new(scope.scope("attention.output.LayerNorm"), d, eps),
            heads: config.num_attention_heads,
            head_size: config.head_size(),
            attention_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: config.hidden_dropout_prob,
        },
        feed_forward: FeedForward {
            intermediate: Linear::new(scope.scope("intermediate.dense"), d, i),
            output: Linear::new(scope.scope("output.dense"), i, d),
            norm: LayerNorm::new(scope.scope("output.LayerNorm"), d, eps),
            activation: config.hidden_act,
            dropout: config.hidden_dropout_prob,
        },
    }
}

/// The name without what wrappers of PyTorch and training programs add; with the prefix `bert.`, which files of the base
/// model lack; and with the current names of a norm's `gamma` and `beta`.
fn current_name(name: &str) -> String {
    /// Parts that wrappers add anywhere: torch.compile, fully sharded data parallel, activation checkpointing.
    const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    // (Distributed) data parallel, and the attribute of a class that holds the model.
    let outer = parts.iter().take_while(|part| ["module", "model"].contains(*part)).count();
    let name = parts[outer..].join(".");
    let of_base_model = ["embeddings.", "encoder.", "pooler."].iter().any(|part| name.starts_with(part));
    let name = if of_base_model { format!("bert.{name}") } else { name };
    match name.rsplit_once('.') {
        Some((stem, "gamma")) => format!("{stem}.weight"),
        Some((stem, "beta")) => format!("{stem}.bias"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::builder::ParameterSpec;

    fn parameters(layers: usize) -> BTreeMap<String, ParameterSpec> {
        let text = format!(
            r#"{{"model_type": "bert", "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": {layers},
            "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16}}"#
        );
        let config = Config::from_json(&text, Path::new("config.json")).expect("parses");
        config.parameters().into_iter().map(|spec| (spec.name.clone(), spec)).collect()
    }

    /// Reference: tests/fixtures/optimizers/make_optimizers.py, which asks transformers' `Trainer`.
    #[test]
    fn names_and_weight_decay_are_those_of_transformers() {
        let fixture: serde_json::Value = test_support::fixture("optimizers/optimizers.json");
        let theirs = fixture["decays"].as_object().expect("names");
        assert_eq!(theirs.len(), 41);
        let ours: serde_json::Map<_, _> =
            parameters(2).into_values().map(|spec| (spec.name.clone(), spec.decays().into())).collect();
        assert_eq!(&ours, theirs);
    }

    #[test]
    fn parameters_have_the_roles_of_their_names() {
        let parameters = parameters(12);
        let of = |role| parameters.values().filter(move |spec| spec.role == role).map(|spec| spec.name.as_str());
        assert!(of(Role::Embedding).all(|name| name.starts_with("bert.embeddings.")));
        assert_eq!(of(Role::Embedding).count(), 5);
        for layer in 0..12 {
            let prefix = format!("bert.encoder.layer.{layer}.");
            assert!(of(Role::Layer(layer)).all(|name| name.starts_with(&prefix)));
            assert_eq!(of(Role::Layer(layer)).count(), 16);
        }
        let head = ["bert.pooler.dense.bias", "bert.pooler.dense.weight", "classifier.bias", "classifier.weight"];
        assert!(of(Role::Head).eq(head));
        assert_eq!(parameters.len(), 5 + 12 * 16 + 4);
    }

    #[test]
    fn only_norms_and_the_head_are_always_fp32() {
        for spec in parameters(2).values() {
            let expected = spec.name.contains("LayerNorm") || spec.role == Role::Head;
            assert_eq!(spec.traits.always_fp32, expected, "{}", spec.name);
        }
    }

    #[test]
    fn old_names_are_renamed() {
        for (old, name) in [
            ("embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
            ("bert.encoder.layer.0.output.LayerNorm.beta", "bert.encoder.layer.0.output.LayerNorm.bias"),
            ("pooler.dense.weight", "bert.pooler.dense.weight"),
            ("classifier.weight", "classifier.weight"),
            ("cls.predictions.bias", "cls.predictions.bias"),
            ("module.bert.pooler.dense.weight", "bert.pooler.dense.weight"),
            ("module.classifier.bias", "classifier.bias"),
            ("_orig_mod.module.encoder.layer.1.output.dense.bias", "bert.encoder.layer.1.output.dense.bias"),
            ("bert.encoder._orig_mod.layer.1.output.dense.bias", "bert.encoder.layer.1.output.dense.bias"),
            ("model.bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
            ("roberta.encoder.layer.0.output.dense.bias", "roberta.encoder.layer.0.output.dense.bias"),
        ] {
            assert_eq!(current_name(old), name);
        }
    }
}
