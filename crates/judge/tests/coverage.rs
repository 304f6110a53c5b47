//! How often a 95 % interval holds the figure of the population that the rows were drawn from: a simulation.
//!
//! `VERDICT_COVERAGE=2000 cargo test -p judge --test coverage -- --nocapture` draws so many samples of each size from each
//! population and prints the table of docs/judging.md; without it the numbers are small.

use judge::{Comparison, Estimate, HeadlineFigures, ScoredRows};
use metrics::{Bootstrap, ClassCounts, OverallScores, ReportOptions};
use test_support::{Random, setting};

/// The figures whose intervals are tried; the class is the rarest, the differences are those of two models.
const FIGURES: [&str; 7] = [
    "accuracy",
    "F1",
    "macro F1",
    "Matthews",
    "F1 of the rarest class",
    "difference of accuracy",
    "difference of macro F1",
];

/// What rows are like that a model and another one predict.
struct Population {
    name: &'static str,
    /// True class, predicted class, the other model's class, and the share of such rows.
    kinds: Vec<([u32; 3], f64)>,
    label_names: Vec<String>,
    rarest: usize,
}

impl Population {
    /// `shares` of the classes and for each the shares of the predictions. Of the rows that this model has wrong the other has a fifth
    /// right, and it has others wrong that are three tenths as many; both make their mistakes between the same classes.
    fn new(name: &'static str, shares: &[f64], predicted: &[&[f64]]) -> Self {
        let mut kinds = Vec::new();
        for (truth, (share, row)) in shares.iter().zip(predicted).enumerate() {
            let wrong = 1.0 - row[truth];
            let class = truth as u32;
            kinds.push(([class; 3], share * (row[truth] - 0.3 * wrong)));
            for (mistake, part) in row.iter().enumerate().filter(|(predicted, _)| *predicted != truth) {
                let mistake = mistake as u32;
                kinds.push(([class, class, mistake], share * 0.3 * part));
                kinds.push(([class, mistake, class], share * 0.2 * part));
                kinds.push(([class, mistake, mistake], share * 0.8 * part));
            }
        }
        let label_names = (0..shares.len()).map(|class| class.to_string()).collect();
        let rarest = (0..shares.len()).min_by(|a, b| shares[*a].total_cmp(&shares[*b])).unwrap();
        Self { name, kinds, label_names, rarest }
    }

    /// The figures of all rows of the population, in the order of [`FIGURES`].
    fn truth(&self) -> [f64; 7] {
        let mut counts = [ClassCounts::new(self.label_names.len()), ClassCounts::new(self.label_names.len())];
        for ([truth, predicted, other], share) in &self.kinds {
            let rows = (share * 1e12).round() as u64;
            counts[0].add(*truth, *predicted, rows);
            counts[1].add(*truth, *other, rows);
        }
        let [this, other]: [OverallScores; 2] =
            counts.each_ref().map(|counts| counts.overall(ReportOptions::default()));
        let rarest = counts[0].of_class(self.rarest, metrics::ZeroDivision::Zero).f1;
        let macro_f1 = |scores: &OverallScores| scores.macro_average.f1;
        let differences = (this.accuracy - other.accuracy, macro_f1(&this) - macro_f1(&other));
        [this.accuracy, this.weighted.f1, macro_f1(&this), this.matthews, rarest, differences.0, differences.1]
    }

    /// How many of the intervals from so many samples of `rows` rows hold the truth, for each figure.
    fn covered(&self, rows: usize, samples: usize, bootstrap: &Bootstrap) -> [usize; 7] {
        let truth = self.truth();
        let mut random = Random::new(rows as u64);
        let mut covered = [0; 7];
        for _ in 0..samples {
            for (covered, (truth, (low, high))) in
                covered.iter_mut().zip(truth.iter().zip(self.sample(rows, &mut random, bootstrap)))
            {
                // A truth that is an end but for rounding is held.
                *covered += usize::from(low - 1e-9 <= *truth && *truth <= high + 1e-9);
            }
        }
        covered
    }

