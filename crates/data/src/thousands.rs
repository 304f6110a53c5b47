//! Numbers with thousands separators.

/// `6,920`.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The sizes of the three splits: `6,920/872/1,821`.
pub(crate) fn listed_sizes(sizes: [usize; 3]) -> String {
    sizes.map(grouped).join("/")
}
