//! Fewer points for a line that is drawn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The numbers, in order, of at most `at_most` points of a line that together look like all of them: again and again the point
/// goes that spans the smallest triangle with its neighbors (Visvalingam and Whyatt, "Line generalisation by repeated elimination
/// of points", 1993), so that the area under the line stays. The first and the last point always stay.
pub(crate) fn kept_points(points: &[(f64, f64)], at_most: usize) -> Vec<usize> {
    let count = points.len();
    let mut surplus = count.saturating_sub(at_most.max(2));
    if surplus == 0 {
        return (0..count).collect();
    }
    let mut before: Vec<usize> = (0..count).map(|point| point.saturating_sub(1)).collect();
    let mut after: Vec<usize> = (0..count).map(|point| (point + 1).min(count - 1)).collect();
    let mut removed = vec![false; count];
    // The area of each point's triangle as it is now; entries of the heap with another one are out of date.
    let mut areas: Vec<f64> = vec![0.0; count];
    let mut smallest = BinaryHeap::with_capacity(count);
    for point in 1..count - 1 {
        areas[point] = triangle(points[point - 1], points[point], points[point + 1]);
        // Numbers that are not negative are in the order of their bits.
        smallest.push(Reverse((areas[point].to_bits(), point)));
    }
    while surplus > 0 {
        let Some(Reverse((bits, point))) = smallest.pop() else { break };
        if removed[point] || areas[point].to_bits() != bits {
            continue;
        }
        removed[point] = true;
        surplus -= 1;
        let (left, right) = (before[point], after[point]);
        after[left] = right;
        before[right] = left;
        for neighbor in [left, right].into_iter().filter(|neighbor| (1..count - 1).contains(neighbor)) {
            let area = triangle(points[before[neighbor]], points[neighbor], points[after[neighbor]]);
            // Never smaller than what has gone already, or a slope would be taken away step by step.
            areas[neighbor] = area.max(areas[point]);
            smallest.push(Reverse((areas[neighbor].to_bits(), neighbor)));
        }
    }
    (0..count).filter(|point| !removed[*point]).collect()
}

fn triangle(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    ((b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1)).abs() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_straight_line_go_first_and_corners_last() {
        let corner = |at: usize| (at as f64, if at < 50 { 0.0 } else { at as f64 - 50.0 });
        let points: Vec<_> = (0..=100).map(corner).collect();
        assert_eq!(kept_points(&points, 3), [0, 50, 100]);
        assert_eq!(kept_points(&points, 101).len(), 101);
        assert_eq!(kept_points(&points, 0), [0, 100], "the ends stay");
        assert_eq!(kept_points(&points[..1], 200), [0]);
        assert_eq!(kept_points(&[], 200), [0usize; 0]);
    }
}
