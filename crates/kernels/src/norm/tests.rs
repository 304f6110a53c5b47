use super::*;
use crate::dropout::mix64;
use crate::element::Bf16;
use crate::isa::testing::{assert_that_the_choice_reaches, with_each_isa};
use crate::parallel::testing::assert_independent_of_threads;

/// What [`Case::results`] returns, in order.
const NAMES: [&str; 5] = ["y", "dx", "ddense", "dweight", "dbias"];

fn random(seed: u64, len: usize) -> Vec<f32> {
    (0..len).map(|i| (mix64(seed * 1_000_003 + i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Results in fp64, computed by the definition.
struct Reference {
    y: Vec<f64>,
    dx: Vec<f64>,
    ddense: Vec<f64>,
    dweight: Vec<f64>,
    dbias: Vec<f64>,
}

struct Case {
    rows: usize,
    width: usize,
    dense: Vec<f32>,
    residual: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
    dy_residual: Vec<f32>,
    masks: Masks,
}

impl Case {
    fn new(rows: usize, width: usize, masks: Masks) -> Self {
        let of = |seed, len| random(seed, len).into_iter().map(|x| Bf16::from_f32(x).to_f32()).collect::<Vec<_>>();
        let n = rows * width;
        Self {
            rows,
            width,
            dense: of(1, n),
            residual: of(2, n),
            weight: random(3, width),
            bias: random(4, width),
            dy: of(5, n),
            dy_residual: of(6, n),
            masks,
        }
    }

    fn reference(&self) -> Reference {
        let (n, width) = (self.rows * self.width, self.width);
        let factors = |mask: Option<Mask>| mask.map_or(vec![1.0; n], |mask| mask.to_vec(self.rows, width));
        let (before, after) = (factors(self.masks.before), factors(self.masks.after));
        let (mut y, mut dx, mut ddense) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let (mut dweight, mut dbias) = (vec![0.0; width], vec![0.0; width]);
        for row in 0..self.rows {
            let at = |j: usize| row * width + j;
            let x: Vec<f64> = (0..width)
                .map(|j| f64::from(self.dense[at(j)]) * f64::from(before[at(j)]) + f64::from(self.residual[at(j)]))
                .collect();
            let mean = x.iter().sum::<f64>() / width as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let rstd = 1.0 / (variance + 1e-5).sqrt();
            let xhat: Vec<f64> = x.iter().map(|x| (x - mean) * rstd).collect();
            let d: Vec<f64> = (0..width)
                .map(|j| f64::from(self.dy[at(j)] + self.dy_residual[at(j)]) * f64::from(after[at(j)]))
                .collect();
            let g: Vec<f64> = (0..width).map(|j| d[j] * f64::from(self.weight[j])).collect();
            let mean_g = g.iter().sum::<f64>() / width as f64;
            let mean_gx = g.iter().zip(&xhat).map(|(g, x)| g * x).sum::<f64>() / width as f64;
            for j in 0..width {
                let norm = xhat[j] * f64::from(self.weight[j]) + f64::from(self.bias[j]);
                y[at(j)] = norm * f64::from(after[at(j)]);
                dx[at(j)] = rstd * (g[j] - mean_g - xhat[j] * mean_gx);
                ddense[at(j)] = dx[at(j)] * f64::from(before[at(j)]);
                dweight[j] += d[j] * xhat[j];
                dbias[j] += d[j];
            }
        }
        Reference { y, dx, ddense, dweight, dbias }
    }

    /// `y`, with the forward pass on `of_forward`, and the gradients `dx`, `ddense`, `dweight` and `dbias`.
    fn results<T: Element>(&self, of_forward: Isa) -> [Vec<f32>; 5] {
        let cast = |values: &[f32]| values.iter().map(|&x| T::from_f32(x)).collect::<Vec<T>>();
        let n = self.rows * self.width;
        let (mut y, mut x, mut mean, mut rstd) =
            (vec![T::default(); n], vec![T::default(); n], vec![0.0; self.rows], vec![0.0; self.rows]);
        let parameters = NormParameters { weight: &self.weight, bias: &self.bias, eps: 1e-5 };
        let (dense, residual) = (cast(&self.dense), cast(&self.residual));
        let saved = Some((&mut x[..], &mut mean[..], &mut rstd[..]));
        let mut again = vec![T::default(); n];
        of_forward.run(|| {
            forward(&dense, Some(&residual), parameters, self.masks, &mut y, saved);
            forward(&dense, Some(&residual), parameters, self.masks, &mut again, None);
        });
        assert!(y.iter().zip(&again).all(|(a, b)| a.to_f32().to_bits() == b.to_f32().to_bits()));

        let (mut dx, mut ddense) = (vec![T::default(); n], vec![T::default(); n]);
        let (mut dweight, mut dbias) = (vec![f32::NAN; self.width], vec![f32::NAN; self.width]);
        let saved = SavedNorm { x: &x, mean: &mean, rstd: &rstd };
        let gradients = NormGradients { x: &mut dx, dense: Some(&mut ddense), weight: &mut dweight, bias: &mut dbias };
        backward(&cast(&self.dy), Some(&cast(&self.dy_residual)), saved, &self.weight, self.masks, gradients);
        let values = |list: &[T]| list.iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
        [values(&y), values(&dx), values(&ddense), dweight, dbias]
    }

    fn check<T: Element>(&self, tolerance: f64) {
        let Reference { y, dx, ddense, dweight, dbias } = self.reference();
        let reference = [y, dx, ddense, dweight, dbias];
        with_each_isa(|isa| {
            for ((what, ours), reference) in NAMES.iter().zip(self.results::<T>(isa)).zip(&reference) {
                let scale = reference.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
                for (ours, reference) in ours.iter().zip(reference) {
                    let difference = (f64::from(*ours) - reference).abs();
                    let close = difference <= tolerance * scale;
                    assert!(close, "{what} of {}, {isa:?}: {difference:e} of {scale}", self.width);
                }
            }
            assert_independent_of_threads("norm", || self.results::<T>(isa));
        });
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let mask = |key| Mask::new(key, 0.2);
    for masks in [
        Masks::default(),
        Masks { before: mask(7), after: None },
        Masks { before: None, after: mask(8) },
        Masks { before: mask(7), after: mask(8) },
    ] {
        for (rows, width) in [(1, 2), (37, 7), (33, 16), (70, 100), (65, 384)] {
            let case = Case::new(rows, width, masks);
            case.check::<f32>(1e-5);
            case.check::<Bf16>(2e-2);
        }
    }
}

#[test]
fn both_directions_run_on_the_chosen_instruction_set() {
    // Wide enough that sums have more than one block: the first product of a sum is rounded the same way on all.
    let case = Case::new(70, 300, Masks { before: Mask::new(3, 0.1), after: None });
    assert_that_the_choice_reaches("y", || case.results::<f32>(Isa::selected())[0].clone());
    // After the same forward pass. The gradient of the bias is a sum without products, the same on all.
    for (part, name) in NAMES.iter().enumerate().take(4).skip(1) {
        assert_that_the_choice_reaches(name, || case.results::<f32>(Isa::BASELINE)[part].clone());
    }
}
