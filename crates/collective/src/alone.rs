//! A single process.

use tch::Tensor;

use crate::Collective;
use crate::connected::PendingSum;
use crate::error::Result;

/// A process without others: every sum is its own tensor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn local_world(&self) -> usize {
        1
    }

    fn describe(&self, _: usize) -> String {
        "this process".to_owned()
    }

    fn start_sum(&self, _: &Tensor) -> Result<PendingSum<'_>> {
        Ok(PendingSum::done())
    }

    fn broadcast(&self, _: &Tensor) -> Result<()> {
        Ok(())
    }

    fn leave(&self, _: Option<&str>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_process_is_its_own_sum() {
        let alone = Alone;
        let tensor = Tensor::from_slice(&[1.0f32, 2.0]);
        alone.sum(&tensor).unwrap();
        assert_eq!(Vec::<f32>::try_from(tensor).unwrap(), [1.0, 2.0]);
        assert_eq!(alone.gather(b"text").unwrap(), [b"text"]);
        assert_eq!(alone.broadcast_message(b"").unwrap(), b"");
        assert_eq!(alone.sum_numbers(&[3.5]).unwrap(), [3.5]);
        assert_eq!(alone.complete_rows(vec![Some(vec![-0.0]), Some(vec![2.0])], 1).unwrap(), [[-0.0], [2.0]]);
        let error = alone.complete_rows(vec![Some(vec![1.0]), None], 1).unwrap_err().to_string();
        assert!(
            error.starts_with("of 2 rows that were dealt out, 1 were given by no process and 0 by several"),
            "{error}"
        );
        alone.agree("anything", "x").unwrap();
        alone.barrier().unwrap();
    }
}
