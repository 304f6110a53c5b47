//! What `SequenceClassifier::load` accepts and rejects, and its error messages.

use std::collections::BTreeMap;
use std::path::Path;

use model::{Config, Inputs, LoadOptions, LoadReport, ModelError, Precision, Role, SequenceClassifier};
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16,
    "id2label": {"0": "negative", "1": "positive"}}"#;

struct Raw(Dtype, Vec<usize>, Vec<u8>);
type File = BTreeMap<String, Raw>;

/// Loads a folder as training does if there are labels, otherwise as prediction does.
fn load_model(
    folder: &Path,
    labels: Option<&[&str]>,
    reinit_layers: usize,
) -> Result<(SequenceClassifier, LoadReport), ModelError> {
    let mut config = Config::from_folder(folder)?;
    if let Some(labels) = labels {
        config.set_labels(&labels.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    }
    let (device, precision) = (Device::Cpu, Precision::Fp32);
    let options =
        LoadOptions { device, precision: precision.into(), new_head: labels.is_some(), reinit_layers, seed: 1 };
    SequenceClassifier::load(folder, config, &options)
}

/// A valid model folder, and its tensors, from which tests create invalid ones.
fn good() -> (tempfile::TempDir, File) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::from_json(CONFIG, Path::new("config.json")).expect("valid");
    let model = SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7);
    model.save(folder.path()).expect("saves");
    let bytes = std::fs::read(folder.path().join("model.safetensors")).expect("reads");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("parses");
    let tensors = file
        .iter()
        .map(|(name, view)| (name.to_owned(), Raw(view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    (folder, tensors)
}

fn write(folder: &Path, tensors: &File) {
    let views = tensors
        .iter()
        .map(|(name, Raw(dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).expect("a view")));
    let bytes = safetensors::serialize(views, None).expect("serializes");
    std::fs::write(folder.join("model.safetensors"), bytes).expect("writes");
}

fn load(folder: &Path, labels: Option<&[&str]>) -> Result<(Vec<f32>, LoadReport), ModelError> {
    let (model, report) = load_model(folder, labels, 0)?;
    let logits = model.forward(&Inputs::new(&[1, 2, 3, 4, 5], &[0, 2, 5], Device::Cpu));
    Ok((Vec::try_from(logits.flatten(0, -1)).expect("floats"), report))
}

fn refusal(folder: &Path, labels: Option<&[&str]>) -> String {
    let text = load(folder, labels).expect_err("must be refused").to_string();
    text.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn loaded_weights_equal_the_saved_ones() {
    let (folder, _) = good();
    let config = Config::from_json(CONFIG, Path::new("config.json")).expect("valid");
    let original = SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7);
    let (loaded, report) = load_model(folder.path(), None, 0).expect("loads");
    assert!(report.initialized.is_empty() && report.unused.is_empty(), "{report:?}");
    for (a, b) in original.parameters().iter().zip(loaded.parameters().iter()) {
        assert!(a.name() == b.name() && a.master().equal(b.master()), "{}", a.name());
    }
    assert_eq!(loaded.config().label_names(), ["negative", "positive"]);
}

#[test]
fn old_spellings_missing_prefixes_and_half_precision_load() {
    let (folder, tensors) = good();
    let (expected, _) = load(folder.path(), None).expect("loads");
    let renamed: File = tensors
        .into_iter()
        .map(|(name, raw)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            (name.strip_prefix("bert.").unwrap_or(&name).to_owned(), raw)
        })
        .collect();
    write(folder.path(), &renamed);
    assert_eq!(load(folder.path(), None).expect("loads").0, expected);

    for (dtype, kind) in [(Dtype::F16, Kind::Half), (Dtype::BF16, Kind::BFloat16)] {
        let halved = renamed
            .iter()
            .map(|(name, Raw(_, shape, data))| {
                let tensor = Tensor::from_data_size(data, &[shape.iter().product::<usize>() as i64], Kind::Float);
                let half = tensor.to_kind(kind);
                let mut bytes = vec![0u8; half.numel() * 2];
                half.copy_data_u8(&mut bytes, half.numel());
                (name.clone(), Raw(dtype, shape.clone(), bytes))
            })
            .collect();
        write(folder.path(), &halved);
        let (logits, _) = load(folder.path(), None).expect("loads");
        let worst = logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(worst < 1e-2 && worst > 0.0, "{dtype:?}: {worst}");
    }
}

#[test]
fn a_new_head_is_expected_and_reported() {
    let (folder, mut tensors) = good();
    let (_, report) = load(folder.path(), Some(&["a", "b", "c"])).expect("loads");
    assert_eq!(report.initialized, ["classifier.bias", "classifier.weight"]);
    tensors.retain(|name, _| !name.starts_with("classifier."));
    let extra = Raw(Dtype::F32, vec![1], vec![0; 4]);
    tensors.insert("cls.predictions.bias".into(), extra);
    write(folder.path(), &tensors);
    let (_, report) = load(folder.path(), Some(&["a", "b"])).expect("loads");
    assert_eq!(report.initialized, ["classifier.bias", "classifier.weight"]);
    assert_eq!(report.unused, ["cls.predictions.bias"]);
    assert_eq!(report.head_note, None);
    // Without labels the file must have the head.
    let refused =
        "model.safetensors: it holds no classification head, so this model can't label texts before it is fine-tuned";
    assert!(refusal(folder.path(), None).starts_with(refused));
    tensors.retain(|name, _| !name.contains("pooler"));
    write(folder.path(), &tensors);
    assert!(refusal(folder.path(), None).starts_with(refused));
    // One that has half of it is damaged.
    let bias = Raw(Dtype::F32, vec![2], vec![0; 8]);
    tensors.insert("classifier.bias".into(), bias);
    write(folder.path(), &tensors);
    assert!(refusal(folder.path(), None).contains("missing: 3\n    bert.pooler.dense.bias"));
}

/// Replaces a part of the folder's `config.json`.
fn edit_config(folder: &Path, from: &str, to: &str) {
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(&path, text.replace(from, to)).expect("writes");
}

/// The rows of the classifier's bias and weight that a training for `labels` begins with, and what is said about them.
fn classifier(folder: &Path, labels: &[&str]) -> (Vec<Vec<f32>>, Option<String>, bool) {
    let (model, report) = load_model(folder, Some(labels), 0).expect("loads");
    let of = |name: &str| {
        let parameter = model.parameters().iter().find(|parameter| parameter.name() == name).expect("a classifier");
        parameter.master().view([labels.len() as i64, -1])
    };
    let rows = Tensor::cat(&[of("classifier.bias"), of("classifier.weight")], 1);
    (Vec::try_from(&rows).expect("floats"), report.head_note, report.initialized.is_empty())
}

#[test]
fn a_head_is_kept_only_for_the_same_labels_and_sorted_by_name() {
    let (folder, tensors) = good();
    let folder = folder.path();
    let (saved, note, kept) = classifier(folder, &["negative", "positive"]);
    assert!(kept && note.expect("a note").ends_with("it has the labels of your data"));
    let floats = |name: &str| -> Vec<f32> {
        tensors[name].2.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes"))).collect()
    };
    let (bias, weight) = (floats("classifier.bias"), floats("classifier.weight"));
    assert_eq!(saved, [[&bias[..1], &weight[..8]].concat(), [&bias[1..], &weight[8..]].concat()]);

    let (swapped, note, kept) = classifier(folder, &["positive", "negative"]);
    assert!(kept && note.expect("a note").ends_with("its rows are put in their order"));
    assert_eq!(swapped, [saved[1].clone(), saved[0].clone()]);

    for labels in [&["toxic", "clean"][..], &["negative", "neutral", "positive"]] {
        let (new, note, kept) = classifier(folder, labels);
        assert!(!kept && note.expect("a note").contains("for other labels: negative, positive"));
        assert!(new.iter().all(|row| !saved.contains(row)), "{labels:?}");
    }
    edit_config(folder, "\"negative\"", "\"LABEL_0\"");
    edit_config(folder, "\"positive\"", "\"LABEL_1\"");
    let (_, note, kept) = classifier(folder, &["negative", "positive"]);
    assert!(!kept && note.expect("a note").contains("has no label names"));
}

#[test]
fn a_head_of_another_size_than_its_label_names_is_new() {
    let (folder, mut tensors) = good();
    tensors.insert("classifier.bias".into(), Raw(Dtype::F32, vec![3], vec![0; 12]));
    write(folder.path(), &tensors);
    let (_, note, kept) = classifier(folder.path(), &["negative", "positive"]);
    assert!(!kept && note.expect("a note").contains("not of the size of its label names"));
}

#[test]
fn a_head_of_another_problem_is_new_in_training_and_refused_otherwise() {
    for problem in ["multi_label_classification", "regression"] {
        let (folder, mut tensors) = good();
        edit_config(folder.path(), "single_label_classification", problem);
        let (_, note, kept) = classifier(folder.path(), &["negative", "positive"]);
        assert!(!kept && note.expect("a note").ends_with(&format!("trained for {problem}")));
        let message = refusal(folder.path(), None);
        assert!(message.starts_with(&format!("config.json: problem_type is {problem}, but only single")), "{message}");
        tensors.retain(|name, _| !name.starts_with("classifier."));
        write(folder.path(), &tensors);
        let (_, note, _) = classifier(folder.path(), &["negative", "positive"]);
        assert_eq!(
            note.expect("a note"),
            format!("problem_type was {problem} and becomes single_label_classification")
        );
        // What is saved after training has the problem that it was trained for.
        let (model, _) = load_model(folder.path(), Some(&["negative", "positive"]), 0).expect("loads");
        model.save(folder.path()).expect("saves");
        load(folder.path(), None).expect("loads");
    }
}

#[test]
fn tensors_under_the_names_of_wrappers_load() {
    let (folder, tensors) = good();
    let (expected, _) = load(folder.path(), None).expect("loads");
    let prefixes: [fn(&str) -> String; 4] = [
        |name| format!("module.{name}"),
        |name| format!("_orig_mod.module.{name}"),
        |name| format!("model.{name}"),
        |name| name.replace("bert.encoder.", "bert.encoder._orig_mod."),
    ];
    for rename in prefixes {
        let renamed = tensors
            .iter()
            .map(|(name, Raw(dtype, shape, data))| (rename(name), Raw(*dtype, shape.clone(), data.clone())))
            .collect();
        write(folder.path(), &renamed);
        assert_eq!(load(folder.path(), None).expect("loads").0, expected);
        SequenceClassifier::check(folder.path()).expect("is accepted");
    }
}

#[test]
fn a_parameter_under_two_names_is_refused() {
    let (folder, mut tensors) = good();
    tensors.insert("module.bert.pooler.dense.bias".into(), Raw(Dtype::F32, vec![8], vec![0; 32]));
    write(folder.path(), &tensors);
    let message = refusal(folder.path(), None);
    let both = "bert.pooler.dense.bias: found bert.pooler.dense.bias and module.bert.pooler.dense.bias";
    assert!(message.contains(&format!("under several names: 1\n    {both}")), "{message}");
    assert!(SequenceClassifier::check(folder.path()).is_err());
}

/// The header alone tells what loading would refuse.
#[test]
fn a_check_refuses_what_training_refuses_in_the_same_words() {
    let labels = Some(&["yes", "no"][..]);
    let agree = |folder: &Path| {
        let checked = SequenceClassifier::check(folder).expect_err("must be refused").to_string();
        assert_eq!(checked.replace(&format!("{}/", folder.display()), ""), refusal(folder, labels));
    };
    let (folder, mut tensors) = good();
    SequenceClassifier::check(folder.path()).expect("is accepted");
    let query = tensors.remove("bert.encoder.layer.0.attention.self.query.weight").expect("a tensor");
    write(folder.path(), &tensors);
    agree(folder.path());
    tensors.insert("bert.encoder.layer.0.attention.self.query.weight".into(), Raw(Dtype::I32, query.1, query.2));
    write(folder.path(), &tensors);
    agree(folder.path());
    std::fs::write(folder.path().join("model.safetensors"), b"PK\x03\x04").expect("writes");
    agree(folder.path());
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removes");
    agree(folder.path());
    edit_config(folder.path(), "\"bert\"", "\"roberta\"");
    agree(folder.path());
}

/// A pooler of 65,536 squared has 16 GiB, which must not be allocated when the file contradicts that size.
#[test]
fn nothing_is_initialized_for_sizes_that_the_file_contradicts() {
    let (folder, mut tensors) = good();
    tensors.retain(|name, _| !name.contains("pooler") && !name.starts_with("classifier."));
    write(folder.path(), &tensors);
    let path = folder.path().join("config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let wide = text.replace("\"hidden_size\": 8", "\"hidden_size\": 65536");
    assert_ne!(text, wide);
    std::fs::write(&path, wide).expect("writes");
    let begun = std::time::Instant::now();
    let message = refusal(folder.path(), Some(&["a", "b"]));
    assert!(message.contains("word_embeddings.weight: found [20, 8], expected [20, 65536]"), "{message}");
    // Generating the random numbers would take a minute.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn only_reinitialized_layers_differ_from_the_file() {
    let (folder, _) = good();
    let (loaded, _) = load_model(folder.path(), None, 0).expect("loads");
    let (model, report) = load_model(folder.path(), None, 1).expect("loads");
    let expected: Vec<&str> =
        model.parameters().iter().filter(|p| p.role() == Role::Layer(1)).map(|p| p.name()).collect();
    assert_eq!(expected.len(), 16);
    assert!(report.initialized.iter().all(|name| expected.contains(&name.as_str())), "{report:?}");
    assert_eq!(report.initialized.len(), 16);
    for (parameter, loaded) in model.parameters().iter().zip(loaded.parameters().iter()) {
        // Biases and norms are initialized to the same constants as in the model of the file.
        let is_random = parameter.role() == Role::Layer(1) && parameter.decays();
        assert_eq!(parameter.master().equal(loaded.master()), !is_random, "{}", parameter.name());
    }
}

#[test]
fn tensors_that_do_not_fit_are_listed_by_name() {
    let (folder, mut tensors) = good();
    tensors.remove("bert.pooler.dense.bias");
    tensors.insert("bert.embeddings.LayerNorm.weight".into(), Raw(Dtype::F32, vec![9], vec![0; 36]));
    tensors.insert("bert.encoder.layer.1.output.dense.bias".into(), Raw(Dtype::I64, vec![8], vec![0; 64]));
    tensors.insert("bert.encoder.layer.2.output.dense.bias".into(), Raw(Dtype::F32, vec![8], vec![0; 32]));
    write(folder.path(), &tensors);
    assert_eq!(
        refusal(folder.path(), None),
        "model.safetensors: the tensors don't fit config.json\
         \n  missing: 1\n    bert.pooler.dense.bias\
         \n  misshapen: 1\n    bert.embeddings.LayerNorm.weight: found [9], expected [8]\
         \n  of an unsupported dtype: 1\n    bert.encoder.layer.1.output.dense.bias: found I64, expected F32, F16, BF16 or F64\
         \n  in the file but not expected: 1\n    bert.encoder.layer.2.output.dense.bias\
         \n  (hint: config.json and model.safetensors must come from the same model)"
    );
}

#[test]
fn pickles_are_refused_with_a_hint() {
    let (folder, _) = good();
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("removes");
    std::fs::write(folder.path().join("pytorch_model.bin"), b"\x80\x02").expect("writes");
    let text = refusal(folder.path(), None);
    assert!(text.starts_with("pytorch_model.bin: refused, because a pickle can run any code"), "{text}");
    assert!(text.contains("save_pretrained(folder, safe_serialization=True)"), "{text}");
}

#[test]
fn a_damaged_file_is_an_error_never_a_panic() {
    let (folder, _) = good();
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("reads");
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let mut refused = 0;
    // Every byte of the header flipped in one bit, and cuts at every eighth length.
    for position in 0..header {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        std::fs::write(&path, &damaged).expect("writes");
        refused += usize::from(load_model(folder.path(), None, 0).is_err());
    }
    assert!(refused > header / 2, "{refused} of {header}");
    for length in (0..bytes.len()).step_by(8) {
        std::fs::write(&path, &bytes[..length]).expect("writes");
        assert!(load_model(folder.path(), None, 0).is_err(), "cut at {length}");
    }
}
