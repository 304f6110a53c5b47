//! Made inputs: each kind of file, and what must come of it.

use table::{Dialect, Quoting, ReadOptions, Table};

use super::{quoting, read_file};

/// Reads well: names, rows and notes, with `/` between fields.
#[track_caller]
fn reads(file: &str, content: &str, names: &str, rows: &[&str], notes: &[&str]) {
    let read = read_file(file, content.as_bytes(), &ReadOptions::default()).expect("it is read");
    assert_eq!(read.names.join("/"), names);
    assert_eq!(read.rows.iter().map(|row| row.join("/")).collect::<Vec<_>>(), rows);
    assert_eq!(read.notes, notes);
}

#[track_caller]
fn refused(file: &str, content: &str, expected: &str) {
    match read_file(file, content.as_bytes(), &ReadOptions::default()) {
        Ok(read) => panic!("read: {:?}", read.rows),
        Err(message) => assert!(message.contains(expected), "{message}"),
    }
}

const ROWS: [&str; 3] = ["fine/pos", "dull/neg", "good/pos"];

#[test]
fn separators_are_found() {
    for (separator, name) in [(';', "';'"), ('\t', "tab"), ('|', "'|'")] {
        let content = "text,label\nfine,pos\ndull,neg\ngood,pos\n".replace(',', &separator.to_string());
        reads("a.csv", &content, "text/label", &ROWS, &[&format!("separator {name}")]);
        reads("a.csv", &content.replace('\n', "\r\n"), "text/label", &ROWS, &[&format!("separator {name}")]);
        reads("a.csv", &content.replace('\n', "\r"), "text/label", &ROWS, &[&format!("separator {name}")]);
    }
    reads("a.tsv", "text,label\nfine,pos\ndull,neg\ngood,pos", "text/label", &ROWS, &["separator ','"]);
    let decimal = "text;score\nfine, really;1,5\nso, so;0,25\n";
    reads("a.csv", decimal, "text/score", &["fine, really/1,5", "so, so/0,25"], &["separator ';'"]);
    let piped = "text|label\n\"a|b\"|pos\n\"say \"\"no\"\"\"|neg\n";
    reads("a.csv", piped, "text/label", &["a|b/pos", "say \"no\"/neg"], &["separator '|'"]);
}

#[test]
fn the_formats_own_separator_wins_a_tie() {
    reads("a.csv", "a;b,c\n1;2,3\n4;5,6\n", "a;b/c", &["1;2/3", "4;5/6"], &[]);
    reads("a.tsv", "a,b\tc\n1,2\t3\n", "a,b/c", &["1,2/3"], &[]);
    // One column: the header holds no separator.
    reads("a.csv", "text\nfine; really\nso; so\n", "text", &["fine; really", "so; so"], &[]);
    reads("a.csv", "text\n\"a, b\"\n\"\"\nc\n", "text", &["a, b", "", "c"], &[]);
    refused("a.csv", "text\nfine, really\n", "line 2: 2 fields where the header has 1");
}

#[test]
fn a_line_that_names_the_separator() {
    for (separator, name) in [(",", "','"), (";", "';'"), ("|", "'|'"), ("\t", "tab")] {
        for end in ["\n", "\r\n"] {
            let content = "sep=,\ntext,label\nfine,pos\n".replace(',', separator).replace('\n', end);
            for file in ["a.csv", "a.tsv"] {
                let read = read_file(file, content.as_bytes(), &ReadOptions::default()).unwrap();
                assert_eq!(read.names, ["text", "label"]);
                assert_eq!((read.rows.concat().join("/"), read.lines[0]), ("fine/pos".into(), 3));
                assert_eq!(read.notes[0], format!("separator {name}, by the line sep="));
            }
        }
    }
    // Its separator wins over what the rows look like; a flag wins over it.
    let content = b"sep=;\na,b;c\n1,2;3\n";
    assert_eq!(read_file("a.csv", content, &ReadOptions::default()).unwrap().names, ["a,b", "c"]);
    let comma = ReadOptions { separator: Some(b','), ..ReadOptions::default() };
    assert_eq!(read_file("a.csv", content, &comma).unwrap().names, ["a", "b;c"]);
    refused("a.csv", "sep=;\na;b\n1;2;3\n", "line 3: 3 fields where the header has 2");
}

