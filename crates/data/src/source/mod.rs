//! The places a data set can come from, and the order in which they are tried.

use crate::dataset::{Dataset, LoadOptions, Loaded, SourceChoice};
use crate::error::DataError;

pub(crate) fn load(_dataset: &Dataset, _source: &SourceChoice, _options: &LoadOptions) -> Result<Loaded, DataError> {
    Err(DataError::Request("not readable yet".into()))
}
