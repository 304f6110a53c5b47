//! Damaged tables: CSV, TSV, their archives, JSON lines and Parquet. What must hold is in `test_support::fuzz`.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use table::{ReadOptions, Table, TableError, ValueType};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

/// All rows are held at once: one of four bytes is a hundred in memory. A JSON value of two is thirty-two, twice that
/// while a list grows.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 160, fixed: 1 << 20 };

/// Reads every column that can be read.
fn read(path: &Path) -> Result<(), TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let readable = |at: &usize| table.columns()[*at].declared.as_ref().is_none_or(|of| of.values != ValueType::Other);
    let columns: Vec<usize> = (0..table.columns().len()).filter(readable).collect();
    let rows = table.rows(&columns)?.collect::<Result<Vec<_>, _>>()?;
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!((row.number, row.cells.len()), (number, columns.len()));
    }
    Ok(())
}

fn read_each(name: &'static str, ending: &str, memory_limit: MemoryLimit, seeds: Vec<SeedFile>) {
    let folder = temporary_folder();
    let path = folder.path().join(format!("mutant.{ending}"));
    check(&FuzzTarget { package: "table", name, memory_limit }, seeds, |bytes| {
        fs::write(&path, bytes).unwrap();
        read(&path).map_err(|error| error.to_string())
    });
}

const CSV: &str = "id,text,label\n1,\"A \"\"good\"\" film,\nreally\",1\n2,dull,0\n3, caf\u{E9} \u{1F600} ,1\n";

#[test]
fn csv() {
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, CSV),
        SeedFile::new(SeedFormat::Lines, format!("\u{FEFF}{}", CSV.replace('\n', "\r\n"))),
        SeedFile::new(SeedFormat::Lines, "Sentence,Label\nyes,1\nno,0\n".to_owned() + &"so,1\nlong,0\n".repeat(40)),
        SeedFile::new(SeedFormat::Lines, "label,text\n1.0,\"a\"\n0,\"b\"\n\"1\",\"c\"\n\n0,d"),
    ];
    read_each("csv", "csv", MEMORY_LIMIT, seeds);
}

#[test]
fn tsv() {
    let tabs = "text\tlabel\nA good film, really\t1\n\"quoted\ttab\"\t0\nplain\t1\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, tabs),
        SeedFile::new(SeedFormat::Lines, format!("\u{FEFF}{}", tabs.replace('\n', "\r\n"))),
        SeedFile::new(
            SeedFormat::Lines,
            "sentence\tidx\tlabel\nyes\t7\t1\nno\t8\t0\n".to_owned() + &"so\t9\t1\n".repeat(40),
        ),
    ];
    read_each("tsv", "tsv", MEMORY_LIMIT, seeds);
}

/// Every separator, quoting, encoding and compression that is found without a flag.
#[test]
fn dialects() {
    let semicolons = "sep=;\ntext;label\n\"a; b\";1\n5\" disc;0\n\"two\nlines\";1\n";
    let pipes = "text|label\nfine film|pos\n\"a|b\"|neg\ndull|pos\n".replace('\n', "\r");
    let lone = "text\tlabel\n\"so it begins\tpos\nand ends\"\tneg\n5\" disc\tpos\n";
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{FEFF}{CSV}").encode_utf16().flat_map(to_bytes).collect()
    };
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, semicolons),
        SeedFile::new(SeedFormat::Lines, pipes),
        SeedFile::new(SeedFormat::Lines, lone),
        SeedFile::new(SeedFormat::Lines, CSV.replace(',', "\t")),
        SeedFile::new(SeedFormat::Binary, utf16(u16::to_le_bytes)),
        SeedFile::new(SeedFormat::Binary, utf16(u16::to_be_bytes)),
    ];
    read_each("dialects", "csv", MEMORY_LIMIT, seeds);
}

