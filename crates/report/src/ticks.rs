//! Numbers along an axis.

/// A tick in decimals, as many as tell neighbours apart.
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

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.0, 0.25, 1.0, -0.00001].map(|v| decimal(&v)), ["0", "0.25", "1", "0"]);
        assert_eq!([0.0, 2e-5, 1.5e-5, 0.001].map(|v| scientific(&v)), ["0", "2e-5", "1.5e-5", "1e-3"]);
    }
}
