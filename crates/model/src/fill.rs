//! Copying many blocks at once: the weights of a file into fresh memory.
//!
//! A page of fresh memory costs more to get than to fill, so the threads that fill it get it, too.

use std::sync::Mutex;

/// Large enough that taking the next piece costs nothing, small enough that all threads end together.
const PIECE: usize = 4 << 20;

/// A block to read and one of the same length to write.
pub(crate) type Copy<'a> = (&'a [u8], &'a mut [u8]);

/// Copies every block on `threads` threads.
///
/// # Panics
/// If a pair's lengths differ.
pub(crate) fn copy_all(copies: Vec<Copy>, threads: usize) {
    let pieces = copies.into_iter().flat_map(|(from, to)| {
        assert_eq!(from.len(), to.len(), "a block is copied whole");
        from.chunks(PIECE).zip(to.chunks_mut(PIECE))
    });
    let pieces = Mutex::new(pieces);
    let work = || {
        loop {
            // Nothing panics while the lock is held but the assertion above, and then all is over.
            let piece = pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            let Some((from, to)) = piece else { return };
            to.copy_from_slice(from);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_arrives_whatever_the_threads() {
        let from: Vec<Vec<u8>> = [0, 1, 5, PIECE, 2 * PIECE + 3]
            .iter()
            .map(|&length| (0..length).map(|at| (at % 251) as u8).collect())
            .collect();
        for threads in [0, 1, 2, 7] {
            let mut to: Vec<Vec<u8>> = from.iter().map(|block| vec![9; block.len()]).collect();
            let copies = from.iter().zip(&mut to).map(|(from, to)| (from.as_slice(), to.as_mut_slice())).collect();
            copy_all(copies, threads);
            assert!(to == from, "{threads} threads");
        }
    }
}
