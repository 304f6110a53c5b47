//! The order of file names that people expect: `9.txt` before `10.txt`.

use std::cmp::Ordering;

/// Compares texts, with runs of digits as numbers. Only equal texts are equal.
pub(crate) fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while let (Some(first), Some(second)) = (a.first(), b.first()) {
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (left, right) = (number(&mut a), number(&mut b));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            first.cmp(second)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// Takes the digits at the start, and returns them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    *text = rest;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let sorted = [
            "",
            "0_9.txt",
            "1.txt",
            "01.txt",
            "2.txt",
            "10_1.txt",
            "10_02.txt",
            "10_12.txt",
            "a",
            "a9b2",
            "a9b10",
            "ä",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|one, other| natural_order(one, other));
        // Equal numbers: the texts decide.
        let expected = [
            "",
            "0_9.txt",
            "01.txt",
            "1.txt",
            "2.txt",
            "10_1.txt",
            "10_02.txt",
            "10_12.txt",
            "a",
            "a9b2",
            "a9b10",
            "ä",
        ];
        assert_eq!(names, expected);
        let long = "9".repeat(50);
        assert_eq!(natural_order(&long, &format!("1{long}")), Ordering::Less);
        assert_eq!(natural_order("x", "x"), Ordering::Equal);
    }
}
