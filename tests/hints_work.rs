//! What a hint names exists and helps: the commands and flags of all hints in `tests/snapshots`, and errors that are gone
//! once their hint is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::Sandbox;

/// The words by which hints name a command of `verdict`, and its subcommand.
const COMMANDS: [(&str, &str); 9] = [
    ("prepare-data", "prepare"),
    ("prepare", "prepare"),
    ("train", "train"),
    ("tune", "tune"),
    ("evaluate", "evaluate"),
    ("calibrate", "calibrate"),
    ("predict", "predict"),
    ("serve", "serve"),
    ("verify-resume", "verify-resume"),
];
/// Flags of other programs.
const FOREIGN: [&str; 1] = ["--gpus"];
/// Lists the tasks of `cargo xtask`, and in its help their flags.
const XTASK: &str = include_str!("../xtask/src/main.rs");

/// A message of a snapshot: the refused command, and a hint of its error.
struct Hint {
    command: String,
    text: String,
}

/// All hints of all snapshots.
fn hints() -> Vec<Hint> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/snapshots");
    let mut hints = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the snapshots") {
        let path = entry.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "snap") {
            let text = std::fs::read_to_string(path).expect("a snapshot");
            for case in text.split("\n## ").skip(1) {
                let line = case.lines().find_map(|line| line.strip_prefix("    verdict ")).expect("a command");
                let command = line.split_whitespace().next().expect("a subcommand").to_owned();
                let texts = case.split("(hint: ").skip(1).map(until_closed);
                hints.extend(texts.map(|text| Hint { command: command.clone(), text: text.to_owned() }));
            }
        }
    }
    assert!(hints.len() > 200, "only {} hints were found", hints.len());
    hints
}

/// The text up to the parenthesis that closes it.
fn until_closed(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    });
    end.map_or(text, |end| &text[..end])
}

/// The flags that a text names.
fn flags(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn every_flag_in_a_hint_is_a_flag_of_its_command() {
    let sandbox = Sandbox::new();
    let known: BTreeMap<&str, String> =
        COMMANDS.iter().map(|(_, command)| (*command, sandbox.succeeds(&format!("{command} --help")))).collect();
    let mut checked = 0;
    for Hint { command, text } in hints() {
        let named = COMMANDS
            .iter()
            .filter(|(word, _)| text.split(|c: char| !c.is_alphanumeric() && c != '-').any(|w| w == *word));
        let commands: Vec<&str> = named.map(|(_, command)| *command).chain([&*command]).collect();
        for flag in flags(&text).into_iter().filter(|flag| !FOREIGN.contains(flag)) {
            let of_task = text.contains("cargo xtask ") && flags(XTASK).contains(flag);
            let is_known = of_task || commands.iter().any(|command| flags(&known[command]).contains(flag));
            assert!(is_known, "{flag} is no flag of {}: {text}", commands.join(" or "));
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} flags were found in the hints");
}

/// The commands that a hint names, in backquotes or to its end.
fn commands(text: &str) -> Vec<&str> {
    let mut commands: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    if let Some(start) = text.find("cargo ").filter(|start| text[..*start].matches('`').count().is_multiple_of(2)) {
        let rest = &text[start..];
        commands.push(&rest[..rest.find([',', ';']).unwrap_or(rest.len())]);
    }
    commands
}

/// The arguments of `verdict` for a command of a hint: `cargo xtask TASK ARGS` and `cargo run -p PACKAGE -- ARGS` start it
/// too. `None` for commands of other programs.
fn verdict_arguments(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "--").collect();
    let words = match words[..] {
        ["cargo", "xtask", ..] => &words[2..],
        ["cargo", "run", "-p", "cli", ..] => &words[4..],
        ["cargo", "run", "-p", ..] => &words[3..],
        _ => &words[..],
    };
    let (first, rest) = words.split_first()?;
    let (_, subcommand) = COMMANDS.iter().find(|(word, _)| word == first)?;
    Some([&[*subcommand], rest].concat().join(" "))
}

#[test]
fn every_command_in_a_hint_is_parsed() {
    let sandbox = Sandbox::new();
    let commands: BTreeSet<String> = hints().iter().flat_map(|hint| commands(&hint.text)).map(str::to_owned).collect();
    let mut checked = 0;
    for command in commands {
        if let Some(arguments) = verdict_arguments(&command) {
            // Everything before `--help` is parsed first.
            let output = sandbox.run(&format!("{arguments} --help"));
            assert!(output.code == 0 && output.out.contains("Usage:"), "{command}\n{}", output.err);
            checked += 1;
        } else if let Some(task) = command.strip_prefix("cargo xtask ") {
            let task = task.split_whitespace().next().unwrap_or_default();
            assert!(XTASK.contains(&format!("    (\"{task}\", ")), "{command}: no such task");
        } else {
            let foreign = ["jq ", "iconv ", "git lfs ", "key = value", "--gpus "];
            assert!(foreign.iter().any(|start| command.starts_with(start)), "{command}: an unknown command");
        }
    }
    assert!(checked >= 10, "only {checked} commands were found in the hints");
}

#[test]
fn commands_are_found_in_hints() {
    let arguments = |hint| commands(hint).into_iter().map(verdict_arguments).collect::<Vec<_>>();
    let some = |arguments: &str| Some(arguments.to_owned());
    assert_eq!(arguments("cargo xtask prepare-data --output a; or train"), [some("prepare --output a")]);
    assert_eq!(arguments("`cargo run -p train -- --data a` makes one"), [some("train --data a")]);
    assert_eq!(arguments("`train --help` lists them; `jq . a`"), [some("train --help"), None]);
    assert_eq!(until_closed("a (b) c) d"), "a (b) c");
}

/// An error that is gone once its hint is followed.
struct Mended {
    /// The command that is refused.
    refused: &'static str,
    /// What the hint begins with, up to a parenthesis, a comma or a semicolon; `*` stands for a word that it names.
    hint: &'static str,
    /// Commands that then succeed, with the hint's word for `*`. The first is the hint's own.
    then: &'static [&'static str],
}

