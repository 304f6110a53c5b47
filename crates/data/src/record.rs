//! One labelled text, the unit that every reader yields.

/// A text and its label, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The text as it will be tokenized.
    pub text: String,
    /// Index into the data set's label names; `None` where the source gives no label.
    pub label: Option<u32>,
}

impl Record {
    /// A record with a label.
    pub fn labelled(text: impl Into<String>, label: u32) -> Self {
        Self { text: text.into(), label: Some(label) }
    }
}
