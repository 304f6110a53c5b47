//! `verdict device-check`: what the scripts in `gpu-check/` need of this program to compare a device with others. They
//! start it once for each device and number format, so that a crash of one leaves the others standing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use model::{
    Backend, Config, DeviceChoice, DropoutStream, GpuModel, Gradients, Inputs, LoadOptions, Precision, PrecisionChoice,
    SequenceClassifier, device_name, write_tensors,
};
use serde::Deserialize;
use serde_json::json;
use tch::{Kind, Tensor};
use train::loss::Loss;

use crate::doctor;

#[derive(Subcommand)]
pub(crate) enum DeviceCheck {
    /// Print the device that a training would use, as JSON
    Describe {
        #[arg(long, ignore_case = true, default_value = "auto")]
        device: DeviceChoice,
    },
    /// Draw the weights of a folder with a config.json from a seed
    Draw {
        model: PathBuf,
        #[arg(long)]
        seed: u64,
    },
    /// Write logits, loss and every gradient of one training pass
    Pass(PassArgs),
}

/// The flags of `pass`.
#[derive(Args)]
pub(crate) struct PassArgs {
    /// Folder of the model
    #[arg(long)]
    model: PathBuf,
    /// JSON: the token ids of `sentences`, and their `labels`
    #[arg(long)]
    batch: PathBuf,
    #[arg(long, ignore_case = true)]
    device: DeviceChoice,
    #[arg(long, ignore_case = true)]
    precision: PrecisionChoice,
    /// Also write the losses of the weights this far along the gradient, and as far against it
    #[arg(long, value_name = "DISTANCE")]
    along_gradient: Option<f64>,
    /// The file to write, in the format of safetensors
    #[arg(long)]
    output: PathBuf,
}

/// The file of `--batch`.
#[derive(Deserialize)]
struct PassBatch {
    sentences: Vec<Vec<i64>>,
    labels: Vec<i64>,
}

pub(crate) fn run(check: &DeviceCheck) -> Result<()> {
    match check {
        DeviceCheck::Describe { device } => describe(*device),
        DeviceCheck::Draw { model, seed } => draw(model, *seed),
        DeviceCheck::Pass(args) => pass(args),
    }
}

fn describe(choice: DeviceChoice) -> Result<()> {
    let device = choice.device()?;
    let gpu = GpuModel::of(device).map(|gpu| gpu.to_string());
    let cuda = (tch::utils::has_cuda() || tch::utils::has_cudart()).then(tch::utils::version_cudart);
    let description = json!({
        "device": device_name(device),
        "gpu": gpu,
        "backend": Backend::on(device)?.name(),
        "cuda": cuda,
        "precision": PrecisionChoice::Auto.on(device, &doctor::bert_base()?).format.to_string(),
        "threads": tch::get_num_threads(),
        "notes": choice.note(device).into_iter().chain(PrecisionChoice::Auto.note(device)).collect::<Vec<_>>(),
    });
    Ok(disk::print(format!("{description}\n"))?)
}

fn draw(folder: &Path, seed: u64) -> Result<()> {
    let config = Config::from_folder(folder)?;
    Ok(SequenceClassifier::random(config, tch::Device::Cpu, Precision::Fp32, seed).save(folder)?)
}

fn pass(args: &PassArgs) -> Result<()> {
    let text = std::fs::read(&args.batch).with_context(|| format!("failed to read {}", args.batch.display()))?;
    let PassBatch { sentences, labels } = serde_json::from_slice(&text)?;
    let config = Config::from_folder(&args.model)?;
    let classes = config.id2label.len() as i64;
    ensure!(
        sentences.len() == labels.len() && labels.iter().all(|label| (0..classes).contains(label)),
        "{}: expected as many labels as sentences, each below {classes}",
        args.batch.display()
    );
    let ends = sentences.iter().scan(0, |end, sentence| {
        *end += sentence.len() as i64;
        Some(*end)
    });
    let cu_seqlens: Vec<i64> = std::iter::once(0).chain(ends).collect();

    let device = args.device.device()?;
    let precision = args.precision.on(device, &config).format;
    let options = LoadOptions { device, precision: precision.into(), new_head: false, reinit_layers: 0, seed: 0 };
    let (model, _) = SequenceClassifier::load(&args.model, config, &options)?;
    let inputs = Inputs::new(&sentences.concat(), &cu_seqlens, device);
    let loss = Loss::new(None, 0.0);
    // A stream draws its masks in order, so that a new one has the same masks in every pass.
    let forward = || model.forward_train(&inputs, &DropoutStream::new(1, 0));
    let (logits, tape) = forward();
    let (value, dlogits) = loss.forward_backward(&logits, &labels, loss.total_weight(&labels));
    let gradients = dense(&model, &model.backward(tape, &dlogits));

    let mut results = vec![("logits".to_owned(), logits), ("loss".to_owned(), value)];
    if let Some(distance) = args.along_gradient {
        for (name, distance) in [("loss.along", distance), ("loss.against", -distance)] {
            move_along(&model, &gradients, distance)?;
            let (logits, _) = forward();
            results.push((name.to_owned(), loss.forward_backward(&logits, &labels, loss.total_weight(&labels)).0));
            move_along(&model, &gradients, -distance)?;
        }
    }
    results.extend(gradients.into_iter().map(|(name, gradient)| (format!("gradient.{name}"), gradient)));
    let named = results.iter().map(|(name, tensor)| (name.as_str(), tensor));
    Ok(disk::write_atomic_with(&args.output, |out| write_tensors(out, named))?)
}

/// Every gradient as a dense fp32 tensor, with its parameter's name.
fn dense(model: &SequenceClassifier, gradients: &Gradients) -> Vec<(String, Tensor)> {
    let parameters = model.parameters().iter().zip(gradients.iter());
    parameters
        .filter_map(|(parameter, gradient)| {
            let gradient = gradient?.to_dense(&parameter.master().size());
            Some((parameter.name().to_owned(), gradient))
        })
        .collect()
}

/// Moves all weights by `distance` in the direction of the gradient.
fn move_along(model: &SequenceClassifier, gradients: &[(String, Tensor)], distance: f64) -> Result<()> {
    let mut squares = 0.0;
    for (_, gradient) in gradients {
        squares += f64::try_from(gradient.square().sum(Kind::Double))?;
    }
    for (parameter, (_, gradient)) in model.parameters().iter().zip(gradients) {
        let _ = parameter.master().shallow_clone().g_add_(&(gradient * (distance / squares.sqrt())));
        parameter.sync();
    }
    Ok(())
}
