//! Several processes that train, evaluate or predict as one.
//!
//! Each process has a rank, from 0, and all of them do the same steps in the same order. Rank 0 alone writes. What they
//! exchange goes through [`Collective`]: sums of tensors, tensors of rank 0, messages. [`Alone`] is a single process;
//! [`Connected`] is one of several, on c10d (`crates/torch-ext`).
//!
//! 1. [`Launch`]: how this process was started, by its environment: torchrun, SLURM, Kubeflow, or variables by hand.
//! 2. [`join()`]: meets the other processes, and refuses those that can't work together.
//! 3. [`Collective`]: what they do together. Every rank calls the same functions in the same order.
//! 4. `liveness.rs`: whether the others live, by heartbeats; never by the time that a collective takes.

mod alone;
mod card;
mod connected;
mod error;
mod error_file;
mod join;
mod launch;
mod liveness;
mod local_address;
mod processors;
mod shared_memory;

use std::fmt::Debug;

use tch::{Device, Kind, Tensor};

pub use alone::Alone;
pub use card::ProcessCard;
pub use connected::{Connected, PendingSum};
pub use error::{CollectiveError, LostProcess, Result};
pub use error_file::write_error_file;
pub use join::join;
pub use launch::{Launch, LaunchError, Launcher};
pub use local_address::host_name_note;
pub use shared_memory::SharedMemory;

/// The rank that owns folder, log and progress.
pub const FIRST: usize = 0;

/// What processes that work as one do together. All ranks call the same functions in the same order; a call returns an
/// error if another process is lost, and then nothing else works but [`leave`](Self::leave).
pub trait Collective: Debug {
    /// Which process this is, below [`world`](Self::world).
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn world(&self) -> usize;

    /// Which of the processes on this machine this is.
    fn local_rank(&self) -> usize;

    /// How many of the processes are on this machine.
    fn local_world(&self) -> usize;

    /// How many threads this process should have, so that those on this machine share its processors; `None` to leave it.
    fn threads(&self) -> Option<usize> {
        None
    }

    /// A process for messages: `rank 1 (process 77 on node-b)`.
    fn describe(&self, rank: usize) -> String;

    /// Begins to replace a contiguous tensor by the sum of those of all ranks, whose bits are the same on all of them and
    /// each time. Until it is done nothing else may read or write the tensor.
    ///
    /// # Errors
    /// A process is lost.
    fn start_sum(&self, tensor: &Tensor) -> Result<PendingSum<'_>>;

    /// Replaces a contiguous tensor by that of rank 0.
    ///
    /// # Errors
    /// A process is lost.
    fn broadcast(&self, tensor: &Tensor) -> Result<()>;

    /// Memory of that many bytes for each process that all can read and write; `None` on all of them where they are not on one
    /// machine, or for a single process.
    ///
    /// # Errors
    /// A process is lost.
    fn share_memory(&self, _bytes: usize) -> Result<Option<SharedMemory>> {
        Ok(None)
    }

    /// Tells the others that this process ends, and why if it failed; waits until they have heard it where they couldn't
    /// otherwise.
    fn leave(&self, failure: Option<&str>);

    /// Whether this is the rank that writes.
    fn is_first(&self) -> bool {
        self.rank() == FIRST
    }

