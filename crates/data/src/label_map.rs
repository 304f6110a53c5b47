//! What the values of a label column mean, as the user states it: `--label-map` on the command line or in a file.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use table::ending;

/// The largest file of a map.
const MAX_FILE: u64 = 1 << 20;
const EXPECTED: &str = "expected VALUE=NAME, such as 0=negative";

/// Values and the name of each, in the order of the classes. Several values may have one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMap(pub Vec<(String, String)>);

impl LabelMap {
    /// What `--label-map` says: the path of a file, or `VALUE=NAME` pairs with commas between them. A value or a name that
    /// holds one of these characters is in double quotes, with a quote inside it written twice.
    ///
    /// # Errors
    /// What is neither, and a file that holds no such rows.
    pub fn from_flag(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        if path.is_file() {
            return Self::from_file(path);
        }
        if !text.contains('=') && matches!(ending(path).as_str(), "csv" | "tsv" | "json") {
            return Err("there is no such file".into());
        }
        let mut map = Vec::new();
        let mut rest = text;
        loop {
            let value;
            (value, rest) = field(rest, &['=', ','])?;
            let Some(behind) = rest.strip_prefix('=') else {
                let hint = " (hint: a value with a comma in it is in double quotes: \"a, b\"=NAME)";
                let hint = if rest.starts_with(',') { hint } else { "" };
                return Err(format!("{EXPECTED}, found {value:?}{hint}"));
            };
            let name;
            (name, rest) = field(behind, &[','])?;
            map.push(pair(value, name)?);
            match rest.strip_prefix(',') {
                Some(behind) => rest = behind,
                None => return Ok(Self(map)),
            }
        }
    }

    /// Reads a JSON object of names by value, or CSV or TSV with a value and a name in each row.
    fn from_file(path: &Path) -> Result<Self, String> {
        let place = |what: String| format!("{}: {what}", path.display());
        let size = path.metadata().map_err(|error| place(error.to_string()))?.len();
        if size > MAX_FILE {
            return Err(place(format!("{size} bytes are too many for names of labels")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| place(error.to_string()))?;
        let text = text.trim_start_matches('\u{FEFF}');
        let found = if ending(path) == "json" || text.trim_start().starts_with('{') {
            let NamesByValue(pairs) = serde_json::from_str(text)
                .map_err(|error| place(format!("{error} (hint: an object such as {{\"0\": \"negative\"}})")))?;
            pairs.into_iter().map(|(value, name)| pair(value, name)).collect()
        } else {
            rows(text, if ending(path) == "tsv" { '\t' } else { ',' })
        };
        let pairs: Vec<(String, String)> = found.map_err(place)?;
        if pairs.is_empty() { Err(place("no labels in this file".into())) } else { Ok(Self(pairs)) }
    }
}

fn pair(value: String, name: String) -> Result<(String, String), String> {
    if value.trim().is_empty() || name.trim().is_empty() {
        return Err(format!("{EXPECTED}; found {value:?} and {name:?}"));
    }
    Ok((value.trim().to_owned(), name.trim().to_owned()))
}

/// Rows of a value and a name; a first row `value,name` names the columns.
fn rows(text: &str, separator: char) -> Result<Vec<(String, String)>, String> {
    let mut map = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = |what: String| format!("line {}: {what}", at + 1);
        let (value, rest) = field(line, &[separator]).map_err(place)?;
        let Some(rest) = rest.strip_prefix(separator) else {
            return Err(place(format!("expected a value, {separator:?} and a name, found {line:?}")));
        };
        let (name, rest) = field(rest, &[separator]).map_err(place)?;
        if !rest.is_empty() {
            return Err(place(
                "more than a value and a name (hint: a field with the separator in it is quoted)".into(),
            ));
        }
        let is_header = at == 0 && value.eq_ignore_ascii_case("value") && name.eq_ignore_ascii_case("name");
        if !is_header {
            map.push(pair(value, name).map_err(place)?);
        }
    }
    Ok(map)
}

/// The field at the start of a text up to one of `ends` or the text's end, and what comes from there on.
fn field<'a>(text: &'a str, ends: &[char]) -> Result<(String, &'a str), String> {
    let Some(quoted) = text.trim_start_matches(' ').strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        return Ok((text[..end].trim().to_owned(), &text[end..]));
    };
    let (mut value, mut rest) = (String::new(), quoted);
    loop {
        let Some(end) = rest.find('"') else {
            return Err(format!("the quote before {quoted:?} is not closed"));
        };
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(behind) => {
                value.push('"');
                rest = behind;
            }
            None => break,
        }
    }
    let rest = rest.trim_start_matches(' ');
    if rest.is_empty() || rest.starts_with(ends) {
        Ok((value, rest))
    } else {
        Err(format!("{rest:?} comes behind the quoted {value:?}"))
    }
}

