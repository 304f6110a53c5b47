//! Limits for what an audit finds.

use clap::Args;
use serde::{Deserialize, Serialize};
use table::quoted;

use super::{Audit, MIN_WORDS, PlacedText, SplitAudit, VocabularyAudit, percent, rounded, share};
use crate::error::DataError;
use crate::record::Split;

pub(crate) const UNKNOWN: &str = "--max-unknown";
pub(crate) const UNKNOWN_ROWS: &str = "--max-unknown-rows";

/// Limits as shares from 0 to 1; 1 accepts everything.
#[derive(Debug, Clone, Copy, PartialEq, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits of the audit")]
#[serde(deny_unknown_fields)]
pub struct AuditLimits {
    /// Most of a split's rows that may be rows of another split too (validation in train; test in train or validation)
    // The treebank's own share is 0.2 %.
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_leaked, value_parser = parse_fraction)]
    pub max_leaked: f64,
    /// Most of the validation or test rows that may contain a whole training text of five words or more
    // With --phrases the treebank's own share is 3 %.
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_containing, value_parser = parse_fraction)]
    pub max_containing: f64,
    /// Most of a split's rows that may have the same text as a row with a different label
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_conflicting, value_parser = parse_fraction)]
    pub max_conflicting: f64,
    /// Most of a split's rows that may repeat the text of an earlier one; 1 accepts all
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_duplicates, value_parser = parse_fraction)]
    pub max_duplicates: f64,
    /// Most of a split's rows that may be cut to --max-length; 1 accepts all
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_truncated, value_parser = parse_fraction)]
    pub max_truncated: f64,
    /// Most of a split's tokens that may be unknown to the model's vocabulary
    // Of the treebank's none is; a third of the tokens of Chinese texts is for an English model.
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_unknown, value_parser = parse_fraction)]
    pub max_unknown: f64,
    /// Most of a split's rows that may have no token that the model's vocabulary knows
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_unknown_rows, value_parser = parse_fraction)]
    pub max_unknown_rows: f64,
    /// Most of the training rows that one class may have: 0.9 refuses more than nine of ten in one class; 1 accepts all
    #[arg(long, value_name = "SHARE", default_value_t = Self::default().max_imbalance, value_parser = parse_fraction)]
    pub max_imbalance: f64,
}

impl Default for AuditLimits {
    /// Limits that ordinary data sets stay below. Repeats, truncation and imbalance are ordinary, so they have none.
    fn default() -> Self {
        Self {
            max_leaked: 0.05,
            max_containing: 0.2,
            max_conflicting: 0.05,
            max_duplicates: 1.0,
            max_truncated: 1.0,
            max_unknown: 0.2,
            max_unknown_rows: 0.05,
            max_imbalance: 1.0,
        }
    }
}

/// What a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Rows,
    Tokens,
}

/// A finding in more rows or tokens than its limit accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceeded {
    pub split: Split,
    /// The split whose rows they are too, where that is what was found.
    pub also_in: Option<Split>,
    pub flag: String,
    pub what: String,
    /// What is counted.
    pub unit: Unit,
    #[serde(rename = "rows")]
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// `count` over `of`.
    pub share: f64,
    pub limit: f64,
    pub example: Option<String>,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { split, what, count, of, .. } = self;
        let unit = match self.unit {
            Unit::Rows => "rows",
            Unit::Tokens => "tokens",
        };
        write!(f, "{}: {count} of {of} {unit} ({}) {what}", split.name(), percent(share(*count, *of)))?;
        if let Some(example) = &self.example {
            write!(f, ", such as {example}")?;
        }
        write!(f, "; up to {} is accepted ({} {})", percent(self.limit), self.flag, self.limit)
    }
}

