//! How fast this processor multiplies in each number format, with the shapes of a model's own products.
//!
//! That a processor has instructions for bf16 does not say that it is fast in them: one computes bf16 products at four
//! times the rate of fp32, another at half. And libtorch's libraries reach half of what some processors can do, or use
//! instructions that the kernels do not have. So the rates are measured before a model is loaded, which takes a few dozen
//! milliseconds.
//!
//! Each thread multiplies for itself, about its share of a step, and the rates are added up. A product of all threads
//! together takes as long as the last of them waits for a processor, so that on a busy machine its time says nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernels::isa::has_avx512_bf16;
use kernels::parallel;
use tch::{Device, Tensor};

use crate::backend::Backend;
use crate::config::Config;
use crate::layers::product;
use crate::precision::Precision;

/// bf16 must be this many times as fast as fp32: what is not products takes the same time in both, and a small gain is not
/// worth the digits, nor a choice that the next measurement would turn. Likewise libtorch's products, whose bits depend on the
/// number of threads and of rows.
const CLEARLY_FASTER: f64 = 1.2;
/// A thread's share of the tokens of a step.
const TOKENS: i64 = 256;
/// Arithmetic of one round on one thread: 1 to 4 ms. Of a large model's products a part is measured.
const OPERATIONS: f64 = 2e8;
/// Products with less arithmetic take as long as the calls around them, in either format.
const TOO_FEW_OPERATIONS: f64 = 6e6;
/// Measurements of each product, of which the fastest counts.
const ROUNDS: usize = 4;

/// Rates of the products of a model on this CPU, with all threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductRates {
    pub fp32: FormatRates,
    /// `None` where the processor has no instructions for it.
    pub bf16: Option<FormatRates>,
}

/// The rates of one number format in GFLOP/s, by what multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FormatRates {
    /// `None` where the processor lacks the instructions that the kernels need to be fast.
    pub kernels: Option<f64>,
    pub libtorch: f64,
}

impl FormatRates {
    /// What multiplies: the kernels, unless libtorch is clearly faster.
    pub fn multiplier(&self) -> Backend {
        match self.kernels {
            Some(kernels) if self.libtorch < CLEARLY_FASTER * kernels => Backend::Kernels,
            _ => Backend::Libtorch,
        }
    }

    /// The rate of what multiplies.
    pub fn rate(&self) -> f64 {
        match (self.multiplier(), self.kernels) {
            (Backend::Kernels, Some(kernels)) => kernels,
            _ => self.libtorch,
        }
    }
}

/// What the names of libtorch's rates end with in files, where the kernels have one too.
const LIBTORCH: &str = "_libtorch";

impl ProductRates {
    /// Measures the products of the feed-forward layers, two thirds of a model's arithmetic. To be called when the number of
    /// threads is set.
    pub fn measure(config: &Config) -> Self {
        let formats = if has_avx512_bf16() { vec![Precision::Fp32, Precision::Bf16] } else { vec![Precision::Fp32] };
        let mut variants = Vec::new();
        for format in formats {
            variants.push((format, Backend::Libtorch));
            variants.extend(format.has_fast_kernels().then_some((format, Backend::Kernels)));
        }
        let products: Vec<Vec<TimedProduct>> = variants.iter().map(|variant| feed_forward(config, *variant)).collect();
        let share = || products.iter().map(|products| products.iter().map(TimedProduct::shared).collect()).collect();
        let shares: Vec<Vec<Vec<TimedProduct>>> = (0..parallel::thread_count()).map(|_| share()).collect();
        let rates = Mutex::new(vec![0.0; variants.len()]);
        parallel::for_each(shares, |mut share| {
            let measured = rates_of_one_thread(&mut share);
            let mut rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.iter_mut().zip(measured).for_each(|(sum, rate)| *sum += rate);
        });
        let rates = rates.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rate = |variant| variants.iter().position(|measured| *measured == variant).map(|index| rates[index]);
        let of = |format| {
            Some(FormatRates {
                kernels: rate((format, Backend::Kernels)),
                libtorch: rate((format, Backend::Libtorch))?,
            })
        };
        let unknown = FormatRates { kernels: None, libtorch: 0.0 };
        Self { fp32: of(Precision::Fp32).unwrap_or(unknown), bf16: of(Precision::Bf16) }
    }

