//! The labels of a trained model, and what a file to be scored calls them.

use std::collections::BTreeMap;

use table::Cell;

use crate::error::DataError;
use crate::labels::Value;

/// The class of each value that a label column may hold.
#[derive(Debug, Clone)]
pub struct KnownLabels {
    names: Vec<String>,
    values: BTreeMap<Value, u32>,
    /// Whether [`values`](Self::values) is all there is, because the user gave it.
    given: bool,
}

impl KnownLabels {
    /// The labels of a model. A value is that of `recorded` (value and name, from the data that the model was trained on),
    /// else a name. Where nothing is recorded and the names are words, numbers are the classes' own.
    pub fn new(names: &[String], recorded: &BTreeMap<String, String>) -> Self {
        let class = |name: &String| names.iter().position(|known| known == name).map(|class| class as u32);
        let mut values: BTreeMap<Value, u32> =
            recorded.iter().filter_map(|(value, name)| Some((Value::of_text(value), class(name)?))).collect();
        if values.is_empty() && names.iter().all(|name| matches!(Value::of_text(name), Value::Word(_))) {
            values.extend((0..names.len()).map(|class| (Value::Number(class as i64), class as u32)));
        }
        for (class, name) in names.iter().enumerate() {
            values.entry(Value::of_text(name)).or_insert(class as u32);
        }
        Self { names: names.to_vec(), values, given: false }
    }

