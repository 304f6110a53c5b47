//! What both sides work on: the treebank's sentences as files that both read, made once a benchmark.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Trainings evaluate at their end, which isn't measured here, so a few rows will do.
const VALIDATION_ROWS: usize = 32;

/// A text and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    pub text: String,
    pub label: u8,
}

/// The files, and the sentences that more is made of.
#[derive(Debug)]
pub struct Material {
    /// Has train.csv, validation.csv, test.csv and all.csv.
    pub folder: PathBuf,
    /// Those of the training split.
    pub train: Vec<Sentence>,
    /// How many rows all.csv and test.csv have.
    pub rows: [usize; 2],
}

impl Material {
    /// Reads the treebank and writes the files.
    ///
    /// # Errors
    /// A treebank that isn't there or isn't one.
    pub fn make(treebank: &Path, folder: &Path) -> Result<Material> {
        let read = |name: &str| sentences(&treebank.join(name));
        let (train, dev, test) = (read("train.txt")?, read("dev.txt")?, read("test.txt")?);
        std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
        let write = |name: &str, rows: &mut dyn Iterator<Item = &Sentence>| write_csv(&folder.join(name), rows);
        write("train.csv", &mut train.iter())?;
        write("validation.csv", &mut dev.iter().take(VALIDATION_ROWS))?;
        write("test.csv", &mut test.iter())?;
        write("all.csv", &mut train.iter().chain(&dev).chain(&test))?;
        let rows = [train.len() + dev.len() + test.len(), test.len()];
        Ok(Material { folder: folder.to_owned(), train, rows })
    }

    /// Writes `count` training sentences, again and again from the first, one a line.
    pub fn write_texts(&self, path: &Path, count: usize) -> Result<()> {
        write_lines(path, self.train.iter().cycle().take(count).map(|sentence| format!("{}\n", sentence.text)))
    }

    /// Writes a table of `count` sentences that nobody wrote; see [`recombined`].
    pub fn write_synthetic(&self, path: &Path, count: usize) -> Result<()> {
        let header = std::iter::once("text,label\n".to_owned());
        write_lines(path, header.chain((0..count).map(|index| row(&recombined(&self.train, index)))))
    }
}

/// The folder with the treebank: the one asked for, else the customary places.
pub fn treebank(asked: Option<&Path>) -> Result<PathBuf> {
    let folder = match (asked, std::env::var_os("VERDICT_SST")) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(folder)) => folder.into(),
        (None, None) => "../shared/data/sst".into(),
    };
    if !folder.join("train.txt").is_file() {
        bail!(
            "{} has no train.txt of the treebank, and the benchmark works on its sentences (hint: --data DIR or \
             VERDICT_SST; docs/data.md says where to get it)",
            folder.display()
        );
    }
    Ok(folder)
}

/// The sentences of a file of bracketed trees, with their roots' labels.
fn sentences(path: &Path) -> Result<Vec<Sentence>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let sentence = |(at, line): (usize, &str)| {
        parse(line).with_context(|| format!("{} line {}: not a tree of the treebank", path.display(), at + 1))
    };
    lines.map(sentence).collect()
}

/// Words and root label of `(3 (2 It) (4 works))`, without the Penn Treebank's escapes. The product's own reader is the
/// strict one; this one reads the same of a file that that one accepts.
fn parse(line: &str) -> Option<Sentence> {
    let label = line.trim().strip_prefix('(')?.chars().next()?.to_digit(10).filter(|label| *label < 5)?;
    let words =
        line.split('(').filter_map(|node| node.get(2..)?.split(')').next()).filter(|word| !word.trim().is_empty());
    let words: Vec<&str> = words.map(str::trim_ascii).collect();
    let mut text = words.join(" ");
    for (escaped, plain) in [("-LRB-", "("), ("-RRB-", ")"), ("\\/", "/"), ("\\*", "*")] {
        text = text.replace(escaped, plain);
    }
    (!words.is_empty()).then_some(Sentence { text, label: label as u8 })
}

