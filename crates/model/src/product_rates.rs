//! How fast this processor multiplies in each number format, with the shapes of a model's own products.
//!
//! That a processor has instructions for bf16 does not say that it is fast in them: one computes bf16 products at four
//! times the rate of fp32, another at half. So the rates are measured before a model is loaded, which takes a few dozen
//! milliseconds.
//!
//! Each thread multiplies for itself, about its share of a step, and the rates are added up. A product of all threads
//! together takes as long as the last of them waits for a processor, so that on a busy machine its time says nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernels::parallel;
use tch::{Device, Kind, Tensor};

use crate::config::Config;
use crate::precision::{Precision, cpu_has_bf16};

/// bf16 must be this many times as fast as fp32: what is not products takes the same time in both, and a small gain is not
/// worth the digits, nor a choice that the next measurement would turn.
const CLEARLY_FASTER: f64 = 1.2;
/// A thread's share of the tokens of a step.
const TOKENS: i64 = 128;
/// Arithmetic of one round on one thread: 1 to 4 ms. Of a large model's products a part is measured.
const OPERATIONS: f64 = 2e8;
/// Products with less arithmetic take as long as the calls around them, in either format.
const TOO_FEW_OPERATIONS: f64 = 3e6;
/// Measurements of each product, of which the fastest counts.
const ROUNDS: usize = 4;

/// Rates of the products of a model on this CPU, with all threads, in GFLOP/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductRates {
    pub fp32: f64,
    /// `None` where the processor has no instructions for it.
    pub bf16: Option<f64>,
}

impl ProductRates {
    /// Measures the products of the feed-forward layers, two thirds of a model's arithmetic. To be called when the number of
    /// threads is set.
    pub fn measure(config: &Config) -> Self {
        let formats = if cpu_has_bf16() { vec![Precision::Fp32, Precision::Bf16] } else { vec![Precision::Fp32] };
        let products: Vec<Vec<TimedProduct>> =
            formats.iter().map(|format| feed_forward(config, format.kind())).collect();
        let share = || products.iter().map(|products| products.iter().map(TimedProduct::shared).collect()).collect();
        let shares: Vec<Vec<Vec<TimedProduct>>> = (0..parallel::thread_count()).map(|_| share()).collect();
        let rates = Mutex::new(vec![0.0; formats.len()]);
        parallel::for_each(shares, |mut share| {
            let measured = rates_of_one_thread(&mut share);
            let mut rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.iter_mut().zip(measured).for_each(|(sum, rate)| *sum += rate);
        });
        let rates = rates.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { fp32: rates[0], bf16: rates.get(1).copied() }
    }

    /// bf16 where it is clearly faster.
    pub fn choice(&self) -> Precision {
        match self.bf16 {
            Some(bf16) if bf16 >= CLEARLY_FASTER * self.fp32 => Precision::Bf16,
            _ => Precision::Fp32,
        }
    }

    /// The rates by format, as they are recorded with a run.
    pub fn by_format(&self) -> BTreeMap<String, f64> {
        let bf16 = self.bf16.map(|rate| (Precision::Bf16.to_string(), rate));
        bf16.into_iter().chain([(Precision::Fp32.to_string(), self.fp32)]).collect()
    }

    /// What [`by_format`](Self::by_format) recorded.
    pub fn from_formats(rates: &BTreeMap<String, f64>) -> Option<Self> {
        let rate = |format: Precision| rates.get(&format.to_string()).copied();
        Some(Self { fp32: rate(Precision::Fp32)?, bf16: rate(Precision::Bf16) })
    }

    /// Whether the rate of products decides how fast a model is: in a tiny one, the calls around them do.
    pub(crate) fn matter(config: &Config) -> bool {
        operations(config) >= TOO_FEW_OPERATIONS
    }
}

/// `860 GFLOP/s in bf16, 190 in fp32`.
impl fmt::Display for ProductRates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bf16 {
            Some(bf16) => write!(formatter, "{bf16:.0} GFLOP/s in bf16, {:.0} in fp32", self.fp32),
            None => write!(formatter, "{:.0} GFLOP/s in fp32", self.fp32),
        }
    }
}

/// A product as the model computes it, and the shortest time that it took.
struct TimedProduct {
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    time: Duration,
}

impl TimedProduct {
    /// The same product of the same memory.
    fn shared(&self) -> Self {
        let [x, weight, bias] = [&self.x, &self.weight, &self.bias].map(Tensor::shallow_clone);
        Self { x, weight, bias, time: self.time }
    }

    fn run(&mut self) {
        let began = Instant::now();
        let _ = self.x.linear(&self.weight, Some(&self.bias));
        self.time = self.time.min(began.elapsed());
    }

    fn operations(&self) -> f64 {
        2.0 * (self.x.size()[0] * self.weight.numel() as i64) as f64
    }
}

