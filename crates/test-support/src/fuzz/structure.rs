//! Mutations of structured text: of lines, words, values and members.

use std::ops::Range;

use crate::random::Random;

/// Beyond this a mutant grows no further: reading it would be slow and show nothing new.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Numbers that a reader of numbers may stumble over.
const NUMBERS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "2",
    "-0",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-1e-999",
    "0.1",
    "1.5",
    "NaN",
    "inf",
];

/// Pieces of text that mean something to one reader or another.
const PIECES: [&str; 34] = [
    "\"",
    "\"\"",
    "'",
    ",",
    ";",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\u{FEFF}",
    "\0",
    "\u{1}",
    "\u{7F}",
    "\u{A0}",
    "\u{200B}",
    "\u{FFFD}",
    "\u{10FFFF}",
    "e\u{301}\u{301}",
    "\u{202E}",
    "(",
    ")",
    "(2 ",
    "()",
    "-LRB-",
    "\\/",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "#",
    "##",
];

/// What may stand where a value stood.
const VALUES: [&str; 22] = [
    "null",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"0\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "[0]",
    "[[]]",
    "{\"a\":0}",
    "[null]",
    "[\"a\",\"a\"]",
    "{\"\":\"\"}",
    "{\"a\":1,\"a\":2}",
    "\"bert\"",
    "\"[UNK]\"",
    "[1,2,3]",
    "nan",
    "1979-05-27",
];

/// One blow against lines.
pub(super) fn lines(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (at, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(10) {
        0 if !lines.is_empty() => drop(lines.remove(at)),
        1 if !lines.is_empty() => {
            let times = 1 + random.below(3) * random.below(64);
            let line = lines[at];
            let block: String = line.repeat(times.min(MAX_BYTES / line.len().max(1)));
            return insert(text, offset(text, line), &block);
        }
        2 if !lines.is_empty() => lines.swap(at, other),
        3 if !lines.is_empty() => {
            // A field, a word, a node: from one separator to the next, taken out or put elsewhere.
            let field = lines[at].split_inclusive([',', '\t', ' ', '(', ')']).nth(random.below(8)).unwrap_or("");
            if random.below(2) == 0 {
                let start = offset(text, field);
                return splice(text, start..start + field.len(), "");
            }
            return insert(text, place(text, random), field);
        }
        4 => return insert(text, place(text, random), &nest(random)),
        5 | 6 => return number(text, random),
        _ => {
            let piece = random.one(&PIECES);
            let start = place(text, random);
            let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8() * random.below(2));
            return splice(text, start..end, piece);
        }
    }
    lines.concat()
}

/// One blow against JSON: a member dropped or doubled, a value of another kind, a nest.
pub(super) fn json(text: &str, random: &mut Random) -> String {
    let (values, members) = spans(text, b':');
    values_and_members(text, &values, &members, random)
}

/// One blow against TOML.
pub(super) fn toml(text: &str, random: &mut Random) -> String {
    match random.below(8) {
        0 => insert(text, 0, random.one(&["[table]\n", "[[rows]]\n", "a.b.c.d = 1\n", "\"\" = 0\n", "epochs = 1\n"])),
        1 => insert(text, 0, &format!("{} = 1\n", vec!["a"; 1 + random.below(2000)].join("."))),
        2 | 3 => lines(text, random),
        _ => {
            let (values, members) = spans(text, b'=');
            values_and_members(text, &values, &members, random)
        }
    }
}

