//! Whether the first row of a table names its columns.

/// Names of columns that data hardly ever is.
const NAMES: [&str; 34] = [
    "text",
    "texts",
    "label",
    "labels",
    "sentence",
    "sentence1",
    "sentence2",
    "review",
    "reviews",
    "comment",
    "comments",
    "content",
    "title",
    "id",
    "ids",
    "idx",
    "index",
    "user",
    "target",
    "class",
    "category",
    "sentiment",
    "message",
    "tweet",
    "body",
    "document",
    "phrase",
    "polarity",
    "rating",
    "score",
    "stars",
    "question",
    "answer",
    "name",
];
/// Rows that the first one is held against.
pub(crate) const ROWS: usize = 1000;
/// The share of a column's values that make it one of numbers, or of words.
const MOST: f64 = 0.8;

/// Whether the first row is surely data: some of its fields are as below them in the file, and none is as a name would be.
pub(crate) fn looks_like_data(first: &[String], below: &[Vec<String>]) -> bool {
    let is_name = |field: &String| {
        let field = field.trim().to_lowercase();
        field.is_empty() || NAMES.contains(&field.as_str())
    };
    // A row that comes again whole is a header, repeated where files were joined.
    if below.is_empty() || first.iter().any(is_name) || below.iter().any(|row| row == first) {
        return false;
    }
    let mut as_below = false;
    for (column, field) in first.iter().enumerate() {
        let values: Vec<&str> = below
            .iter()
            .filter_map(|row| row.get(column))
            .map(|value| value.trim())
            .filter(|v| !v.is_empty())
            .collect();
        let most = |count: usize| !values.is_empty() && count as f64 >= MOST * values.len() as f64;
        let field = field.trim();
        let numbers = values.iter().filter(|value| is_number(value)).count();
        let dates = values.iter().filter(|value| has_digit(value)).count();
        if is_number(field) {
            if most(values.len() - numbers) {
                return false;
            }
        } else if most(numbers) || (most(dates) && !has_digit(field)) {
            return false;
        }
        let same_length = || field.len() >= 6 && values.iter().all(|value| value.len() == field.len());
        as_below |= values.contains(&field) || (is_number(field) && most(numbers) && same_length());
    }
    as_below
}

fn is_number(text: &str) -> bool {
    has_digit(text) && text.replace(',', ".").parse::<f64>().is_ok()
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &[&[&str]]) -> bool {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
        looks_like_data(&rows[0], &rows[1..])
    }

    #[test]
    fn data_in_the_first_row_is_told() {
        assert!(judged(&[&["a fine film", "pos"], &["dull", "neg"], &["splendid", "pos"]]));
        assert!(judged(&[&["1", "a fine film"], &["0", "dull"], &["1", "splendid"]]));
        assert!(judged(&[&["4", "1467810000", "Apr 06", "I walked"], &["0", "1467810001", "Apr 06", "Two hours"]]));
    }

    #[test]
    fn names_of_columns_are_not_data() {
        for rows in [
            [&["text", "label"], &["fine", "pos"], &["dull", "neg"]],
            [&["Consumer complaint narrative", "Product"], &["They took it", "Loan"], &["No answer", "Loan"]],
            // pandas names columns by numbers where they have no names.
            [&["0", "1"], &["fine film", "1"], &["dull", "0"]],
            [&["", "0"], &["0", "fine"], &["1", "dull"]],
            [&["v1", "v2"], &["ham", "fine"], &["spam", "dull"]],
            // Two files joined, each with its header.
            [&["good", "bad"], &["fine", "dull"], &["good", "bad"]],
            [&["opinion", "grade"], &["fine", "5"], &["dull", "1"]],
        ] {
            assert!(!judged(&rows.map(|row| &row[..])), "{rows:?}");
        }
        assert!(!judged(&[&["target", "ids", "date", "flag", "user", "text"], &["4", "1", "Apr 6", "NO", "a", "b"]]));
        assert!(!judged(&[&["text"]]));
    }
}
