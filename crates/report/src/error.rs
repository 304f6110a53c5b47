//! Errors of this crate.

pub type Result<T> = std::result::Result<T, ReportError>;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(
        "expected at least one class in the confusion matrix, found none (hint: pass one label and one row for each class)"
    )]
    NoClasses,
    #[error("expected {classes} counts in row {row} of the confusion matrix, one for each label, found {found}")]
    Shape { row: usize, found: usize, classes: usize },
    #[error(
        "there are no training curves without a step or an evaluation (hint: the loss of at least one step must be finite)"
    )]
    NoPoints,
    #[error("there is nothing to draw: no {what} with finite numbers (hint: leave the picture out)")]
    NothingToDraw { what: &'static str },
    #[error("drawing failed")]
    Draw(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The drawing could not be parsed in order to rasterize it.
    #[error("the drawing is not valid SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture is too large to hold, or has no size.
    #[error("a picture of {width} x {height} pixels does not fit into memory")]
    Size { width: u32, height: u32 },
    #[error("encoding the PNG failed")]
    Png(#[source] Box<dyn std::error::Error + Send + Sync>),
}
