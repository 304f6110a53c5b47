//! Numbers along an axis: round ones to label, and the labels.

use crate::canvas::Type;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Its position: 0 is the start of the axis, 1 its end.
    pub place: f64,
    pub text: String,
}

/// At most `most` + 1 round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`.
pub(crate) fn round_numbers(low: f64, high: f64, most: usize) -> Vec<f64> {
    let most = most.max(1) as f64;
    // Divided first: the difference of two large numbers may overflow.
    let raw = high / most - low / most;
    if !(raw > 0.0 && raw.is_finite()) {
        return if low.is_finite() { vec![low] } else { Vec::new() };
    }
    let power = 10f64.powf(raw.log10().floor());
    // A little less than exactly: 3e-6 / 3 is not quite 1e-6.
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= 0.999_999 * raw);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step - 1e-6).ceil();
    let numbers = (0..=most as u32).map(|index| (first + f64::from(index)) * step);
    // Multiples of 0.1 are not quite round, and -0 is hard to read.
    let tidy = |number: f64| if number.abs() < 1e-9 * step { 0.0 } else { number };
    numbers.map(tidy).filter(|number| number.is_finite() && *number <= high + 1e-6 * step).collect()
}

/// Powers of ten from `low` to `high`, both above 0, and numbers between them where they fit or are needed.
pub(crate) fn powers(low: f64, high: f64, most: usize) -> Vec<f64> {
    // Parsed from text, because 10f64.powi(-5) isn't 1e-5.
    let exact = |digit: u32, exponent: i32| format!("{digit}e{exponent}").parse::<f64>().unwrap_or(f64::INFINITY);
    let inside = |number: &f64| *number >= low * (1.0 - 1e-9) && *number <= high * (1.0 + 1e-9);
    let exponents = || (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let numbers = |digits: &[u32]| -> Vec<f64> {
        let all = exponents().flat_map(|exponent| digits.iter().map(move |&digit| exact(digit, exponent)));
        all.filter(inside).collect()
    };
    let (fine, most) = (numbers(&[1, 2, 5]), most.max(2));
    if (2..=most).contains(&fine.len()) {
        return fine;
    }
    for numbers in [numbers(&[1]), fine, numbers(&[1, 2, 3, 4, 5, 6, 7, 8, 9])] {
        if numbers.len() >= 2 {
            let every = numbers.len().div_ceil(most);
            return numbers.into_iter().step_by(every).collect();
        }
    }
    round_numbers(low, high, most.min(3))
}

/// Numbers as labels of one axis: with enough decimals to distinguish them, or as powers of ten.
pub(crate) fn texts(numbers: &[f64]) -> Vec<String> {
    let largest = numbers.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()));
    let smallest = numbers.iter().map(|number| number.abs()).filter(|size| *size > 0.0).fold(f64::INFINITY, f64::min);
    if largest >= 1e6 || smallest < 1e-3 {
        return numbers.iter().map(scientific).collect();
    }
    let loss = |decimals: usize, number: &f64| format!("{number:.decimals$}").parse().map_or(0.0, |n: f64| n - number);
    let exact = |decimals: &usize| numbers.iter().all(|number| loss(*decimals, number).abs() < 1e-9 * largest);
    let decimals = (0..8).find(exact).unwrap_or(8);
    numbers.iter().map(|number| format!("{number:.decimals$}")).collect()
}

/// Ticks at numbers, labeled by [`texts`]; `place` says where a number lies on the axis.
pub(crate) fn labeled(numbers: &[f64], place: impl Fn(f64) -> f64) -> Vec<Tick> {
    numbers.iter().zip(texts(numbers)).map(|(number, text)| Tick { place: place(*number), text }).collect()
}

/// The ticks whose labels, centered on an axis of `length` pixels, don't overlap.
pub(crate) fn spaced(ticks: Vec<Tick>, length: f64, look: &Type) -> Vec<Tick> {
    let mut end = f64::NEG_INFINITY;
    let mut free = |tick: &Tick| {
        let (middle, half) = (tick.place * length, look.width(&tick.text) / 2.0);
        let fits = middle - half > end;
        if fits {
            end = middle + half + 6.0;
        }
        fits
    };
    ticks.into_iter().filter(|tick| free(tick)).collect()
}

/// A number with its decimals.
pub(crate) fn decimal(value: &f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A tick like 2e-5.
pub(crate) fn scientific(value: &f64) -> String {
    if value.abs() < 1e-15 {
        return "0".to_owned();
    }
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.')),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::INK;

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.0, 0.25, 1.0, -0.00001].map(|v| decimal(&v)), ["0", "0.25", "1", "0"]);
        assert_eq!([0.0, 2e-5, 1.5e-5, 0.001].map(|v| scientific(&v)), ["0", "2e-5", "1.5e-5", "1e-3"]);
    }

    #[test]
    fn round_numbers_lie_inside_and_are_few() {
        assert_eq!(texts(&round_numbers(0.0, 0.1, 5)), ["0.00", "0.02", "0.04", "0.06", "0.08", "0.10"]);
        assert_eq!(texts(&round_numbers(86.2, 91.4, 6)), ["87", "88", "89", "90", "91"]);
        assert_eq!(texts(&round_numbers(1e-5, 4e-5, 4)), ["1e-5", "2e-5", "3e-5", "4e-5"]);
        assert_eq!(texts(&round_numbers(-1.0, 1.0, 4)), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        for (low, high) in [(0.0, 1e-300), (-f64::MAX, f64::MAX), (3.0, 3.0), (1e15, 1e15 + 0.5), (0.0, 5e-324)] {
            let numbers = round_numbers(low, high, 5);
            assert!(numbers.len() <= 6 && numbers.iter().all(|n| n.is_finite()), "{low} to {high}: {numbers:?}");
        }
        assert!(round_numbers(f64::NAN, f64::INFINITY, 5).is_empty());
    }

    #[test]
    fn powers_of_ten_or_what_lies_between() {
        assert_eq!(texts(&powers(1e-6, 1e-3, 6)), ["1e-6", "1e-5", "1e-4", "1e-3"]);
        assert_eq!(texts(&powers(1e-5, 8e-5, 6)), ["1e-5", "2e-5", "5e-5"]);
        assert_eq!(texts(&powers(16.0, 64.0, 6)), ["20", "50"]);
        assert_eq!(texts(&powers(0.4, 0.9, 6)), ["0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]);
        assert!(powers(1e-300, 1e300, 6).len() <= 6);
        assert_eq!(powers(2e-5, 2e-5, 6), [2e-5]);
        assert!(powers(f64::MIN_POSITIVE, f64::MAX, 4).len() <= 4);
    }

    #[test]
    fn overlapping_labels_are_left_out() {
        let tick = |place| Tick { place, text: "0.12345".to_owned() };
        let look = Type::new(10.0, INK);
        let ticks: Vec<Tick> = [0.0, 0.05, 0.5, 1.0].map(tick).into();
        let places = spaced(ticks, 200.0, &look).iter().map(|tick| tick.place).collect::<Vec<_>>();
        assert_eq!(places, [0.0, 0.5, 1.0]);
    }
}
