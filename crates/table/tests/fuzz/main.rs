//! Fuzz tests of CSV, TSV and their archives, JSON lines, JSON, plain text, folders by class, Parquet, Arrow and folders
//! of `save_to_disk`. `test_support::fuzz` says what must hold.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, ListArray, NullArray,
    RecordBatch, RunArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use table::{ReadOptions, Table, TableError};
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

/// All rows are held at once: one of four bytes is a hundred in memory. A JSON value of two is thirty-two, twice that
/// while a list grows.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 160, fixed: 1 << 20 };

/// Reads every column.
fn read(path: &Path) -> Result<(), TableError> {
    let table = Table::open(path, &ReadOptions::default())?;
    let columns: Vec<usize> = (0..table.columns().len()).collect();
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

/// Each layout: an array, one under a field, columns, columns by row number, and lines.
#[test]
fn json() {
    let rows = "[{\"text\": \"A \\\"good\\\" film\", \"label\": 1, \"n\": [1, {\"a\": null}]},\n\
                {\"label\": 0, \"text\": \"dull\\n\\u00e9\", \"n\": {}},\r\n {\"text\":\"]\",\"label\":-1.5e3,\"n\":true}\n]\n";
    let seeds = [
        rows.to_owned(),
        format!("\u{FEFF}{{\"version\": 1, \"tags\": [[], \"x\"], \"data\": {rows}, \"more\": {{\"a\": [{{}}]}}}}"),
        "{\"text\": [\"a\", \"b\", null],\n \"label\": [1, 0, [1]]}".to_owned(),
        "{\"text\":{\"0\":\"a\",\"1\":\"b\",\"5\":\"c\"},\"label\":{\"0\":1,\"1\":0,\"5\":null}}".to_owned(),
        "{\"text\": \"a\", \"label\": [{}]}\n{\"label\": 0, \"text\": \"b\"}\n".to_owned(),
    ];
    let kinds = [SeedFormat::Json, SeedFormat::Lines];
    let seeds = kinds.into_iter().flat_map(|kind| seeds.iter().map(move |seed| SeedFile::new(kind, seed.clone())));
    read_each("json", "json", MEMORY_LIMIT, seeds.collect());
}

/// As many rows as line ends say.
#[test]
fn plain_text() {
    let lines = "A good film\n\n  dull\tand long \r\ncaf\u{E9} \u{1F600}\n";
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, lines),
        SeedFile::new(SeedFormat::Lines, format!("\u{FEFF}{}last", lines.replace('\n', "\r\n").repeat(10))),
    ];
    let folder = temporary_folder();
    let path = folder.path().join("mutant.txt");
    check(&FuzzTarget { package: "table", name: "plain_text", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(&path, bytes).unwrap();
        let table = Table::open(&path, &ReadOptions::default()).map_err(|error| error.to_string())?;
        let rows = table.rows(&[0]).and_then(|mut rows| rows.try_fold(0, |rows, row| row.map(|_| rows + 1)));
        let text = without_mark(bytes);
        let ends = text.matches('\n').count();
        let expected = ends + usize::from(!text.is_empty() && !text.ends_with('\n'));
        rows.map(|rows| assert_eq!(rows, expected, "{text:?}")).map_err(|error| error.to_string())
    });
}

/// The text of a file that may begin with a byte order mark: UTF-16 where the mark says so, otherwise UTF-8. What is damaged is
/// a replacement character; a file that is read has none.
fn without_mark(bytes: &[u8]) -> String {
    let utf_16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        String::from_utf16_lossy(&bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect::<Vec<_>>())
    };
    match bytes {
        [0xfe, 0xff, text @ ..] => utf_16(text, u16::from_be_bytes),
        [0xff, 0xfe, text @ ..] => utf_16(text, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => String::from_utf8_lossy(text).into_owned(),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

/// One damaged text among sound ones.
#[test]
fn class_folders() {
    let folder = temporary_folder();
    for (name, content) in [("pos/1.txt", "good"), ("neg/1.txt", "dull"), ("unsup/1.txt", "so so")] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, "A \"good\" film,\nreally\n"),
        SeedFile::new(SeedFormat::Lines, "\u{FEFF}caf\u{E9} \u{1F600}\r\n"),
    ];
    check(&FuzzTarget { package: "table", name: "class_folders", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("neg/2.txt"), bytes).unwrap();
        let table = Table::open(folder.path(), &ReadOptions::default()).unwrap();
        let rows = table.rows(&[0, 1, 2]).unwrap().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        assert_eq!((rows.len(), rows[1].cells[2].to_string().as_str()), (4, "neg/2.txt"));
        let text = rows[1].cells[0].to_string();
        assert!(without_mark(bytes).contains(&text), "{text:?}");
        Ok(())
    });
}

