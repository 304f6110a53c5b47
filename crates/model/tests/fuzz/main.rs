//! Damaged `config.json` and `model.safetensors`. What must hold is in `test_support::fuzz`.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use model::{Config, Inputs, LoadOptions, Precision, SequenceClassifier};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::Device;
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

/// libtorch allocates memory of its own, so the limit is on the process's pages.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 64, fixed: 192 << 20 };

const CONFIG: &str = r#"{"architectures": ["BertModel"], "model_type": "bert", "vocab_size": 20, "hidden_size": 8,
    "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "layer_norm_eps": 1e-12, "type_vocab_size": 2,
    "id2label": {"0": "negative", "1": "positive"}, "label2id": {"negative": 0, "positive": 1}}"#;

/// Loads the folder as prediction does and as training does, and computes something with it.
fn load(folder: &Path) -> Result<(), String> {
    let names = ["no", "so so", "yes"].map(str::to_owned).to_vec();
    let mut outcome = Ok(());
    for label_names in [None, Some(names)] {
        let (device, precision) = (Device::Cpu, Precision::Fp32);
        let options = LoadOptions {
            device,
            precision: precision.into(),
            new_head: label_names.is_some(),
            reinit_layers: 0,
            seed: 1,
        };
        let model = Config::from_folder(folder).and_then(|mut config| {
            label_names.iter().for_each(|names| config.set_labels(names));
            SequenceClassifier::load(folder, config, &options)
        });
        match model {
            Ok((model, _)) => {
                let logits = model.forward(&Inputs::new(&[1, 2, 0, 0], &[0, 3, 4], Device::Cpu));
                let classes = model.config().id2label.len().max(2) as i64;
                assert_eq!(logits.size(), [2, classes]);
            }
            Err(error) => outcome = Err(error.to_string()),
        }
    }
    outcome
}

/// The bytes of a model's tensors by name, perhaps under another name, perhaps left out, perhaps in half precision.
fn weights(folder: &Path, name: fn(&str) -> Option<String>, half: bool) -> Vec<u8> {
    let config = Config::from_json(CONFIG, Path::new("config.json")).unwrap();
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7).save(folder).unwrap();
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let mut tensors = Vec::new();
    for (old, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
        // The upper half of an fp32 number is a bf16 number.
        let upper = view.data().chunks(4).flat_map(|number| [number[2], number[3]]).collect();
        let (kind, data) = if half { (Dtype::BF16, upper) } else { (Dtype::F32, view.data().to_vec()) };
        tensors.extend(name(old).map(|name| (name, kind, view.shape().to_vec(), data)));
    }
    let views = tensors
        .iter()
        .map(|(name, kind, shape, data)| (name.clone(), TensorView::new(*kind, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn unchanged(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn old_spelling(name: &str) -> Option<String> {
    let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    Some(name.strip_prefix("bert.").unwrap_or(&name).to_owned())
}

fn wrapped(name: &str) -> Option<String> {
    Some(format!("_orig_mod.module.{name}"))
}

fn without_head(name: &str) -> Option<String> {
    (!name.starts_with("classifier.") && !name.contains("pooler")).then(|| name.to_owned())
}

#[test]
fn config_json() {
    let folder = temporary_folder();
    let bytes = weights(folder.path(), unchanged, false);
    let bare = weights(folder.path(), without_head, false);
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, CONFIG),
        SeedFile::new(SeedFormat::Json, CONFIG.replace("gelu", "relu").replace('\n', "\r\n")),
        SeedFile::new(
            SeedFormat::Json,
            CONFIG.replace("{\"arch", "{\"num_labels\": 2, \"torch_dtype\": \"float32\", \"x\": [{}], \"arch"),
        ),
        SeedFile::new(
            SeedFormat::Json,
            CONFIG.replace("\"negative\", \"1\": \"positive\"}", "0, \"1\": null}, \"problem_type\": null"),
        ),
        SeedFile::new(
            SeedFormat::Json,
            CONFIG.replace("\"hidden_size\": 8", "\"hidden_size\": 8.0").replace(": 12,", ": 1.2e1,"),
        ),
    ];
    check(&FuzzTarget { package: "model", name: "config_json", memory_limit: MEMORY_LIMIT }, seeds, |config| {
        fs::write(folder.path().join("config.json"), config).unwrap();
        // Without a head in the file, unchecked sizes in config.json would determine how much is randomly initialized.
        fs::write(folder.path().join("model.safetensors"), &bare).unwrap();
        let _ = load(folder.path());
        fs::write(folder.path().join("model.safetensors"), &bytes).unwrap();
        load(folder.path())
    });
}

/// What follows the header of the good file.
static DATA: OnceLock<Vec<u8>> = OnceLock::new();

fn with_header(header: Vec<u8>) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], &header, DATA.get().map_or(&[][..], Vec::as_slice)].concat()
}

#[test]
fn weights_files() {
    let folder = temporary_folder();
    let good = weights(folder.path(), unchanged, false);
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    DATA.get_or_init(|| good[header..].to_vec());
    let seeds = vec![
        SeedFile::new(SeedFormat::Binary, good.clone()),
        SeedFile::new(SeedFormat::Binary, weights(folder.path(), unchanged, true)),
        SeedFile::new(SeedFormat::Binary, weights(folder.path(), old_spelling, false)),
        SeedFile::new(SeedFormat::Binary, weights(folder.path(), wrapped, false)),
        // Damage to the header alone, with a length in front that is right.
        SeedFile::packed(SeedFormat::Json, &good[8..header], with_header),
    ];
    check(&FuzzTarget { package: "model", name: "weights_files", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        load(folder.path())
    });
}