/// The sentence number `index` out of `index`-many: the first half of one and the second half of another, with the first
/// one's label. Up to the square of their number no pair comes twice, and lengths are spread as the originals' are.
fn recombined(sentences: &[Sentence], index: usize) -> Sentence {
    let count = sentences.len();
    let first = &sentences[index % count];
    let second = &sentences[(index % count * 7919 + index / count * 104_729) % count];
    let halves = |sentence: &'_ Sentence| {
        let words: Vec<String> = sentence.text.split(' ').map(str::to_owned).collect();
        (words[..words.len().div_ceil(2)].join(" "), words[words.len().div_ceil(2)..].join(" "))
    };
    let text = format!("{} {}", halves(first).0, halves(second).1).trim_end().to_owned();
    Sentence { text, label: first.label }
}

fn write_csv(path: &Path, rows: &mut dyn Iterator<Item = &Sentence>) -> Result<()> {
    write_lines(path, std::iter::once("text,label\n".to_owned()).chain(rows.map(row)))
}

/// A line of a table, the text quoted as RFC 4180 has it.
fn row(sentence: &Sentence) -> String {
    let mut line = format!("\"{}\"", sentence.text.replace('"', "\"\""));
    let _ = writeln!(line, ",{}", sentence.label);
    line
}

fn write_lines(path: &Path, lines: impl Iterator<Item = String>) -> Result<()> {
    let context = || format!("could not write {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(context)?);
    for line in lines {
        file.write_all(line.as_bytes()).with_context(context)?;
    }
    file.flush().with_context(context)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn trees_become_sentences() {
        let line = "(3 (2 It) (4 (2 's) (3 (2 a) (2 \"good\\/great\"))) (2 -LRB-) (1 film) (2 -RRB-))";
        let sentence = parse(line).unwrap();
        assert_eq!((sentence.text.as_str(), sentence.label), ("It 's a \"good/great\" ( film )", 3));
        assert_eq!(row(&sentence), "\"It 's a \"\"good/great\"\" ( film )\",3\n");
        assert_eq!((parse("It works"), parse("(7 (2 It))"), parse("()")), (None, None, None));
    }

    #[test]
    fn recombined_sentences_differ_and_stay_the_same() {
        let sentence =
            |index: usize| Sentence { text: format!("a{index} b{index} c{index}"), label: (index % 5) as u8 };
        let sentences: Vec<Sentence> = (0..10).map(sentence).collect();
        assert_eq!(recombined(&sentences, 0).text, "a0 b0 c0");
        assert_eq!(recombined(&sentences, 1).text, "a1 b1 c9");
        assert_eq!(recombined(&sentences, 13), Sentence { text: "a3 b3 c6".into(), label: 3 });
        let all: BTreeSet<String> = (0..100).map(|index| recombined(&sentences, index).text).collect();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn the_files_hold_what_their_names_say() {
        let house = tempfile::tempdir().unwrap();
        for (name, word) in [("train.txt", "one"), ("dev.txt", "two"), ("test.txt", "three")] {
            std::fs::write(house.path().join(name), format!("(1 (2 {word}) (2 film))\n\n(4 (3 {word}))\n")).unwrap();
        }
        let folder = house.path().join("made");
        let material = Material::make(&treebank(Some(house.path())).unwrap(), &folder).unwrap();
        assert_eq!(material.rows, [6, 2]);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("train.csv"), "text,label\n\"one film\",1\n\"one\",4\n");
        assert_eq!(read("all.csv").lines().count(), 7);
        material.write_texts(&folder.join("texts.txt"), 3).unwrap();
        assert_eq!(read("texts.txt"), "one film\none\none film\n");
        material.write_synthetic(&folder.join("more.csv"), 4).unwrap();
        assert_eq!(read("more.csv").lines().count(), 5);
        let error = treebank(Some(&folder)).unwrap_err().to_string();
        assert!(error.contains("--data DIR"), "{error}");
    }
}
