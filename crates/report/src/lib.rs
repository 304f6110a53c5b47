//! Results to look at: pictures as SVG and PNG (confusion matrix, reliability diagram, curves, shares with their intervals), and
//! self-contained HTML pages, of a run, of several beside each other and of a study.
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

mod attributed;
mod canvas;
mod confusion;
mod curves;
mod error;
mod fonts;
mod frame;
mod heading;
pub mod html;
mod interval_plot;
mod line_plot;
mod marks;
mod page;
mod picture;
mod plot_interval;
mod reliability;
mod study;
mod theme;
mod ticks;

pub use attributed::{AttributedText, AttributedWord, attributed_text, attributed_texts, attribution_legend};
pub use confusion::ConfusionPlot;
pub use curves::{Curves, EvaluationPoint, StepPoint};
pub use error::{ReportError, Result};
pub use html::{Example, HeadlineNumber, Html, Misread, Remark, ScoreRow, Tone};
pub use interval_plot::{IntervalPlot, IntervalRow};
pub use line_plot::{LinePlot, PlotAxis, PlotLine};
pub use page::{Page, Section};
pub use picture::Picture;
pub use plot_interval::PlotInterval;
pub use reliability::{ConfidenceBin, ReliabilityLine, ReliabilityPlot};
pub use study::{ParamSetting, StudyOutcome, StudyPage, StudyParameter, StudyScale, StudyTrial};
