//! The flags of `train`: one for every option, and four that say where a configuration comes from and what to show.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use toml::Value;

use super::given::Given;
use super::spec::OptionSpec;
use super::table::{option, options};
use super::value::TomlKind;
use crate::error::{GivenOption, OptionsError, ValueSource};

/// The flags of `train`. Those of the options are the keys of a `--config` file too, there in snake_case.
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
    /// What the flags of the options give.
    #[command(flatten)]
    pub options: Given,
}

impl TrainArgs {
    /// Sets an option as its flag would.
    ///
    /// # Errors
    /// A key that no option has; a value of the wrong kind.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), OptionsError> {
        let value = option(key).and_then(|option| option.parse(text));
        self.options.insert(key, value, text.to_owned(), ValueSource::Flag)
    }

    /// The folder of the run, where `--output` names one.
    pub(crate) fn output(&self) -> Option<PathBuf> {
        self.options.get("output")?.as_str().map(PathBuf::from)
    }

    /// What flags and file give, over what was saved.
    ///
    /// # Errors
    /// A file that isn't a configuration; an option that nothing reads.
    pub(crate) fn over(&self, saved: Given) -> Result<Given, OptionsError> {
        let file = self.config.as_deref().map(Given::from_file).transpose()?.unwrap_or_default();
        let given = self.options.clone().over(file).over(saved);
        given.refuse_unread()?;
        Ok(given)
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        options().iter().fold(command, |command, option| command.arg(argument(option)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for option in options() {
            if let Some((value, text)) = matches.get_one::<(Value, String)>(option.key) {
                self.insert_read(value.clone(), GivenOption::flag(option.key, text));
            }
        }
        Ok(())
    }
}

/// The flag of an option.
fn argument(option: &'static OptionSpec) -> Arg {
    let parse = |text: &str| option.parse(text).map(|value| (value, text.to_owned())).ok_or_else(|| option.demand());
    let parser = if option.words.is_empty() {
        ValueParser::new(parse)
    } else {
        let words = PossibleValuesParser::new(option.words.clone());
        ValueParser::new(words.try_map(move |word| parse(&word)))
    };
    let placeholder = match option.kind {
        _ if !option.rule.placeholder.is_empty() => option.rule.placeholder.to_owned(),
        TomlKind::Whole => "N".to_owned(),
        TomlKind::Number => "X".to_owned(),
        TomlKind::Switch => "BOOL".to_owned(),
        TomlKind::Text | TomlKind::Numbers => option.key.to_uppercase(),
    };
    // clap wants names that last; this happens once or twice a process.
    let (flag, placeholder): (&str, &str) = (option.flag.clone().leak(), placeholder.leak());
    let help = format!("{} [default: {}]", option.help(), option.shown_default());
    let argument = Arg::new(option.key).long(flag).value_name(placeholder).help(help).value_parser(parser);
    let argument = match option.kind {
        TomlKind::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        // An invalid number is reported as one, not as a flag that does not exist.
        TomlKind::Number => argument.allow_hyphen_values(true),
        TomlKind::Whole | TomlKind::Numbers => argument.allow_negative_numbers(true),
        TomlKind::Text => argument.ignore_case(!option.words.is_empty()),
    };
    if option.heading.is_empty() { argument } else { argument.help_heading(option.heading) }
}