    /// The intervals of all figures from a sample.
    fn sample(&self, rows: usize, random: &mut Random, bootstrap: &Bootstrap) -> [(f64, f64); 7] {
        let drawn: Vec<[u32; 3]> = (0..rows).map(|_| self.draw(random)).collect();
        let column = |at: usize| -> Vec<u32> { drawn.iter().map(|row| row[at]).collect() };
        let (truth, predictions, other) = (column(0), column(1), column(2));
        let label_names = &self.label_names;
        let scored =
            ScoredRows { label_names, truth: &truth, predictions: &predictions, probabilities: &[], facts: &[] };
        let headline = HeadlineFigures::of(&scored, bootstrap).unwrap();
        let differences = Comparison::of(&scored, &other, String::new(), bootstrap).unwrap().differences;
        let ends = |estimate: Estimate| (estimate.low, estimate.high);
        let score = |name: &str| ends(headline.scores[name]);
        let difference = |at: usize| (differences[at].low, differences[at].high);
        let rarest = ends(headline.per_class[self.rarest].f1);
        [score("accuracy"), score("f1"), score("macro_f1"), score("matthews"), rarest, difference(0), difference(2)]
    }

    fn draw(&self, random: &mut Random) -> [u32; 3] {
        let mut place = random.below(1 << 53) as f64 / (1_u64 << 53) as f64;
        for (kind, share) in &self.kinds {
            place -= share;
            if place < 0.0 {
                return *kind;
            }
        }
        self.kinds[0].0
    }
}

fn populations() -> Vec<Population> {
    let binary = |name, right: f64| Population::new(name, &[0.5, 0.5], &[&[right, 1.0 - right], &[1.0 - right, right]]);
    let five: [&[f64]; 5] = [
        &[0.48, 0.43, 0.05, 0.03, 0.01],
        &[0.14, 0.62, 0.15, 0.08, 0.01],
        &[0.04, 0.27, 0.36, 0.29, 0.04],
        &[0.01, 0.07, 0.13, 0.58, 0.21],
        &[0.01, 0.02, 0.03, 0.32, 0.62],
    ];
    vec![
        binary("two classes, accuracy 0.5", 0.5),
        binary("two classes, accuracy 0.9", 0.9),
        binary("two classes, accuracy 0.99", 0.99),
        Population::new("five classes, accuracy 0.55", &[0.126, 0.286, 0.176, 0.231, 0.181], &five),
        Population::new(
            "three classes, one of 3 %",
            &[0.6, 0.37, 0.03],
            &[&[0.92, 0.07, 0.01], &[0.1, 0.89, 0.01], &[0.2, 0.2, 0.6]],
        ),
        Population::new("two classes, one of 1 %", &[0.99, 0.01], &[&[0.995, 0.005], &[0.3, 0.7]]),
    ]
}

/// The table for all populations and sizes.
fn print_table(samples: usize) {
    println!("| population | rows | {} |", FIGURES.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(FIGURES.len()));
    for population in populations() {
        for rows in [100, 872, 2_210] {
            let bootstrap = Bootstrap { resamples: 999, seed: 0 };
            let covered = population.covered(rows, samples, &bootstrap);
            let shares = covered.map(|covered| format!("{:.1}", 100.0 * covered as f64 / samples as f64));
            println!("| {} | {rows} | {} |", population.name, shares.join(" | "));
        }
    }
}

/// Those that the numbers of a short test are enough for.
const TRIED: [&str; 2] = ["two classes, accuracy 0.9", "five classes, accuracy 0.55"];

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    if let Some(samples) = setting("VERDICT_COVERAGE") {
        return print_table(samples);
    }
    let (samples, bootstrap) = (300, Bootstrap { resamples: 599, seed: 0 });
    let mut all = Vec::new();
    for population in populations().iter().filter(|population| TRIED.contains(&population.name)) {
        let covered = population.covered(300, samples, &bootstrap);
        for (figure, covered) in FIGURES.iter().zip(covered) {
            let share = covered as f64 / samples as f64;
            assert!((0.90..=0.99).contains(&share), "{figure} of {}: {share}", population.name);
            all.push(share);
        }
    }
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    assert!((0.935..=0.965).contains(&mean), "{mean}: {all:?}");
}
