//! Baselines and phrases of the treebank: what `evaluate` says of them, and when it can't.

use crate::support::Sandbox;

const TREES: &str = "(3 (2 (2 the) (2 film)) (3 (2 is) (4 superb)))\n(0 (2 not) (1 dull))\n";

#[test]
fn baselines_need_the_data_of_the_training_and_are_no_measure_on_it() {
    let sandbox = Sandbox::trained(1);
    let names = |split: &str| {
        let judgement = sandbox.json(&format!("run/evaluation-{split}.json"))["judgement"].clone();
        let results = judgement["baselines"]["results"].as_array().cloned().unwrap_or_default();
        results.iter().filter_map(|result| Some(result["name"].as_str()?.to_owned())).collect::<Vec<_>>()
    };
    let shown = sandbox.succeeds("evaluate --run run --split train");
    assert!(shown.contains("note: the baselines are scored on the rows that they were fitted on"), "{shown}");
    assert_eq!(names("train"), ["majority", "tf-idf"]);
    let shown = sandbox.succeeds("evaluate --run run --file reviews.csv");
    assert!(!shown.contains("baselines are scored on") && !shown.contains("no baselines"), "{shown}");
    assert_eq!(names("reviews.csv"), ["majority", "tf-idf"]);

    std::fs::rename(sandbox.path("data"), sandbox.path("gone")).expect("moved");
    let shown = sandbox.succeeds("evaluate --run run --file reviews.csv");
    assert!(shown.contains("note: no baselines: ") && shown.contains("doesn't exist"), "{shown}");
    assert_eq!(names("reviews.csv"), [""; 0]);
}

#[test]
fn phrases_of_the_treebank_are_scored_for_a_model_that_has_its_labels() {
    let sandbox = Sandbox::trained(1);
    for name in ["train.txt", "dev.txt", "test.txt"] {
        sandbox.write(&format!("trees/{name}"), TREES);
    }
    let shown = sandbox.succeeds("evaluate --run run --treebank trees");
    // Of ten nodes those that are neutral have no class of two.
    assert!(shown.contains("5 labeled nodes of 2 sentences"), "{shown}");
    assert!(shown.contains("note: the trees of test are those of folder trees"), "{shown}");
    assert!(shown.contains("rows of test are no sentences of these trees"), "{shown}");
    let treebank = sandbox.json("run/evaluation-test.json")["judgement"]["treebank"].clone();
    assert_eq!((&treebank["nodes"], &treebank["sentences"]), (&5.into(), &2.into()), "{treebank}");
    let error = sandbox.fails("evaluate --run run --treebank packaged");
    assert!(error.contains("the packaged reviews have no trees (hint: "), "{error}");
    let error = sandbox.fails("evaluate --run run --treebank trees --file reviews.csv");
    assert!(error.contains("--treebank"), "{error}");
    sandbox.write("trees/test.txt", "(2 so)\n");
    let error = sandbox.fails("evaluate --run run --treebank trees");
    assert!(error.contains("no phrase of folder trees has one of the labels negative, positive"), "{error}");

    let glad = String::from_utf8(sandbox.read("reviews.csv")).expect("UTF-8").replace("positive", "glad");
    sandbox.write("mood.csv", &glad);
    sandbox.succeeds("prepare --dataset mood.csv --model tiny --max-length 32 --output mood");
    sandbox.succeeds("train --data mood --precision fp32 --threads 1 --max-steps 2 --output glad");
    let error = sandbox.fails("evaluate --run glad --treebank trees");
    let expected =
        "expected a model with the labels negative, positive; or negative, neutral, positive; or very negative, ";
    assert!(error.contains(expected) && error.contains("found glad, negative"), "{error}");
}
