//! Fuzz tests of users' files as data sets.

use std::fs;

use data::{Dataset, DatasetOptions, SourceChoice};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

use crate::assert_sound;

/// A row of four bytes is a hundred in memory, and a JSON value of two is thirty-two, twice that while a list grows.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 160, fixed: 1 << 20 };

/// Reads mutants as training files beside good files for the other splits, so that no row has to be dealt away.
fn read_each(name: &'static str, ending: &str, seeds: Vec<SeedFile>) {
    let folder = temporary_folder();
    let path = folder.path().join(format!("mutant.{ending}"));
    let other = folder.path().join("other.csv");
    fs::write(&other, "text,label\nfine,1\npoor,0\n").unwrap();
    check(&FuzzTarget { package: "data", name, memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(&path, bytes).unwrap();
        let options = DatasetOptions {
            validation_file: vec![other.clone()],
            test_file: vec![other.clone()],
            drop_empty: true,
            ..DatasetOptions::default()
        };
        let loaded = data::source::load(&Dataset::File(path.clone()), &SourceChoice::Auto, &options)
            .map_err(|error| error.to_string())?;
        assert_sound(&loaded);
        Ok(())
    });
}

#[test]
fn csv() {
    let text = "id,text,label\n1,\"A \"\"good\"\" film,\nreally\",1\n2,dull,0\n3, caf\u{E9} \u{1F600} ,1\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, text),
        SeedFile::new(SeedFormat::Lines, "Sentence,Label\nyes,1\nno,0\n".to_owned() + &"so,1\nlong,0\n".repeat(40)),
        SeedFile::new(SeedFormat::Lines, "label,text\n1.0,\"a\"\n0,\"b\"\n\"1\",\"c\"\n\n0,d"),
    ];
    read_each("own_files::csv", "csv", seeds);
}

#[test]
fn jsonl() {
    let lines = "{\"text\": \"A \\\"good\\\" film\", \"label\": 1}\n{\"text\": \"dull\\n\\u00e9\", \"label\": 0}\n\n";
    let more = "{\"id\": [1, {\"a\": null}], \"review\": \"x\", \"sentiment\": \"1\"}\n\
                {\"review\": \"y\", \"sentiment\": \"0\", \"id\": -1.5e3}\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, lines),
        SeedFile::new(SeedFormat::Json, format!("\u{FEFF}{}", lines.replace('\n', "\r\n").repeat(4))),
        SeedFile::new(SeedFormat::Lines, more.repeat(3)),
    ];
    read_each("own_files::jsonl", "jsonl", seeds);
}