/// What unpacks to more than the archive is bounded by what was unpacked; that of these seeds and their mutants is small.
#[test]
fn archives() {
    let text = "text,label\ngood film,1\n\"dull,\nreally\",0\n".to_owned() + &"so so,1\nlong,0\n".repeat(20);
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zstandard = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    zstandard.include_checksum(true).unwrap();
    zstandard.write_all(text.as_bytes()).unwrap();
    let zstandard = zstandard.finish().unwrap();
    let seeds = vec![
        SeedFile::new(SeedFormat::Binary, [gzip.clone(), gzip.clone()].concat()),
        SeedFile::new(SeedFormat::Binary, gzip),
        SeedFile::new(SeedFormat::Binary, zstandard),
    ];
    read_each("archives", "csv.gz", MemoryLimit { per_byte: 2048, fixed: 2 << 20 }, seeds);
}

#[test]
fn jsonl() {
    let lines = "{\"text\": \"A \\\"good\\\" film\", \"label\": 1}\n{\"text\": \"dull\\n\\u00e9\", \"label\": 0}\n\n";
    let more = "{\"id\": [1, {\"a\": null}], \"review\": \"x\", \"sentiment\": \"1\"}\n\
                {\"review\": \"y\", \"sentiment\": \"0\", \"id\": -1.5e3}\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, lines),
        SeedFile::new(SeedFormat::Json, format!("\u{FEFF}{}", lines.replace('\n', "\r\n").repeat(4))),
        SeedFile::new(SeedFormat::Json, more),
        SeedFile::new(SeedFormat::Lines, more.repeat(3)),
    ];
    read_each("jsonl", "jsonl", MEMORY_LIMIT, seeds);
}

fn parquet_file(columns: Vec<(&str, ArrayRef)>, about: Option<&str>, properties: WriterProperties) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let metadata = about.map(|about| ("huggingface".to_owned(), about.to_owned()));
    let schema = Arc::new(Schema::new(fields).with_metadata(HashMap::from_iter(metadata)));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.close().unwrap();
    bytes
}

fn texts(count: usize) -> Vec<Option<String>> {
    (0..count).map(|row| (row % 9 != 4).then(|| format!("text {row} {}", "so ".repeat(row % 5)))).collect()
}

/// Every compression that is read, both page versions, dictionaries and plain pages, several row groups, nulls, and the
/// types a label may have.
#[test]
fn parquet() {
    let numbers = |count: usize| -> ArrayRef { Arc::new(Int64Array::from_iter((0..count as i64).map(|row| row % 2))) };
    let build = WriterProperties::builder;
    let about = r#"{"info": {"features": {"label": {"names": ["0", "1"], "_type": "ClassLabel"}}}}"#;
    let words: ArrayRef = Arc::new(StringArray::from(texts(40)));
    let mut seeds = Vec::new();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(ZstdLevel::try_new(1).unwrap()),
    ] {
        let properties = build().set_compression(compression).set_max_row_group_row_count(Some(16)).build();
        seeds.push(parquet_file(vec![("text", words.clone()), ("label", numbers(40))], None, properties));
    }
    let plain = build().set_dictionary_enabled(false).set_data_page_row_count_limit(8).set_write_batch_size(8).build();
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..40).map(|row| f64::from(row % 2))));
    seeds.push(parquet_file(vec![("sentence", words.clone()), ("label", floats)], None, plain));
    let second = build()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_compression(Compression::SNAPPY)
        .build();
    let large: ArrayRef = Arc::new(LargeStringArray::from(texts(30)));
    let labels: ArrayRef = Arc::new(StringArray::from_iter_values((0..30).map(|row| (row % 2).to_string())));
    seeds.push(parquet_file(vec![("text", large), ("label", labels)], Some(about), second));
    let flags: ArrayRef = Arc::new(BooleanArray::from_iter((0..20).map(|row| Some(row % 2 == 0))));
    let keyed: DictionaryArray<Int32Type> = (0..20).map(|row| Some(["good", "bad", "so so"][row % 3])).collect();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..20).map(|row| Some(vec![Some(row); 3])));
    let columns: Vec<(&str, ArrayRef)> = vec![("other", Arc::new(lists)), ("text", Arc::new(keyed)), ("flag", flags)];
    seeds.push(parquet_file([columns, vec![("label", numbers(20))]].concat(), Some(about), build().build()));
    let seeds = seeds.into_iter().map(|bytes| SeedFile::new(SeedFormat::Binary, bytes)).collect();
    read_each("parquet", "parquet", MemoryLimit { per_byte: 1024, fixed: 128 << 20 }, seeds);
}