    /// bf16 where it is clearly faster.
    pub fn choice(&self) -> Precision {
        match self.bf16 {
            Some(bf16) if bf16.rate() >= CLEARLY_FASTER * self.fp32.rate() => Precision::Bf16,
            _ => Precision::Fp32,
        }
    }

    /// The rates of a format.
    pub fn of(&self, format: Precision) -> Option<FormatRates> {
        match format {
            Precision::Fp32 => Some(self.fp32),
            Precision::Bf16 => self.bf16,
        }
    }

    /// The rates by name, as they are recorded with a run: of the kernels under the name of the format, or of libtorch where
    /// they have none.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let mut rates = BTreeMap::new();
        for format in [Precision::Fp32, Precision::Bf16] {
            let Some(of_format) = self.of(format) else { continue };
            rates.insert(format.to_string(), of_format.kernels.unwrap_or(of_format.libtorch));
            if of_format.kernels.is_some() {
                rates.insert(format!("{format}{LIBTORCH}"), of_format.libtorch);
            }
        }
        rates
    }

    /// What [`by_name`](Self::by_name) recorded. Runs of earlier versions, which multiplied with libtorch, have one rate of
    /// each format, and so does a processor without kernels.
    pub fn from_names(rates: &BTreeMap<String, f64>) -> Option<Self> {
        let of = |format: Precision| {
            let named = rates.get(&format.to_string()).copied()?;
            let libtorch = rates.get(&format!("{format}{LIBTORCH}")).copied();
            Some(FormatRates { kernels: libtorch.map(|_| named), libtorch: libtorch.unwrap_or(named) })
        };
        Some(Self { fp32: of(Precision::Fp32)?, bf16: of(Precision::Bf16) })
    }

    /// Whether this processor has more than one way to multiply.
    pub(crate) fn differ() -> bool {
        has_avx512_bf16() || Precision::Fp32.has_fast_kernels()
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
            Some(bf16) => write!(formatter, "{:.0} GFLOP/s in bf16, {:.0} in fp32", bf16.rate(), self.fp32.rate()),
            None => write!(formatter, "{:.0} GFLOP/s in fp32", self.fp32.rate()),
        }
    }
}

/// A number format and what multiplies it.
type Multiplication = (Precision, Backend);

/// A product as the model computes it, and the shortest time that it took.
struct TimedProduct {
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    variant: Multiplication,
    time: Duration,
}

impl TimedProduct {
    /// The same product of the same memory.
    fn shared(&self) -> Self {
        let [x, weight, bias] = [&self.x, &self.weight, &self.bias].map(Tensor::shallow_clone);
        Self { x, weight, bias, ..*self }
    }

    fn run(&mut self) {
        let began = Instant::now();
        let _ = match self.variant {
            (_, Backend::Kernels) => product::linear_with_kernels(&self.x, &self.weight, &self.bias),
            (_, Backend::Libtorch) => self.x.linear(&self.weight, Some(&self.bias)),
        };
        self.time = self.time.min(began.elapsed());
    }

    fn operations(&self) -> f64 {
        2.0 * (self.x.size()[0] * self.weight.numel() as i64) as f64
    }
}

/// The two products of a feed-forward layer, `[T, D]` to `[T, I]` and back; of a large model's, the first columns of `I`.
fn feed_forward(config: &Config, variant: Multiplication) -> Vec<TimedProduct> {
    let (d, i) = (config.hidden_size, config.intermediate_size);
    let part = (i as f64 * OPERATIONS / operations(config)) as i64 / 64 * 64;
    let i = i.min(part.max(64));
    // Not random: that would take longer than the products, and change the numbers that the generator gives later.
    let filled = |shape: &[i64]| Tensor::full(shape, 0.01, (variant.0.kind(), Device::Cpu));
    let product = |from, to| {
        let (x, weight, bias) = (filled(&[TOKENS, from]), filled(&[to, from]), filled(&[to]));
        TimedProduct { x, weight, bias, variant, time: Duration::MAX }
    };
    vec![product(d, i), product(i, d)]
}

