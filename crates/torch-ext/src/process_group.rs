//! Collectives: operations that every rank starts in the same order, each with a tensor of the same shape.

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::error::{TorchExtError, c_string};
use crate::store::{RawStore, TcpStore};

#[repr(C)]
struct RawGroup {
    _private: [u8; 0],
}

#[repr(C)]
struct RawWork {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn torch_ext_gloo_connect(
        store: *mut RawStore,
        rank: i32,
        world: i32,
        interface: *const c_char,
        address: *const c_char,
        connect_timeout_ms: i64,
        timeout_ms: i64,
        error: *mut *mut c_char,
    ) -> *mut RawGroup;
    #[cfg(nccl)]
    fn torch_ext_nccl_connect(
        store: *mut RawStore,
        rank: i32,
        world: i32,
        timeout_ms: i64,
        error: *mut *mut c_char,
    ) -> *mut RawGroup;
    fn torch_ext_group_free(group: *mut RawGroup);
    fn torch_ext_all_reduce(group: *mut RawGroup, tensor: *const C_tensor, error: *mut *mut c_char) -> *mut RawWork;
    fn torch_ext_broadcast(
        group: *mut RawGroup,
        tensor: *const C_tensor,
        root: i64,
        error: *mut *mut c_char,
    ) -> *mut RawWork;
    fn torch_ext_work_wait(work: *mut RawWork, timeout_ms: i64, error: *mut *mut c_char) -> c_int;
    fn torch_ext_work_free(work: *mut RawWork);
}

/// A collective fails after this time only: whether a rank lives is for others to find out, and waiting for one that saves
/// a checkpoint is no failure.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The address of this machine by which the other ranks reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GlooAddress {
    /// A network interface, such as `eth0`.
    Interface(String),
    /// A host name or an IP address.
    Host(String),
}

/// Ranks that are connected with each other. It isn't `Sync`: collectives begin in one order.
#[derive(Debug)]
pub struct ProcessGroup {
    raw: NonNull<RawGroup>,
}

// SAFETY: nothing in it belongs to one thread.
unsafe impl Send for ProcessGroup {}

/// A collective that has begun. The tensor is kept; it must not be read or written before the work is done.
#[derive(Debug)]
pub struct PendingWork {
    raw: NonNull<RawWork>,
}

impl ProcessGroup {
    /// Connects all ranks by TCP; all must do so at about the same time.
    ///
    /// # Errors
    /// A rank that doesn't come until `patience` is over; an address that isn't one of this machine.
    pub fn gloo(
        store: &TcpStore,
        rank: usize,
        world: usize,
        address: &GlooAddress,
        patience: Duration,
    ) -> Result<Self, TorchExtError> {
        let null = std::ptr::null();
        let (text, is_interface) = match address {
            GlooAddress::Interface(name) => (c_string(name)?, true),
            GlooAddress::Host(host) => (c_string(host)?, false),
        };
        let (interface, host) = if is_interface { (text.as_ptr(), null) } else { (null, text.as_ptr()) };
        let (rank, world) = (rank as i32, world as i32);
        // SAFETY: the store and the strings outlive the call.
        let raw = TorchExtError::catch(|error| unsafe {
            torch_ext_gloo_connect(store.raw(), rank, world, interface, host, millis(patience), millis(NEVER), error)
        })?;
        Self::of(raw)
    }

    /// Connects the GPUs of all ranks by NCCL, which each rank has selected before.
    ///
    /// # Errors
    /// What NCCL says.
    #[cfg(nccl)]
    pub fn nccl(store: &TcpStore, rank: usize, world: usize) -> Result<Self, TorchExtError> {
        let (rank, world) = (rank as i32, world as i32);
        // SAFETY: the store outlives the call.
        let raw = TorchExtError::catch(|error| unsafe {
            torch_ext_nccl_connect(store.raw(), rank, world, millis(NEVER), error)
        })?;
        Self::of(raw)
    }

    /// Whether this build has NCCL.
    pub const HAS_NCCL: bool = cfg!(nccl);

    /// This build has no NCCL.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(nccl))]
    pub fn nccl(_: &TcpStore, _: usize, _: usize) -> Result<Self, TorchExtError> {
        Err(TorchExtError("this program was built without NCCL".to_owned()))
    }

    fn of(raw: *mut RawGroup) -> Result<Self, TorchExtError> {
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchExtError("no process group".to_owned()))
    }

    /// Begins to replace a contiguous tensor by the sum of those of all ranks.
    ///
    /// # Errors
    /// A tensor that can't be summed; the connection to a rank is lost.
    pub fn all_reduce(&self, tensor: &Tensor) -> Result<PendingWork, TorchExtError> {
        // SAFETY: the tensor is valid during the call, and the C++ side keeps a reference to it.
        let raw =
            TorchExtError::catch(|error| unsafe { torch_ext_all_reduce(self.raw.as_ptr(), tensor.as_ptr(), error) })?;
        PendingWork::of(raw)
    }

    /// Begins to replace a contiguous tensor by that of rank `root`.
    ///
    /// # Errors
    /// The connection to a rank is lost.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<PendingWork, TorchExtError> {
        // SAFETY: as above.
        let raw = TorchExtError::catch(|error| unsafe {
            torch_ext_broadcast(self.raw.as_ptr(), tensor.as_ptr(), root as i64, error)
        })?;
        PendingWork::of(raw)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: it was made by one of the constructors, and nothing uses it any more.
        unsafe { torch_ext_group_free(self.raw.as_ptr()) }
    }
}

