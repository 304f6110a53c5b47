//! Damaged configuration files, read as `--config` and `run.toml` are, and damaged checkpoints. `test_support::fuzz`
//! says what is required.

mod checkpoints;
use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};
use train::TrainConfig;

/// Limits the resident pages of the process, because libtorch allocates memory of its own.
const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 256, fixed: 192 << 20 };

const EDITED_FILE: &str = "# tried by hand\nepochs = 4\nlearning_rate = 3e-5 # warm\nlabel_smoothing = 0\nprecision = \"BF16\"\n\
    group_by_length = true\nschedule = 'inverse_sqrt'\nclass_weights = [1, 2.5]\ndata = \"data/prepared/sst2\"\n\
    max_steps = 1_000\nbest_metric = \"macro-f1\"\n";

#[test]
fn config_files() {
    let folder = temporary_folder();
    let path = folder.path().join("run.toml");
    let all = TrainConfig::default().to_toml();
    let seeds = vec![
        SeedFile::new(SeedFormat::Toml, EDITED_FILE),
        SeedFile::new(SeedFormat::Toml, format!("\u{FEFF}{}", EDITED_FILE.replace('\n', "\r\n"))),
        SeedFile::new(SeedFormat::Toml, all),
        SeedFile::new(SeedFormat::Toml, "class_weights = \"balanced\"\n"),
    ];
    check(&FuzzTarget { package: "train", name: "config_files", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        let config = TrainConfig::load(&path).map_err(|error| error.to_string())?;
        let optimizer = &config.optimizer;
        assert!(optimizer.learning_rate > 0.0 && optimizer.learning_rate <= 1.0 && config.batch_size > 0);
        assert!(optimizer.max_grad_norm.is_finite() && optimizer.epsilon.is_finite() && config.epochs > 0);
        // A configuration that was read can be written and read again.
        std::fs::write(&path, config.to_toml()).unwrap();
        let again = TrainConfig::load(&path).unwrap();
        assert_eq!(again, TrainConfig { output: None, ..config });
        Ok(())
    });
}
