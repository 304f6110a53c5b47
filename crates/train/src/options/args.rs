//! The flags of `train`: one for each option, and `--config`, `--resume`, `--allow-change` and `--profile`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use toml::Value;

use super::given::GivenOptions;
use super::spec::OptionSpec;
use super::table::{option, options};
use super::value::TomlKind;
use crate::error::{GivenOption, OptionsError, ValueSource};

/// The flags of `train`. Those of options are also the keys of a `--config` file, in snake_case.
#[derive(Debug, Clone, PartialEq, Default, Args)]
pub struct TrainArgs {
    /// TOML file with the same names in snake_case (`batch_size = 16`); a flag wins over the file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on from the newest good checkpoint of a run folder, from one checkpoint's folder, or, without PATH, of
    /// --output or of the newest unfinished run; starts from nothing where there is none
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Go on although configuration, data, tokenizer, weights or thread count differ from the checkpoint's
    #[arg(long, requires = "resume")]
    pub allow_change: bool,
    /// Show at the end where a step's time goes, and write it into the run as profile.json
    #[arg(long)]
    pub profile: bool,
    /// The options given by flag.
    #[command(flatten)]
    pub options: GivenOptions,
}

impl TrainArgs {
    /// Sets an option like its flag.
    ///
    /// # Errors
    /// An unknown key; a value of the wrong type.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), OptionsError> {
        let value = option(key).and_then(|option| option.parse(text));
        self.options.insert(key, value, text.to_owned(), ValueSource::Flag)
    }

    /// The value of `--output`, if given.
    pub(crate) fn output(&self) -> Option<PathBuf> {
        self.options.get("output")?.as_str().map(PathBuf::from)
    }

    /// The options given by flag, else in the file, else in the saved configuration.
    ///
    /// # Errors
    /// A file that is not a valid configuration; an option without effect.
    pub(crate) fn with_fallback(&self, saved: GivenOptions) -> Result<GivenOptions, OptionsError> {
        let file = self.config.as_deref().map(GivenOptions::from_file).transpose()?.unwrap_or_default();
        let given = self.options.clone().with_fallback(file).with_fallback(saved);
        given.refuse_without_effect()?;
        Ok(given)
    }
}

impl Args for GivenOptions {
    fn augment_args(command: Command) -> Command {
        options().iter().fold(command, |command, option| command.arg(argument(option)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GivenOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for option in options() {
            if let Some((value, text)) = matches.get_one::<(Value, String)>(option.key) {
                self.insert_parsed(value.clone(), GivenOption::flag(option.key, text));
            }
        }
        Ok(())
    }
}

/// The flag of an option.
fn argument(option: &'static OptionSpec) -> Arg {
    let parse =
        |text: &str| option.parse(text).map(|value| (value, text.to_owned())).ok_or_else(|| option.requirement());
    let parser = if option.choices.is_empty() {
        ValueParser::new(parse)
    } else {
        let choices = PossibleValuesParser::new(option.choices.clone());
        ValueParser::new(choices.try_map(move |choice| parse(&choice)))
    };
    let placeholder = match option.kind {
        _ if !option.rule.placeholder.is_empty() => option.rule.placeholder.to_owned(),
        TomlKind::Integer => "N".to_owned(),
        TomlKind::Float => "X".to_owned(),
        TomlKind::Boolean => "BOOL".to_owned(),
        TomlKind::String | TomlKind::Floats => option.key.to_uppercase(),
    };
    // clap needs static names. They are leaked only once or twice per process.
    let (flag, placeholder): (&str, &str) = (option.flag.clone().leak(), placeholder.leak());
    let help = format!("{} [default: {}]", option.help(), option.display_default());
    let argument = Arg::new(option.key).long(flag).value_name(placeholder).help(help).value_parser(parser);
    let argument = match option.kind {
        TomlKind::Boolean => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        // So that an invalid negative number is reported as an invalid value, not as an unknown flag.
        TomlKind::Float => argument.allow_hyphen_values(true),
        TomlKind::Integer | TomlKind::Floats => argument.allow_negative_numbers(true),
        TomlKind::String => argument.ignore_case(!option.choices.is_empty()),
    };
    if option.heading.is_empty() { argument } else { argument.help_heading(option.heading) }
}
