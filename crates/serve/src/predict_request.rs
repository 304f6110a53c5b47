//! What a request to label texts says: the forms of `inputs`, and what is refused of them.

use std::fmt;
use std::marker::PhantomData;

use label::is_blank;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use tokenize::TruncationSide;

use crate::error::RequestError;
use crate::metrics::RequestMethod;

/// A request to label texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PredictRequest {
    pub texts: TextsToLabel,
    /// Whether texts that are too long are cut; `None` leaves it to the server.
    pub truncate: Option<bool>,
    pub truncation_side: TruncationSide,
    /// Logits instead of probabilities.
    pub raw_scores: bool,
    /// How many of the best labels are answered.
    pub top_k: Option<usize>,
    /// Whether the answer for one text is a list of lists too, as in Hugging Face's own API: of requests in its form, which
    /// have `parameters`. Its clients take the first list of the answer.
    pub always_lists: bool,
}

/// The texts, none of them blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TextsToLabel {
    /// The answer is a list of labels.
    One(String),
    /// The answer is a list of lists.
    Many(Vec<String>),
}

impl TextsToLabel {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    pub(crate) fn method(&self) -> RequestMethod {
        match self {
            Self::One(_) => RequestMethod::Single,
            Self::Many(_) => RequestMethod::Batch,
        }
    }
}

/// The request as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequest {
    inputs: WrittenInputs,
    truncate: Option<bool>,
    truncation_direction: Option<TruncationDirection>,
    raw_scores: Option<bool>,
    #[serde(default, deserialize_with = "from_object")]
    parameters: Option<PredictParameters>,
}

/// What Hugging Face's own API and clients call parameters.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictParameters {
    function_to_apply: Option<ScoreFunction>,
    /// JSON has no integers: 3.0 is 3.
    top_k: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScoreFunction {
    Softmax,
    None,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
enum TruncationDirection {
    #[serde(alias = "left")]
    Left,
    #[serde(alias = "right")]
    Right,
}

/// `inputs`: a text, or a list of which each element is a text or a list of texts.
type WrittenInputs = TextOrList<TextOrList<String>>;

#[derive(Debug)]
enum TextOrList<T> {
    Text(String),
    List(Vec<T>),
}

/// What a list holds, and so where in a request the list is.
trait ListItem {
    const EXPECTED: &str;
}

impl ListItem for TextOrList<String> {
    const EXPECTED: &str = "inputs to be a text or a list of texts";
}

impl ListItem for String {
    const EXPECTED: &str = "an element of inputs to be a text or a list of one text";
}

impl PredictRequest {
    /// Reads the body of a request with at most `max_texts` texts.
    ///
    /// # Errors
    /// JSON that isn't, keys and values that have no meaning here, pairs of texts, and nothing to label.
    pub(crate) fn parse(body: &[u8], max_texts: usize) -> Result<Self, RequestError> {
        let written: WrittenRequest = parse_json(body)?;
        let texts = texts(written.inputs, max_texts)?;
        let always_lists = written.parameters.is_some();
        let parameters = written.parameters.unwrap_or_default();
        let raw_scores = match (written.raw_scores, parameters.function_to_apply) {
            (Some(true), Some(ScoreFunction::Softmax)) | (Some(false), Some(ScoreFunction::None)) => {
                return Err(RequestError::Validation(
                    "raw_scores and function_to_apply contradict each other (hint: leave one of them out)".to_owned(),
                ));
            }
            (raw, function) => raw.unwrap_or(function == Some(ScoreFunction::None)),
        };
        if let Some(found) = parameters.top_k.filter(|number| *number < 1.0 || number.fract() != 0.0) {
            return Err(RequestError::Validation(format!(
                "top_k: expected a whole number of at least 1, found {found}"
            )));
        }
        let truncation_side = match written.truncation_direction {
            Some(TruncationDirection::Left) => TruncationSide::Left,
            Some(TruncationDirection::Right) | None => TruncationSide::Right,
        };
        let (truncate, top_k) = (written.truncate, parameters.top_k.map(|number| number as usize));
        Ok(Self { texts, truncate, truncation_side, raw_scores, top_k, always_lists })
    }
}

/// # Errors
/// Invalid JSON is a [`RequestError::Syntax`], JSON of another form a [`RequestError::Validation`].
pub(crate) fn parse_json<T: de::DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(RequestError::Syntax(
            "expected JSON, found an empty body (hint: -d '{\"inputs\": \"A text.\"}')".to_owned(),
        ));
    }
    let parsed = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => RequestError::Validation(error.to_string()),
        _ => RequestError::Syntax(format!("expected JSON: {error}")),
    })?;
    // serde would take a list for the fields of an object in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(RequestError::Validation("expected an object such as {\"inputs\": ...}, found a list".to_owned()));
    }
    Ok(parsed)
}

