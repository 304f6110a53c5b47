//! How a file is read where its name and content don't decide.

use clap::ValueEnum;

use crate::encoding;
use crate::quoting::Quoting;

/// Flags of every command that reads a user's file. What isn't given is detected, and reported by [`Table::notes`].
///
/// [`Table::notes`]: crate::Table::notes
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct ReadOptions {
    /// Format of the file, whatever its name ends in, such as csv or jsonl
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// Character encoding of a text file, such as windows-1252 [default: UTF-8, or what its byte-order mark names]
    #[arg(long, value_name = "NAME", value_parser = encoding::name)]
    pub encoding: Option<String>,
    /// Separator of a CSV file's fields: one character, or tab [default: detected]
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    pub separator: Option<u8>,
    /// Whether double quotes enclose fields of a CSV or TSV file [default: detected]
    #[arg(long, value_name = "HOW")]
    pub quoting: Option<Quoting>,
    /// The file's first row is data; its columns are 1, 2, 3, ...
    #[arg(long)]
    pub no_header: bool,
    /// The field of a JSON file's object that holds the array of rows [default: the only array of objects]
    #[arg(long, value_name = "NAME")]
    pub json_field: Option<String>,
}

impl ReadOptions {
    /// Sets the option of a flag in [`READ_FLAGS`], for callers that have no command line; `false` for any other flag.
    ///
    /// # Errors
    /// A value that the flag doesn't take, in words that begin with "expected".
    pub fn set(&mut self, flag: &str, value: &str) -> Result<bool, String> {
        match flag {
            "--format" => self.format = Some(value.to_owned()),
            "--encoding" => self.encoding = Some(encoding::name(value)?),
            "--separator" => self.separator = Some(separator(value)?),
            "--quoting" => {
                let quoting = Quoting::from_str(value, true);
                self.quoting = Some(quoting.map_err(|_| format!("expected double or none, found {value:?}"))?);
            }
            "--no-header" => {
                self.no_header = match value {
                    "" | "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(format!("expected true or false, found {value:?}")),
                }
            }
            "--json-field" => self.json_field = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The flags that are given, for commands that can't use them.
    pub fn given_flags(&self) -> impl Iterator<Item = &'static str> {
        let Self { format, encoding, separator, quoting, no_header, json_field } = self;
        let given = [
            format.is_some(),
            encoding.is_some(),
            separator.is_some(),
            quoting.is_some(),
            *no_header,
            json_field.is_some(),
        ];
        READ_FLAGS.iter().copied().zip(given).filter(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// The flags of [`ReadOptions`], in its order.
pub const READ_FLAGS: [&str; 6] = ["--format", "--encoding", "--separator", "--quoting", "--no-header", "--json-field"];

fn separator(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte @ (b'\t' | b' '..=b'~')] if !byte.is_ascii_alphanumeric() && *byte != b'"' => Ok(*byte),
            _ => Err("expected one character such as ; or |, or the word tab".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_can_be_set_by_its_name_and_no_other() {
        let mut options = ReadOptions::default();
        let values = ["csv", "windows-1252", ";", "none", "", "rows"];
        for (flag, value) in READ_FLAGS.iter().zip(values) {
            assert_eq!(options.set(flag, value), Ok(true), "{flag}");
        }
        assert_eq!(options.given_flags().collect::<Vec<_>>(), READ_FLAGS);
        assert_eq!((options.separator, options.quoting, options.no_header), (Some(b';'), Some(Quoting::None), true));
        assert_eq!(options.set("--text-column", "a"), Ok(false));
    }

    #[test]
    fn a_value_that_a_flag_does_not_take_is_refused() {
        let mut options = ReadOptions::default();
        for (flag, value) in
            [("--encoding", "utf-9"), ("--separator", "ab"), ("--quoting", "some"), ("--no-header", "no")]
        {
            assert!(options.set(flag, value).is_err(), "{flag} {value}");
        }
        assert_eq!(options, ReadOptions::default());
    }
}
