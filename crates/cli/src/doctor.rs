//! `verdict doctor`: one forward and backward pass, on the CPU and on each GPU.

use std::path::Path;

use anyhow::{Result, ensure};
use model::{
    Backend, Config, DeviceChoice, DropoutStream, GpuModel, Gradient, Inputs, Isa, Precision, PrecisionChoice,
    SequenceClassifier, device_name,
};
use tch::{Device, Kind};

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 16}"#;

/// Prints one line for each device and the instruction set of the CPU's kernels, and a note if a GPU is not used or computes in fp32 because it has no bf16.
pub(crate) fn run() -> Result<()> {
    disk::print(format!("kernels of the CPU: {}\n", Isa::description()))?;
    let gpus = (0..tch::Cuda::device_count()).map(|index| Device::Cuda(index as usize));
    for device in std::iter::once(Device::Cpu).chain(gpus) {
        if let Some(note) = Backend::on(device)?.note(device) {
            disk::print_message(format!("note: {note}"));
        }
        let precision = Precision::auto(device);
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
    if let Some(note) = DeviceChoice::Auto.note(Device::cuda_if_available()) {
        disk::print(format!("note: {note}\n"))?;
    }
    Ok(())
}

/// The norm of all gradients of a tiny random model.
fn pass(device: Device, precision: Precision) -> Result<f64> {
    let config = Config::from_json(CONFIG, Path::new("config.json"))?;
    let model = SequenceClassifier::random(config, device, precision, 1);
    let inputs = Inputs::new(&[2, 7, 9, 3, 2, 8, 3], &[0, 4, 7], device);
    let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 0, 0));
    let gradients = model.backward(tape, &logits.ones_like());
    let mut squares = 0.0;
    for gradient in gradients.0.into_iter().flatten() {
        let tensor = match gradient {
            Gradient::Dense(tensor) => tensor,
            Gradient::Rows { values, .. } => values,
        };
        squares += f64::try_from(tensor.to_kind(Kind::Float).square().sum(Kind::Double))?;
    }
    Ok(squares.sqrt())
}
