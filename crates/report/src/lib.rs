//! Results to look at: the confusion matrix and the learning curves as SVG and PNG, and self-contained HTML pages, one of
//! a run and one of a study of many.
//!
//! Plain data in, text or bytes out: this crate knows nothing of training, opens no file and no connection. The fonts
//! are inside the program, so pictures come out the same on a machine that has none.
//!
//! ```
//! use report::{ConfusionPlot, Page};
//!
//! let labels = ["negative".to_owned(), "positive".to_owned()];
//! let counts = [vec![411, 37], vec![25, 1175]];
//! let plot = ConfusionPlot { labels: &labels, counts: &counts, title: "Test split" };
//! let png: Vec<u8> = plot.png()?;
//! let page = Page { title: "Sentiment", confusion: Some(plot), ..Page::default() };
//! assert!(page.html()?.contains("1175"));
//! # Ok::<(), report::ReportError>(())
//! ```

mod canvas;
mod confusion;
mod curves;
mod error;
mod fonts;
mod heading;
mod marks;
mod page;
mod raster;
mod study;
mod theme;
mod ticks;

pub use confusion::ConfusionPlot;
pub use curves::{Curves, EvaluationPoint, StepPoint};
pub use error::{ReportError, Result};
pub use page::{Example, Figure, Page, ScoreRow};
pub use study::{ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial};
