//! Logistic regression with a quadratic penalty, as scikit-learn's `LogisticRegression(C=1.0)` defines it.
//!
//! It minimizes the sum over all rows of `-ln p(true class)`, plus half the sum of the squared weights; intercepts are not
//! penalized. Two classes have one weight for each feature, and `p` is the logistic function; more classes have a weight
//! each, and `p` is the softmax. The minimum is unique, so how it is found makes no difference to the result: here by
//! Newton's method, whose steps come from conjugate gradients with the Hessian's diagonal as preconditioner (Nocedal and
//! Wright 2006, algorithm 7.1), until no derivative is larger than [`TOLERANCE`]. Nothing is random.

use super::sparse::SparseMatrix;

/// The largest derivative at the end. The penalty's curvature is 1, so no weight is farther from its optimum than about this.
const TOLERANCE: f64 = 1e-8;
/// Newton steps; a dozen are usual.
const MOST_STEPS: usize = 100;
/// Conjugate-gradient iterations for one step.
const MOST_ITERATIONS: usize = 500;
/// The share of the decrease that the slope promises which a step must bring (Armijo).
const SUFFICIENT_DECREASE: f64 = 1e-4;

#[derive(Debug)]
pub(super) struct LogisticRegression {
    /// The labels of the training data, ascending. Others are never predicted.
    classes: Vec<u32>,
    /// For each feature a weight for each of `outputs`, then the intercepts.
    coefficients: Vec<f64>,
    /// One for two classes, else one for each class.
    outputs: usize,
    /// Whether the tolerance was reached.
    pub(super) converged: bool,
}

impl LogisticRegression {
    /// Fits a model to rows with labels.
    pub(super) fn fit(features: &SparseMatrix, labels: &[u32]) -> Self {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let outputs = if classes.len() > 2 { classes.len() } else { 1 };
        let coefficients = vec![0.0; (features.columns() + 1) * outputs];
        let mut model = Self { classes, coefficients, outputs, converged: true };
        // With one class there is nothing to learn, and no finite intercept.
        if model.classes.len() > 1 {
            let targets: Vec<usize> =
                labels.iter().map(|label| model.classes.partition_point(|class| class < label)).collect();
            let problem = Problem { features, targets: &targets, outputs };
            model.converged = problem.minimize(&mut model.coefficients);
            model.center_intercepts();
        }
        model
    }

    /// For each row the value of each output: above 0, the second of two classes is predicted; of more, the highest.
    pub(super) fn decision_values(&self, features: &SparseMatrix) -> Vec<f64> {
        let mut values = vec![0.0; features.rows() * self.outputs];
        scores(features, &self.coefficients, self.outputs, &mut values);
        values
    }

    /// The label of each row; of equal ones the first.
    pub(super) fn predict(&self, features: &SparseMatrix) -> Vec<u32> {
        if let [only] = self.classes[..] {
            return vec![only; features.rows()];
        }
        let best = |values: &[f64]| match values {
            [value] => usize::from(*value > 0.0),
            values => (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best }),
        };
        self.decision_values(features).chunks_exact(self.outputs).map(|values| self.classes[best(values)]).collect()
    }

    /// A softmax doesn't change if all intercepts move together: their sum is set to 0.
    fn center_intercepts(&mut self) {
        if self.outputs > 1 {
            let start = self.coefficients.len() - self.outputs;
            let mean = self.coefficients[start..].iter().sum::<f64>() / self.outputs as f64;
            self.coefficients[start..].iter_mut().for_each(|intercept| *intercept -= mean);
        }
    }

    #[cfg(test)]
    pub(super) fn coefficients(&self) -> (&[f64], &[f64]) {
        self.coefficients.split_at(self.coefficients.len() - self.outputs)
    }
}

/// What is minimized. Coefficients are laid out as in [`LogisticRegression`]; scores, residuals and probabilities have
/// `outputs` values for each row.
struct Problem<'a> {
    features: &'a SparseMatrix,
    /// For each row the place of its class.
    targets: &'a [usize],
    outputs: usize,
}

