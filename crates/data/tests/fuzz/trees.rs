//! The treebank's folder, and the packaged reviews, whose lines have a format of their own.

use std::fs;

use data::{Dataset, DatasetOptions, SourceChoice};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

use crate::assert_sound;

const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 160, fixed: 1 << 20 };

const TREES: &str = "(3 (2 It) (4 (2 's) (4 great)))\n(1 (2 A) (1 (1 dull) (2 (2 -LRB-) (2 (2 8\\/10) (2 -RRB-)))))\n\
                     (2 (2 Eh) (2 .))\n";

#[test]
fn treebank() {
    let folder = temporary_folder();
    fs::write(folder.path().join("dev.txt"), TREES).unwrap();
    fs::write(folder.path().join("test.txt"), TREES).unwrap();
    let deep = format!("{}(2 end){}\n", "(2 (2 and) ".repeat(120), ")".repeat(120));
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, TREES),
        SeedFile::new(SeedFormat::Lines, format!("\u{FEFF}{}", TREES.replace('\n', "\r\n").repeat(3))),
        SeedFile::new(SeedFormat::Lines, deep + TREES),
        SeedFile::new(SeedFormat::Lines, "(4 (3 Wow) (2 ''))\n\n(0 caf\u{E9}\u{A0}\u{1F600})"),
    ];
    check(&FuzzTarget { package: "data", name: "trees::treebank", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("train.txt"), bytes).unwrap();
        // Phrases are read from the same trees, so half of the mutants ask for them.
        let options = DatasetOptions { phrases: bytes.len() % 2 == 0, ..DatasetOptions::default() };
        let source = SourceChoice::Folder(folder.path().to_owned());
        let loaded = data::source::load(&"sst5".parse::<Dataset>().unwrap(), &source, &options)
            .map_err(|error| error.to_string())?;
        assert_sound(&loaded);
        Ok(())
    });
}

#[test]
fn reviews() {
    let folder = temporary_folder();
    let lines = "1\t2.2\tThe Rock is destined to be new .\r\n2\t-1.7666\tDull\tand long .\r\n3\t0.1\tSo \u{E9} so\r\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, lines),
        SeedFile::new(SeedFormat::Lines, lines.replace('\r', "").repeat(5)),
        SeedFile::new(SeedFormat::Lines, format!("\u{FEFF}{}\n\n9\t-4\tx", lines.trim_end())),
    ];
    check(&FuzzTarget { package: "data", name: "trees::reviews", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("movieReviewSnippets_GroundTruth.txt"), bytes).unwrap();
        let source = SourceChoice::Folder(folder.path().to_owned());
        let loaded = data::source::load(&"reviews5".parse::<Dataset>().unwrap(), &source, &DatasetOptions::default())
            .map_err(|error| error.to_string())?;
        assert_sound(&loaded);
        Ok(())
    });
}
