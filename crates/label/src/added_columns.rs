//! The columns that labels add to those of the input.

use table::{Cell, Column, DeclaredType, ValueType};

/// What a model says about the text of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowLabel {
    pub label: String,
    /// In the order of the class indices.
    pub probabilities: Vec<f32>,
    /// Whether the end of the text was cut off.
    pub truncated: bool,
    /// How many words the vocabulary has no pieces for.
    pub unknown_words: usize,
    /// Whether the vocabulary knows no word of the text.
    pub nothing_known: bool,
}

/// `predicted_label`, `probability_...` for each class, `truncated`, `unknown_words`.
pub struct AddedColumns {
    pub columns: Vec<Column>,
    /// Said to the user where the input has one of the names already.
    pub note: Option<String>,
    classes: usize,
}

impl AddedColumns {
    /// Columns whose names the input doesn't have: where it has one of them, all get the same number, from 2.
    pub fn beside(input: &[Column], label_names: &[String]) -> Self {
        let taken = |name: &str| input.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        let plain = names(label_names);
        let Some(first) = plain.iter().find(|name| taken(name)) else {
            return Self { columns: columns(plain, label_names.len()), note: None, classes: label_names.len() };
        };
        let numbered = (2_u32..).map(|number| plain.iter().map(|name| format!("{name}_{number}")).collect::<Vec<_>>());
        let free = numbered.into_iter().find(|names| !names.iter().any(|name| taken(name))).unwrap_or_default();
        let note = format!("the input has a column {first:?}, so that of these predictions is {:?}", free[0]);
        Self { columns: columns(free, label_names.len()), note: Some(note), classes: label_names.len() }
    }

    /// The cells of a row; a row without a text has none of them.
    pub fn append(&self, label: Option<&RowLabel>, cells: &mut Vec<Cell>) {
        let Some(row) = label else {
            cells.extend(std::iter::repeat_n(Cell::Missing, self.columns.len()));
            return;
        };
        cells.push(Cell::Text(row.label.clone()));
        cells.extend(row.probabilities.iter().take(self.classes).map(|p| Cell::Float(shortest(*p))));
        cells.push(Cell::Bool(row.truncated));
        cells.push(Cell::Integer(row.unknown_words as i64));
    }
}

/// The names, in order and all different, also where two classes have one name.
fn names(label_names: &[String]) -> Vec<String> {
    let mut names = vec!["predicted_label".to_owned()];
    for (class, label) in label_names.iter().enumerate() {
        let name = format!("probability_{label}");
        names.push(if names.contains(&name) { format!("{name}_class_{class}") } else { name });
    }
    names.extend(["truncated", "unknown_words"].map(str::to_owned));
    names
}

fn columns(names: Vec<String>, classes: usize) -> Vec<Column> {
    let column = |(at, name): (usize, String)| {
        let (values, type_name) = match at {
            0 => (ValueType::Text, "Utf8"),
            at if at <= classes => (ValueType::Float, "Float64"),
            at if at == classes + 1 => (ValueType::Bool, "Boolean"),
            _ => (ValueType::Integer, "Int64"),
        };
        let declared = DeclaredType { values, type_name: type_name.to_owned(), class_names: None };
        Column { name, declared: Some(declared) }
    };
    names.into_iter().enumerate().map(column).collect()
}

/// The number of 64 bits that has as few digits as that of 32: 0.98, not 0.9800000190734863.
fn shortest(p: f32) -> f64 {
    p.to_string().parse().unwrap_or(f64::from(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["negative", "positive"].map(str::to_owned).into()
    }

    fn input(names: &[&str]) -> Vec<Column> {
        names.iter().map(|name| Column { name: (*name).to_owned(), declared: None }).collect()
    }

    fn names_of(added: &AddedColumns) -> Vec<&str> {
        added.columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn a_row_gets_label_probabilities_and_marks() {
        let added = AddedColumns::beside(&input(&["id", "text"]), &labels());
        let expected =
            ["predicted_label", "probability_negative", "probability_positive", "truncated", "unknown_words"];
        assert_eq!((names_of(&added), added.note.as_deref()), (expected.to_vec(), None));
        let row = RowLabel {
            label: "positive".to_owned(),
            probabilities: vec![0.02, 0.98],
            truncated: true,
            unknown_words: 3,
            nothing_known: false,
        };
        let mut cells = vec![Cell::Integer(7)];
        added.append(Some(&row), &mut cells);
        let expected = [
            Cell::Integer(7),
            Cell::Text("positive".to_owned()),
            Cell::Float(0.02),
            Cell::Float(0.98),
            Cell::Bool(true),
            Cell::Integer(3),
        ];
        assert_eq!(cells, expected);
        let mut cells = Vec::new();
        added.append(None, &mut cells);
        assert_eq!(cells, [const { Cell::Missing }; 5]);
    }

    #[test]
    fn names_that_the_input_has_are_numbered_and_that_is_said() {
        let added = AddedColumns::beside(&input(&["text", "Predicted_Label", "truncated_2"]), &labels());
        assert_eq!(names_of(&added)[0], "predicted_label_3");
        assert_eq!(names_of(&added)[4], "unknown_words_3");
        let note = added.note.unwrap();
        assert!(note.contains("\"predicted_label\"") && note.contains("\"predicted_label_3\""), "{note}");
        let twice = AddedColumns::beside(&[], &["a".to_owned(), "a".to_owned()]);
        assert_eq!(names_of(&twice)[1..3], ["probability_a", "probability_a_class_1"]);
    }
}