fn values_and_members(text: &str, values: &[Range<usize>], members: &[Range<usize>], random: &mut Random) -> String {
    if values.is_empty() {
        return lines(text, random);
    }
    let mut value = values[random.below(values.len())].clone();
    if random.below(4) > 0 && members.iter().any(|member| member.start == value.start) {
        // A key that is no string any more ends the reading at once; values lead deeper.
        value = values[random.below(values.len())].clone();
    }
    let member = (!members.is_empty()).then(|| members[random.below(members.len())].clone());
    match (random.below(10), member) {
        (0, Some(member)) => {
            // With the comma behind it, or else the one in front.
            let behind = text[member.end..].trim_start().starts_with(',');
            let end =
                if behind { member.end + text[member.end..].find(',').map_or(0, |at| at + 1) } else { member.end };
            let front = text[..member.start].trim_end().strip_suffix(',').filter(|_| !behind);
            splice(text, front.map_or(member.start, str::len)..end, "")
        }
        (1, Some(member)) => {
            let copy = format!("{},", &text[member.clone()]);
            insert(text, member.start, &copy.repeat(1 + random.below(2) * random.below(200)))
        }
        (2, Some(member)) => {
            // Under another name, beside the old one: an unknown name, or another known one.
            let copy = text[member.clone()].replacen('"', random.one(&["\"", "\"x", "\"bert.", "\"__"]), 1);
            insert(text, member.start, &format!("{copy},"))
        }
        (3, _) => number(text, random),
        (4, _) => splice(text, value, &nest(random)),
        (5, _) => {
            let other = values[random.below(values.len())].clone();
            splice(text, value, &text[other])
        }
        (6, _) => {
            let long = random.one(&["a", "9", "\u{1F600}", "\\n", " "]).repeat(1 << random.below(14));
            splice(text, value, &format!("\"{long}\""))
        }
        (7, _) => splice(text, value, random.one(&NUMBERS)),
        _ => splice(text, value, random.one(&VALUES)),
    }
}

/// Brackets in brackets, closed or not: shallow, or deeper than a call stack takes.
fn nest(random: &mut Random) -> String {
    let depth = 1 << random.below(17);
    let (open, close) = random.one(&[("[", "]"), ("{\"a\":", "}"), ("(2 ", ")"), ("(2 (2 a) ", ")"), ("\"", "\"")]);
    let closed = if random.below(3) > 0 { close.repeat(depth) } else { String::new() };
    format!("{}1{closed}", open.repeat(depth))
}

/// Replaces a number of the text, where there is one.
fn number(text: &str, random: &mut Random) -> String {
    let starts: Vec<usize> = text
        .as_bytes()
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| !pair[0].is_ascii_digit() && pair[1].is_ascii_digit())
        .map(|(at, _)| at + 1)
        .collect();
    let Some(&start) = starts.get(random.below(starts.len())) else {
        return insert(text, place(text, random), random.one(&NUMBERS));
    };
    let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
    splice(text, start..start + digits, random.one(&NUMBERS))
}

/// The values of a text, keys and whole objects among them, and its members: key, `separator`, value. The text may be
/// damaged already; what can't be recognized is left out.
fn spans(text: &str, separator: u8) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let (mut values, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'"' => {
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at = (at + 1).min(bytes.len());
                if text.is_char_boundary(at) {
                    values.push(start..at);
                }
            }
            b'{' | b'[' => open.push(start),
            b'}' | b']' => values.extend(open.pop().map(|from| from..at)),
            b'-' | b'+' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || b"-+._".contains(&bytes[at])) {
                    at += 1;
                }
                values.push(start..at);
            }
            _ => {}
        }
    }
    let keys = values.iter().filter_map(|key| {
        let rest = text[key.end..].trim_start().strip_prefix(separator as char)?.trim_start();
        let start = text.len() - rest.len();
        let value = values.iter().filter(|value| value.start == start).max_by_key(|value| value.end)?;
        Some(key.start..value.end)
    });
    // With a vocabulary of thousands the search above would take longer than all else.
    let members = if values.len() > 2000 { Vec::new() } else { keys.collect() };
    (values, members)
}

/// Somewhere in a text, between two characters.
fn place(text: &str, random: &mut Random) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a part of `text` begins in it.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len())
}

fn insert(text: &str, at: usize, new: &str) -> String {
    splice(text, at..at, new)
}

fn splice(text: &str, range: Range<usize>, new: &str) -> String {
    [&text[..range.start], new, &text[range.end..]].concat()
}
