//! Files are labeled and scored by several processes as by one, to the last digit.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::support::{Sandbox, ends, names};

/// Rows of three chunks, of all lengths; every hundredth has no text.
fn write_many_rows(sandbox: &Sandbox, name: &str, rows: usize) {
    let words = ["the", "film", "is", "superb", "awful", "a", "story", "qqq", "warm", ",", "dull", "plot", "."];
    let mut csv = "id,text\n".to_owned();
    for row in 0..rows {
        let length = if row % 100 == 99 { 0 } else { 1 + row * 7919 % 40 };
        let text: Vec<&str> = (0..length).map(|at| words[(row * 31 + at * (1 + row % 5)) % words.len()]).collect();
        let _ = writeln!(csv, "{row},\"{}\"", text.join(" "));
    }
    sandbox.write(name, &csv);
}

/// What a process says at its end about the rows.
fn notes(err: &str) -> Vec<&str> {
    err.lines().filter(|line| line.starts_with("note: ") || line.starts_with("wrote ")).collect()
}

#[test]
fn files_are_labeled_by_several_processes_as_by_one() {
    let sandbox = Sandbox::trained(2);
    write_many_rows(&sandbox, "many.csv", 9001);
    for (world, from, ending) in [
        (2, "many.csv", "jsonl"),
        (3, "many.csv", "parquet"),
        (4, "1/out.jsonl", "csv"),
        (3, "1/out.parquet", "csv.gz"),
    ] {
        let run = |world: usize| {
            std::fs::create_dir_all(sandbox.path(&world.to_string())).expect("a folder");
            let line = format!("predict --run run --file {from} --output {world}/out.{ending}");
            let outputs = if world == 1 { vec![sandbox.run(&line)] } else { sandbox.ranks(world, &line) };
            for (rank, output) in outputs.iter().enumerate() {
                assert_eq!((output.code, output.out.as_str()), (0, ""), "rank {rank}, {line}: {}", output.err);
            }
            assert!(outputs[1..].iter().all(|output| notes(&output.err).is_empty()), "rank 0 alone says what it did");
            let said = notes(&outputs[0].err).join("\n").replace(&format!("wrote {world}/"), "wrote ");
            (sandbox.read(&format!("{world}/out.{ending}")), said)
        };
        let (of_one, of_all) = (run(1), run(world));
        assert!(
            of_one.1.contains("9,001 rows") && of_one.1.contains("90 of 9,001 rows without a text"),
            "{}",
            of_one.1
        );
        assert!(of_all.0 == of_one.0, "{world} processes, from {from} to {ending}");
        assert_eq!(of_all.1, of_one.1);
        assert_eq!(names(&sandbox.path(&world.to_string())), [format!("out.{ending}")], "nothing else is left");
        std::fs::remove_dir_all(sandbox.path(&world.to_string())).expect("removes");
    }
}

#[test]
fn fewer_rows_than_processes_and_results_on_the_standard_output() {
    let sandbox = Sandbox::trained(2);
    sandbox.write("two.csv", "text\nthe film is superb\n\"\"\nan awful plot\n");
    sandbox.write("none.csv", "text\n");
    for line in [
        "predict --run run --json --file two.csv",
        "predict --run run --file two.csv --output -",
        "predict --run run --file none.csv --output -",
        "predict --run run superb awful",
    ] {
        assert_eq!(sandbox.ranks_succeed(3, line), sandbox.succeeds(line), "{line}");
    }
}

#[test]
fn a_split_and_a_file_have_the_same_scores_by_one_to_five_processes() {
    let sandbox = Sandbox::trained(1);
    sandbox.write_reviews("more.csv", 61);
    for (line, worlds) in [
        ("evaluate --run run --output scores --batch-size 7 --json -", 2..=5),
        ("evaluate --run run --output scores --batch-size 8 --file more.csv --json -", 3..=3),
    ] {
        let figures = |text: &str| {
            let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let map = value.as_object_mut().expect("an object");
            ["seconds", "first_batch_seconds"].iter().for_each(|key| assert!(map.remove(*key).is_some(), "{key}"));
            value
        };
        let of_one = figures(&sandbox.succeeds(line));
        for world in worlds {
            assert_eq!(figures(&sandbox.ranks_succeed(world, line)), of_one, "{world} processes: {line}");
        }
    }
}