fn parquet_file(columns: Vec<(&str, ArrayRef)>, about: Option<&str>, properties: WriterProperties) -> Vec<u8> {
    let batch = batch(columns, about);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn batch(columns: Vec<(&str, ArrayRef)>, about: Option<&str>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let metadata = about.map(|about| ("huggingface".to_owned(), about.to_owned()));
    let schema = Arc::new(Schema::new(fields).with_metadata(HashMap::from_iter(metadata)));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(schema, columns).unwrap()
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
    read_each("parquet", "parquet", COLUMNAR_LIMIT, seeds);
}

/// Rows may take so much of it, whatever the file's size: a column of nulls has no bytes.
const COLUMNAR_LIMIT: MemoryLimit = MemoryLimit { per_byte: 1024, fixed: 128 << 20 };

/// Columns with every layout of buffers: texts, views, keys with their dictionary, lists, structs, runs, and none at all.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let keyed: DictionaryArray<Int32Type> = (0..20).map(|row| Some(["good", "bad", "so so"][row % 3])).collect();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..20).map(|row| Some(vec![Some(row); 3])));
    let views = StringViewArray::from(texts(20));
    let runs: RunArray<Int32Type> = (0..20).map(|row| ["a", "b"][row / 15]).collect();
    let times =
        TimestampMicrosecondArray::from_iter((0..20).map(|row| (row != 3).then_some(row << 40))).with_timezone("UTC");
    let field = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
    let (words, flags): (ArrayRef, ArrayRef) =
        (Arc::new(StringArray::from(texts(20))), Arc::new(BooleanArray::from(vec![true; 20])));
    let pairs =
        StructArray::from(vec![(field("word", DataType::Utf8), words), (field("flag", DataType::Boolean), flags)]);
    vec![
        ("text", Arc::new(StringArray::from(texts(20)))),
        ("keyed", Arc::new(keyed)),
        ("list", Arc::new(lists)),
        ("view", Arc::new(views)),
        ("time", Arc::new(times)),
        ("pair", Arc::new(pairs)),
        ("run", Arc::new(runs)),
        ("none", Arc::new(NullArray::new(20))),
        ("label", Arc::new(Int64Array::from_iter((0..20).map(|row| row % 2)))),
    ]
}

fn arrow_options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn arrow_stream(batch: &RecordBatch, compression: Option<CompressionType>) -> Vec<u8> {
    let options = arrow_options(compression);
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.write(&batch.slice(2, 7)).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn arrow() {
    let about = r#"{"info": {"features": {"label": {"names": ["0", "1"], "_type": "ClassLabel"}}}}"#;
    let mut seeds = Vec::new();
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for columns in [columns(), columns().into_iter().take(1).collect()] {
            let batch = batch(columns, Some(about));
            seeds.push(arrow_stream(&batch, compression));
            let options = arrow_options(compression);
            let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            writer.write(&batch.slice(5, 2)).unwrap();
            seeds.push(writer.into_inner().unwrap());
        }
    }
    let seeds = seeds.into_iter().map(|bytes| SeedFile::new(SeedFormat::Binary, bytes)).collect();
    read_each("arrow", "arrow", COLUMNAR_LIMIT, seeds);
}

/// Nested columns of Parquet, whose lists may claim any number of values.
#[test]
fn nested_parquet() {
    let nested = || columns().into_iter().filter(|(name, _)| !matches!(*name, "run" | "keyed")).collect::<Vec<_>>();
    let properties = || WriterProperties::builder().set_max_row_group_row_count(Some(8));
    let seeds = [properties().build(), properties().set_writer_version(WriterVersion::PARQUET_2_0).build()]
        .map(|properties| SeedFile::new(SeedFormat::Binary, parquet_file(nested(), None, properties)));
    read_each("nested_parquet", "parquet", COLUMNAR_LIMIT, seeds.into());
}

/// What stands in a data set's folder beside its data.
#[test]
fn save_to_disk() {
    let folder = temporary_folder();
    let sound = arrow_stream(&batch(columns(), None), None);
    fs::write(folder.path().join("data-00000-of-00001.arrow"), sound).unwrap();
    let state = "{\"_data_files\": [{\"filename\": \"data-00000-of-00001.arrow\"}], \"_fingerprint\": \"a0\", \
                 \"_indices_files\": [], \"_format_columns\": null, \"_format_kwargs\": {}, \"_split\": \"train\"}";
    let seeds = vec![SeedFile::new(SeedFormat::Json, state)];
    check(&FuzzTarget { package: "table", name: "save_to_disk", memory_limit: COLUMNAR_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("state.json"), bytes).unwrap();
        read(folder.path()).map_err(|error| error.to_string())
    });
}