/// A value or a name as [`LabelMap::from_flag`] reads it.
pub(crate) fn for_flag(text: &str) -> String {
    if text.contains([',', '=', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The members of a JSON object, in its order.
struct NamesByValue(Vec<(String, String)>);

impl<'de> Deserialize<'de> for NamesByValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = NamesByValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a name for each value")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<NamesByValue, M::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some((value, name)) = map.next_entry::<String, String>()? {
                    if pairs.iter().any(|(known, _)| *known == value) {
                        return Err(M::Error::custom(format!("{value:?} is there twice")));
                    }
                    pairs.push((value, name));
                }
                Ok(NamesByValue(pairs))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        LabelMap::from_flag(text).expect(text).0
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(value, name)| (value.to_string(), name.to_string())).collect()
    }

    #[test]
    fn pairs_of_the_command_line() {
        assert_eq!(pairs("0=negative, 1 = positive"), owned(&[("0", "negative"), ("1", "positive")]));
        assert_eq!(pairs("-1=a=b"), owned(&[("-1", "a=b")]));
        let quoted = "\"Credit reporting, credit repair\"=credit,\"a=b\" = \"say \"\"yes\"\", or no\"";
        assert_eq!(
            pairs(quoted),
            owned(&[("Credit reporting, credit repair", "credit"), ("a=b", "say \"yes\", or no")])
        );
        for (text, reason) in [
            ("", "expected VALUE=NAME"),
            ("negative", "expected VALUE=NAME"),
            ("0=", "expected VALUE=NAME"),
            ("0=a,", "expected VALUE=NAME"),
            ("a, b=c", "a value with a comma in it is in double quotes"),
            ("\"a=b", "is not closed"),
            ("\"a\"b=c", "comes behind the quoted \"a\""),
            ("nowhere/labels.csv", "there is no such file"),
        ] {
            let error = LabelMap::from_flag(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn files_of_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("written");
            LabelMap::from_flag(&path.display().to_string()).map(|map| map.0)
        };
        let expected = owned(&[("b, c", "two"), ("a=1", "one")]);
        assert_eq!(file("names.csv", "\u{FEFF}Value,Name\r\n\"b, c\",two\r\n\r\na=1,one\r\n").expect("CSV"), expected);
        assert_eq!(file("names.tsv", "b, c\ttwo\na=1\tone").expect("TSV"), expected);
        assert_eq!(file("names.json", "{\"b, c\": \"two\", \"a=1\": \"one\"}").expect("JSON, in its order"), expected);
        // An existing file wins over a pair.
        let here = folder.path().join("0=no,1=yes");
        std::fs::write(&here, "x,y\n").expect("written");
        assert_eq!(pairs(&here.display().to_string()), owned(&[("x", "y")]));
        for (name, content, reason) in [
            ("a.csv", "a\n", "line 1: expected a value, ',' and a name, found \"a\""),
            ("b.csv", "a,b\nc,d,e\n", "line 2: more than a value and a name"),
            ("c.csv", "\n", "no labels in this file"),
            ("d.json", "{\"0\": \"a\", \"0\": \"b\"}", "\"0\" is there twice"),
            ("e.json", "[\"a\"]", "an object with a name for each value"),
            ("f.csv", "a,\n", "line 1: expected VALUE=NAME"),
        ] {
            let error = file(name, content).expect_err(name);
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_names_can_be_said(names in prop::collection::vec(("[ -~é]{0,8}[a-z,=\"]", "[ -~]{0,8}[a-z,=\"]"), 1..5)) {
            let flag: Vec<String> =
                names.iter().map(|(value, name)| format!("{}={}", for_flag(value), for_flag(name))).collect();
            let trimmed: Vec<(String, String)> =
                names.iter().map(|(value, name)| (value.trim().to_owned(), name.trim().to_owned())).collect();
            prop_assert_eq!(pairs(&flag.join(",")), trimmed);
        }
    }
}
