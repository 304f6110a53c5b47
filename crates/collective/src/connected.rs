//! One of several processes, connected with all others by c10d.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use tch::{Device, Tensor};
use torch_ext::{PendingWork, ProcessGroup, TcpStore, TorchExtError};

use crate::Collective;
use crate::card::ProcessCard;
use crate::error::{CollectiveError, Result};
use crate::liveness::{ASKS, Liveness};
use crate::processors;
use crate::shared_memory::SharedMemory;

/// One of several processes.
///
/// Nothing of c10d is taken down when it is dropped: its destructors would wait for a process that is lost. It lives as long
/// as the process.
#[derive(Debug)]
pub struct Connected {
    cards: Vec<ProcessCard>,
    rank: usize,
    /// Whether the number of threads is the user's choice.
    threads_chosen: bool,
    store: ManuallyDrop<TcpStore>,
    gloo: ManuallyDrop<ProcessGroup>,
    /// For tensors on a GPU, from their first use on.
    nccl: RefCell<Option<ManuallyDrop<ProcessGroup>>>,
    liveness: Arc<Liveness>,
}

impl Connected {
    pub(crate) fn new(
        store: ManuallyDrop<TcpStore>,
        gloo: ManuallyDrop<ProcessGroup>,
        liveness: Liveness,
        cards: Vec<ProcessCard>,
        (rank, threads_chosen): (usize, bool),
    ) -> Self {
        Self { cards, rank, threads_chosen, store, gloo, nccl: RefCell::new(None), liveness: Arc::new(liveness) }
    }

    /// Starts a collective in the group for the tensor's device.
    fn begin(
        &self,
        tensor: &Tensor,
        start: impl Fn(&ProcessGroup) -> Result<PendingWork, TorchExtError>,
    ) -> Result<PendingSum<'_>> {
        if let Some(lost) = self.liveness.noted() {
            return Err(CollectiveError::Lost(lost));
        }
        let work = match tensor.device() {
            Device::Cuda(_) if ProcessGroup::HAS_NCCL => {
                let mut nccl = self.nccl.borrow_mut();
                if nccl.is_none() {
                    let group = ProcessGroup::nccl(&self.store, self.rank, self.cards.len());
                    *nccl = Some(ManuallyDrop::new(group.map_err(|error| self.liveness.broken(error))?));
                }
                nccl.as_ref().map_or_else(|| start(&self.gloo), |group| start(group))
            }
            _ => start(&self.gloo),
        };
        let work = work.map_err(|error| self.liveness.broken(error))?;
        Ok(PendingSum { work: Some((work, self)) })
    }

    fn wait(&self, work: &PendingWork) -> Result<()> {
        loop {
            match work.wait(ASKS) {
                Ok(true) => return Ok(()),
                Ok(false) => self.liveness.check()?,
                Err(error) => return Err(self.liveness.broken(error)),
            }
        }
    }

    fn beside(&self) -> impl Iterator<Item = &ProcessCard> {
        self.cards.iter().filter(|card| card.is_beside(&self.cards[self.rank]))
    }
}

impl Collective for Connected {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.cards.len()
    }

    fn local_rank(&self) -> usize {
        self.beside().filter(|card| card.rank < self.rank).count()
    }

    fn local_world(&self) -> usize {
        self.beside().count()
    }

    fn threads(&self) -> Option<usize> {
        (!self.threads_chosen).then(|| processors::share(self.local_world()))
    }

    fn describe(&self, rank: usize) -> String {
        self.cards[rank].describe()
    }

    fn start_sum(&self, tensor: &Tensor) -> Result<PendingSum<'_>> {
        self.begin(tensor, |group| group.all_reduce(tensor))
    }

    fn broadcast(&self, tensor: &Tensor) -> Result<()> {
        self.begin(tensor, |group| group.broadcast(tensor, crate::FIRST))?.wait()
    }

    fn share_memory(&self, bytes: usize) -> Result<Option<SharedMemory>> {
        SharedMemory::allocate(self, Arc::clone(&self.liveness), bytes)
    }

    fn leave(&self, failure: Option<&str>) {
        self.liveness.leave(failure);
    }
}

/// A sum that has begun.
#[derive(Debug)]
#[must_use = "the tensor must not be used before the sum is done"]
pub struct PendingSum<'a> {
    work: Option<(PendingWork, &'a Connected)>,
}

impl PendingSum<'_> {
    /// Of a single process.
    pub(crate) fn done() -> Self {
        Self { work: None }
    }

    /// Waits until the tensor is the sum.
    ///
    /// # Errors
    /// A process is lost.
    pub fn wait(self) -> Result<()> {
        match &self.work {
            None => Ok(()),
            Some((work, connected)) => connected.wait(work),
        }
    }
}
