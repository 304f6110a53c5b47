//! Whether the other processes live.
//!
//! Each process has a thread that writes a heartbeat to the store every second and reads those of the others. A process is
//! lost if its heartbeat stands still for [`SILENCE`], or if it says itself that it has failed. How long a collective
//! takes says nothing: a rank may be saving a large checkpoint.
//!
//! While the process that holds the store stands still, so does the thread, because the store's client waits without
//! limit. So [`Liveness::check`] also looks at the thread's own last round.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use torch_ext::{TcpStore, TorchExtError};

use crate::card::ProcessCard;
use crate::error::{CollectiveError, LossReason, LostProcess, Result};

/// How often a process that waits for a collective asks whether the others live.
pub(crate) const ASKS: Duration = Duration::from_millis(100);

/// Between two heartbeats.
const INTERVAL: Duration = Duration::from_secs(1);

/// A process of which nothing is heard for so long is lost.
const SILENCE: Duration = Duration::from_secs(9);

/// The same when the connection to some process has broken: then one of them is gone, and it is only asked which.
const SILENCE_AFTER_BREAK: Duration = Duration::from_millis(3500);

/// What the store holds of each process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    number: u64,
    state: BeatState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum BeatState {
    Works,
    /// It has done its part.
    Ended,
    /// It ends with this error.
    Failed(String),
    /// It ends because another process is lost.
    Lost(usize),
}

/// What this process knows of another one.
#[derive(Debug, Clone)]
struct LastBeat {
    beat: Beat,
    /// When the number last changed.
    changed: Instant,
}

#[derive(Debug)]
struct Shared {
    /// This process's own.
    own: Beat,
    /// Of each rank.
    seen: Vec<LastBeat>,
    /// When the thread last finished a round.
    round: Instant,
    /// The store can't be reached.
    store_gone: bool,
    stops: bool,
}

/// The heartbeats of all processes.
#[derive(Debug)]
pub(crate) struct Liveness {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    cards: Vec<ProcessCard>,
    rank: usize,
    /// The rank that holds the store; `None` if the launcher does.
    store_holder: Option<usize>,
    /// The process whose loss was seen.
    noted: Mutex<Option<LostProcess>>,
}

fn key(rank: usize) -> String {
    format!("heartbeat/{rank}")
}