/// The two products of a feed-forward layer, `[T, D]` to `[T, I]` and back; of a large model's, the first columns of `I`.
fn feed_forward(config: &Config, kind: Kind) -> Vec<TimedProduct> {
    let (d, i) = (config.hidden_size, config.intermediate_size);
    let part = (i as f64 * OPERATIONS / operations(config)) as i64 / 64 * 64;
    let i = i.min(part.max(64));
    // Not random: that would take longer than the products, and change the numbers that the generator gives later.
    let filled = |shape: &[i64]| Tensor::full(shape, 0.01, (kind, Device::Cpu));
    let product = |from, to| {
        let (x, weight, bias) = (filled(&[TOKENS, from]), filled(&[to, from]), filled(&[to]));
        TimedProduct { x, weight, bias, time: Duration::MAX }
    };
    vec![product(d, i), product(i, d)]
}

fn operations(config: &Config) -> f64 {
    4.0 * (TOKENS * config.hidden_size * config.intermediate_size) as f64
}

/// GFLOP/s of this thread in each format, which take turns.
fn rates_of_one_thread(formats: &mut [Vec<TimedProduct>]) -> Vec<f64> {
    for round in 0..=ROUNDS {
        for product in formats.iter_mut().flatten() {
            product.run();
            // The first time the libraries compile their code for the shape.
            if round == 0 {
                product.time = Duration::MAX;
            }
        }
    }
    let rate = |products: &Vec<TimedProduct>| {
        let seconds: f64 = products.iter().map(|product| product.time.as_secs_f64()).sum();
        products.iter().map(TimedProduct::operations).sum::<f64>() / seconds / 1e9
    };
    formats.iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rates(fp32: f64, bf16: f64) -> ProductRates {
        ProductRates { fp32, bf16: Some(bf16) }
    }

    fn config(hidden_size: i64, intermediate_size: i64) -> Config {
        let text = format!(
            r#"{{"model_type": "bert", "vocab_size": 100, "hidden_size": {hidden_size}, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": {intermediate_size}, "max_position_embeddings": 16}}"#
        );
        Config::from_json(&text, Path::new("config.json")).unwrap()
    }

    #[test]
    fn bf16_is_chosen_only_where_it_is_clearly_faster() {
        // A Zen 5, a Zen 4, a Xeon with AVX512-BF16 and without AMX.
        for (fp32, bf16, choice) in
            [(190.0, 860.0, Precision::Bf16), (190.0, 400.0, Precision::Bf16), (195.0, 115.0, Precision::Fp32)]
        {
            assert_eq!(rates(fp32, bf16).choice(), choice, "{fp32}, {bf16}");
        }
        assert_eq!(rates(100.0, 119.0).choice(), Precision::Fp32);
        assert_eq!(rates(100.0, 121.0).choice(), Precision::Bf16);
        assert_eq!(ProductRates { fp32: 1.0, bf16: None }.choice(), Precision::Fp32);
        assert_eq!(rates(f64::NAN, f64::NAN).choice(), Precision::Fp32);
    }

    #[test]
    fn rates_are_read_as_they_were_recorded() {
        for rates in [rates(190.25, 860.75), ProductRates { fp32: 190.0, bf16: None }] {
            assert_eq!(ProductRates::from_formats(&rates.by_format()), Some(rates));
        }
        assert_eq!(ProductRates::from_formats(&BTreeMap::new()), None);
        assert_eq!(rates(190.25, 860.75).to_string(), "861 GFLOP/s in bf16, 190 in fp32");
        assert_eq!(ProductRates { fp32: 190.25, bf16: None }.to_string(), "190 GFLOP/s in fp32");
    }

    #[test]
    fn measuring_takes_a_fraction_of_a_second_for_models_of_all_sizes() {
        for (hidden_size, intermediate_size) in [(16, 32), (128, 512), (384, 1536), (768, 3072), (1024, 4096)] {
            let config = config(hidden_size, intermediate_size);
            // The shorter of two: the machine may be busy for half a second.
            let measure = |_| {
                let began = Instant::now();
                let rates = ProductRates::measure(&config);
                assert!(rates.fp32 > 0.0 && rates.fp32.is_finite(), "{rates:?}");
                assert_eq!(rates.bf16.is_some(), cpu_has_bf16());
                assert!(rates.bf16.is_none_or(|rate| rate > 0.0 && rate.is_finite()), "{rates:?}");
                began.elapsed()
            };
            let shortest = (0..2).map(measure).min().unwrap();
            assert!(shortest < Duration::from_millis(500), "{hidden_size}: {shortest:?}");
        }
    }

    #[test]
    fn the_products_of_tiny_models_do_not_matter() {
        assert!(!ProductRates::matter(&config(16, 32)) && !ProductRates::matter(&config(32, 64)));
        assert!(ProductRates::matter(&config(128, 512)) && ProductRates::matter(&config(384, 1536)));
    }
}
