//! The number format that a user chooses, and what it means for a model on a device.

use std::fmt;

use tch::Device;

use crate::backend::Backend;
use crate::config::Config;
use crate::gpu::GpuModel;
use crate::precision::Precision;
use crate::product_rates::ProductRates;

/// The number format that the model computes in, as the user chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum PrecisionChoice {
    /// The faster one for the model's products: measured on a CPU; on a GPU bf16 if it multiplies it natively.
    #[default]
    Auto,
    /// 32-bit floats throughout.
    #[value(aliases = ["f32", "float32"])]
    Fp32,
    /// bfloat16 compute with 32-bit master weights.
    #[value(aliases = ["bfloat16"])]
    Bf16,
}

/// The number format that a [`PrecisionChoice`] means for a model on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChosenPrecision {
    pub format: Precision,
    /// The rates that it was chosen by; `None` where nothing was measured.
    pub rates: Option<ProductRates>,
}

impl ChosenPrecision {
    /// What multiplies matrices on a CPU: by the rates, otherwise the kernels if the processor has instructions for them.
    pub fn multiplier(&self) -> Backend {
        let of_format = self.rates.and_then(|rates| rates.of(self.format));
        match of_format {
            Some(rates) => rates.multiplier(),
            None if self.format.has_fast_kernels() && !self.format.is_faster_with_libtorch() => Backend::Kernels,
            None => Backend::Libtorch,
        }
    }
}

impl PrecisionChoice {
    /// The format for this model on this device. On a CPU, `Auto` measures if there is anything to choose: the format, or what
    /// multiplies. That takes a few dozen milliseconds, with the number of threads that is set. With a format that is given,
    /// nothing is measured, so that the same computation can be asked for on every machine of a kind.
    pub fn on(self, device: Device, config: &Config) -> ChosenPrecision {
        match (self, device) {
            (Self::Fp32, _) => Precision::Fp32.into(),
            (Self::Bf16, _) => Precision::Bf16.into(),
            (Self::Auto, Device::Cuda(_)) => Precision::auto_on_gpu(GpuModel::of(device).as_ref()).into(),
            (Self::Auto, _) if ProductRates::differ() && ProductRates::matter(config) => {
                let rates = ProductRates::measure(config);
                ChosenPrecision { format: rates.choice(), rates: Some(rates) }
            }
            (Self::Auto, _) => Precision::Fp32.into(),
        }
    }

    /// What the user should know about this choice on a GPU without native bf16: `auto` is fp32 there, and `bf16` slow.
    pub fn note(self, device: Device) -> Option<String> {
        match device {
            Device::Cuda(_) => self.note_on_gpu(GpuModel::of(device).as_ref()),
            _ => None,
        }
    }

    fn note_on_gpu(self, gpu: Option<&GpuModel>) -> Option<String> {
        let reason = match gpu {
            Some(gpu) if gpu.has_native_bf16() => return None,
            Some(gpu) => format!("{gpu} has no native bf16, which begins with compute capability 8.0"),
            None => "NVIDIA's driver does not say whether this GPU has native bf16".to_owned(),
        };
        match self {
            Self::Auto => Some(format!("computing in fp32: {reason}")),
            Self::Bf16 => {
                Some(format!("bf16 may be several times slower than fp32: {reason} (hint: --precision fp32, or auto)"))
            }
            Self::Fp32 => None,
        }
    }
}

/// A format that is known, without a measurement.
impl From<Precision> for ChosenPrecision {
    fn from(format: Precision) -> Self {
        Self { format, rates: None }
    }
}

/// The choice of one format, whatever would be measured.
impl From<Precision> for PrecisionChoice {
    fn from(format: Precision) -> Self {
        match format {
            Precision::Fp32 => Self::Fp32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// `bf16 (860 GFLOP/s in bf16, 190 in fp32)`, or the format alone if nothing was measured.
impl fmt::Display for ChosenPrecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rates {
            Some(rates) => write!(formatter, "{} ({rates})", self.format),
            None => self.format.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::product_rates::FormatRates;

    #[test]
    fn bf16_is_the_default_only_of_gpus_that_have_it() {
        let gpu = |major, minor| GpuModel { name: "A GPU".into(), capability: (major, minor) };
        for (gpu, auto) in [(gpu(7, 5), Precision::Fp32), (gpu(8, 0), Precision::Bf16), (gpu(12, 0), Precision::Bf16)] {
            assert_eq!(Precision::auto_on_gpu(Some(&gpu)), auto, "{gpu}");
            let note = |choice: PrecisionChoice| choice.note_on_gpu(Some(&gpu));
            assert_eq!(note(PrecisionChoice::Auto).is_some(), auto == Precision::Fp32, "{gpu}: a fallback is said");
            assert_eq!(note(PrecisionChoice::Bf16).is_some(), auto == Precision::Fp32, "{gpu}: slow bf16 is said");
            assert_eq!(note(PrecisionChoice::Fp32), None);
        }
        assert_eq!(
            PrecisionChoice::Auto.note_on_gpu(Some(&gpu(7, 5))).unwrap(),
            "computing in fp32: A GPU (compute capability 7.5) has no native bf16, which begins with compute capability 8.0"
        );
        assert_eq!(Precision::auto_on_gpu(None), Precision::Fp32);
        assert!(PrecisionChoice::Auto.note_on_gpu(None).is_some());
        assert_eq!(PrecisionChoice::Auto.note(Device::Cpu), None);
    }

    #[test]
    fn only_auto_measures_and_only_models_of_some_size() {
        let config = |hidden_size: i64, intermediate_size: i64| {
            let text = format!(
                r#"{{"model_type": "bert", "vocab_size": 100, "hidden_size": {hidden_size}, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": {intermediate_size}, "max_position_embeddings": 16}}"#
            );
            Config::from_json(&text, Path::new("config.json")).unwrap()
        };
        let (tiny, small) = (config(16, 32), config(128, 512));
        assert_eq!(PrecisionChoice::Auto.on(Device::Cpu, &tiny), Precision::Fp32.into());
        for format in [Precision::Fp32, Precision::Bf16] {
            assert_eq!(PrecisionChoice::from(format).on(Device::Cpu, &small), format.into());
        }
        let chosen = PrecisionChoice::Auto.on(Device::Cpu, &small);
        assert_eq!(chosen.rates.is_some(), ProductRates::differ());
        assert_eq!(chosen.format, chosen.rates.map_or(Precision::Fp32, |rates| rates.choice()));
        let by_libtorch = |rate| FormatRates { kernels: None, libtorch: rate };
        let rates = Some(ProductRates { fp32: by_libtorch(195.0), bf16: Some(by_libtorch(115.0)) });
        let said = ChosenPrecision { format: Precision::Fp32, rates }.to_string();
        assert_eq!(said, "fp32 (115 GFLOP/s in bf16, 195 in fp32)");
    }
}
