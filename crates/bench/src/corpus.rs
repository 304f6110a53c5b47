//! The corpus: the treebank's sentences as files that both sides read, written once per benchmark.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use data::source::load;
use data::{Dataset, DatasetOptions, Record, SourceChoice};
use serde::Serialize;

/// Trainings evaluate at their end, which isn't measured, so a few rows are enough.
const VALIDATION_ROWS: usize = 32;

#[derive(Debug, PartialEq, Serialize)]
struct TextRow {
    text: String,
    label: Option<u32>,
}

/// The files, and the training sentences.
pub(crate) struct Corpus {
    /// It holds train.csv, validation.csv, test.csv, half.csv (every second row of test.csv) and all.csv.
    pub folder: PathBuf,
    /// The training split.
    train: Vec<Record>,
}

impl Corpus {
    /// Reads the treebank and writes the files.
    pub(crate) fn make(treebank: &Path, folder: &Path) -> Result<Corpus> {
        let treebank =
            load(&"sst5".parse::<Dataset>()?, &SourceChoice::Folder(treebank.to_owned()), &DatasetOptions::default())?;
        disk::create_folder_all(folder)?;
        let write = |name: &str, records: &mut dyn Iterator<Item = &Record>| {
            write_table(
                &folder.join(name),
                records.map(|Record { text, label }| TextRow { text: text.clone(), label: *label }),
            )
        };
        let (train, dev, test) = (treebank.train, treebank.validation, treebank.test);
        write("train.csv", &mut train.iter())?;
        write("validation.csv", &mut dev.iter().take(VALIDATION_ROWS))?;
        write("test.csv", &mut test.iter())?;
        write("half.csv", &mut test.iter().step_by(2))?;
        write("all.csv", &mut train.iter().chain(&dev).chain(&test))?;
        Ok(Corpus { folder: folder.to_owned(), train })
    }

    /// Writes `count` training sentences, one per line, cyclically from the first.
    pub(crate) fn write_texts(&self, path: &Path, count: usize) -> Result<()> {
        let context = || format!("failed to write {}", path.display());
        let mut file = BufWriter::new(File::create(path).with_context(context)?);
        for sentence in self.train.iter().cycle().take(count) {
            writeln!(file, "{}", sentence.text).with_context(context)?;
        }
        file.flush().with_context(context)
    }

    /// Writes a table of `count` synthetic sentences; see [`recombined`].
    pub(crate) fn write_synthetic(&self, path: &Path, count: usize) -> Result<()> {
        write_table(path, (0..count).map(|index| recombined(&self.train, index)))
    }
}

/// The folder with the treebank: `--data`, else the variable VERDICT_SST.
pub(crate) fn treebank(data: Option<&Path>) -> Result<PathBuf> {
    const HINT: &str = "hint: --data DIR or VERDICT_SST names a folder with the treebank's train.txt, dev.txt and \
                        test.txt; docs/data.md says where to get it";
    let variable = || std::env::var_os("VERDICT_SST").map(PathBuf::from);
    let Some(folder) = data.map(Path::to_owned).or_else(variable) else {
        bail!("the benchmark needs the sentences of the Stanford Sentiment Treebank ({HINT})");
    };
    if !folder.join("train.txt").is_file() {
        bail!("{} has no train.txt ({HINT})", folder.display());
    }
    Ok(folder)
}

/// Synthetic sentence number `index`: the first half of one sentence and the second half of another, with the first one's
/// label. No pair is repeated up to the square of their number, and lengths are distributed as in the original.
fn recombined(sentences: &[Record], index: usize) -> TextRow {
    let count = sentences.len();
    let first = &sentences[index % count];
    let second = &sentences[(index % count * 7919 + index / count * 104_729) % count];
    let halves = |sentence: &Record| {
        let words: Vec<String> = sentence.text.split(' ').map(str::to_owned).collect();
        (words[..words.len().div_ceil(2)].join(" "), words[words.len().div_ceil(2)..].join(" "))
    };
    let text = format!("{} {}", halves(first).0, halves(second).1).trim_end().to_owned();
    TextRow { text, label: first.label }
}

fn write_table(path: &Path, rows: impl Iterator<Item = TextRow>) -> Result<()> {
    let context = || format!("failed to write {}", path.display());
    let mut table = csv::Writer::from_path(path).with_context(context)?;
    for row in rows {
        table.serialize(row).with_context(context)?;
    }
    table.flush().with_context(context)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn recombined_sentences_differ_and_stay_the_same() {
        let sentence = |index: u32| Record::labeled(format!("a{index} b{index} c{index}"), index % 5);
        let sentences: Vec<Record> = (0..10).map(sentence).collect();
        assert_eq!(recombined(&sentences, 0).text, "a0 b0 c0");
        assert_eq!(recombined(&sentences, 1).text, "a1 b1 c9");
        assert_eq!(recombined(&sentences, 13), TextRow { text: "a3 b3 c6".into(), label: Some(3) });
        let all: BTreeSet<String> = (0..100).map(|index| recombined(&sentences, index).text).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn files_contain_the_expected_rows() {
        let source = tempfile::tempdir().unwrap();
        for (name, word) in [("train.txt", "-LRB-"), ("dev.txt", "two"), ("test.txt", "\"three\"")] {
            std::fs::write(source.path().join(name), format!("(1 (2 {word}) (2 film))\n\n(4 (3 one))\n")).unwrap();
        }
        let folder = source.path().join("made");
        let corpus = Corpus::make(&treebank(Some(source.path())).unwrap(), &folder).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("train.csv"), "text,label\n( film,1\none,4\n");
        assert_eq!(read("test.csv"), "text,label\n\"\"\"three\"\" film\",1\none,4\n");
        assert_eq!(read("half.csv"), "text,label\n\"\"\"three\"\" film\",1\n");
        assert_eq!(read("all.csv").lines().count(), 7);
        corpus.write_texts(&folder.join("texts.txt"), 3).unwrap();
        assert_eq!(read("texts.txt"), "( film\none\n( film\n");
        corpus.write_synthetic(&folder.join("more.csv"), 4).unwrap();
        assert_eq!(read("more.csv").lines().count(), 5);
        let error = treebank(Some(&folder)).unwrap_err().to_string();
        assert!(error.contains("--data DIR"), "{error}");
    }
}
