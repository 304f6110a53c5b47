//! `verdict explain`, and `/explain` of the server: the words that decide are named, their numbers add up and are the same by
//! either backend and over HTTP, and what can't be explained is refused.

use serde_json::{Value, json};

use crate::support::{HttpServer, Output, Sandbox};

const PRAISE: &str = "the film is superb, a the .";

/// The explanations of these texts as JSON, with more flags.
fn explained(sandbox: &Sandbox, flags: &str, texts: &[&str], variables: &[(&str, &str)]) -> Vec<Value> {
    let mut command = sandbox.command(&format!("explain --run run --json {flags}"));
    let output = Output::of(command.args(texts).envs(variables.iter().copied()).output().expect("the program starts"));
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.err.contains("computing in fp32 on cpu: integrated gradients"), "{}", output.err);
    output.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, found {value}"))
}

/// The words with their attributions.
fn words(explanation: &Value) -> Vec<(&str, f64)> {
    let words = explanation["words"].as_array().expect("words");
    words.iter().map(|word| (word["text"].as_str().expect("a text"), number(&word["attribution"]))).collect()
}

fn strongest(explanation: &Value) -> (&str, f64) {
    words(explanation).into_iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).expect("words")
}

fn assert_same(ours: &Value, theirs: &Value, tolerance: f64) {
    let (ours, theirs) = (words(ours), words(theirs));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours.0 == theirs.0 && (ours.1 - theirs.1).abs() < tolerance, "{ours:?}, {theirs:?}");
    }
}

#[test]
fn the_words_that_decide_are_named_and_their_numbers_add_up() {
    let sandbox = Sandbox::trained(12);
    let blame = "the plot is awful and the actor is dull";
    let found = explained(&sandbox, "", &[PRAISE, blame], &[]);
    for (explanation, (text, label, decisive)) in
        found.iter().zip([(PRAISE, "positive", &["superb"][..]), (blame, "negative", &["awful", "dull"])])
    {
        assert_eq!((&explanation["text"], &explanation["label"]), (&json!(text), &json!(label)));
        let (word, attribution) = strongest(explanation);
        assert!(decisive.contains(&word) && attribution > 0.0, "{explanation}");
        let texts: Vec<&str> = words(explanation).iter().map(|(text, _)| *text).collect();
        assert_eq!(texts.join(" "), text.replace(',', " ,"));
        let completeness = &explanation["completeness"];
        let difference = number(&completeness["logit"]) - number(&completeness["baseline_logit"]);
        let sum: f64 = words(explanation).iter().map(|(_, attribution)| attribution).sum();
        assert!((sum - difference).abs() <= 0.01 * difference.abs(), "{sum} of {difference}");
        assert!((sum - number(&completeness["sum"])).abs() < 1e-9 && number(&completeness["relative_error"]) <= 0.01);
        assert!((-1.0..=1.0).contains(&number(&explanation["leave_one_out_correlation"])), "{explanation}");
    }
    assert!(number(&found[0]["words"][3]["leave_one_out"]) > 0.0, "{}", found[0]);
    // What speaks for one of two labels speaks against the other.
    let other = &explained(&sandbox, "--label negative", &[PRAISE], &[])[0];
    assert_eq!((&other["label"], &other["predicted"]), (&json!("negative"), &json!("positive")));
    assert!(strongest(other).0 == "superb" && strongest(other).1 < 0.0, "{other}");
    // The other backend is as exact.
    let libtorchs = explained(&sandbox, "", &[PRAISE], &[("VERDICT_KERNELS", "off")]);
    let kernels = explained(&sandbox, "", &[PRAISE], &[("VERDICT_KERNELS", "on")]);
    assert_same(&libtorchs[0], &kernels[0], 1e-4);
}

#[test]
fn a_pipe_gets_numbers_and_a_page_gets_colors() {
    let sandbox = Sandbox::trained(12);
    sandbox.write("texts.txt", "the film is superb <b>, a the .\n\nthe plot is qqq awful\n");
    let shown = sandbox.succeeds("explain --run run --file texts.txt --html why.html");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert!(shown.contains("superb(+") && shown.contains("\n  for      superb +"), "{shown}");
    assert!(shown.contains("-  (no text)\n") && shown.contains("(1 unknown word)"), "{shown}");
    assert_eq!(shown.matches("; rank correlation with leaving words out ").count(), 2, "{shown}");
    let page = String::from_utf8(sandbox.read("why.html")).expect("UTF-8");
    assert!(page.contains("<mark class=\"for\" style=\"--strength:1.00\" title=\"+"), "{page}");
    assert!(page.contains("&lt;") && !page.contains("<b>,"), "texts are escaped");
    let from_pipe = sandbox.command("explain --run run --json --file -");
    let text = "a lovely film";
    let piped = piped(from_pipe, &format!("{text}\n"));
    assert_same(&piped, &explained(&sandbox, "", &[text], &[])[0], 1e-9);
    // Of a text that is cut only what is read has numbers.
    let long = ["film"; 60].join(" ");
    let cut = &explained(&sandbox, "", &[&long], &[])[0];
    assert_eq!((&cut["truncated"], words(cut).len()), (&json!(true), 30));
}

