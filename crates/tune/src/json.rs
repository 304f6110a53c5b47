//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, which serde_json refuses to read and to write.
//!
//! Since a [`Value`] can't hold these numbers, each becomes a string that begins with a mark.

use serde_json::Value;

const MARK: char = '\0';
const SPECIAL: [(&str, f64); 3] = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let first = match serde_json::from_slice(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if !text.windows(3).any(|part| part == b"NaN" || part == b"Inf") {
        return Err(reason(&first));
    }
    serde_json::from_slice(&marked(text)).map_err(|error| reason(&error))
}

/// A JSON error without its line, which is always the first of the one line that was read.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The text with marked strings in place of the three words outside strings.
fn marked(text: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len() + 64);
    let (mut at, mut in_string) = (0, false);
    while at < text.len() {
        let special = SPECIAL.iter().find(|(word, _)| !in_string && text[at..].starts_with(word.as_bytes()));
        if let Some((word, _)) = special {
            made.extend_from_slice(format!("\"\\u0000{word}\"").as_bytes());
            at += word.len();
            continue;
        }
        if in_string && text[at] == b'\\' {
            made.push(text[at]);
            at += 1;
        } else if text[at] == b'"' {
            in_string = !in_string;
        }
        made.extend(text.get(at));
        at += 1;
    }
    made
}

/// The number behind a mark.
pub(crate) fn special(value: &Value) -> Option<f64> {
    let word = value.as_str()?.strip_prefix(MARK)?;
    SPECIAL.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// A number, including the three special ones.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| special(value))
}

/// A whole number, also in the form 3.0.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e18);
    value.as_i64().or_else(|| float().map(|number| number as i64))
}

/// A value without marks: a marked string becomes the plain word.
pub(crate) fn unmarked(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) => {
            if let Some(word) = text.strip_prefix(MARK).filter(|word| SPECIAL.iter().any(|(name, _)| name == word)) {
                *text = word.to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = unmarked(item.take())),
        Value::Object(members) => members.values_mut().for_each(|member| *member = unmarked(member.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    value
}

/// A number in a form that Python reads back to the same bits.
pub(crate) fn float(number: f64) -> String {
    let special = || SPECIAL.iter().find(|(_, other)| number == *other).map_or("NaN", |(word, _)| word);
    serde_json::Number::from_f64(number).map_or_else(|| special().to_owned(), |number| number.to_string())
}

pub(crate) fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// An object of members that are JSON texts.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(name, json)| format!("{}:{json}", string(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// The first characters of a text, escaped, for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_infinity_are_numbers_outside_of_strings_only() {
        let value = parse(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" Infinity", "d\\": 1}"#).unwrap();
        assert!(number(&value["a"]).unwrap().is_nan());
        assert_eq!(number(&value["b"][0]), Some(f64::NEG_INFINITY));
        assert_eq!(number(&value["b"][1]), Some(f64::INFINITY));
        assert_eq!(value["c"], "NaN \" Infinity");
        assert_eq!(number(&value["c"]), None);
        assert_eq!(unmarked(value)["b"], serde_json::json!(["-Infinity", "Infinity"]));
        for wrong in ["{\"a\": NaNa}", "NaN NaN", "{\"a\": --Infinity}", "Inf", "\"NaN", "{\"NaN"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_round_trip_exactly() {
        for number in [0.1, -0.0, 1e-5, 1e300, 5e-324, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let read = super::number(&parse(float(number).as_bytes()).unwrap()).unwrap();
            assert!(read.to_bits() == number.to_bits() || (read.is_nan() && number.is_nan()), "{number}");
        }
        assert_eq!(float(3.0), "3.0");
    }

    #[test]
    fn whole_numbers_may_have_a_point() {
        let integer = |text: &str| super::integer(&parse(text.as_bytes()).unwrap());
        assert_eq!((integer("3"), integer("3.0"), integer("3.5")), (Some(3), Some(3), None));
        assert_eq!((integer("1e30"), integer("\"3\""), integer("true")), (None, None, None));
    }

    #[test]
    fn excerpts_are_short_and_plain() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"x".repeat(50)).chars().count(), 41);
    }
}
