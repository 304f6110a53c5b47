//! Malformed CSV, TSV and JSON lines, as spreadsheets, scripts and interrupted downloads produce them.

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

    all.fails_with_table("an unclosed quote", "a.csv", "text,label\nfine,1\n\"dull,0\nwarm,1\n", "");
    all.fails_with_table(
        "a quote that closes in the middle of its field",
        "a.csv",
        "text,label\n\"fine\" film,1\n",
        "",
    );
    all.fails_with_table("an unquoted comma", "a.csv", "text,label\nfine,1\nlong, and dull,0\n", "");
    all.fails_with_table("too few fields", "a.csv", "id,text,label\n1,fine,1\n2,dull\n", "");
    all.fails_with_table("no column for the text", "a.csv", "id,film,label\n1,fine,1\n", "");
    all.fails_with_table("no column for the label", "a.csv", "text,stars\nfine,1\n", "");
    all.fails_with_table("a text column that does not exist", "a.csv", good, "--text-column body");
    all.fails_with_table("two columns that could be the text", "a.csv", "text,review,label\na,b,1\n", "");
    all.fails_with_table("a duplicate column name", "a.csv", "text,text,label\na,b,1\n", "");
    all.fails_with_table("one column as both text and label", "a.csv", good, "--text-column label");
    all.fails_with_table("a header without rows", "a.csv", "text,label\n", "");
    all.fails_with_table("rows without a header", "a.csv", "a fine film,1\na dull film,0\n", "");
    all.fails_with_table("an empty file", "a.csv", "", "");
    all.fails_with_table("only a byte-order mark", "a.csv", b"\xEF\xBB\xBF", "");
    all.fails_with_table("only line breaks", "a.csv", "\n\n\n", "");
    all.fails_with_table("only zero bytes", "a.csv", [0; 4096], "");
    all.fails_with_table("Latin-1", "a.csv", b"text,label\nfine,1\ncaf\xE9,0\n", "");
    all.fails_with_table("a truncated UTF-8 character at the end", "a.csv", b"text,label\nfine,1\ncaf\xC3", "");
    all.fails_with_table("UTF-16, little-endian", "a.csv", utf16(good, b"\xFF\xFE", u16::to_le_bytes), "");
    all.fails_with_table("UTF-16 without a byte-order mark", "a.csv", utf16(good, b"", u16::to_le_bytes), "");
    all.fails_with_table("gzip", "a.csv", b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "");
    all.fails_with_table("a spreadsheet named .csv", "a.csv", b"PK\x03\x04\x14\0\x06\0", "");
    all.fails_with_table("Parquet named .csv", "a.csv", b"PAR1\x15\x04\x15\x10", "");
    all.fails_with_table("semicolons as separators", "a.csv", "text;label\nfine;1\n", "");
    all.fails_with_table("tabs as separators in .csv", "a.csv", "text\tlabel\nfine\t1\n", "");
    all.fails_with_table("commas as separators in .tsv", "a.tsv", good, "");
    all.fails_with_table("an extra tab in .tsv", "a.tsv", "text\tlabel\nfine\t1\nlong\tand dull\t0\n", "");
    all.fails_with_table("a text of 5 MiB", "a.csv", format!("text,label\n{},1\n", "a".repeat(5 * MIB)), "");
    all.fails_with_table(
        "a quoted field of 5 MiB",
        "a.csv",
        format!("text,label\n\"{}", "a\n".repeat(5 * MIB / 2)),
        "",
    );
    all.fails_with_table("an empty text", "a.csv", "text,label\nfine,1\n,0\n", "");
    all.fails_with_table(
        "texts of white space and zero-width characters",
        "a.csv",
        "text,label\n  ,1\n\u{200B},0\nfine,1\n",
        "",
    );
    all.fails_with_table("only empty texts, with --drop-empty", "a.csv", "text,label\n,1\n,0\n", "--drop-empty");
    all.fails_with_table("a web page named .csv", "a.csv", "<!DOCTYPE html>\n<html><body>Log in</body></html>\n", "");
    all.fails_with_table("a large-file pointer instead of the file", "a.csv", LFS_POINTER, "");
    all.fails_with_table("a spreadsheet", "a.xlsx", b"PK\x03\x04", "");
    all.fails_with_table("a file name without an extension", "films", good, "");
    all.fails("a missing file", "prepare --dataset no.csv --model tiny --max-length 32");
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
    // Sixty valid lines and one more: enough to be split, so that the labels are looked at.
    let before: String = (0..60).map(|n| format!("{{\"text\": \"film {n}\", \"label\": {}}}\n", n % 2)).collect();
    let behind = |line: &str| format!("{before}{line}\n");

    all.fails_with_table("not JSON", "a.jsonl", behind("text,label"), "");
    all.fails_with_table("a JSON array in a file of lines", "a.jsonl", format!("[{good}, {good}]"), "");
    all.fails_with_table(
        "one object over several lines",
        "a.json",
        "{\n  \"text\": \"fine\",\n  \"label\": 1\n}\n",
        "",
    );
    all.fails_with_table("single quotes, as Python prints them", "a.jsonl", behind("{'text': 'fine', 'label': 1}"), "");
    all.fails_with_table("a string instead of an object", "a.jsonl", behind("\"fine\""), "");
    all.fails_with_table("a truncated line", "a.jsonl", behind(r#"{"text": "dull", "lab"#), "");
    all.fails_with_table("two objects on one line", "a.jsonl", behind(&format!("{good} {good}")), "");
    all.fails_with_table("a duplicate key", "a.jsonl", behind(r#"{"text": "a", "text": "b", "label": 0}"#), "");
    all.fails_with_table("a number as the text", "a.jsonl", behind(r#"{"text": 7, "label": 0}"#), "");
    all.fails_with_table(
        "an object as the text, in the first row",
        "a.jsonl",
        r#"{"text": {"en": "fine"}, "label": 0}"#,
        "",
    );
    all.fails_with_table("a null text", "a.jsonl", behind(r#"{"text": null, "label": 0}"#), "");
    all.fails_with_table("a row without the text key", "a.jsonl", behind(r#"{"review": "dull", "label": 0}"#), "");
    all.fails_with_table("a row without the label key", "a.jsonl", behind(r#"{"text": "dull"}"#), "");
    all.fails_with_table("no key for the text", "a.jsonl", r#"{"film": "dull", "label": 0}"#, "");
    all.fails_with_table("no key for the label", "a.jsonl", r#"{"text": "dull", "stars": 0}"#, "");
    all.fails_with_table("an empty object", "a.jsonl", "{}\n", "");
    all.fails_with_table("an array as the label", "a.jsonl", behind(r#"{"text": "dull", "label": [0]}"#), "");
    all.fails_with_table("an object as the label", "a.jsonl", behind(r#"{"text": "dull", "label": {"id": 0}}"#), "");
    all.fails_with_table("a null label", "a.jsonl", behind(r#"{"text": "dull", "label": null}"#), "");
    all.fails_with_table("NaN as the label", "a.jsonl", behind(r#"{"text": "dull", "label": NaN}"#), "");
    all.fails_with_table(
        "a label that overflows a float",
        "a.jsonl",
        behind(r#"{"text": "dull", "label": 1e400}"#),
        "",
    );
    all.fails_with_table(
        "a label beyond 64 bits",
        "a.jsonl",
        behind(r#"{"text": "dull", "label": 18446744073709551616}"#),
        "",
    );
    all.fails_with_table(
        "a label of another type than in the rows before",
        "a.jsonl",
        behind(r#"{"text": "dull", "label": "0"}"#),
        "",
    );
    all.fails_with_table(
        "nesting 1000 levels deep",
        "a.jsonl",
        behind(&format!("{{\"text\": {}", "[".repeat(1000))),
        "",
    );
    all.fails_with_table("an unpaired surrogate", "a.jsonl", behind(r#"{"text": "\ud800", "label": 0}"#), "");
    all.fails_with_table(
        "a control character in a text",
        "a.jsonl",
        behind("{\"text\": \"a\u{1}b\", \"label\": 0}"),
        "",
    );
    all.fails_with_table("Latin-1", "a.jsonl", b"{\"text\": \"caf\xE9\", \"label\": 0}\n", "");
    all.fails_with_table("a line of 5 MiB", "a.jsonl", behind(&format!("{{\"text\": \"{}", "a".repeat(5 * MIB))), "");
    all.fails_with_table("only blank lines", "a.jsonl", "\n  \n\n", "");
    all.fails_with_table("an empty file", "a.jsonl", "", "");
    let line = "prepare --dataset folder --model tiny --max-length 32";
    all.sandbox().write("folder/train.csv", "text,label\nfine,1\n");
    all.fails_with("a split in two formats", "folder/train.jsonl", Edit::Content(good.as_bytes()), line);
    all.finish();
}