#[test]
fn a_killed_process_leaves_no_file_and_is_named() {
    let sandbox = Sandbox::trained(1);
    write_many_rows(&sandbox, "many.csv", 60_000);
    let kill = |killed: usize| {
        let (survivor, folder) = (1 - killed, sandbox.path(&format!("out-{killed}")));
        std::fs::create_dir(&folder).expect("a folder");
        let ranks =
            sandbox.start_ranks(2, &format!("predict --run run --file many.csv --output out-{killed}/out.csv"), &[]);
        let begun = Instant::now();
        while names(&folder).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no output is begun");
            std::thread::sleep(Duration::from_millis(1));
        }
        ranks[killed].signal("KILL");
        let begun = Instant::now();
        let outputs = ends(ranks);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!((outputs[killed].code, outputs[survivor].code), (-1, 1), "{}", outputs[survivor].err);
        let error = &outputs[survivor].err;
        assert!(error.contains(&format!("error: rank {killed} (process ")) && error.contains("is lost"), "{error}");
        let left = names(&folder);
        assert!(!left.contains(&"out.csv".to_owned()), "{left:?}");
        assert!(killed == 0 || left.is_empty(), "{left:?}");
    };
    std::thread::scope(|scope| {
        [0, 1].map(|killed| scope.spawn(move || kill(killed))).map(|done| done.join().expect("no panic"))
    });
}

#[test]
fn a_process_that_cannot_go_on_ends_all_and_says_why() {
    let sandbox = Sandbox::trained(1);
    sandbox.write("three.csv", "text\nthe film is superb\n\"\"\nan awful plot\n");
    sandbox.copy_run("run", "other", 1);
    let mut weights = sandbox.read("run/model.safetensors");
    *weights.last_mut().expect("a weight") ^= 1;
    std::fs::write(sandbox.path("other/model.safetensors"), weights).expect("writes");
    sandbox.write("bad.jsonl", "{\"text\": \"the film\"}\n{\"text\": \n");
    for (lines, expected) in [
        // Only rank 0 reads the file.
        (["predict --run run --file bad.jsonl --output out.csv"; 2], ["bad.jsonl", "rank 0 (process "]),
        (["predict --run run --file missing.csv --output out.csv"; 2], ["missing.csv", "rank 0 (process "]),
        (
            ["predict --run run --file three.csv --output out.csv", "predict --run missing --file three.csv"],
            ["has stopped: missing: this folder does not exist", "missing: this folder does not exist"],
        ),
        (
            ["predict --run run --file three.csv --output out.csv", "predict --run other --file three.csv"],
            ["the processes differ in the model: rank 1 (process "; 2],
        ),
        (
            ["evaluate --run run --output scores --batch-size 7", "evaluate --run run --output scores --batch-size 8"],
            ["the processes differ in what they evaluate: rank 1 (process "; 2],
        ),
    ] {
        let outputs = ends(sandbox.start_ranks_of(&lines, &[]));
        for (rank, (output, expected)) in outputs.iter().zip(expected).enumerate() {
            assert_eq!((output.code, output.out.as_str()), (1, ""), "rank {rank}, {lines:?}: {}", output.err);
            assert!(output.err.contains(expected), "rank {rank}, {lines:?}: {}", output.err);
        }
        assert!(!sandbox.path("out.csv").exists() && !sandbox.path("scores").exists());
        assert!(!names(&sandbox.path("")).iter().any(|name| name.contains("out.csv")), "nothing is left");
    }
}

#[test]
fn commands_of_a_single_process_refuse_to_be_one_of_several() {
    let sandbox = Sandbox::prepared();
    let before = names(&sandbox.path(""));
    let launch = [("RANK", "0"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "9")];
    let by_torchrun = [("TORCHELASTIC_RUN_ID", "none"), ("TORCHELASTIC_ERROR_FILE", "error.json")];
    for line in [
        "prepare --dataset reviews.csv --model tiny --output other",
        "tune --data data",
        "calibrate",
        "report run",
        "explain film",
        "serve",
        "verify-resume --data data",
        "doctor",
    ] {
        let command = line.split(' ').next().expect("a name");
        let expected = format!(
            "error: {command} is one of 4 processes (environment variables): expected a single one (hint: several \
             processes can train, evaluate and predict)"
        );
        let error = sandbox.failure(&sandbox.run_with(&launch, line)).unwrap_or_else(|what| panic!("{line}\n{what}"));
        assert_eq!(error, expected);
        assert_eq!(names(&sandbox.path("")), before, "{line} leaves nothing behind");
    }
    let error = sandbox.failure(&sandbox.run_with(&[&launch[..], &by_torchrun].concat(), "report run"));
    let expected = "report is one of 4 processes (torchrun): expected a single one (hint: several processes can train, \
                    evaluate and predict)";
    assert_eq!(error.expect("an error"), format!("error: {expected}"));
    assert_eq!(sandbox.json("error.json")["message"]["message"], expected, "torchrun prints it");
    let one_of_one = [&launch[..], &[("WORLD_SIZE", "1")]].concat();
    let prepared =
        sandbox.run_with(&one_of_one, "prepare --dataset reviews.csv --model tiny --max-length 32 --output other");
    assert_eq!(prepared.code, 0, "{}", prepared.err);
}