/// A value that is written as an object, and not as the list of its fields.
fn from_object<'de, D: de::Deserializer<'de>, T: de::DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let object: Option<serde_json::Map<String, serde_json::Value>> = de::Deserialize::deserialize(from)?;
    let parsed = object.map(|object| serde_json::from_value(object.into()));
    parsed.transpose().map_err(de::Error::custom)
}

fn texts(inputs: WrittenInputs, max_texts: usize) -> Result<TextsToLabel, RequestError> {
    let refuse = |message: String| Err(RequestError::Validation(message));
    let list = match inputs {
        TextOrList::Text(text) => return checked(TextsToLabel::One(text)),
        TextOrList::List(list) => list,
    };
    if list.is_empty() {
        return Err(RequestError::Empty("inputs: expected at least one text, found none".to_owned()));
    }
    if list.len() > max_texts {
        return refuse(format!("inputs: expected at most {max_texts} texts in a request, found {}", list.len()));
    }
    let texts = list.iter().filter(|input| matches!(input, TextOrList::Text(_))).count();
    if texts == list.len() {
        let mut list: Vec<String> = list.into_iter().flat_map(TextOrList::into_texts).collect();
        return match list.len() {
            1 => checked(TextsToLabel::One(list.remove(0))),
            2 => refuse(
                "inputs: a list of two texts is one pair, and this model labels single texts (hint: [[\"a\"], [\"b\"]] \
                 is two texts)"
                    .to_owned(),
            ),
            found => refuse(format!(
                "inputs: expected a text, or a list with a list for each text, found a list of {found} texts (hint: \
                 [[\"a\"], [\"b\"]] is two texts)"
            )),
        };
    }
    if texts > 0 {
        return refuse(
            "inputs: expected a list with a list for each text, found texts beside lists (hint: [[\"a\"], [\"b\"]] is two \
             texts)"
                .to_owned(),
        );
    }
    let mut all = Vec::with_capacity(list.len());
    for (index, input) in list.into_iter().enumerate() {
        let mut texts = input.into_texts();
        match (texts.pop(), texts.len()) {
            (Some(text), 0) => all.push(text),
            (None, _) => {
                return Err(RequestError::Empty(format!("inputs[{index}]: expected a text, found an empty list")));
            }
            (Some(_), 1) => {
                return refuse(format!("inputs[{index}]: found a pair of texts, and this model labels single texts"));
            }
            (Some(_), more) => {
                return refuse(format!("inputs[{index}]: expected a list of one text, found {} texts", more + 1));
            }
        }
    }
    checked(TextsToLabel::Many(all))
}

/// Refuses blank texts: a label would mean nothing.
fn checked(texts: TextsToLabel) -> Result<TextsToLabel, RequestError> {
    match texts.as_slice().iter().position(|text| is_blank(text)) {
        Some(_) if texts.method() == RequestMethod::Single => {
            Err(RequestError::Empty("inputs: expected a text, found nothing but blanks".to_owned()))
        }
        Some(index) => Err(RequestError::Empty(format!("inputs[{index}]: expected a text, found nothing but blanks"))),
        None => Ok(texts),
    }
}

