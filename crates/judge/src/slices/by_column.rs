//! Slices by the values of columns of the user's file.

use std::collections::BTreeMap;

use super::partition::{FEWEST_ROWS, Partition};
use crate::scored::ScoredRows;

/// The most values of a column that are a slice each.
const MOST_VALUES: usize = 20;
/// The most characters of a value that are shown.
const MOST_CHARACTERS: usize = 60;
/// The groups that every evaluation has.
const OWN_GROUPS: [&str; 6] = ["length", "negation", "contrast", "unknown words", "truncated", "label"];

/// A group for each column.
pub(super) fn partitions(rows: &ScoredRows<'_>, columns: &[String]) -> Vec<Partition> {
    let of_column = |(at, column): (usize, &String)| {
        let values: Vec<&str> =
            rows.facts.iter().map(|facts| facts.columns.get(at).map_or("", |value| value.trim())).collect();
        let group = if OWN_GROUPS.contains(&column.as_str()) { format!("{column} (column)") } else { column.clone() };
        partition(&group, &values)
    };
    columns.iter().enumerate().map(of_column).collect()
}

fn partition(group: &str, values: &[&str]) -> Partition {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    let numbers: Option<Vec<f64>> =
        counts.keys().filter(|value| !value.is_empty()).map(|value| number(value)).collect();
    let different = |numbers: &Vec<f64>| {
        let mut sorted = numbers.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        sorted.len()
    };
    match numbers.filter(|numbers| !numbers.is_empty()) {
        Some(numbers) if different(&numbers) > MOST_VALUES => by_quartile(group, values),
        numbers => by_value(group, values, counts, numbers.is_some()),
    }
}

/// The number that a value is. What only looks like one, such as `nan`, is a word.
fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A slice for each frequent value: numbers ascending, others from the most frequent on; then the rest, then rows without a value.
fn by_value(group: &str, values: &[&str], counts: BTreeMap<&str, u64>, are_numbers: bool) -> Partition {
    let mut frequent: Vec<(&str, u64)> =
        counts.into_iter().filter(|(value, count)| !value.is_empty() && *count >= FEWEST_ROWS).collect();
    frequent.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    frequent.truncate(MOST_VALUES);
    if are_numbers {
        frequent.sort_by(|(a, _), (b, _)| number(a).unwrap_or_default().total_cmp(&number(b).unwrap_or_default()));
    }
    let places: BTreeMap<&str, usize> =
        frequent.iter().enumerate().map(|(place, (value, _))| (*value, place)).collect();
    let (other, none) = (frequent.len(), frequent.len() + 1);
    let place = |value: &&str| if value.is_empty() { none } else { places.get(value).copied().unwrap_or(other) };
    let mut names: Vec<String> = frequent.iter().map(|(value, _)| shown(value)).collect();
    names.extend(["other values".to_owned(), "no value".to_owned()]);
    Partition::new(group, names, values.iter().map(place).collect())
}

/// Four slices of numbers with about as many rows each, equal numbers together; then rows without a value.
fn by_quartile(group: &str, values: &[&str]) -> Partition {
    let numbers: Vec<Option<f64>> = values.iter().map(|value| number(value)).collect();
    let mut sorted: Vec<f64> = numbers.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    // The last number of each slice.
    let mut ends: Vec<f64> = (1..4).map(|quarter| sorted[(sorted.len() * quarter).div_ceil(4) - 1]).collect();
    ends.push(sorted[sorted.len() - 1]);
    ends.dedup();
    let mut names = Vec::new();
    let mut next = 0;
    for end in &ends {
        let first = sorted[next];
        next = sorted.partition_point(|number| number <= end);
        names.push(if first == *end { first.to_string() } else { format!("{first} to {end}") });
    }
    let none = names.len();
    names.push("no value".to_owned());
    let place = |number: &Option<f64>| number.map_or(none, |number| ends.partition_point(|end| *end < number));
    Partition::new(group, names, numbers.iter().map(place).collect())
}

/// A value as it is named, cut where it is long.
fn shown(value: &str) -> String {
    match value.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(values: &[&str]) -> Vec<(String, u64)> {
        let right = vec![true; values.len()];
        partition("shop", values).tallies(&right).into_iter().map(|(name, tally)| (name, tally.rows)).collect()
    }

    fn named(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    }

    #[test]
    fn frequent_values_are_slices_and_the_rest_is_one() {
        let mut values = vec!["north"; 20];
        values.extend(vec!["south"; 30]);
        values.extend(vec!["west"; 19]);
        values.extend(["east", "", ""]);
        assert_eq!(slices(&values), named(&[("south", 30), ("north", 20), ("other values", 20), ("no value", 2)]));
        let many: Vec<String> = (0..25).flat_map(|shop| vec![format!("shop {shop:02}"); 20 + shop % 2]).collect();
        let found = slices(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((found.len(), &found[20]), (21, &("other values".to_owned(), 100)), "{found:?}");
        assert_eq!(slices(&["x".repeat(80).as_str(); 20])[0].0.chars().count(), 61);
    }

    #[test]
    fn few_numbers_are_values_and_many_are_cut_at_quartiles() {
        let stars: Vec<&str> = ["10", "9", "2"].into_iter().flat_map(|stars| [stars; 20]).collect();
        assert_eq!(slices(&stars), named(&[("2", 20), ("9", 20), ("10", 20)]));
        let mut prices: Vec<String> = (0..40).map(|price| format!("{}", f64::from(price) / 2.0)).collect();
        prices.push(String::new());
        let found = slices(&prices.iter().map(String::as_str).collect::<Vec<_>>());
        let quartiles = [("0 to 4.5", 10), ("5 to 9.5", 10), ("10 to 14.5", 10), ("15 to 19.5", 10), ("no value", 1)];
        assert_eq!(found, named(&quartiles));
        // Equal numbers stay together.
        let mut ties: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        ties.extend(vec!["7".to_owned(); 70]);
        let found = slices(&ties.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found, named(&[("0 to 7", 78), ("8 to 29", 22)]));
        // A word among the numbers makes them words.
        prices.push("free".to_owned());
        let found = slices(&prices.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found, named(&[("other values", 41), ("no value", 1)]));
    }
}
