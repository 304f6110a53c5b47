//! Why something can't be drawn.

pub type Result<T> = std::result::Result<T, ReportError>;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("a confusion matrix without classes can't be drawn (hint: pass one label and one row for each class)")]
    NoClasses,
    #[error("row {row} of the confusion matrix has {found} counts, expected {classes}, one for each label")]
    Shape { row: usize, found: usize, classes: usize },
    #[error("no step and no evaluation to draw curves of (hint: at least one step of finite loss is needed)")]
    NoPoints,
    #[error("drawing failed")]
    Draw(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The drawing couldn't be read back to rasterize it.
    #[error("the drawing is not valid SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture is too large to hold, or has no size.
    #[error("a picture of {width} x {height} pixels can't be held in memory")]
    Size { width: u32, height: u32 },
    #[error("encoding the PNG failed")]
    Png(#[source] Box<dyn std::error::Error + Send + Sync>),
}
