//! Predictions for any number of rows, in order and in bounded memory: rows are read while others are predicted.

use crate::predictor::{PredictError, Prediction};
use crate::read_ahead::{ChunkPolicy, ReadAhead};

/// A row of an input.
pub trait RowWithText: Send + 'static {
    /// `None` if there is nothing to predict, because the text is missing or blank.
    fn text(&self) -> Option<&str>;

    /// About how many bytes the row takes in memory.
    fn size(&self) -> usize;
}

/// Reads rows, and passes them to `write` in chunks, in order, each row with its prediction if it has a text. `predict` labels
/// the texts of a chunk, in order: [`Predictor::predict`](crate::Predictor::predict), or something around it.
///
/// Rows that were read before an error are written before it is returned.
///
/// # Errors
/// The first error of `rows`, `predict` or `write`.
pub fn stream<R: RowWithText, E: Send + 'static, F: From<E> + From<PredictError>>(
    predict: impl Fn(&[&str]) -> Result<Vec<Prediction>, F>,
    rows: impl Iterator<Item = Result<R, E>> + Send + 'static,
    policy: ChunkPolicy,
    mut write: impl FnMut(Vec<(R, Option<Prediction>)>) -> Result<(), F>,
) -> Result<(), F> {
    let size = |row: &Result<R, E>| row.as_ref().map_or(0, R::size);
    let mut reader = ReadAhead::start(rows, size, policy)
        .map_err(|source| PredictError::Io { what: "failed to start a thread".to_owned(), source })?;
    loop {
        let read = reader.next_chunk();
        if read.is_empty() {
            return Ok(());
        }
        let (mut chunk, mut failed) = (Vec::with_capacity(read.len()), None);
        for row in read {
            match row {
                Ok(row) => chunk.push(row),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let predictions = predict_chunk(&predict, &chunk)?;
        if !chunk.is_empty() {
            write(chunk.into_iter().zip(predictions).collect())?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
}

fn predict_chunk<R: RowWithText, F>(
    predict: impl Fn(&[&str]) -> Result<Vec<Prediction>, F>,
    rows: &[R],
) -> Result<Vec<Option<Prediction>>, F> {
    let texts: Vec<&str> = rows.iter().filter_map(R::text).collect();
    let mut predictions = predict(&texts)?.into_iter();
    Ok(rows.iter().map(|row| row.text().and_then(|_| predictions.next())).collect())
}
