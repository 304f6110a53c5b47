//! Predictions line by line, for files and pipes of any length.

use std::io::{BufRead, ErrorKind, Write};

use crate::predictor::{PredictError, Prediction, Predictor};

/// Lines that are labeled together: enough to group them by length, few enough for bounded memory.
pub const CHUNK: usize = 1024;

/// Reads texts, one a line, and passes each with its prediction to `write`, in order. Returns their number.
///
/// `name` says in messages where the texts come from. Empty lines are texts too, so every line has its prediction.
///
/// # Errors
/// A line that isn't UTF-8, named by its number; the errors of [`Predictor::predict`] and `write`.
pub fn stream<W: Write>(
    predictor: &Predictor,
    name: &str,
    texts: impl BufRead,
    out: &mut W,
    write: impl Fn(&mut W, &str, &Prediction) -> std::io::Result<()>,
) -> Result<u64, PredictError> {
    let mut lines = texts.lines();
    let mut count = 0u64;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        for line in lines.by_ref().take(CHUNK) {
            let what = || format!("{name}, line {}", count + chunk.len() as u64 + 1);
            chunk.push(line.map_err(|source| match source.kind() {
                ErrorKind::InvalidData => PredictError::NotText { what: what() },
                _ => PredictError::Io { what: what(), source },
            })?);
        }
        if chunk.is_empty() {
            return Ok(count);
        }
        let texts: Vec<&str> = chunk.iter().map(String::as_str).collect();
        for (text, prediction) in texts.iter().zip(predictor.predict(&texts)?) {
            let what = || format!("writing the prediction for {name}, line {}", count + 1);
            write(out, text, &prediction).map_err(|source| PredictError::Io { what: what(), source })?;
            count += 1;
        }
        let flushed = out.flush();
        flushed.map_err(|source| PredictError::Io { what: "writing predictions".to_owned(), source })?;
    }
}