impl PendingWork {
    fn of(raw: *mut RawWork) -> Result<Self, TorchExtError> {
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchExtError("no work".to_owned()))
    }

    /// Waits for at most that time; whether the work is done.
    ///
    /// # Errors
    /// The work has failed: the connection to a rank is lost.
    pub fn wait(&self, at_most: Duration) -> Result<bool, TorchExtError> {
        // SAFETY: the work is valid until it is dropped.
        let done = TorchExtError::catch(|error| unsafe {
            torch_ext_work_wait(self.raw.as_ptr(), millis(at_most).max(1), error)
        })?;
        Ok(done == 1)
    }
}

impl Drop for PendingWork {
    fn drop(&mut self) {
        // SAFETY: it was made by a collective, and nothing uses it any more.
        unsafe { torch_ext_work_free(self.raw.as_ptr()) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::store::tests::two_connections;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Runs `each` on two ranks, threads of this process.
    fn on_two_ranks(each: impl Fn(usize, &ProcessGroup) + Send + Copy + 'static) {
        let ranks = two_connections().into_iter().enumerate().map(|(rank, store)| {
            std::thread::spawn(move || {
                let address = GlooAddress::Host("127.0.0.1".to_owned());
                let group = ProcessGroup::gloo(&store, rank, 2, &address, PATIENCE).unwrap();
                each(rank, &group);
                let end = Tensor::zeros([1], (Kind::Float, Device::Cpu));
                assert!(group.all_reduce(&end).unwrap().wait(PATIENCE).unwrap());
            })
        });
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().for_each(|rank| rank.join().expect("no rank panics"));
    }

    #[test]
    fn tensors_are_summed_and_broadcast_in_every_format_that_training_has() {
        on_two_ranks(|rank, group| {
            for kind in [Kind::Float, Kind::BFloat16, Kind::Double, Kind::Int64, Kind::Uint8] {
                let tensor = Tensor::full([1000], 1 + rank as i64 * 2, (kind, Device::Cpu));
                assert!(group.all_reduce(&tensor).unwrap().wait(PATIENCE).unwrap());
                assert_eq!(tensor.to_kind(Kind::Double).eq(4.0).all().int64_value(&[]), 1, "{kind:?}");
                let tensor = Tensor::full([7], rank as i64, (kind, Device::Cpu));
                assert!(group.broadcast(&tensor, 1).unwrap().wait(PATIENCE).unwrap());
                assert_eq!(tensor.to_kind(Kind::Double).eq(1.0).all().int64_value(&[]), 1, "{kind:?}");
            }
        });
    }

    #[test]
    fn work_that_waits_for_another_rank_is_not_done_and_not_failed() {
        on_two_ranks(|rank, group| {
            if rank == 1 {
                std::thread::sleep(Duration::from_millis(300));
            }
            let tensor = Tensor::ones([3], (Kind::Float, Device::Cpu));
            let work = group.all_reduce(&tensor).unwrap();
            if rank == 0 {
                assert!(!work.wait(Duration::from_millis(20)).unwrap());
            }
            assert!(work.wait(PATIENCE).unwrap());
            assert_eq!(tensor.double_value(&[1]), 2.0);
        });
    }

    #[test]
    fn a_rank_that_leaves_fails_the_work_of_the_other() {
        let [first, second] = two_connections();
        let other = std::thread::spawn(move || {
            let address = GlooAddress::Host("127.0.0.1".to_owned());
            drop(ProcessGroup::gloo(&second, 1, 2, &address, PATIENCE).unwrap());
        });
        let address = GlooAddress::Host("127.0.0.1".to_owned());
        let group = ProcessGroup::gloo(&first, 0, 2, &address, PATIENCE).unwrap();
        other.join().unwrap();
        let tensor = Tensor::ones([3], (Kind::Float, Device::Cpu));
        let failed = group.all_reduce(&tensor).and_then(|work| work.wait(PATIENCE));
        assert!(failed.is_err(), "{failed:?}");
    }

    #[test]
    fn an_address_that_is_not_of_this_machine_is_refused() {
        let [store, _] = two_connections();
        for address in [GlooAddress::Interface("none0".to_owned()), GlooAddress::Host("192.0.2.1".to_owned())] {
            assert!(ProcessGroup::gloo(&store, 0, 2, &address, PATIENCE).is_err(), "{address:?}");
        }
    }
}
