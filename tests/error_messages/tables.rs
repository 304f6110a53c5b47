//! CSV, TSV and JSON lines, as spreadsheets, scripts and half-finished downloads leave them.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

const MIB: usize = 1 << 20;

/// A little-endian UTF-16 text.
fn utf16(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    mark.iter().copied().chain(text.encode_utf16().flat_map(bytes)).collect()
}

#[test]
fn bad_csv_and_tsv_files_are_refused_in_these_words() {
    let mut all = MessageGroup::new("csv", "CSV and TSV", Sandbox::new());
    let good = "text,label\na fine film,1\na dull film,0\n";

    all.table("a quote that is never closed", "a.csv", "text,label\nfine,1\n\"dull,0\nwarm,1\n", "");
    all.table("a quote that closes in the middle of its field", "a.csv", "text,label\n\"fine\" film,1\n", "");
    all.table("an unquoted comma", "a.csv", "text,label\nfine,1\nlong, and dull,0\n", "");
    all.table("a field too few", "a.csv", "id,text,label\n1,fine,1\n2,dull\n", "");
    all.table("no column for the text", "a.csv", "id,film,label\n1,fine,1\n", "");
    all.table("no column for the label", "a.csv", "text,stars\nfine,1\n", "");
    all.table("a text column that isn't there", "a.csv", good, "--text-column body");
    all.table("two columns that could be the text", "a.csv", "text,review,label\na,b,1\n", "");
    all.table("a column name twice", "a.csv", "text,text,label\na,b,1\n", "");
    all.table("one column as text and label", "a.csv", good, "--text-column label");
    all.table("a header without rows", "a.csv", "text,label\n", "");
    all.table("rows without a header", "a.csv", "a fine film,1\na dull film,0\n", "");
    all.table("nothing at all", "a.csv", "", "");
    all.table("nothing but a byte-order mark", "a.csv", b"\xEF\xBB\xBF", "");
    all.table("nothing but line ends", "a.csv", "\n\n\n", "");
    all.table("nothing but zeros", "a.csv", [0; 4096], "");
    all.table("Latin-1", "a.csv", b"text,label\nfine,1\ncaf\xE9,0\n", "");
    all.table("a character cut in two at the end", "a.csv", b"text,label\nfine,1\ncaf\xC3", "");
    all.table("UTF-16, little-endian", "a.csv", utf16(good, b"\xFF\xFE", u16::to_le_bytes), "");
    all.table("UTF-16 without a mark", "a.csv", utf16(good, b"", u16::to_le_bytes), "");
    all.table("gzip", "a.csv", b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "");
    all.table("a spreadsheet named .csv", "a.csv", b"PK\x03\x04\x14\0\x06\0", "");
    all.table("Parquet named .csv", "a.csv", b"PAR1\x15\x04\x15\x10", "");
    all.table("semicolons", "a.csv", "text;label\nfine;1\n", "");
    all.table("tabs in .csv", "a.csv", "text\tlabel\nfine\t1\n", "");
    all.table("commas in .tsv", "a.tsv", good, "");
    all.table("a tab too many in .tsv", "a.tsv", "text\tlabel\nfine\t1\nlong\tand dull\t0\n", "");
    all.table("a text of 5 MiB", "a.csv", format!("text,label\n{},1\n", "a".repeat(5 * MIB)), "");
    all.table("a quote that is open for 5 MiB", "a.csv", format!("text,label\n\"{}", "a\n".repeat(5 * MIB / 2)), "");
    all.table("an empty text", "a.csv", "text,label\nfine,1\n,0\n", "");
    all.table("texts of white space and zero-width characters", "a.csv", "text,label\n  ,1\n\u{200B},0\nfine,1\n", "");
    all.table("empty texts alone, dropped", "a.csv", "text,label\n,1\n,0\n", "--drop-empty");
    all.table("a web page named .csv", "a.csv", "<!DOCTYPE html>\n<html><body>Log in</body></html>\n", "");
    all.table("a large-file pointer instead of the file", "a.csv", LFS_POINTER, "");
    all.table("a spreadsheet", "a.xlsx", b"PK\x03\x04", "");
    all.table("a name without an ending", "films", good, "");
    all.fails("no such file", "prepare --dataset no.csv --model tiny --max-length 32");
    std::os::unix::fs::symlink("/dev/zero", all.sandbox().path("zero.csv")).expect("a link");
    all.fails("a device", "prepare --dataset zero.csv --model tiny --max-length 32");
    all.finish();
}