fn operations(config: &Config) -> f64 {
    4.0 * (TOKENS * config.hidden_size * config.intermediate_size) as f64
}

/// GFLOP/s of this thread in each way, which take turns.
fn rates_of_one_thread(variants: &mut [Vec<TimedProduct>]) -> Vec<f64> {
    for round in 0..=ROUNDS {
        for product in variants.iter_mut().flatten() {
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
    variants.iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn by_libtorch(rate: f64) -> FormatRates {
        FormatRates { kernels: None, libtorch: rate }
    }

    fn rates(fp32: f64, bf16: f64) -> ProductRates {
        ProductRates { fp32: by_libtorch(fp32), bf16: Some(by_libtorch(bf16)) }
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
        assert_eq!(ProductRates { bf16: None, ..rates(1.0, 1.0) }.choice(), Precision::Fp32);
        assert_eq!(rates(f64::NAN, f64::NAN).choice(), Precision::Fp32);
    }

    #[test]
    fn libtorch_multiplies_only_where_it_is_clearly_faster() {
        for (kernels, libtorch, multiplier, rate) in [
            (Some(400.0), 190.0, Backend::Kernels, 400.0),
            (Some(180.0), 195.0, Backend::Kernels, 180.0),
            (Some(100.0), 190.0, Backend::Libtorch, 190.0),
            (Some(f64::NAN), 190.0, Backend::Libtorch, 190.0),
            (None, 190.0, Backend::Libtorch, 190.0),
        ] {
            let rates = FormatRates { kernels, libtorch };
            assert_eq!((rates.multiplier(), rates.rate()), (multiplier, rate), "{rates:?}");
        }
        // fp32 by the kernels is as fast as bf16 by libtorch.
        let fp32 = FormatRates { kernels: Some(400.0), libtorch: 190.0 };
        assert_eq!(ProductRates { fp32, ..rates(0.0, 450.0) }.choice(), Precision::Fp32);
    }

    #[test]
    fn rates_are_read_as_they_were_recorded() {
        let kernels = |kernels, libtorch| FormatRates { kernels: Some(kernels), libtorch };
        let all = ProductRates { fp32: kernels(401.5, 190.25), bf16: Some(kernels(860.75, 700.5)) };
        let on_some = ProductRates { bf16: None, ..all };
        for rates in [all, rates(190.25, 860.75), on_some] {
            assert_eq!(ProductRates::from_names(&rates.by_name()), Some(rates));
        }
        assert_eq!(ProductRates::from_names(&BTreeMap::new()), None);
        let of_earlier_version = BTreeMap::from([("bf16".to_owned(), 860.75), ("fp32".to_owned(), 190.25)]);
        assert_eq!(ProductRates::from_names(&of_earlier_version), Some(rates(190.25, 860.75)));
        assert_eq!(all.to_string(), "861 GFLOP/s in bf16, 402 in fp32");
        assert_eq!(on_some.to_string(), "402 GFLOP/s in fp32");
    }

    #[test]
    fn measuring_takes_a_fraction_of_a_second_for_models_of_all_sizes() {
        for (hidden_size, intermediate_size) in [(16, 32), (128, 512), (384, 1536), (768, 3072), (1024, 4096)] {
            let config = config(hidden_size, intermediate_size);
            let valid = |rate: f64| rate > 0.0 && rate.is_finite();
            // The shorter of two: the machine may be busy for half a second.
            let measure = |_| {
                let began = Instant::now();
                let rates = ProductRates::measure(&config);
                for format in [Precision::Fp32, Precision::Bf16] {
                    let Some(FormatRates { kernels, libtorch }) = rates.of(format) else { continue };
                    assert!(valid(libtorch) && kernels.is_none_or(valid), "{rates:?}");
                }
                assert_eq!(rates.bf16.is_some(), has_avx512_bf16());
                assert_eq!(rates.fp32.kernels.is_some(), Precision::Fp32.has_fast_kernels());
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
