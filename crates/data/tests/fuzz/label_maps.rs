//! Files of label names, and the same on the command line.

use std::fs;

use data::LabelMap;
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 160, fixed: 1 << 20 };

/// Values and names are never blank.
fn assert_named(map: &LabelMap) {
    assert!(!map.0.is_empty());
    for (value, name) in &map.0 {
        assert!(!value.trim().is_empty() && !name.trim().is_empty(), "{value:?}={name:?}");
    }
}

fn read_files(name: &'static str, ending: &str, seeds: Vec<SeedFile>) {
    let folder = temporary_folder();
    let path = folder.path().join(format!("map.{ending}"));
    check(&FuzzTarget { package: "data", name, memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(&path, bytes).unwrap();
        assert_named(&LabelMap::from_flag(path.to_str().unwrap())?);
        Ok(())
    });
}

#[test]
fn csv() {
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, "value,name\n0,negative\n4,positive\n"),
        SeedFile::new(SeedFormat::Lines, "\u{FEFF}\"a, b\",\"c \"\"d\"\"\"\r\n\r\n caf\u{E9} , \u{1F600}\r\n"),
    ];
    read_files("label_maps::csv", "csv", seeds);
}

#[test]
fn json() {
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, "{\"0\": \"negative\",\n \"4\": \"positive\"}"),
        SeedFile::new(SeedFormat::Lines, "{\"a, b\": \"\\u00e9\", \"c\": \"d=e\"}"),
    ];
    read_files("label_maps::json", "json", seeds);
}

#[test]
fn flag() {
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, "0=negative,4=positive"),
        SeedFile::new(SeedFormat::Lines, "\"a, b\"=c,\"d=\"\"e\"\"\"=\"f, g\",-1=caf\u{E9}"),
    ];
    check(&FuzzTarget { package: "data", name: "label_maps::flag", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        assert_named(&LabelMap::from_flag(text)?);
        Ok(())
    });
}