/// A lone quote at each place of a TSV is a character; in a CSV it is refused where it would swallow rows.
#[test]
fn lone_quotes() {
    let rows = ["so it begins/1", "very dull/0", "he said it/1", "good/0", "and it ends/1", "fine/0"];
    for (at, row) in rows.iter().enumerate() {
        for place in 0..=row.find('/').unwrap() {
            let mut quoted = rows.map(str::to_owned);
            quoted[at].insert(place, '"');
            let body = quoted.join("\n").replace('/', "\t");
            let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
            reads("a.tsv", &format!("text\tlabel\n{body}\n"), "text/label", &quoted, &["quotes are characters"]);
            let csv = format!("text,label\n{}\n", body.replace('\t', ","));
            if place == 0 {
                refused("a.csv", &csv, &format!("line {}: a quote opens here and is never closed", at + 2));
                refused("a.csv", &csv, "--quoting none");
                let read = read_file("a.csv", csv.as_bytes(), &quoting(Quoting::None)).unwrap();
                assert_eq!(read.rows.iter().map(|row| row.join("/")).collect::<Vec<_>>(), quoted);
            } else {
                reads("a.csv", &csv, "text/label", &quoted, &["quotes are characters"]);
            }
        }
    }
}

/// Two lone quotes, at the start of one text and at the end of a later one, look like a quoted field.
#[test]
fn rows_between_two_lone_quotes_are_not_lost() {
    let rows = ["good/1", "\"so it begins/1", "very dull/0", "he said it/1", "and it ends\"/1", "fine/0"];
    let tsv = format!("text/label\n{}\n", rows.join("\n")).replace('/', "\t");
    reads("a.tsv", &tsv, "text/label", &rows, &["quotes are characters"]);
    let csv = tsv.replace('\t', ",");
    refused("a.csv", &csv, "line 3: a quote opens here and closes lines later (the row ends on line 6)");
    refused("a.csv", &csv, "--quoting none");
    assert_eq!(read_file("a.csv", csv.as_bytes(), &quoting(Quoting::None)).unwrap().rows.len(), 6);
    // Who says that quotes enclose fields gets what they enclose.
    assert_eq!(read_file("a.csv", csv.as_bytes(), &quoting(Quoting::Double)).unwrap().rows.len(), 3);
    // Where the labels are scores that do not come again.
    let scores = "text,score\ngood,0.9\n\"so,0.5\nends\",0.25\nfine,0.75\n";
    refused("a.csv", scores, "line 3: a quote opens here and closes lines later");
    let rows = ["good/0.9", "\"so/0.5", "ends\"/0.25", "fine/0.75"];
    reads("a.tsv", &scores.replace(',', "\t"), "text/score", &rows, &["quotes are characters"]);
    // With the text last.
    let swapped = "label,text\n1,good\n1,\"so\n0,dull\n1,ends\"\n0,fine\n";
    refused("a.csv", swapped, "line 3: a quote opens here and closes lines later");
    // Far behind the sample.
    let csv = format!("text,label\n{}\"so,neg\nit,pos\nends\",neg\n", "good film,pos\nbad film,neg\n".repeat(60_000));
    refused("a.csv", &csv, "line 120002: a quote opens here and closes lines later");
    let read = read_file("a.tsv", csv.replace(',', "\t").as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!((read.rows.len(), read.rows[120_000][0].as_str()), (120_003, "\"so"));
}

#[test]
fn quoted_line_ends_are_of_the_text() {
    for (file, separator) in [("a.csv", ","), ("a.tsv", "\t"), ("b.csv", ";"), ("b.csv", "|")] {
        let content = "text,label\n\"two\nlines\",pos\n\"three\r\n\nmore\",neg\nplain,pos\n".replace(',', separator);
        let read = read_file(file, content.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(read.rows, [["two\nlines", "pos"], ["three\r\n\nmore", "neg"], ["plain", "pos"]], "{file}");
        assert_eq!(read.lines, [2, 4, 7]);
    }
    // Its lines hold the separator, and no label.
    reads(
        "a.csv",
        "text,label\n\"Well, good\nfilm\",pos\nbad,neg\n",
        "text/label",
        &["Well, good\nfilm/pos", "bad/neg"],
        &[],
    );
}

#[test]
fn a_tab_separated_file_that_is_quoted_as_a_whole() {
    let notes = ["quotes enclose fields"];
    reads("a.tsv", "\"text\"\t\"label\"\n\"a\tb\"\t\"1\"\n", "text/label", &["a\tb/1"], &notes);
    reads("a.tsv", "text\tlabel\n\"fine\"\t1\n\"dull\"\t0\n", "text/label", &["fine/1", "dull/0"], &notes);
    reads("a.tsv", "text\tlabel\n\"a\tb\"\t1\ndull\t0\n", "text/label", &["a\tb/1", "dull/0"], &notes);
    // Some texts alone are in quotes: those are theirs.
    let rows = ["\"fine\"/1", "dull/0"];
    reads("a.tsv", "text\tlabel\n\"fine\"\t1\ndull\t0\n", "text/label", &rows, &["quotes are characters"]);
    // Both readings are tables, and nothing tells them apart.
    refused("a.tsv", "text\n\"two\nlines\"\n", "--quoting double");
    let both = "text\ttopic\na\tsea\n\"b\tsky\nc\"\tice\n";
    refused("a.tsv", both, "a.tsv: line 3: a quote opens here and closes lines later");
    let late = format!("text\ttopic\n{}\"b\tsky\nc\"\tice\n", "good\tsea\n".repeat(200_000));
    refused("a.tsv", &late, "a.tsv: line 200002: a quote opens here and closes lines later");
    // The first quoted field comes late.
    let late = format!("text\tlabel\n{}\"a\tb\"\t1\n", "good\t1\nbad\t0\n".repeat(120_000));
    let read = read_file("a.tsv", late.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(read.rows.last().unwrap(), &["a\tb", "1"]);
}

#[test]
fn quotes_that_do_not_balance_are_refused_with_their_line() {
    refused(
        "a.csv",
        "text,label\ngood,pos\n\"bad,neg\nugly,neg\n",
        "a.csv: line 3: a quote opens here and is never closed",
    );
    refused("a.csv", "text,label\n\"so \"good\" it is\",neg\n", "line 2: a quote opens here and closes in the middle");
    refused("a.csv", "text,label\n\"a\"x,1\n", "line 2: a quote opens here and closes in the middle");
    refused("a.csv", "text,label\n\"a\"\rx,1\n", "line 2: a quote opens here and closes in the middle");
    refused("a.csv", "\"text,label\n", "line 1: a quote opens here and is never closed");
    refused("a.csv", "text,label\n\"a\nb\",1\n\"c,2\n", "line 4: a quote opens here");
}

#[test]
fn ragged_rows_are_refused_with_their_line() {
    refused(
        "a.csv",
        "text,label\ngood,1\nwell, no,0\n",
        "a.csv: line 3: 3 fields where the header has 2 (hint: a text that",
    );
    refused("a.csv", "text,label\ngood\nbad,0\n", "line 2: 1 fields where the header has 2");
    refused("a.csv", "text,label\n\ngood,1\n\nbad,0,\n", "line 5: 3 fields where");
    refused("a.tsv", "text\tlabel\ngood\t1\nbad\n", "a.tsv: line 3: 1 fields where");
    let raw = "text\tlabel\n5\" disc\t1\n\"a\tb\"\t0\n\"c\"d\t0\n";
    refused("a.tsv", raw, "line 3: 3 fields where the header has 2");
    refused("a.tsv", raw, "which --quoting double changes");
    refused("a.csv", "a,b\n1,2\r3,4\n", "line 2: 3 fields where the header has 2");
}

#[test]
fn what_else_files_have() {
    reads("a.csv", "text,label\n\nfine,pos\n\r\n\ndull,neg\n\n", "text/label", &["fine/pos", "dull/neg"], &[]);
    reads("a.csv", "text,label,\nfine,pos,\ndull,neg,\n", "text/label/", &["fine/pos/", "dull/neg/"], &[]);
    reads("a.csv", ",text,text\n0,a,b\n1,c,d\n", "/text/text", &["0/a/b", "1/c/d"], &[]);
    reads("a.csv", "text , label\n fine , pos\n", "text / label", &[" fine / pos"], &[]);
    reads("a.csv", "text,label\n,\n\"\",\"\"\n", "text/label", &["/", "/"], &[]);
    reads("a.csv", "text,label\r\nfine,pos", "text/label", &["fine/pos"], &[]);
    reads("a.csv", "text,label\r\n\"fine\",\"pos\"\r\n", "text/label", &["fine/pos"], &[]);
    reads("a.csv", "text,label\nfi\rne,pos\n", "text/label", &["fi\rne/pos"], &[]);
    refused("a.csv", "\n\r\n\n", "no header: the first line must name the columns");
    refused("a.csv", "text,label\rfine,pos\rdull,neg\r\"a", "line 4: a quote opens here");
    let mixed = "text,label\r".to_owned() + &"fine,pos\r".repeat(200_000) + "dull,neg\n";
    refused("a.csv", &mixed, "line 200002: a line feed, where the lines before end with a carriage return");
}

#[test]
fn a_first_row_of_data_is_not_lost() {
    let reviews = "\"4\",\"1467810000\",\"Apr 06\",\"I walked in\"\n\"0\",\"1467810001\",\"Apr 06\",\"Two hours\"\n";
    refused("a.csv", reviews, "a.csv: line 1: the first row looks like data");
    refused("a.csv", reviews, "--no-header with --text-column NUMBER");
    refused("a.csv", "fine,pos\ndull,neg\ngood,pos\n", "\"fine\", \"pos\" (hint: --no-header");
    refused("a.tsv", "1\tfine\n0\tdull\n1\tgood\n", "--no-header");
    let options = ReadOptions { no_header: true, ..ReadOptions::default() };
    let read = read_file("a.csv", reviews.as_bytes(), &options).unwrap();
    assert_eq!(read.names, ["1", "2", "3", "4"]);
    assert_eq!((read.rows.len(), read.rows[0][3].as_str(), read.lines[0]), (2, "I walked in", 1));
    let latin = [reviews.as_bytes(), b"\"4\",\"1467810002\",\"Apr 06\",\"caf\xE9\"\n"].concat();
    let message = read_file("a.csv", &latin, &ReadOptions::default()).err().unwrap();
    for flag in ["--encoding windows-1252", "--no-header", "--text-column NUMBER"] {
        assert!(message.contains(flag), "{message}");
    }
    let ragged = read_file("a.csv", b"a,b\nc\n", &options).err().unwrap();
    assert_eq!(
        ragged,
        "a.csv: line 2: 1 fields where the first row has 2 (hint: a text that holds a line end must be in quotes)"
    );
    for header in ["text,label", "Consumer complaint narrative,Product", "v1,v2", "0,1"] {
        let content = format!("{header}\nfine film,pos\ndull film,neg\nno,pos\n");
        assert_eq!(read_file("a.csv", content.as_bytes(), &ReadOptions::default()).unwrap().rows.len(), 3, "{header}");
    }
}

#[test]
fn flags_win_over_what_is_found() {
    let content = b"text;label\n\"fine\";pos\n\"dull\";neg\n";
    let comma = ReadOptions { separator: Some(b','), ..ReadOptions::default() };
    let read = read_file("a.csv", content, &ReadOptions { quoting: Some(Quoting::None), ..comma }).unwrap();
    assert_eq!((read.names, read.notes), (vec!["text;label".to_owned()], vec![]));
    assert_eq!(read.rows, [["\"fine\";pos"], ["\"dull\";neg"]]);
    let read = read_file("a.csv", content, &quoting(Quoting::None)).unwrap();
    assert_eq!((read.rows[0][0].as_str(), read.notes), ("\"fine\"", vec!["separator ';'".to_owned()]));
    let colon = ReadOptions { separator: Some(b':'), ..ReadOptions::default() };
    assert_eq!(read_file("a.csv", b"text:label\na,b:c\n", &colon).unwrap().rows, [["a,b", "c"]]);
}

#[test]
fn the_dialect_is_known_before_a_row_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "text;label\n5\" disc;1\n").unwrap();
    let table = Table::open(&path, &ReadOptions::default()).unwrap();
    let expected = Dialect { separator: b';', quoting: Quoting::None, header: true };
    assert_eq!(table.dialect(), Some(expected));
    assert_eq!(table.notes(), ["separator ';'", "quotes are characters"]);
}
