//! The flags of `tune`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use metrics::Metric;
use model::DeviceChoice;
use tune::pruner::PrunerKind;
use tune::sampler::SamplerKind;

#[derive(Args)]
pub(crate) struct TuneArgs {
    /// Prepared data [default: the newest under data/prepared]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Hugging Face model folder or Hub id [default: the one the data was prepared for]
    #[arg(long, value_name = "ID|DIR")]
    pub model: Option<String>,
    /// Folder of the study; an existing study is continued [default: studies/DATASET-MODEL]
    #[arg(long, value_name = "DIR")]
    pub study: Option<PathBuf>,
    /// TOML file with the search space [default: the one that --print-space prints]
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
    /// Print the default search space, to start a new one from, and exit
    #[arg(long)]
    pub print_space: bool,
    #[arg(
        long,
        ignore_case = true,
        default_value_t,
        help = format!("How configurations are sampled: {}", SamplerKind::names())
    )]
    pub sampler: SamplerKind,
    #[arg(
        long,
        ignore_case = true,
        default_value_t,
        help = format!("Which trials are pruned: {}", PrunerKind::names())
    )]
    pub pruner: PrunerKind,
    /// Number of trials of the study, including those of earlier runs [default: 20; with a grid: all of it; with --time:
    /// unlimited]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub trials: Option<u64>,
    /// Stop after this time: 90s, 45m, 2h, 1d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// Number of trials in parallel, which share the GPUs or CPU threads [default: one per GPU, or one per 8 cores]
    #[arg(long, value_name = "W", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// The validation metric to optimize [default: accuracy]
    #[arg(long, value_name = "METRIC", default_value_t = Metric::Accuracy, hide_default_value = true)]
    pub metric: Metric,
    /// Seed of the sampler; the trials' own seed is 42 unless the space sets it
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    pub device: DeviceChoice,
}

/// `90s`, `45m`, `0.5h`, `1d` or several of them, `1h30m`; a number without a unit is refused as ambiguous.
fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || "expected a time such as 90s, 45m, 2h, 1h30m".to_owned();
    let mut seconds = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(invalid)?;
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        let unit = rest[end..].chars().next().ok_or_else(invalid)?;
        seconds += number
            * match unit {
                's' => 1.0,
                'm' => 60.0,
                'h' => 3600.0,
                'd' => 86_400.0,
                _ => return Err(invalid()),
            };
        rest = &rest[end + unit.len_utf8()..];
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds(" 1h30m "), Ok(5400));
        assert_eq!(seconds("0.5d"), Ok(43_200));
        for invalid in ["", "2", "h", "2 hours", "-1h", "0s", "1e9h", "2µ", "1..5h", "99999999999999999999d"] {
            assert!(duration(invalid).is_err(), "{invalid}");
        }
    }
}
