//! Too little memory, noticed while training runs.

use std::fmt;

/// Memory, the GPU's or on a CPU the host's, that is too small for a part of training even in its smallest pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryShortage {
    /// What the memory is too small for.
    pub(crate) task: &'static str,
    pub(crate) on_gpu: bool,
    /// Whether some weights were updated in this step and others were not.
    pub(crate) partly_updated: bool,
}

impl MemoryShortage {
    /// A shortage that has changed nothing.
    pub(crate) fn before_changes(task: &'static str, device: tch::Device) -> Self {
        Self { task, on_gpu: device != tch::Device::Cpu, partly_updated: false }
    }

    pub(super) fn hint(&self) -> &'static str {
        if self.on_gpu {
            "end other programs that use the GPU; a smaller model or a shorter --max-length when preparing needs less, \
             and --device cpu uses none of it"
        } else {
            "end other programs, or raise the limit of this process; a smaller model or a shorter --max-length when \
             preparing needs less"
        }
    }
}

impl fmt::Display for MemoryShortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = if self.on_gpu { "the GPU's memory" } else { "the memory" };
        write!(formatter, "{memory} is too small for {}", self.task)?;
        if self.partly_updated {
            formatter.write_str(", and some of the weights had been updated, so this state is not saved")?;
        }
        Ok(())
    }
}
