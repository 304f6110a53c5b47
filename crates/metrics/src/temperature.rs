//! Temperature scaling: one number by which all logits are divided, so that a model is as sure as it is right (Guo et al., "On
//! calibration of modern neural networks", 2017). It moves no label, because it keeps the order of the classes.

/// The lowest and the highest temperature that is fitted. Outside of them a fit says more about the rows than about the model.
pub const TEMPERATURE_LIMITS: (f64, f64) = (0.01, 100.0);

/// How far apart two estimates of 1 / T may be, relative to it, when the search ends.
const TOLERANCE: f64 = 1e-13;
/// Half of chi-squared's 95 % quantile with one degree of freedom: the log loss, summed, by which the ends of an interval are
/// worse than the best (Wilks 1938).
const HALF_CHI_SQUARED: f64 = 1.920_729_410_347_06;
/// Bisection alone would need 60.
const MAX_STEPS: usize = 200;

/// The temperature at which the log loss of some rows is lowest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FittedTemperature {
    /// T: logits are divided by it.
    pub temperature: f64,
    /// The temperature nearest to 1 that these rows can't tell from the best: the end of its 95 % interval by the profile of the
    /// likelihood, or 1 if that lies inside. On rows that are a little different it is the safer one.
    pub cautious: f64,
    /// Why it is not a minimum, if it isn't.
    pub degenerate: Option<DegenerateFit>,
}

/// Why the log loss has no minimum between the [`TEMPERATURE_LIMITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DegenerateFit {
    /// It falls as T falls, down to the lower limit: there are no mistakes, or hardly any.
    AlwaysRight,
    /// It falls as T rises, up to the upper limit: the logits are no better than a guess.
    NoBetterThanAGuess,
    /// It is the same at each T, because all logits of each row are equal; T is 1.
    EqualLogits,
}

/// Logits, but for a number added to each row, from the probabilities that they give. One that was rounded to 0 counts as the
/// smallest number above it.
pub fn logits_of(probabilities: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let smallest = f32::from_bits(1);
    let logits = |row: &Vec<f32>| row.iter().map(|p| f64::from(p.max(smallest)).ln()).collect();
    probabilities.iter().map(logits).collect()
}

/// The temperature that minimizes the log loss of rows with these true classes and logits, to 1e-10 of itself. The log loss is
/// convex in 1 / T, so that its only minimum is where its derivative is 0: found by Newton's method, kept within a bracket.
///
/// # Panics
/// If there aren't as many rows of logits as true classes, or a row has none for its true class.
pub fn fit_temperature(truth: &[u32], logits: &[Vec<f64>]) -> FittedTemperature {
    assert_eq!(truth.len(), logits.len(), "one row of logits for each true class");
    let lead = |(class, row): (&u32, &Vec<f64>)| {
        let of_truth = row[*class as usize];
        row.iter().map(|logit| logit - of_truth).collect()
    };
    let leads: Vec<Vec<f64>> = truth.iter().zip(logits).map(lead).collect();
    let (lowest, highest) = TEMPERATURE_LIMITS;
    let degenerate = |temperature, why| FittedTemperature { temperature, cautious: temperature, degenerate: Some(why) };
    if leads.iter().flatten().all(|lead| *lead == 0.0) {
        return degenerate(1.0, DegenerateFit::EqualLogits);
    }
    let (mut low, mut high) = (1.0 / highest, 1.0 / lowest);
    if slope_and_curvature(&leads, low).0 >= 0.0 {
        return degenerate(highest, DegenerateFit::NoBetterThanAGuess);
    }
    if slope_and_curvature(&leads, high).0 <= 0.0 {
        return degenerate(lowest, DegenerateFit::AlwaysRight);
    }
    let (mut at, mut last_move) = (1.0, f64::INFINITY);
    for _ in 0..MAX_STEPS {
        let (slope, curvature) = slope_and_curvature(&leads, at);
        if slope > 0.0 {
            high = at
        } else {
            low = at
        }
        let newton = at - slope / curvature;
        let newtons_move = (newton - at).abs();
        if newtons_move <= TOLERANCE * at {
            break;
        }
        // Newton's step, as long as it stays inside and the steps become shorter fast.
        let is_good = newton > low && newton < high && newtons_move < last_move / 2.0;
        let next = if is_good { newton } else { (low * high).sqrt() };
        last_move = (next - at).abs();
        at = next;
    }
    FittedTemperature { temperature: 1.0 / at, cautious: 1.0 / cautious(&leads, at), degenerate: None }
}

/// 1 / T of [`FittedTemperature::cautious`], where `best` is that with the lowest log loss: between it and 1 the loss only rises.
fn cautious(leads: &[Vec<f64>], best: f64) -> f64 {
    let most = summed_log_loss(leads, best) + HALF_CHI_SQUARED;
    // Weights that were divided by a cautious temperature are at the end of the interval, but for rounding.
    if summed_log_loss(leads, 1.0) <= most + 1e-3 {
        return 1.0;
    }
    let (mut inside, mut outside) = (best, 1.0);
    for _ in 0..MAX_STEPS {
        let middle = f64::midpoint(inside, outside);
        let is_inside = summed_log_loss(leads, middle) <= most;
        *(if is_inside { &mut inside } else { &mut outside }) = middle;
    }
    inside
}