impl Problem<'_> {
    /// Moves the coefficients to the minimum; says whether the tolerance was reached.
    fn minimize(&self, coefficients: &mut [f64]) -> bool {
        let values = self.targets.len() * self.outputs;
        let (mut at, mut trial) = (vec![0.0; values], vec![0.0; values]);
        let mut probabilities = vec![0.0; values];
        let mut first_norm = None;
        for _ in 0..MOST_STEPS {
            scores(self.features, coefficients, self.outputs, &mut at);
            let value = self.loss(&at, Some(&mut probabilities)) + self.penalty(coefficients);
            let gradient = self.gradient(coefficients, &probabilities);
            if gradient.iter().all(|derivative| derivative.abs() <= TOLERANCE) {
                return true;
            }
            // The nearer the minimum, the more exact the step, so that convergence is superlinear.
            let norm = dot(&gradient, &gradient).sqrt();
            let remaining = norm / *first_norm.get_or_insert(norm);
            let wanted = (norm * remaining.sqrt().min(0.1)).max(0.1 * TOLERANCE);
            let (step, score_step) = self.newton_step(&gradient, &probabilities, wanted);
            let slope = dot(&gradient, &step);
            let mut length = 1.0;
            loop {
                let moved = |(to, (from, step)): (&mut f64, (&f64, &f64))| *to = from + length * step;
                trial.iter_mut().zip(at.iter().zip(&score_step)).for_each(moved);
                let candidate: Vec<f64> =
                    coefficients.iter().zip(&step).map(|(from, step)| from + length * step).collect();
                let found = self.loss(&trial, None) + self.penalty(&candidate);
                // Near the minimum the decrease is smaller than the value's rounding.
                if found <= value + SUFFICIENT_DECREASE * length * slope + 1e-13 * value.abs() {
                    coefficients.copy_from_slice(&candidate);
                    break;
                }
                length /= 2.0;
                if length < 1e-10 {
                    return false;
                }
            }
        }
        false
    }

    /// The sum of `-ln p(true class)`; the probabilities are written where they are wanted.
    fn loss(&self, scores: &[f64], mut probabilities: Option<&mut Vec<f64>>) -> f64 {
        let mut loss = 0.0;
        for (row, (scores, &target)) in scores.chunks_exact(self.outputs).zip(self.targets).enumerate() {
            let out = probabilities.as_mut().map(|all| &mut all[row * self.outputs..][..self.outputs]);
            if let [score] = *scores {
                let fade = (-score.abs()).exp();
                // -ln of the logistic function, of the score or of its opposite.
                loss += fade.ln_1p() + if target == 1 { (-score).max(0.0) } else { score.max(0.0) };
                if let Some(out) = out {
                    out[0] = if score >= 0.0 { 1.0 / (1.0 + fade) } else { fade / (1.0 + fade) };
                }
            } else {
                let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
                loss += sum.ln() + highest - scores[target];
                if let Some(out) = out {
                    out.iter_mut().zip(scores).for_each(|(p, score)| *p = (score - highest).exp() / sum);
                }
            }
        }
        loss
    }

    fn penalty(&self, coefficients: &[f64]) -> f64 {
        let weights = &coefficients[..coefficients.len() - self.outputs];
        0.5 * dot(weights, weights)
    }

    fn gradient(&self, coefficients: &[f64], probabilities: &[f64]) -> Vec<f64> {
        let mut residuals = probabilities.to_vec();
        for (residuals, &target) in residuals.chunks_exact_mut(self.outputs).zip(self.targets) {
            match residuals {
                [residual] => *residual -= target as f64,
                residuals => residuals[target] -= 1.0,
            }
        }
        let mut gradient = vec![0.0; coefficients.len()];
        self.pull_back(&residuals, coefficients, &mut gradient);
        gradient
    }

    /// Derivatives by coefficients, of derivatives by scores; `coefficients` are the penalty's own derivatives.
    fn pull_back(&self, by_scores: &[f64], coefficients: &[f64], out: &mut [f64]) {
        let (weights, intercepts) = out.split_at_mut(coefficients.len() - self.outputs);
        self.features.transposed_times(by_scores, self.outputs, weights);
        weights.iter_mut().zip(coefficients).for_each(|(out, coefficient)| *out += coefficient);
        sum_rows(by_scores, intercepts);
    }

    /// The step to where the quadratic approximation is lowest, with a gradient there of at most `wanted`; also by how much
    /// it moves each score.
    fn newton_step(&self, gradient: &[f64], probabilities: &[f64], wanted: f64) -> (Vec<f64>, Vec<f64>) {
        let diagonal = self.hessian_diagonal(probabilities, gradient.len());
        let mut step = vec![0.0; gradient.len()];
        let mut score_step = vec![0.0; probabilities.len()];
        let mut residual: Vec<f64> = gradient.iter().map(|derivative| -derivative).collect();
        let mut direction: Vec<f64> = residual.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
        let mut energy = dot(&residual, &direction);
        let (mut moved, mut curved) = (vec![0.0; probabilities.len()], vec![0.0; gradient.len()]);
        let mut by_scores = vec![0.0; probabilities.len()];
        for _ in 0..MOST_ITERATIONS {
            scores(self.features, &direction, self.outputs, &mut moved);
            self.loss_curvature(probabilities, &moved, &mut by_scores);
            self.pull_back(&by_scores, &direction, &mut curved);
            let curvature = dot(&direction, &curved);
            if curvature <= 0.0 {
                break;
            }
            let length = energy / curvature;
            score_step.iter_mut().zip(&moved).for_each(|(sum, moved)| *sum += length * moved);
            let (mut next_energy, mut squared) = (0.0, 0.0);
            for at in 0..step.len() {
                step[at] += length * direction[at];
                residual[at] -= length * curved[at];
                next_energy += residual[at] * residual[at] / diagonal[at];
                squared += residual[at] * residual[at];
            }
            if squared.sqrt() <= wanted {
                break;
            }
            let ratio = next_energy / energy;
            energy = next_energy;
            for at in 0..direction.len() {
                direction[at] = residual[at] / diagonal[at] + ratio * direction[at];
            }
        }
        (step, score_step)
    }

    /// The second derivative of the loss by scores, times a movement of the scores.
    fn loss_curvature(&self, probabilities: &[f64], moved: &[f64], out: &mut [f64]) {
        let rows = probabilities.chunks_exact(self.outputs).zip(moved.chunks_exact(self.outputs));
        for ((p, moved), out) in rows.zip(out.chunks_exact_mut(self.outputs)) {
            if let [p] = p {
                out[0] = p * (1.0 - p) * moved[0];
            } else {
                let mean = dot(p, moved);
                out.iter_mut().zip(p.iter().zip(moved)).for_each(|(out, (p, moved))| *out = p * (moved - mean));
            }
        }
    }

    fn hessian_diagonal(&self, probabilities: &[f64], len: usize) -> Vec<f64> {
        let variances: Vec<f64> = probabilities.iter().map(|p| p * (1.0 - p)).collect();
        let mut diagonal = vec![0.0; len];
        let (weights, intercepts) = diagonal.split_at_mut(len - self.outputs);
        self.features.transposed_squares_times(&variances, self.outputs, weights);
        weights.iter_mut().for_each(|value| *value += 1.0);
        sum_rows(&variances, intercepts);
        intercepts.iter_mut().for_each(|value| *value = value.max(1e-12));
        diagonal
    }
}

/// The features times the weights, plus the intercepts.
fn scores(features: &SparseMatrix, coefficients: &[f64], outputs: usize, out: &mut [f64]) {
    let (weights, intercepts) = coefficients.split_at(coefficients.len() - outputs);
    features.times(weights, outputs, out);
    for row in out.chunks_exact_mut(outputs) {
        row.iter_mut().zip(intercepts).for_each(|(score, intercept)| *score += intercept);
    }
}

fn sum_rows(rows: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for row in rows.chunks_exact(out.len()) {
        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
