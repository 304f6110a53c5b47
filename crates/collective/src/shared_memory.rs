//! Memory that all processes of one machine read and write, so that what they exchange need not go through the network.
//!
//! Each process has a region of its own, without a name, which the others open through `/proc`: nothing is left behind,
//! however a process ends. A region begins with a counter, by which the processes wait for each other.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memmap2::MmapRaw;

use crate::Collective;
use crate::error::Result;
use crate::liveness::{ASKS, Liveness};

/// The counter's place. What follows begins at a page.
const HEADER: usize = 4096;

/// How long a process that waits only yields its processor before it begins to sleep.
const YIELDS: Duration = Duration::from_micros(500);
const SLEEP: Duration = Duration::from_micros(50);

/// A region of each process.
#[derive(Debug)]
pub struct SharedMemory {
    liveness: Arc<Liveness>,
    rank: usize,
    regions: Vec<MmapRaw>,
    bytes: usize,
}

impl SharedMemory {
    /// A region of that many bytes, zeros, for each process; `None` on all processes if some can't have it.
    pub(crate) fn allocate(ranks: &dyn Collective, liveness: Arc<Liveness>, bytes: usize) -> Result<Option<Self>> {
        let own = if ranks.local_world() == ranks.world() { region(bytes) } else { None };
        // `PID FD` where there is a region.
        let place = own.as_ref().map_or_else(String::new, |own| format!("{} {}", std::process::id(), own.as_raw_fd()));
        let places = ranks.gather(place.as_bytes())?;
        let regions: Option<Vec<MmapRaw>> = places.iter().map(|place| open(place, bytes)).collect();
        // Nobody uses its region before all have opened it.
        let failed = ranks.sum_numbers(&[f64::from(u8::from(regions.is_none()))])?;
        Ok(regions.filter(|_| failed[0] == 0.0).map(|regions| Self { liveness, rank: ranks.rank(), regions, bytes }))
    }

    /// The number of bytes of each region.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first byte of the region of a rank, at the start of a page.
    pub fn region(&self, rank: usize) -> *mut u8 {
        // SAFETY: each region has the header and `bytes` more.
        unsafe { self.regions[rank].as_mut_ptr().add(HEADER) }
    }

    /// Waits until all ranks are here. What a rank has written before, all can read afterwards.
    ///
    /// # Errors
    /// A process is lost.
    pub fn barrier(&self) -> Result<()> {
        let own = self.counter(self.rank).fetch_add(1, Ordering::AcqRel) + 1;
        let (began, mut asked) = (Instant::now(), Instant::now());
        while (0..self.regions.len()).any(|rank| self.counter(rank).load(Ordering::Acquire) < own) {
            if asked.elapsed() > ASKS {
                self.liveness.check()?;
                asked = Instant::now();
            }
            if began.elapsed() < YIELDS { std::thread::yield_now() } else { std::thread::sleep(SLEEP) }
        }
        Ok(())
    }

    fn counter(&self, rank: usize) -> &AtomicU64 {
        // SAFETY: the header begins at a page and holds zeros at first; all processes use it as this atomic number alone.
        unsafe { AtomicU64::from_ptr(self.regions[rank].as_mut_ptr().cast()) }
    }
}

/// Memory without a name.
fn region(bytes: usize) -> Option<File> {
    let made = rustix::fs::memfd_create("verdict", rustix::fs::MemfdFlags::CLOEXEC);
    let file = File::from(made.ok()?);
    file.set_len((HEADER + bytes) as u64).ok()?;
    Some(file)
}

fn open(place: &[u8], bytes: usize) -> Option<MmapRaw> {
    let (process, descriptor) = std::str::from_utf8(place).ok()?.split_once(' ')?;
    let path = format!("/proc/{process}/fd/{descriptor}");
    let file = File::options().read(true).write(true).open(path).ok()?;
    (file.metadata().ok()?.len() == (HEADER + bytes) as u64).then_some(())?;
    MmapRaw::map_raw(&file).ok()
}
