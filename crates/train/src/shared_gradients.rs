//! Gradients in memory that the processes of one machine share.
//!
//! Where all processes are on one machine and compute on its processors, sending gradients through the network only costs
//! time that the processors need. Here each process has its gradients in memory that the others can read and write. When all
//! have finished their backward pass, each adds up its part of all gradients, in the order of the ranks, and writes the sum to
//! all of them.

use std::ops::Range;

use collective::{Collective, SharedMemory};
use kernels::element::Bf16;
use kernels::rank_sum::sum_in_place;
use model::{GradientMemory, Gradients, Parameters};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// With this variable set to `off`, gradients go through the network also between processes of one machine: to test and
/// measure it.
const SWITCH: &str = "VERDICT_SHARED_MEMORY";

/// Buffers begin at a multiple of this number of bytes, and so do the parts of ranks.
const ALIGNMENT: usize = 64;

/// The gradients of all processes. It must live as long as the [`Gradients`] in it.
#[derive(Debug)]
pub(crate) struct SharedGradients {
    memory: SharedMemory,
    form: GradientMemory,
    buffers: Vec<Buffer>,
    rank: usize,
    world: usize,
}

/// A buffer of gradients, at the same place in the region of each process.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    start: usize,
    elements: usize,
    kind: Kind,
}

impl SharedGradients {
    /// Memory for the gradients of these parameters; `None` where the processes can't share it.
    pub(crate) fn new(parameters: &Parameters, form: GradientMemory, ranks: &dyn Collective) -> Result<Option<Self>> {
        if parameters.device() != Device::Cpu || std::env::var(SWITCH).is_ok_and(|value| value == "off") {
            return Ok(None);
        }
        let mut end = 0;
        let place = |(elements, kind): (usize, Kind)| {
            let start = end;
            end += (elements * kind.elt_size_in_bytes()).next_multiple_of(ALIGNMENT);
            Buffer { start, elements, kind }
        };
        let buffers = form.buffers(parameters).into_iter().map(place).collect();
        let memory = ranks.share_memory(end)?;
        Ok(memory.map(|memory| Self { memory, form, buffers, rank: ranks.rank(), world: ranks.world() }))
    }

    /// What these gradients are.
    pub(crate) fn form(&self) -> GradientMemory {
        self.form
    }

    /// The bytes of one process's gradients.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.bytes() as u64
    }

    /// This process's gradients in the shared memory.
    pub(crate) fn gradients(&self, parameters: &Parameters) -> Gradients {
        let mut buffers = self.buffers.iter();
        Gradients::in_memory(parameters, self.form, |elements, kind| {
            let buffer = buffers.next().expect("a place for each buffer");
            assert!((buffer.elements, buffer.kind) == (elements, kind), "the buffers are those of the same parameters");
            // SAFETY: the place is in the region, which outlives the gradients by the contract of this type, and is of no
            // other tensor.
            unsafe {
                Tensor::from_blob(self.place(self.rank, buffer.start), &[elements as i64], &[1], kind, Device::Cpu)
            }
        })
    }

    /// Replaces the gradients of every process by their sum. All ranks call it when they have written theirs.
    ///
    /// # Errors
    /// A process is lost.
    pub(crate) fn sum(&self) -> Result<()> {
        self.memory.barrier()?;
        for buffer in &self.buffers {
            let part = self.part(buffer);
            // SAFETY: between the barriers each rank reads and writes only its part of each buffer, of all ranks.
            unsafe {
                match buffer.kind {
                    Kind::BFloat16 => sum_in_place(&self.parts::<Bf16>(buffer, part.start), part.len()),
                    _ => sum_in_place(&self.parts::<f32>(buffer, part.start), part.len()),
                }
            }
        }
        Ok(self.memory.barrier()?)
    }

    /// The elements of a buffer that this process adds up.
    fn part(&self, buffer: &Buffer) -> Range<usize> {
        let each = buffer.elements.div_ceil(self.world).next_multiple_of(ALIGNMENT);
        let start = (self.rank * each).min(buffer.elements);
        start..(start + each).min(buffer.elements)
    }

    /// Where the elements from `first` on of a buffer are, for each rank.
    fn parts<T>(&self, buffer: &Buffer, first: usize) -> Vec<*mut T> {
        let start = buffer.start + first * size_of::<T>();
        (0..self.world).map(|rank| self.place(rank, start).cast()).collect()
    }

    fn place(&self, rank: usize, start: usize) -> *mut u8 {
        assert!(start <= self.memory.bytes(), "a place in the region");
        // SAFETY: it is in the region, or its end.
        unsafe { self.memory.region(rank).add(start) }
    }
}