fn lock(mutex: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Liveness {
    /// Writes this process's first heartbeat. Every process does so before any reads those of others.
    pub(crate) fn first_beat(store: &TcpStore, rank: usize) -> Result<(), TorchExtError> {
        write(store, rank, &Beat { number: 0, state: BeatState::Works })
    }

    /// Starts the thread, on a connection of its own.
    pub(crate) fn start(
        store: TcpStore,
        rank: usize,
        cards: Vec<ProcessCard>,
        store_holder: Option<usize>,
    ) -> std::io::Result<Self> {
        let now = Instant::now();
        let works = Beat { number: 0, state: BeatState::Works };
        let seen = vec![LastBeat { beat: works.clone(), changed: now }; cards.len()];
        let shared = Shared { own: works, seen, round: now, store_gone: false, stops: false };
        let shared = Arc::new((Mutex::new(shared), Condvar::new()));
        let of_thread = Arc::clone(&shared);
        let keys: Vec<String> = (0..cards.len()).map(key).collect();
        std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || beat(&store, rank, &keys, &of_thread))?;
        Ok(Self { shared, cards, rank, store_holder, noted: Mutex::new(None) })
    }

    /// An error if another process is lost. Once one was seen to be, it stays lost.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(lost) = self.noted() {
            return Err(CollectiveError::Lost(lost));
        }
        self.lost_after(SILENCE).map_or(Ok(()), |lost| Err(self.note(lost)))
    }

    /// The process whose loss was seen.
    pub(crate) fn noted(&self) -> Option<LostProcess> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, lost: LostProcess) -> CollectiveError {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(lost.clone());
        CollectiveError::Lost(lost)
    }

    /// The connection to some process has broken: the error that says to which, as soon as that is known.
    pub(crate) fn broken(&self, error: TorchExtError) -> CollectiveError {
        let broken = Instant::now();
        while broken.elapsed() < SILENCE + 2 * INTERVAL {
            if let Some(lost) = self.lost_after(SILENCE_AFTER_BREAK) {
                return self.note(lost);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        CollectiveError::Connection(error)
    }

    fn lost_after(&self, silence: Duration) -> Option<LostProcess> {
        let shared = lock(&self.shared.0);
        let loss = |rank: usize, reason: LossReason| LostProcess { rank, process: self.cards[rank].describe(), reason };
        let others = || shared.seen.iter().enumerate().filter(|(rank, _)| *rank != self.rank);
        // What a process says of itself comes first, then what others say of it, and last what follows from its silence.
        for (rank, seen) in others() {
            if let BeatState::Failed(message) = &seen.beat.state {
                return Some(loss(rank, LossReason::Failed(message.clone())));
            }
        }
        for (rank, seen) in others() {
            match &seen.beat.state {
                BeatState::Lost(other) if *other == self.rank => return Some(loss(rank, LossReason::GivenUp)),
                BeatState::Lost(other) => {
                    return Some(loss(*other, LossReason::Silent { seconds: silence.as_secs() }));
                }
                BeatState::Ended if seen.changed.elapsed() > silence => return Some(loss(rank, LossReason::Ended)),
                _ => {}
            }
        }
        let store_silent = shared.store_gone || shared.round.elapsed() > silence;
        if store_silent {
            return match self.store_holder {
                // Its own store, on its own thread: it comes back.
                Some(holder) if holder == self.rank => None,
                Some(holder) => Some(loss(holder, LossReason::StoreGone)),
                None => {
                    let process = "the launcher of these processes".to_owned();
                    Some(LostProcess { rank: self.rank, process, reason: LossReason::StoreGone })
                }
            };
        }
        let silent = others().filter(|(_, seen)| seen.beat.state == BeatState::Works);
        let silent = silent.filter(|(_, seen)| seen.changed.elapsed() > silence);
        // The one that is silent for the longest time: others may only wait for it.
        let (rank, seen) = silent.min_by_key(|(_, seen)| seen.changed)?;
        Some(loss(rank, LossReason::Silent { seconds: seen.changed.elapsed().as_secs() }))
    }

    /// Says that this process ends: well, with its error, or because another process is lost. Waits until the store has it,
    /// and if this process holds the store until the others have ended, too, or are lost. A second call does nothing.
    pub(crate) fn leave(&self, failure: Option<&str>) {
        let lost = self.noted().map(|lost| lost.rank);
        if lock(&self.shared.0).stops {
            return;
        }
        let state = match (failure, lost) {
            (_, Some(rank)) => BeatState::Lost(rank),
            (Some(message), None) => BeatState::Failed(message.to_owned()),
            (None, None) => BeatState::Ended,
        };
        let began = Instant::now();
        let number = {
            let mut shared = lock(&self.shared.0);
            shared.own = Beat { number: shared.own.number + 1, state };
            shared.own.number
        };
        self.shared.1.notify_all();
        // The thread shows what it has written as what it has seen of this process.
        let all_know = |shared: &Shared| {
            let written = shared.seen[self.rank].beat.number >= number;
            let waits_for = |(rank, seen): (usize, &LastBeat)| {
                let ended = seen.beat.state != BeatState::Works || seen.changed.elapsed() > SILENCE;
                rank != self.rank && Some(rank) != lost && !ended
            };
            let holds_store = self.store_holder == Some(self.rank);
            written && !(holds_store && shared.seen.iter().enumerate().any(waits_for))
        };
        while began.elapsed() < SILENCE + INTERVAL {
            let shared = lock(&self.shared.0);
            let gone = shared.store_gone || shared.round.elapsed() > SILENCE;
            if gone || all_know(&shared) {
                break;
            }
            drop(shared);
            std::thread::sleep(Duration::from_millis(20));
        }
        lock(&self.shared.0).stops = true;
        self.shared.1.notify_all();
    }
}

/// The thread: writes, reads, waits.
fn beat(store: &TcpStore, rank: usize, keys: &[String], (shared, wakes): &(Mutex<Shared>, Condvar)) {
    loop {
        let own = {
            let mut shared = lock(shared);
            if shared.stops {
                return;
            }
            shared.own.number += 1;
            shared.own.clone()
        };
        let beats = write(store, rank, &own).and_then(|()| store.get(keys));
        let mut locked = lock(shared);
        match beats {
            Ok(beats) => note(&mut locked, &beats),
            Err(error) => {
                tracing::debug!("the store is gone: {error}");
                locked.store_gone = true;
                return;
            }
        }
        let until = Instant::now() + INTERVAL;
        // A farewell wakes the thread; it is written at once.
        while own.state == locked.own.state && !locked.stops && Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            locked = wakes.wait_timeout(locked, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn write(store: &TcpStore, rank: usize, beat: &Beat) -> Result<(), TorchExtError> {
    let bytes = serde_json::to_vec(beat).map_err(|error| TorchExtError(error.to_string()))?;
    store.set(&key(rank), &bytes)
}

fn note(shared: &mut Shared, beats: &[Vec<u8>]) {
    let now = Instant::now();
    // If this process itself stood still, that the others' numbers are old means nothing.
    let stood_still = shared.round.elapsed() > 3 * INTERVAL;
    shared.round = now;
    for (seen, bytes) in shared.seen.iter_mut().zip(beats) {
        let Ok(beat) = serde_json::from_slice::<Beat>(bytes) else { continue };
        if beat != seen.beat || stood_still {
            *seen = LastBeat { beat, changed: now };
        }
    }
}