impl AuditLimits {
    /// What `audit` found above a limit, in the order of the splits.
    pub(super) fn exceeded(&self, audit: &Audit) -> Vec<Exceeded> {
        let mut all = Vec::new();
        for (&split, found) in &audit.splits {
            all.extend(self.unknown_tokens(split, &found.vocabulary));
            let mut check = |also_in, flag: &str, limit: f64, rows: usize, what: String, example: Option<String>| {
                let share = share(rows, found.rows);
                if share > limit {
                    let (flag, of, share, unit) = (flag.to_owned(), found.rows, rounded(share), Unit::Rows);
                    all.push(Exceeded { split, also_in, flag, what, unit, count: rows, of, share, limit, example });
                }
            };
            let vocabulary = &found.vocabulary;
            let what = "have no token that the model's vocabulary knows".into();
            let example = vocabulary.only_unknown_examples.first().map(quoted_place);
            check(None, UNKNOWN_ROWS, self.max_unknown_rows, vocabulary.only_unknown, what, example);
            for (&other, leak) in &found.leaked {
                let what = match other {
                    Split::Train => "are training rows too, so the score would be too high".to_owned(),
                    other => format!("are {} rows too, so the score would be too high", other.name()),
                };
                let example = leak.examples.first();
                let example = example.map(|shared_text| {
                    format!("{} ({}, {})", quoted(&shared_text.text), shared_text.here, shared_text.there)
                });
                check(Some(other), "--max-leaked", self.max_leaked, leak.same_tokens, what, example);
            }
            let what =
                format!("contain a whole training text of {MIN_WORDS} words or more, so the score would be too high");
            let example = found.containing_example.as_ref();
            let example = example.map(|example| format!("{} ({})", quoted(&example.training_text), example.place));
            check(None, "--max-containing", self.max_containing, found.containing, what, example);
            let what = "have the same text as a row with a different label".into();
            check(None, "--max-conflicting", self.max_conflicting, found.conflicting, what, conflict(found));
            let what = "repeat an earlier row".into();
            check(None, "--max-duplicates", self.max_duplicates, found.duplicates, what, None);
            let what = format!("are truncated to {} tokens", audit.max_length);
            check(None, "--max-truncated", self.max_truncated, found.truncated, what, None);
            if split == Split::Train
                && let Some(most) = found.labels.iter().max_by_key(|label| label.rows)
            {
                let what = format!("are of one class, {}", quoted(&most.label));
                check(None, "--max-imbalance", self.max_imbalance, most.rows, what, None);
            }
        }
        all
    }

    /// The tokens that nothing is known of, if they are too many.
    fn unknown_tokens(&self, split: Split, found: &VocabularyAudit) -> Option<Exceeded> {
        let share = share(found.unknown, found.tokens);
        (share > self.max_unknown).then(|| Exceeded {
            split,
            also_in: None,
            flag: UNKNOWN.into(),
            what: "are unknown to the model's vocabulary".into(),
            unit: Unit::Tokens,
            count: found.unknown,
            of: found.tokens,
            share: rounded(share),
            limit: self.max_unknown,
            example: found.unknown_example.as_ref().map(quoted_place),
        })
    }
}

fn quoted_place(example: &PlacedText) -> String {
    format!("{} ({})", quoted(&example.text), example.place)
}

fn conflict(found: &SplitAudit) -> Option<String> {
    let conflict = found.conflicts.first()?;
    let first = conflict.rows.first()?;
    let other = conflict.rows.iter().find(|row| row.label != first.label).unwrap_or(first);
    Some(format!("{} ({}, {})", quoted(&conflict.text), first.place, other.place))
}

impl Audit {
    /// Refuses a data set with anything above its limit, unless that was allowed.
    pub fn check(&self) -> Result<(), DataError> {
        let unknown = |one: &Exceeded| one.flag == UNKNOWN || one.flag == UNKNOWN_ROWS;
        let fix = match self.exceeded.iter().any(unknown) {
            true => "fix the data, choose a --model that was made for such texts",
            false => "fix the data",
        };
        let advice = format!("(hint: {fix}, raise the limit, or --allow-leakage to continue anyway)");
        match self.exceeded.as_slice() {
            [] => Ok(()),
            _ if self.allowed => Ok(()),
            [one] => Err(DataError::Request(format!("{one} {advice}"))),
            many => {
                let lines: String = many.iter().map(|one| format!("\n  {one}")).collect();
                Err(DataError::Request(format!("{} limits of the audit are exceeded:{lines}\n{advice}", many.len())))
            }
        }
    }
}

/// A share on the command line.
fn parse_fraction(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a fraction between 0 and 1 (hint: 5 % is 0.05)".into())
}
