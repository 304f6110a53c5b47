//! Why something can't be drawn.

/// This crate's result.
pub type Result<T> = std::result::Result<T, ReportError>;

/// Why a picture or a page can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A confusion matrix without classes.
    #[error("a confusion matrix without classes can't be drawn (hint: pass one label and one row for each class)")]
    NoClasses,
    /// Counts that aren't a square of the labels' size.
    #[error("row {row} of the confusion matrix has {found} counts, expected {classes}, one for each label")]
    Shape {
        /// The offending row, from 0.
        row: usize,
        /// How many counts it has; 0 where the whole row is missing.
        found: usize,
        /// How many labels there are.
        classes: usize,
    },
    /// Curves of nothing.
    #[error("no step and no evaluation to draw curves of (hint: at least one step of finite loss is needed)")]
    NoPoints,
    /// The plotting library failed.
    #[error("drawing failed")]
    Draw(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The drawing couldn't be read back to rasterize it.
    #[error("the drawing is not valid SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture is too large to hold, or has no size.
    #[error("a picture of {width} x {height} pixels can't be held in memory")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The PNG couldn't be encoded.
    #[error("encoding the PNG failed")]
    Png(#[source] Box<dyn std::error::Error + Send + Sync>),
}