    /// The labels of a model as the user says: pairs of a value and a name.
    ///
    /// # Errors
    /// A name that the model doesn't have.
    pub fn mapped(names: &[String], map: &[(String, String)]) -> Result<Self, DataError> {
        let mut values = BTreeMap::new();
        for (value, name) in map {
            let Some(class) = names.iter().position(|known| known == name) else {
                return Err(DataError::Request(format!(
                    "--label-map: the model has no label {name:?}, only {} (hint: {value}={})",
                    names.join(", "),
                    names.first().map_or("NAME", String::as_str)
                )));
            };
            values.insert(Value::of_text(value), class as u32);
        }
        Ok(Self { names: names.to_vec(), values, given: true })
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The class of a cell, or why it has none. `declared` are the names of the numbers 0, 1, ... where the file gives them:
    /// then its numbers mean those names, whatever they mean elsewhere.
    pub(crate) fn class_of(&self, cell: &Cell, declared: Option<&[String]>) -> Result<u32, String> {
        let Some(value) = Value::of(cell) else {
            return Err(match cell {
                Cell::Missing => {
                    "no label, and only rows with one can be scored (hint: label the row or remove it)".into()
                }
                other => format!("{other}, {}, is not a label (hint: --label-column)", other.kind()),
            });
        };
        let declared = match (declared, &value) {
            (Some(names), Value::Number(number)) => usize::try_from(*number).ok().and_then(|class| names.get(class)),
            _ => None,
        };
        let found = match declared {
            Some(name) if self.given => self.class(&Value::of_text(name)).or_else(|| self.class(&value)),
            Some(name) => self.class(&Value::of_text(name)),
            None => self.class(&value),
        };
        found.ok_or_else(|| {
            let spelled = declared.map_or_else(|| format!("\"{value}\""), |name| format!("\"{name}\" (number {value})"));
            let mapped: Vec<String> = self.values.keys().map(ToString::to_string).collect();
            let example = declared.map_or_else(|| value.to_string(), String::clone);
            match self.given {
                true => format!("label {spelled} is not one of {} (hint: --label-map)", mapped.join(", ")),
                false => format!(
                    "label {spelled} is not one that the model knows: {} (hint: --label-map \"{example}=NAME,...\" says which of \
                     them each label is)",
                    self.names.join(", ")
                ),
            }
        })
    }

    /// The class of a value: as spelled, else in another case if only one name is the same then.
    fn class(&self, value: &Value) -> Option<u32> {
        if let Some(class) = self.values.get(value) {
            return Some(*class);
        }
        let Value::Word(word) = value else { return None };
        let folded = word.to_lowercase();
        let mut same = self.values.iter().filter(|(known, _)| known.to_string().to_lowercase() == folded);
        match (same.next(), same.next()) {
            (Some((_, class)), None) => Some(*class),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_value_is_what_it_was_in_training_and_else_a_name() {
        let model = names(&["negative", "positive"]);
        let recorded =
            BTreeMap::from([("1", "negative"), ("2", "positive")].map(|(a, b)| (a.to_owned(), b.to_owned())));
        let labels = KnownLabels::new(&model, &recorded);
        for (cell, class) in [(Cell::Integer(1), 0), (text(" 2.0 "), 1), (text("positive"), 1), (text("NEGATIVE"), 0)] {
            assert_eq!(labels.class_of(&cell, None), Ok(class), "{cell:?}");
        }
        assert!(
            labels.class_of(&Cell::Integer(0), None).unwrap_err().starts_with("label \"0\" is not one that the model")
        );
    }

    #[test]
    fn without_a_record_numbers_are_classes_unless_the_names_are_numbers() {
        let words = KnownLabels::new(&names(&["NEGATIVE", "POSITIVE"]), &BTreeMap::new());
        assert_eq!((words.class_of(&Cell::Integer(1), None), words.class_of(&text("positive"), None)), (Ok(1), Ok(1)));
        let stars = KnownLabels::new(&names(&["1", "2", "3"]), &BTreeMap::new());
        assert_eq!((stars.class_of(&text("1"), None), stars.class_of(&Cell::Integer(3), None)), (Ok(0), Ok(2)));
        let refused = stars.class_of(&Cell::Integer(0), None).unwrap_err();
        assert!(refused.contains("\"0\" is not one that the model knows: 1, 2, 3 (hint: --label-map"), "{refused}");
    }

    #[test]
    fn numbers_mean_the_names_that_their_file_declares() {
        let labels = KnownLabels::new(&names(&["negative", "positive"]), &BTreeMap::new());
        let reversed = names(&["positive", "negative"]);
        assert_eq!(labels.class_of(&Cell::Integer(0), Some(&reversed)), Ok(1));
        let other = names(&["toxic", "clean"]);
        let refused = labels.class_of(&Cell::Integer(0), Some(&other)).unwrap_err();
        assert!(refused.contains("label \"toxic\" (number 0)"), "{refused}");
        let map = [("toxic", "negative"), ("clean", "positive")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let mapped = KnownLabels::mapped(&names(&["negative", "positive"]), &map).unwrap();
        assert_eq!(mapped.class_of(&Cell::Integer(0), Some(&other)), Ok(0));
    }

    #[test]
    fn a_given_map_is_all_there_is() {
        let model = names(&["negative", "positive"]);
        let map = |name: &str| [("bad".to_owned(), "negative".to_owned()), ("good".to_owned(), name.to_owned())];
        let labels = KnownLabels::mapped(&model, &map("positive")).unwrap();
        assert_eq!(labels.class_of(&text("good"), None), Ok(1));
        assert_eq!(
            labels.class_of(&text("positive"), None).unwrap_err(),
            "label \"positive\" is not one of bad, good (hint: --label-map)"
        );
        let unknown = KnownLabels::mapped(&model, &map("fine")).unwrap_err().to_string();
        assert!(unknown.contains("has no label \"fine\", only negative, positive"), "{unknown}");
    }

    #[test]
    fn what_is_no_label_is_said() {
        let labels = KnownLabels::new(&names(&["a", "b"]), &BTreeMap::new());
        assert!(labels.class_of(&Cell::Missing, None).unwrap_err().starts_with("no label"));
        assert!(labels.class_of(&Cell::Float(0.5), None).unwrap_err().contains("0.5, a number, is not a label"));
        let folded = KnownLabels::new(&names(&["Ab", "aB"]), &BTreeMap::new());
        assert!(folded.class_of(&text("ab"), None).is_err(), "two names are the same but for their case");
    }
}
