//! What the audit found in the data that was scored, where it is prepared data that is still there.

use std::path::Path;

use anyhow::Result;
use data::Split;
use data::audit::{Audit, SplitAudit};
use data::manifest::Prepared;
use report::{Remark, Section, Tone, html};

use super::ReportInput;
use super::kept::is_of;
use super::wording::{count, percent, rows};

/// More classes are left to `audit.json`.
const CLASSES: usize = 20;

pub(super) fn section(input: &ReportInput) -> Result<Section> {
    let found = Prepared::open(Path::new(&input.result.data)).ok().filter(|found| is_of(&found.manifest, input.result));
    let Some(prepared) = found else { return Ok(Section::default()) };
    // An audit of another version costs no report.
    let audit = match prepared.audit() {
        Ok(audit) => audit,
        Err(error) => return Ok(Section::new("Audit of the data", html::caption(&format!("Not shown: {error}")))),
    };
    let splits: Vec<&str> = audit.splits.keys().map(|split| split.name()).collect();
    let columns = [&["Counted"][..], &splits[..]].concat();
    let caption = "Texts are compared by their tokens. `audit.json` of the prepared data has examples and the limits.";
    let content = html::remarks(&exceeded(&audit)) + html::table(&columns, &table(&audit)) + html::caption(caption);
    Ok(Section::new("Audit of the data", content))
}

fn exceeded(audit: &Audit) -> Vec<Remark> {
    if audit.exceeded.is_empty() {
        return vec![Remark { tone: Tone::Good, text: "No limit of the audit is exceeded.".to_owned() }];
    }
    let allowed = if audit.allowed { ", allowed by --allow-leakage" } else { "" };
    let remark = |one: &data::audit::Exceeded| Remark { tone: Tone::Bad, text: format!("{one}{allowed}") };
    audit.exceeded.iter().map(remark).collect()
}

type Count = fn(&SplitAudit) -> usize;

/// A row for each thing that was counted, a column for each split.
fn table(audit: &Audit) -> Vec<(String, Vec<String>)> {
    let row = |name: &str, cell: &dyn Fn(&SplitAudit) -> String| {
        (name.to_owned(), audit.splits.values().map(cell).collect::<Vec<_>>())
    };
    let share = |number: usize, of: usize| match number {
        0 => "–".to_owned(),
        _ => format!("{} ({})", count(number as u64), percent(number as f64 / of.max(1) as f64)),
    };
    let mut table = vec![row("Rows", &|found| count(found.rows as u64))];
    let labels = audit.splits.values().map(|found| &found.labels).max_by_key(|labels| labels.len());
    let names: Vec<&str> = labels.into_iter().flatten().map(|label| label.label.as_str()).collect();
    for (class, name) in names.iter().enumerate().take(CLASSES) {
        table.push(row(&format!("labeled {name}"), &|found| {
            found.labels.get(class).map_or_else(|| "–".to_owned(), |label| share(label.rows, found.rows))
        }));
    }
    if names.len() > CLASSES {
        table.push((format!("and {} more labels", names.len() - CLASSES), vec![String::new(); audit.splits.len()]));
    }
    let counts: [(&str, Count); 5] = [
        ("without a label", |found| found.unlabeled),
        ("repeat an earlier text", |found| found.duplicates),
        ("same text, different label", |found| found.conflicting),
        ("contain a training text", |found| found.containing),
        ("truncated", |found| found.truncated),
    ];
    table.extend(counts.map(|(name, number)| row(name, &|found| share(number(found), found.rows))));
    for other in [Split::Train, Split::Validation] {
        if audit.splits.values().any(|found| found.leaked.contains_key(&other)) {
            table.push(row(&format!("also in {}", other.name()), &|found| {
                found.leaked.get(&other).map_or_else(String::new, |leak| share(leak.same_tokens, found.rows))
            }));
        }
    }
    table.push(row("unknown tokens", &|found| share(found.vocabulary.unknown, found.vocabulary.tokens)));
    table.push(row("tokens a text, median", &|found| count(found.tokens.median as u64)));
    if audit.empty_dropped > 0 {
        let dropped = format!("dropped for want of a text: {}", rows(audit.empty_dropped as u64));
        table.push((dropped, vec![String::new(); audit.splits.len()]));
    }
    table
}
