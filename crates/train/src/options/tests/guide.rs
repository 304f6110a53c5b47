//! The options in docs/guide.md are those of the table. `VERDICT_UPDATE=1 cargo test -p train guide` updates them.

use std::fmt::Write as _;

use crate::options::spec::OptionSpec;
use crate::options::table::options;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md");
const BEGIN: &str = "<!-- The options, written by `VERDICT_UPDATE=1 cargo test -p train guide`. -->\n";
const END: &str = "<!-- End of the options. -->\n";

/// All options, a table a group.
fn tables() -> String {
    let mut text = String::new();
    for group in options().chunk_by(|one, other| one.heading == other.heading) {
        let heading = if group[0].heading.is_empty() { "General" } else { group[0].heading };
        write!(text, "\n**{heading}**\n\n| flag | default | allowed | what it is |\n| --- | --- | --- | --- |\n")
            .unwrap();
        for option in group {
            let allowed = &option.rule.expected;
            writeln!(text, "| `--{}` | {} | {allowed} | {} |", option.flag, option.shown_default(), option.help())
                .unwrap();
        }
    }
    text + "\n"
}

/// A line of the guide; where it explains an option in a table of its own, with the true default.
fn with_default(line: &str) -> String {
    let explained = |option: &&OptionSpec| line.starts_with(&format!("| `--{}` | ", option.flag));
    match (options().iter().find(explained), line.splitn(3, " | ").collect::<Vec<_>>().as_slice()) {
        (Some(option), [flag, _, rest]) => format!("{flag} | {} | {rest}", option.shown_default()),
        _ => line.to_owned(),
    }
}

#[test]
fn the_guide_tells_all_options() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let (before, rest) = guide.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let explained: String = before.split_inclusive('\n').map(with_default).collect();
    let truth = format!("{explained}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("VERDICT_UPDATE").is_some() {
        return std::fs::write(GUIDE, truth).unwrap();
    }
    assert!(guide == truth, "docs/guide.md tells other options (hint: {})", BEGIN.trim());
}