/// The word of the error at the place of `*` in a hint; empty if the hint has none.
fn word_of_hint(error: &str, hint: &str) -> Option<String> {
    let (before, after) = hint.split_once('*').unwrap_or((hint, ""));
    let mut hints = error.split("(hint: ").skip(1).map(until_closed);
    hints.find_map(|text| {
        let rest = &text[text.find(before)? + before.len()..];
        if !hint.contains('*') {
            return Some(String::new());
        }
        let word = rest.split([' ', ',', ';', '`']).next()?;
        rest[word.len()..].starts_with(after).then(|| word.to_owned())
    })
}

fn assert_mended(sandbox: &Sandbox, cases: &[Mended]) {
    for Mended { refused, hint, then } in cases {
        let error = sandbox.fails(refused);
        let word =
            word_of_hint(&error, hint).unwrap_or_else(|| panic!("verdict {refused}\nno hint {hint:?} in: {error}"));
        for line in *then {
            sandbox.succeeds(&line.replace('*', &word));
        }
    }
}

#[test]
fn hints_about_data_mend_the_error() {
    let sandbox = Sandbox::new();
    sandbox.write_reviews("reviews.csv", 60);
    sandbox.write_reviews("more.csv", 40);
    let reviews = String::from_utf8(sandbox.read("reviews.csv")).expect("UTF-8");
    sandbox.write("empty.csv", &format!("{reviews},positive\n"));
    sandbox.write("columns.csv", &reviews.replace("text,label", "film,stars"));
    assert_mended(
        &sandbox,
        &[
            Mended {
                refused: "prepare --dataset reviews.csv --model tiny --output data",
                hint: "--max-length *",
                then: &["prepare --dataset reviews.csv --model tiny --output data --max-length *"],
            },
            Mended {
                refused: "prepare --dataset reviews.csv --validation-file more.csv --model tiny --max-length 32 --output leaks",
                hint: "fix the data, raise the limit, or --allow-leakage",
                then: &[
                    "prepare --dataset reviews.csv --validation-file more.csv --model tiny --max-length 32 --output leaks \
                         --allow-leakage",
                ],
            },
            Mended {
                refused: "prepare --dataset empty.csv --model tiny --max-length 32 --output dropped",
                hint: "--drop-empty",
                then: &["prepare --dataset empty.csv --model tiny --max-length 32 --output dropped --drop-empty"],
            },
            Mended {
                refused: "prepare --dataset columns.csv --model tiny --max-length 32 --output columns",
                hint: "--text-column NAME",
                then: &[
                    "prepare --dataset columns.csv --model tiny --max-length 32 --output columns --text-column film \
                         --label-column stars",
                ],
            },
            Mended {
                refused: "train --data reviews.csv --max-steps 1",
                hint: "cargo xtask prepare-data --dataset *",
                then: &["prepare --dataset * --model tiny --max-length 32", "train --max-steps 1 --output newest"],
            },
            Mended {
                refused: "train --data nowhere --max-steps 1",
                hint: "cargo xtask prepare-data --output *",
                then: &[
                    "prepare --output * --dataset reviews.csv --model tiny --max-length 32",
                    "train --data nowhere --max-steps 1 --output elsewhere",
                ],
            },
            Mended {
                refused: "train --data tiny --max-steps 1",
                hint: "cargo xtask prepare-data",
                then: &["prepare --dataset reviews.csv --model tiny --max-length 32"],
            },
        ],
    );
}

