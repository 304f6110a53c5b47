//! The tables of options in docs/guide.md are up to date. `VERDICT_UPDATE=1 cargo test -p train guide` updates them.

use std::fmt::Write as _;

use crate::options::spec::OptionSpec;
use crate::options::table::options;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md");
const BEGIN: &str = "<!-- The options, written by `VERDICT_UPDATE=1 cargo test -p train guide`. -->\n";
const END: &str = "<!-- End of the options. -->\n";

/// One table of options for each group.
fn tables() -> String {
    let mut text = String::new();
    for group in options().chunk_by(|one, other| one.heading == other.heading) {
        let heading = if group[0].heading.is_empty() { "General" } else { group[0].heading };
        write!(text, "\n**{heading}**\n\n| flag | default | allowed | what it is |\n| --- | --- | --- | --- |\n")
            .unwrap();
        for option in group {
            let allowed = &option.rule.expected;
            writeln!(text, "| `--{}` | {} | {allowed} | {} |", option.flag, option.display_default(), option.help())
                .unwrap();
        }
    }
    text + "\n"
}

/// A line of the guide. In a table row about an option, the default is replaced by the actual one.
fn with_default(line: &str) -> String {
    let is_row_of = |option: &&OptionSpec| line.starts_with(&format!("| `--{}` | ", option.flag));
    match (options().iter().find(is_row_of), line.splitn(3, " | ").collect::<Vec<_>>().as_slice()) {
        (Some(option), [flag, _, rest]) => format!("{flag} | {} | {rest}", option.display_default()),
        _ => line.to_owned(),
    }
}

#[test]
fn the_guide_lists_all_options() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let (before, rest) = guide.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let before: String = before.split_inclusive('\n').map(with_default).collect();
    let expected = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("VERDICT_UPDATE").is_some() {
        return std::fs::write(GUIDE, expected).unwrap();
    }
    assert!(guide == expected, "the options in docs/guide.md are out of date (hint: {})", BEGIN.trim());
}
