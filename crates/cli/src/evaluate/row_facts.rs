//! What is known of each row of an evaluation besides its label: the facts by which its rows are sliced.

use anyhow::Result;
use judge::RowFacts;
use tokenize::Tokenizer;

use super::scored_data::ScoredData;

/// Texts that are tokenized at a time.
const TEXTS_PER_CHUNK: usize = 4096;

/// The facts of all rows, in their order.
///
/// # Errors
/// A row that was damaged since it was prepared.
pub(super) fn row_facts<'a>(scored: &'a ScoredData, tokenizer: &Tokenizer) -> Result<Vec<RowFacts<'a>>> {
    let examples = &scored.examples;
    let most = scored.about.max_length.unwrap_or(usize::MAX);
    let unknown = tokenizer.unknown_id();
    let mut facts = Vec::with_capacity(examples.len());
    for row in 0..examples.len() {
        let ids = examples.input_ids(row)?;
        facts.push(RowFacts {
            text: examples.text(row)?,
            tokens: ids.len(),
            unknown_tokens: ids.iter().filter(|id| **id == unknown).count(),
            truncated: false,
            columns: scored.slice_values.get(row).cloned().unwrap_or_default(),
        });
    }
    // Of the rows that have as many tokens as a text may have, some end there by themselves: tokenizing them again tells.
    let full: Vec<usize> = (0..facts.len()).filter(|row| facts[*row].tokens >= most).collect();
    for rows in full.chunks(TEXTS_PER_CHUNK) {
        let texts: Vec<&str> = rows.iter().map(|row| facts[*row].text).collect();
        for (row, encoded) in rows.iter().zip(tokenizer.encode_batch(&texts)?) {
            facts[*row].truncated = encoded.untruncated_len > facts[*row].tokens;
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use data::store::{Examples, Writer};

    use super::*;
    use crate::run_report::Provenance;

    #[test]
    fn a_text_that_just_fits_is_not_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nfilm\n").unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path(), 5).unwrap();
        let arrow = folder.path().join("rows.arrow");
        let mut writer = Writer::create(&arrow).unwrap();
        for text in ["good film", "good good film", "good good qqq zzz", "qqq"] {
            writer.push(text, Some(0), &tokenizer.encode(text).unwrap().ids).unwrap();
        }
        writer.finish().unwrap();
        let about = Provenance {
            dataset: String::new(),
            variant: String::new(),
            source: String::new(),
            license: None,
            model: String::new(),
            model_origin: None,
            max_length: Some(5),
        };
        let scored = ScoredData {
            examples: Examples::open(&arrow).unwrap(),
            split: "test".to_owned(),
            data: String::new(),
            about,
            slice_columns: vec!["shop".to_owned()],
            slice_values: ["A", "B", "", "A"].map(|shop| vec![shop.to_owned()]).to_vec(),
            notes: Vec::new(),
            _temporary: None,
        };
        let facts = row_facts(&scored, &tokenizer).unwrap();
        let found: Vec<_> = facts.iter().map(|facts| (facts.tokens, facts.unknown_tokens, facts.truncated)).collect();
        assert_eq!(found, [(4, 0, false), (5, 0, false), (5, 1, true), (3, 1, false)]);
        assert_eq!((facts[1].text, facts[1].columns.as_slice()), ("good good film", ["B".to_owned()].as_slice()));
    }
}
