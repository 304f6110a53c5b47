//! `verdict doctor`: one forward and backward pass, on the CPU and on each GPU.

use std::path::Path;

use anyhow::{Result, ensure};
use model::{
    Backend, ChosenPrecision, Config, DeviceChoice, DropoutStream, GpuModel, Inputs, Isa, Precision, PrecisionChoice,
    ProductRates, SequenceClassifier, device_name,
};
use tch::{Device, Kind};

/// Prints one line for each device, the instruction set of the CPU's kernels and the rates of its products, and a note if a GPU is
/// not used or computes in fp32 because it has no bf16, or if other machines can't reach this one by its name.
pub(crate) fn run() -> Result<()> {
    disk::print(format!("kernels of the CPU: {}\n", Isa::description()))?;
    for (name, config) in [("MiniLM-L6", config(384, 1536)?), ("BERT-base", bert_base()?)] {
        let rates = ProductRates::measure(&config);
        let of_libtorch = [rates.bf16, Some(rates.fp32)].into_iter().flatten().filter(|rates| rates.kernels.is_some());
        let of_libtorch: Vec<String> = of_libtorch.map(|rates| format!("{:.0}", rates.libtorch)).collect();
        let by_libtorch = match of_libtorch.is_empty() {
            true => String::new(),
            false => format!(" (by libtorch {})", of_libtorch.join(" and ")),
        };
        disk::print(format!("products of {name}: {rates}{by_libtorch}; --precision auto is {}\n", rates.choice()))?;
    }
    let gpus = (0..tch::Cuda::device_count()).map(|index| Device::Cuda(index as usize));
    for device in std::iter::once(Device::Cpu).chain(gpus) {
        if let Some(note) = Backend::on(device)?.note(device) {
            disk::print_message(format!("note: {note}"));
        }
        let ChosenPrecision { format: precision, .. } = PrecisionChoice::Auto.on(device, &bert_base()?);
        let norm = pass(device, precision)?;
        let name = match GpuModel::of(device) {
            Some(gpu) => format!("{} ({gpu})", device_name(device)),
            None => device_name(device),
        };
        ensure!(norm.is_finite() && norm > 0.0, "{name}: expected a positive gradient norm, found {norm}");
        let threads = tch::get_num_threads();
        disk::print(format!("{name}: forward and backward pass in {precision} with {threads} threads\n"))?;
        if let Some(note) = PrecisionChoice::Auto.note(device) {
            disk::print(format!("note: {note}\n"))?;
        }
    }
    // It matters to few, so it is no note.
    if let Some(finding) = collective::host_name_note() {
        disk::print(format!("several machines: {finding}\n"))?;
    }
    if let Some(note) = DeviceChoice::Auto.note(Device::cuda_if_available()) {
        disk::print(format!("note: {note}\n"))?;
    }
    Ok(())
}

/// A model with the products of BERT-base.
pub(crate) fn bert_base() -> Result<Config> {
    config(768, 3072)
}

/// A small model whose layers are this wide.
fn config(hidden_size: usize, intermediate_size: usize) -> Result<Config> {
    let text = format!(
        r#"{{"model_type": "bert", "vocab_size": 100, "hidden_size": {hidden_size}, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": {intermediate_size}, "max_position_embeddings": 16}}"#
    );
    Ok(Config::from_json(&text, Path::new("config.json"))?)
}

/// The norm of all gradients of a tiny random model.
fn pass(device: Device, precision: Precision) -> Result<f64> {
    let model = SequenceClassifier::random(config(32, 64)?, device, precision, 1);
    let inputs = Inputs::new(&[2, 7, 9, 3, 2, 8, 3], &[0, 4, 7], device);
    let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 0));
    let gradients = model.backward(tape, &logits.ones_like());
    let mut squares = 0.0;
    for gradient in gradients.iter().flatten() {
        squares += f64::try_from(gradient.values().to_kind(Kind::Float).square().sum(Kind::Double))?;
    }
    Ok(squares.sqrt())
}