impl TextOrList<String> {
    fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(texts) => texts,
        }
    }
}

impl<'de, T: ListItem + Deserialize<'de>> Deserialize<'de> for TextOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrListVisitor<T>(PhantomData<T>);

        impl<'de, T: ListItem + Deserialize<'de>> Visitor<'de> for TextOrListVisitor<T> {
            type Value = TextOrList<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(T::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOrList::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(TextOrList::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    elements.push(element);
                }
                Ok(TextOrList::List(elements))
            }
        }

        deserializer.deserialize_any(TextOrListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<PredictRequest, RequestError> {
        PredictRequest::parse(body.as_bytes(), 4)
    }

    fn texts_of(inputs: &str) -> TextsToLabel {
        parse(&format!("{{\"inputs\": {inputs}}}")).unwrap().texts
    }

    fn error(body: &str) -> (u16, &'static str, String) {
        let error = parse(body).unwrap_err();
        (error.status().as_u16(), error.kind(), error.to_string())
    }

    #[test]
    fn a_text_and_a_list_of_one_are_one_text_and_lists_are_many() {
        let one = |text: &str| TextsToLabel::One(text.to_owned());
        let many = |texts: &[&str]| TextsToLabel::Many(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(texts_of(r#""a""#), one("a"));
        assert_eq!(texts_of(r#"["a"]"#), one("a"));
        assert_eq!(texts_of(r#"[["a"]]"#), many(&["a"]));
        assert_eq!(texts_of(r#"[["a"], ["b\nc"]]"#), many(&["a", "b\nc"]));
    }

    #[test]
    fn a_pair_is_never_two_texts() {
        let (status, kind, message) = error(r#"{"inputs": ["a", "b"]}"#);
        assert_eq!((status, kind), (422, "Validation"));
        assert!(message.contains("one pair") && message.contains(r#"[["a"], ["b"]]"#), "{message}");
        assert!(error(r#"{"inputs": [["a"], ["b", "c"]]}"#).2.starts_with("inputs[1]: found a pair"));
        assert!(error(r#"{"inputs": ["a", "b", "c"]}"#).2.contains("found a list of 3 texts"));
        assert!(error(r#"{"inputs": ["a", ["b"]]}"#).2.contains("texts beside lists"));
        assert!(error(r#"{"inputs": [["a", "b", "c"]]}"#).2.contains("expected a list of one text, found 3 texts"));
    }

    #[test]
    fn what_has_no_text_is_empty() {
        for body in [r#"{"inputs": []}"#, r#"{"inputs": ""}"#, r#"{"inputs": " \n\t"}"#, r#"{"inputs": [["a"], []]}"#] {
            assert_eq!((error(body).0, error(body).1), (400, "Empty"), "{body}");
        }
        assert!(error(r#"{"inputs": [["a"], [" "]]}"#).2.starts_with("inputs[1]: "));
    }

    #[test]
    fn more_texts_than_allowed_are_refused() {
        assert!(parse(r#"{"inputs": [["a"], ["b"], ["c"], ["d"]]}"#).is_ok());
        let (status, _, message) = error(r#"{"inputs": [["a"], ["b"], ["c"], ["d"], ["e"]]}"#);
        assert_eq!((status, message.as_str()), (422, "inputs: expected at most 4 texts in a request, found 5"));
    }

    #[test]
    fn options_have_their_names_and_defaults() {
        let request = parse(r#"{"inputs": "a"}"#).unwrap();
        assert_eq!((request.truncate, request.raw_scores, request.top_k), (None, false, None));
        assert!(!request.always_lists);
        assert_eq!(request.truncation_side, TruncationSide::Right);
        let request =
            parse(r#"{"inputs": "a", "truncate": null, "raw_scores": true, "truncation_direction": "left"}"#).unwrap();
        assert_eq!((request.truncate, request.raw_scores, request.truncation_side), (None, true, TruncationSide::Left));
        let request = parse(r#"{"inputs": "a", "truncate": false, "truncation_direction": "Right"}"#).unwrap();
        assert_eq!((request.truncate, request.truncation_side), (Some(false), TruncationSide::Right));
        let request = parse(r#"{"inputs": "a", "parameters": {"top_k": 1, "function_to_apply": "none"}}"#).unwrap();
        assert_eq!((request.top_k, request.raw_scores), (Some(1), true));
        let request = parse(r#"{"inputs": "a", "parameters": {"top_k": 249749.0}}"#).unwrap();
        assert_eq!(request.top_k, Some(249_749), "as JSON Schema has it, 249749.0 is an integer");
        assert!(request.always_lists);
        let request = parse(r#"{"inputs": "a", "parameters": {}}"#).unwrap();
        assert_eq!((request.raw_scores, request.always_lists), (false, true));
    }

    #[test]
    fn a_list_is_not_taken_for_the_fields_of_an_object() {
        for body in [r#"["a", null, null, null, null]"#, r#"{"inputs": "a", "parameters": [null, null]}"#] {
            let error = parse(body).unwrap_err();
            assert!(matches!(error, RequestError::Validation(_)), "{body}: {error:?}");
        }
        assert!(parse(r#"{"inputs": "a", "parameters": null}"#).is_ok());
    }

    #[test]
    fn what_has_no_meaning_here_is_refused_and_named() {
        for (body, word) in [
            (r#"{"inputs": "a", "raw_scors": true}"#, "raw_scors"),
            (r#"{"inputs": "a", "truncation_direction": "up"}"#, "up"),
            (r#"{"inputs": "a", "truncate": "yes"}"#, "yes"),
            (r#"{"inputs": 3}"#, "expected inputs to be a text or a list of texts"),
            (r#"{"inputs": null}"#, "expected inputs to be"),
            (r#"{"inputs": [3]}"#, "expected an element of inputs"),
            (r#"{"inputs": "a", "inputs": "b"}"#, "duplicate field"),
            (r#"{"texts": "a"}"#, "texts"),
            ("{}", "missing field `inputs`"),
            (r#"["a"]"#, "invalid"),
            (r#"{"inputs": "a", "parameters": {"top_k": 0}}"#, "top_k: expected a whole number of at least 1, found 0"),
            (r#"{"inputs": "a", "parameters": {"top_k": 1.5}}"#, "found 1.5"),
            (r#"{"inputs": "a", "parameters": {"function_to_apply": "sigmoid"}}"#, "sigmoid"),
            (r#"{"inputs": "a", "raw_scores": true, "parameters": {"function_to_apply": "softmax"}}"#, "contradict"),
        ] {
            let (status, kind, message) = error(body);
            assert_eq!((status, kind), (422, "Validation"), "{body}: {message}");
            assert!(message.contains(word), "{body}: {message}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        for begin in ["{\"inputs\": ", "{\"parameters\": ", "{\"other\": ", ""] {
            let deep = format!("{begin}{}", "[".repeat(1_000_000));
            assert!([400, 422].contains(&error(&deep).0), "{begin}");
        }
    }

    #[test]
    fn what_is_no_json_is_a_bad_request() {
        let cases: [&[u8]; 7] = [
            b"",
            b" \n",
            b"inputs=a",
            b"{\"inputs\": \"a\"",
            b"{\"inputs\": \"\xff\xfe\"}",
            b"{\"inputs\": \"\\ud800\"}",
            b"{\"inputs\": \"a\"} {}",
        ];
        for body in cases {
            let error = PredictRequest::parse(body, 4).unwrap_err();
            assert_eq!(error.status().as_u16(), 400, "{error}");
            assert!(error.to_string().starts_with("expected JSON"), "{error}");
        }
    }
}