fn piped(mut command: std::process::Command, input: &str) -> Value {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    process.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = process.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn attributions_are_held_against_peoples_labels_of_words_and_phrases() {
    let sandbox = Sandbox::trained(12);
    let tree = |word: &str, label: u8| {
        let rest = "(2 (2 ,) (2 (2 a) (2 (2 the) (2 .))))";
        format!("({label} (2 (2 the) (2 film)) ({label} (2 is) ({label} ({label} {word}) {rest})))\n")
    };
    let trees =
        [("superb", 4), ("boring", 0), ("lovely", 3), ("dull", 1)].map(|(word, label)| tree(word, label)).concat();
    ["train", "dev", "test"].iter().for_each(|name| sandbox.write(&format!("trees/{name}.txt"), &trees));
    let found: Value =
        serde_json::from_str(&sandbox.succeeds("explain --run run --treebank trees --json")).expect("JSON");
    assert_eq!((&found["sentences"], &found["incomplete"]), (&json!(4), &json!(0)));
    let (words, phrases) = (&found["words"], &found["phrases"]);
    assert_eq!((&words["parts"], &words["sentences"]), (&json!(32), &json!(4)));
    assert_eq!(phrases["parts"], 24, "without the sentences themselves");
    assert!(number(&words["within_sentences"]) > 0.4 && number(&words["over_all"]) > 0.4, "{found}");
    assert!(number(&phrases["over_all"]) > 0.5, "{found}");
    assert!(number(&words["low"]) <= number(&words["within_sentences"]), "{found}");
    let shown = sandbox.succeeds("explain --run run --treebank trees --sentences 2");
    assert!(shown.contains("labels by people, 2 sentences\nwords    "), "{shown}");
}

#[test]
fn what_cant_be_explained_is_refused() {
    let sandbox = Sandbox::trained(1);
    for (line, words) in [
        ("explain --run run", "no text to explain (hint: explain \"A lovely film.\", or --file FILE)"),
        (
            "explain --run run --label superb film",
            "--label superb: expected one of the model's labels, negative, positive",
        ),
        ("explain --run run reviews.csv", "is a file; its name would be explained"),
        ("explain --run run --html nowhere/why.html film", "--html: the folder nowhere does not exist"),
        ("explain --run run --treebank data", "--treebank: "),
        ("explain --run run --sentences 3 film", "--sentences 3 needs --treebank (hint: add --treebank DIR"),
        ("explain --run run --text-column review film", "--text-column review needs --file"),
        ("explain --run missing film", "missing: this folder does not exist"),
    ] {
        let error = sandbox.fails(line);
        assert!(error.contains(words), "{line}: {error}");
    }
    // Without a token for nothing there is no baseline; the hint gives it one.
    for name in ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let path = sandbox.path("run").join(name);
        if let Ok(text) = std::fs::read_to_string(&path) {
            std::fs::write(path, text.replace("[PAD]", "[GONE]").replace("\"pad_token\"", "\"padding\""))
                .expect("written");
        }
    }
    let error = sandbox.fails("explain --run run film");
    assert!(error.contains("has no [PAD] token") && error.contains("pad_token in tokenizer_config.json"), "{error}");
    let mut config = sandbox.json("run/tokenizer_config.json");
    config["pad_token"] = json!("[MASK]");
    sandbox.write("run/tokenizer_config.json", &config.to_string());
    sandbox.succeeds("explain --run run film");
}

#[test]
fn the_server_explains_as_the_command_does_and_never_another_model() {
    let sandbox = Sandbox::trained(12);
    let expected = &explained(&sandbox, "", &[PRAISE], &[])[0];
    for precision in ["fp32", "bf16"] {
        let server = HttpServer::start(&sandbox, &format!("--run run --precision {precision}"), &[]);
        let ask = |body: Value| server.connect().post("/explain", body.to_string()).expect("an answer");
        let answer = ask(json!({ "inputs": PRAISE }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let found: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_same(&found, expected, 1e-6);
        for key in ["label", "predicted", "method", "truncated", "unknown_words"] {
            assert_eq!(found[key], expected[key], "{key}");
        }
        assert_eq!(found["completeness"]["steps"], expected["completeness"]["steps"]);
        assert_eq!(server.labels(&json!(PRAISE))[0]["label"], "positive");
    }
    // Somebody trains on while the old model is served.
    let server = HttpServer::start(&sandbox, "--run run", &[]);
    let path = sandbox.path("run/model.safetensors");
    let weights = std::fs::read(&path).expect("weights");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, weights).expect("written");
    let answer = server.connect().post("/explain", json!({ "inputs": PRAISE }).to_string()).expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!answer.text().contains("safetensors"), "{}", answer.text());
    assert_eq!(server.labels(&json!(PRAISE))[0]["label"], "positive");
    server.signal("TERM");
    let (_, lines) = server.end();
    assert!(
        lines.iter().any(|line| line.contains("model.safetensors has changed since the server started")),
        "{lines:?}"
    );
}