const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn bad_json_lines_are_refused_in_these_words() {
    let mut all = MessageGroup::new("jsonl", "JSON lines", Sandbox::new());
    let good = r#"{"text": "fine", "label": 1}"#;
    // Sixty sound lines and one more: enough to be split, so that the labels are looked at.
    let before: String = (0..60).map(|n| format!("{{\"text\": \"film {n}\", \"label\": {}}}\n", n % 2)).collect();
    let behind = |line: &str| format!("{before}{line}\n");

    all.table("not JSON", "a.jsonl", behind("text,label"), "");
    all.table("a JSON array in a file of lines", "a.jsonl", format!("[{good}, {good}]"), "");
    all.table("one object over several lines", "a.jsonl", "{\n  \"text\": \"fine\",\n  \"label\": 1\n}\n", "");
    all.table("Python's quotes", "a.jsonl", behind("{'text': 'fine', 'label': 1}"), "");
    all.table("a text alone", "a.jsonl", behind("\"fine\""), "");
    all.table("a line that is cut off", "a.jsonl", behind(r#"{"text": "dull", "lab"#), "");
    all.table("more behind an object", "a.jsonl", behind(&format!("{good} {good}")), "");
    all.table("a name twice in an object", "a.jsonl", behind(r#"{"text": "a", "text": "b", "label": 0}"#), "");
    all.table("a number for a text", "a.jsonl", behind(r#"{"text": 7, "label": 0}"#), "");
    all.table("an object for a text, at once", "a.jsonl", r#"{"text": {"en": "fine"}, "label": 0}"#, "");
    all.table("a null text", "a.jsonl", behind(r#"{"text": null, "label": 0}"#), "");
    all.table("a text key that is missing", "a.jsonl", behind(r#"{"review": "dull", "label": 0}"#), "");
    all.table("a label key that is missing", "a.jsonl", behind(r#"{"text": "dull"}"#), "");
    all.table("no key for the text", "a.jsonl", r#"{"film": "dull", "label": 0}"#, "");
    all.table("no key for the label", "a.jsonl", r#"{"text": "dull", "stars": 0}"#, "");
    all.table("an empty object", "a.jsonl", "{}\n", "");
    all.table("an array for a label", "a.jsonl", behind(r#"{"text": "dull", "label": [0]}"#), "");
    all.table("an object for a label", "a.jsonl", behind(r#"{"text": "dull", "label": {"id": 0}}"#), "");
    all.table("a null label", "a.jsonl", behind(r#"{"text": "dull", "label": null}"#), "");
    all.table("NaN for a label", "a.jsonl", behind(r#"{"text": "dull", "label": NaN}"#), "");
    all.table("a label beyond all numbers", "a.jsonl", behind(r#"{"text": "dull", "label": 1e400}"#), "");
    all.table("a label beyond 64 bits", "a.jsonl", behind(r#"{"text": "dull", "label": 18446744073709551616}"#), "");
    all.table("a label that changes its type", "a.jsonl", behind(r#"{"text": "dull", "label": "0"}"#), "");
    all.table("nested a thousand deep", "a.jsonl", behind(&format!("{{\"text\": {}", "[".repeat(1000))), "");
    all.table("half a surrogate", "a.jsonl", behind(r#"{"text": "\ud800", "label": 0}"#), "");
    all.table("a control character in a text", "a.jsonl", behind("{\"text\": \"a\u{1}b\", \"label\": 0}"), "");
    all.table("Latin-1", "a.jsonl", b"{\"text\": \"caf\xE9\", \"label\": 0}\n", "");
    all.table("a line of 5 MiB", "a.jsonl", behind(&format!("{{\"text\": \"{}", "a".repeat(5 * MIB))), "");
    all.table("only blank lines", "a.jsonl", "\n  \n\n", "");
    all.table("nothing at all", "a.jsonl", "", "");
    let line = "prepare --dataset folder --model tiny --max-length 32";
    all.sandbox().write("folder/train.csv", "text,label\nfine,1\n");
    all.with("a split in two formats", "folder/train.jsonl", Edit::Is(good.as_bytes()), line);
    all.finish();
}