/// The log loss of all rows at 1 / T = `inverse`.
fn summed_log_loss(leads: &[Vec<f64>], inverse: f64) -> f64 {
    let of_row = |row: &Vec<f64>| {
        let most = row.iter().map(|lead| lead * inverse).fold(f64::NEG_INFINITY, f64::max);
        most + row.iter().map(|lead| (lead * inverse - most).exp()).sum::<f64>().ln()
    };
    leads.iter().map(of_row).sum()
}

/// The first and second derivative of the summed log loss by `inverse`, 1 / T: over rows, the mean and the variance of what each
/// class leads the true one by, weighted by the classes' probabilities.
fn slope_and_curvature(leads: &[Vec<f64>], inverse: f64) -> (f64, f64) {
    let (mut slope, mut curvature) = (0.0, 0.0);
    for row in leads {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
        for lead in row {
            let weight = ((lead - most) * inverse).exp();
            total += weight;
            first += weight * lead;
            second += weight * lead * lead;
        }
        let mean = first / total;
        slope += mean;
        curvature += second / total - mean * mean;
    }
    (slope, curvature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(truth: &[u32], logits: &[[f64; 2]]) -> FittedTemperature {
        fit_temperature(truth, &logits.iter().map(|row| row.to_vec()).collect::<Vec<_>>())
    }

    /// Of four equal rows three are right: the best probability is 3 / 4, so the logits' distance of 2 is divided by 2 / ln 3.
    #[test]
    fn a_model_becomes_as_sure_as_it_is_right() {
        let fitted = fit(&[0, 0, 0, 1], &[[2.0, 0.0]; 4]);
        assert!((fitted.temperature - 2.0 / 3f64.ln()).abs() < 1e-12, "{fitted:?}");
        assert_eq!(fitted.degenerate, None);
        let unsure = fit(&[0, 0, 0, 1], &[[0.1, 0.0]; 4]);
        assert!((unsure.temperature - 0.1 / 3f64.ln()).abs() < 1e-12, "{unsure:?}");
    }

    /// 100 rows of one kind, 75 of them right: between the best and 1 the summed loss is `100 ln(1 + e^(-2b)) + 50 b`.
    #[test]
    fn the_cautious_temperature_is_where_the_loss_is_two_nats_worse() {
        let truth: Vec<u32> = (0..100).map(|row| u32::from(row % 4 == 0)).collect();
        let fitted = fit(&truth, &[[2.0, 0.0]; 100]);
        let loss = |temperature: f64| 100.0 * (-2.0 / temperature).exp().ln_1p() + 50.0 / temperature;
        let worse = loss(fitted.cautious) - loss(fitted.temperature);
        assert!((worse - HALF_CHI_SQUARED).abs() < 1e-9, "{fitted:?}: {worse}");
        assert!(1.0 < fitted.cautious && fitted.cautious < fitted.temperature, "{fitted:?}");
        // Of too few rows 1 can't be told from the best.
        assert_eq!(fit(&[0, 0, 0, 1], &[[2.0, 0.0]; 4]).cautious, 1.0);
        let unsure = fit(&truth, &[[0.5, 0.0]; 100]);
        assert!(unsure.temperature < unsure.cautious && unsure.cautious < 1.0, "{unsure:?}");
    }

    #[test]
    fn probabilities_give_the_same_temperature_as_logits() {
        let logits = [[3.0f64, 0.5], [-1.0, 1.5], [0.25, 0.5], [2.0, -2.0]];
        let probabilities = logits.map(|[a, b]| {
            let p = 1.0 / (1.0 + (b - a).exp());
            vec![p as f32, (1.0 - p) as f32]
        });
        let truth = [0, 1, 0, 1];
        let (one, other) = (fit(&truth, &logits), fit_temperature(&truth, &logits_of(&probabilities)));
        assert!((one.temperature - other.temperature).abs() < 1e-6 * one.temperature, "{one:?} {other:?}");
        assert!(logits_of(&[vec![0.0, 1.0]])[0][0] > -104.0);
    }

    #[test]
    fn rows_that_say_nothing_about_a_temperature_are_called_that() {
        let of = |truth: &[u32], logits: &[[f64; 2]]| {
            let fitted = fit(truth, logits);
            (fitted.temperature, fitted.degenerate)
        };
        let right = [[1.0, 0.0], [0.0, 2.0]];
        assert_eq!(of(&[0, 1], &right), (0.01, Some(DegenerateFit::AlwaysRight)));
        assert_eq!(of(&[1, 0], &right), (100.0, Some(DegenerateFit::NoBetterThanAGuess)));
        assert_eq!(of(&[0, 1], &[[0.5, 0.5]; 2]), (1.0, Some(DegenerateFit::EqualLogits)));
        assert_eq!(of(&[], &[]), (1.0, Some(DegenerateFit::EqualLogits)));
    }
}