#[test]
fn hints_about_damaged_data_mend_the_error() {
    let sandbox = Sandbox::prepared();
    let again = |hint| Mended {
        refused: "train --data data --max-steps 1",
        hint,
        then: &[
            "prepare --dataset reviews.csv --model tiny --max-length 32 --output data",
            "train --data data --max-steps 1",
        ],
    };
    sandbox.write("data/manifest.json", "{}");
    assert_mended(&sandbox, &[again("cargo xtask prepare-data --dataset NAME --output data")]);
    for file in ["data/train.arrow", "data/audit.json"] {
        std::fs::remove_file(sandbox.path(file)).expect("removes");
        assert_mended(&sandbox, &[again("prepare the data again")]);
    }
}

#[test]
fn hints_about_runs_mend_the_error() {
    let sandbox = Sandbox::prepared();
    sandbox.write_model("other", &["another"]);
    sandbox.succeeds("train --data data --max-steps 2 --output run");
    sandbox.succeeds("train --data data --max-steps 2 --output stopped");
    std::fs::remove_file(sandbox.path("stopped/metrics.json")).expect("removes");
    assert_mended(
        &sandbox,
        &[
            Mended {
                refused: "train --data data --model other --max-steps 1",
                hint: "cargo xtask prepare-data --dataset reviews.csv --model other --max-length *",
                then: &[
                    "prepare --dataset reviews.csv --model other --max-length *",
                    "train --model other --max-steps 1 --output on-other",
                ],
            },
            Mended {
                refused: "train --data data --max-steps 1 --batch-size 500 --output one-batch",
                hint: "more data, or --batch-size *",
                then: &["train --data data --max-steps 1 --batch-size * --output one-batch"],
            },
            Mended {
                refused: "train --data data --max-steps 1 --output run",
                hint: "give another --output",
                then: &["train --data data --max-steps 1 --output another"],
            },
            Mended {
                refused: "train --resume run --output another",
                hint: "leave --output out",
                then: &["train --resume run"],
            },
            Mended {
                refused: "train --resume stopped --learning-rate 0.5",
                hint: "use the earlier values, or --allow-change",
                then: &["train --resume stopped --learning-rate 0.5 --allow-change"],
            },
            Mended {
                refused: "predict --run run --data data lovely",
                hint: "add --split *, or leave --data out",
                then: &["predict --run run --data data --split *", "predict --run run lovely"],
            },
            Mended {
                refused: "predict --run run",
                hint: "predict \"A lovely film.\", or --file FILE, or --split NAME",
                then: &[
                    "predict --run run lovely",
                    "predict --run run --file reviews.csv",
                    "predict --run run --split test",
                ],
            },
            Mended {
                refused: "evaluate --run run --data data/prepared/reviews.csv",
                hint: "prepare it with --model *",
                then: &[
                    "prepare --dataset reviews.csv --model * --max-length 32 --output for-run",
                    "evaluate --run run --data for-run",
                ],
            },
            Mended {
                refused: "evaluate --run data",
                hint: "--run takes the folder that training printed at its end; without --run the newest is taken",
                then: &["evaluate --run run"],
            },
        ],
    );
}
