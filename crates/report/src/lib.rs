//! Results to look at: the confusion matrix and the training curves as SVG and PNG, and self-contained HTML pages, one of
//! a run and one of a study of many.
//!
//! Plain data in, text or bytes out: this crate knows nothing of training, opens no file and no connection. The fonts
//! are inside the program, so pictures come out the same on a machine that has none.
//!
//! A page is a list of sections. What a section shows is put together from the building blocks in [`html`]:
//!
//! ```
//! use report::{ConfusionPlot, Page, Section, html};
//!
//! let labels = ["negative".to_owned(), "positive".to_owned()];
//! let counts = [vec![411, 37], vec![25, 1175]];
//! let picture = ConfusionPlot { labels: &labels, counts: &counts, title: "Test split" }.draw()?;
//! let png: Vec<u8> = picture.png()?;
//! let section = Section::new("Confusion matrix", html::figure(&picture));
//! let page = Page { title: "Sentiment", sections: vec![section], ..Page::default() };
//! assert!(page.html().contains("1175"));
//! # Ok::<(), report::ReportError>(())
//! ```

mod canvas;
mod confusion;
mod curves;
mod error;
mod fonts;
mod heading;
pub mod html;
mod marks;
mod page;
mod picture;
mod study;
mod theme;
mod ticks;

pub use confusion::ConfusionPlot;
pub use curves::{Curves, EvaluationPoint, StepPoint};
pub use error::{ReportError, Result};
pub use html::{Example, HeadlineNumber, Html, ScoreRow};
pub use page::{Page, Section};
pub use picture::Picture;
pub use study::{ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial};