    /// Replaces a contiguous tensor by the sum of those of all ranks.
    ///
    /// # Errors
    /// A process is lost.
    fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.start_sum(tensor)?.wait()
    }

    /// The sums over all ranks of a few numbers.
    ///
    /// # Errors
    /// A process is lost.
    fn sum_numbers(&self, numbers: &[f64]) -> Result<Vec<f64>> {
        let tensor = Tensor::from_slice(numbers);
        self.sum(&tensor)?;
        Ok(Vec::try_from(tensor)?)
    }

    /// A message from each rank, in order.
    ///
    /// # Errors
    /// A process is lost.
    fn gather(&self, message: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut lengths = vec![0_i64; self.world()];
        lengths[self.rank()] = message.len() as i64;
        let lengths = Tensor::from_slice(&lengths);
        self.sum(&lengths)?;
        let lengths = Vec::<i64>::try_from(lengths)?;
        // Zeros but for the place of this rank, so that the sum is all of them.
        let total: i64 = lengths.iter().sum();
        let all = Tensor::zeros([total], (Kind::Uint8, Device::Cpu));
        let starts: Vec<i64> =
            lengths.iter().scan(0, |end, length| Some(std::mem::replace(end, *end + length))).collect();
        if !message.is_empty() {
            all.narrow(0, starts[self.rank()], message.len() as i64).copy_(&Tensor::from_slice(message));
        }
        if total > 0 {
            self.sum(&all)?;
        }
        let all = Vec::<u8>::try_from(all)?;
        let part = |(start, length): (&i64, &i64)| all[*start as usize..(start + length) as usize].to_vec();
        Ok(starts.iter().zip(&lengths).map(part).collect())
    }

    /// The message of rank 0, which alone gives one.
    ///
    /// # Errors
    /// A process is lost.
    fn broadcast_message(&self, message: &[u8]) -> Result<Vec<u8>> {
        let own: &[u8] = if self.is_first() { message } else { &[] };
        Ok(self.gather(own)?.swap_remove(FIRST))
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// A process is lost.
    fn barrier(&self) -> Result<()> {
        self.sum_numbers(&[0.0]).map(drop)
    }

    /// Completes rows of `width` numbers that were dealt out: each is given by exactly one rank, and all get every row, to the
    /// bit.
    ///
    /// # Errors
    /// [`CollectiveError::Incomplete`] on every rank for a row that no rank gives or several do; a process is lost.
    ///
    /// # Panics
    /// If a row has another width.
    fn complete_rows(&self, rows: Vec<Option<Vec<f32>>>, width: usize) -> Result<Vec<Vec<f32>>> {
        assert!(rows.iter().flatten().all(|row| row.len() == width), "rows of {width} numbers");
        let counts = Tensor::from_slice(&rows.iter().map(|row| i64::from(row.is_some())).collect::<Vec<_>>());
        self.sum(&counts)?;
        let counts = Vec::<i64>::try_from(counts)?;
        let wrong = |is: fn(i64) -> bool| counts.iter().filter(|count| is(**count)).count();
        let (none, several) = (wrong(|count| count == 0), wrong(|count| count > 1));
        if none + several > 0 {
            return Err(CollectiveError::Incomplete { rows: counts.len(), none, several });
        }
        if self.world() == 1 {
            return Ok(rows.into_iter().flatten().collect());
        }
        // A sum with zeros is the value itself, to the last bit.
        let zeros = vec![0_f32; width];
        let values: Vec<f32> = rows.iter().flat_map(|row| row.as_ref().unwrap_or(&zeros)).copied().collect();
        let values = Tensor::from_slice(&values);
        self.sum(&values)?;
        let values = Vec::<f32>::try_from(values)?;
        Ok((0..counts.len()).map(|row| values[row * width..(row + 1) * width].to_vec()).collect())
    }

    /// Checks that all ranks state the same about `what`.
    ///
    /// # Errors
    /// [`CollectiveError::Differ`] on every rank if one does not; a process is lost.
    fn agree(&self, what: &str, statement: &str) -> Result<()> {
        let statements = self.gather(statement.as_bytes())?;
        let of_first = &statements[FIRST];
        let others = statements.iter().enumerate().filter(|(_, other)| *other != of_first);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let difference = |(rank, other): (usize, &Vec<u8>)| {
            format!("{} has {}, and rank 0 has {}", self.describe(rank), text(other), text(of_first))
        };
        let differences: Vec<String> = others.map(difference).collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(CollectiveError::Differ { what: what.to_owned(), differences })
    }
}
