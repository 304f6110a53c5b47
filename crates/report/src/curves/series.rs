//! Smoothing and thinning of long series.

/// The smoothing looks back over this share of the run.
const MEMORY: f64 = 0.03;

/// The exponential moving average of a noisy series, without a bias towards 0 at its start.
pub(super) fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let decay = 1.0 - 1.0 / (MEMORY * points.len() as f64).max(1.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let average = |&(x, y): &(f64, f64)| {
        sum = decay * sum + y;
        weight = decay * weight + 1.0;
        (x, sum / weight)
    };
    points.iter().map(average).collect()
}

/// At most `most` points: means of neighbors, but the first and the last as they are.
pub(crate) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let [first, between @ .., last] = points else {
        return points.to_vec();
    };
    if points.len() <= most {
        return points.to_vec();
    }
    let size = between.len().div_ceil(most.saturating_sub(2).max(1));
    let mean = |chunk: &[(f64, f64)]| {
        let (x, y) = chunk.iter().fold((0.0, 0.0), |(xs, ys), (x, y)| (xs + x, ys + y));
        (x / chunk.len() as f64, y / chunk.len() as f64)
    };
    let mut thinned = vec![*first];
    thinned.extend(between.chunks(size).map(mean));
    thinned.push(*last);
    thinned
}

/// The points that a polygon through `points` needs to stay within `tolerance` of each (Douglas and Peucker 1973), so
/// that a straight line is drawn as one and not as a stair of pixels.
pub(super) fn straightened(points: &[(f64, f64)], tolerance: f64) -> Vec<(f64, f64)> {
    let [first, between @ .., last] = points else {
        return points.to_vec();
    };
    let slope = (last.1 - first.1) / (last.0 - first.0);
    let distances = between.iter().map(|(x, y)| (y - first.1 - slope * (x - first.0)).abs());
    let farthest = distances.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    match farthest {
        Some((place, distance)) if distance > tolerance => {
            let mut left = straightened(&points[..place + 2], tolerance);
            left.pop();
            left.extend(straightened(&points[place + 1..], tolerance));
            left
        }
        _ => vec![*first, *last],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_noise_shrinks() {
        let flat: Vec<(f64, f64)> = (0..500).map(|step| (f64::from(step), 0.7)).collect();
        assert!(smoothed(&flat).iter().all(|&(_, y)| (y - 0.7).abs() < 1e-12), "also at the start");
        let noisy: Vec<(f64, f64)> = (0..500).map(|step| (f64::from(step), f64::from(step % 2))).collect();
        assert!(smoothed(&noisy)[100..].iter().all(|&(_, y)| (y - 0.5).abs() < 0.05));
        assert_eq!(smoothed(&[(1.0, 2.0), (2.0, 4.0)]), [(1.0, 2.0), (2.0, 4.0)], "too short to smooth");
        assert!(smoothed(&[]).is_empty());
    }

    #[test]
    fn thinning_keeps_ends_mean_and_limit() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|step| (f64::from(step), f64::from(step) * 0.5)).collect();
        let thin = thinned(&points, 700);
        assert!(thin.len() <= 700 && thin.len() > 500, "{}", thin.len());
        assert_eq!((thin[0], thin[thin.len() - 1]), (points[0], points[9_999]));
        assert!(thin.iter().all(|&(x, y)| (y - x * 0.5).abs() < 1e-6));
        assert_eq!(thinned(&points[..5], 700), points[..5]);
        assert!(thinned(&[], 700).is_empty());
    }

    #[test]
    fn straight_lines_keep_only_their_corners() {
        let warm_up = |step: i32| f64::from(step.min(20)) / 20.0 - f64::from((step - 20).max(0)) / 80.0;
        let rates: Vec<(f64, f64)> = (0..=100).map(|step| (f64::from(step), warm_up(step))).collect();
        assert_eq!(straightened(&rates, 1e-9), [(0.0, 0.0), (20.0, 1.0), (100.0, 0.0)]);
        assert_eq!(straightened(&rates[..2], 1e-9), rates[..2]);
        assert_eq!(straightened(&rates[..1], 1e-9), rates[..1]);
        assert!(straightened(&[], 1e-9).is_empty());
    }
}
