//! Invalid flags and arguments on the command line.

use super::MessageGroup;
use crate::support::Sandbox;

#[test]
fn bad_flags_of_prepare_are_refused_in_these_words() {
    let mut all = MessageGroup::new("prepare_flags", "Flags of prepare", Sandbox::new());
    let sandbox = all.sandbox();
    sandbox.write_reviews("a.csv", 30);
    sandbox.write("home/thesis.txt", "years of work");
    sandbox.write("taken", "a file");
    sandbox.write("empty/.keep", "");
    for (name, line) in [
        ("an unknown data set", "prepare --dataset sst7 --model tiny"),
        ("a path that does not exist", "prepare --dataset data/reviews --model tiny"),
        ("an empty --dataset", "prepare --dataset= --model tiny"),
        ("glue-sst2 from a source other than the Hub", "prepare --dataset glue-sst2 --source packaged --model tiny"),
        ("glue-sst2 without a network", "prepare --dataset glue-sst2 --model tiny"),
        ("sst2 from the Hub without a network", "prepare --dataset sst2 --source hub --model tiny"),
        ("the reviews from the Hub", "prepare --dataset reviews --source hub --model tiny"),
        ("the reviews from a folder without them", "prepare --dataset reviews --source home --model tiny"),
        ("--classes 4 for the reviews", "prepare --dataset reviews --classes 4 --model tiny"),
        ("--classes for the treebank", "prepare --dataset sst2 --classes 3 --model tiny"),
        ("--classes 4 for the treebank", "prepare --dataset sst5 --classes 4 --model tiny"),
        ("--phrases for glue-sst2", "prepare --dataset glue-sst2 --phrases --model tiny"),
        ("--phrases for a file", "prepare --dataset a.csv --phrases --model tiny"),
        ("--phrases for the packaged reviews", "prepare --dataset sst2 --source packaged --phrases --model tiny"),
        ("--text-column for the treebank", "prepare --dataset sst2 --text-column text --model tiny"),
        ("--label-map for the treebank", "prepare --dataset sst3 --label-map 0=a,1=b --model tiny"),
        ("--split-ratio for a data set with splits", "prepare --dataset sst3 --split-ratio 0.2 --model tiny"),
        (
            "--split-ratio with a validation file",
            "prepare --dataset a.csv --validation-file a.csv --split-ratio 0.2 --model tiny",
        ),
        ("--seed with a validation file", "prepare --dataset a.csv --validation-file a.csv --seed 7 --model tiny"),
        ("--drop-empty for the reviews", "prepare --dataset reviews --drop-empty --model tiny"),
        ("a length too short for any word", "prepare --dataset a.csv --model tiny --max-length 2"),
        ("a length beyond the model's", "prepare --dataset a.csv --model tiny --max-length 33"),
        ("a negative length", "prepare --dataset a.csv --model tiny --max-length -5"),
        ("a negative seed", "prepare --dataset a.csv --model tiny --seed -1"),
        ("an unknown flag", "prepare --dataset a.csv --model tiny --maxlength 32"),
        ("an unknown command", "prepare-data --dataset a.csv"),
        ("a model folder that does not exist", "prepare --dataset a.csv --model ./models/bert"),
        ("a model on the Hub without a network", "prepare --dataset a.csv --model bert-large-uncased"),
        ("an empty --model", "prepare --dataset a.csv --model="),
        ("a file instead of a model folder", "prepare --dataset a.csv --model a.csv"),
        ("an empty model folder", "prepare --dataset a.csv --model empty"),
        ("an output with other files", "prepare --dataset a.csv --model tiny --max-length 32 --output home"),
        ("an output that is a file", "prepare --dataset a.csv --model tiny --max-length 32 --output taken"),
    ] {
        all.fails(name, line);
    }
    all.finish();
}

#[test]
fn bad_flags_of_train_are_refused_in_these_words() {
    let mut all = MessageGroup::new("train_flags", "Flags of train", Sandbox::prepared());
    let sandbox = all.sandbox();
    sandbox.write("home/thesis.txt", "years of work");
    sandbox.write("taken", "a file");
    sandbox.write_model("other", &["another"]);
    for (name, flags) in [
        ("0 epochs", "--epochs 0"),
        ("half an epoch", "--epochs 0.5"),
        ("0 steps", "--max-steps 0"),
        ("a batch size of 0", "--batch-size 0"),
        ("a batch size larger than the data", "--batch-size 500"),
        ("a negative seed", "--seed -1"),
        ("a seed beyond 64 bits", "--seed 18446744073709551616"),
        ("an unknown precision", "--precision fp16"),
        ("0 threads", "--threads 0"),
        ("an unknown optimizer", "--optimizer adamax"),
        ("a learning rate of 0", "--learning-rate 0"),
        ("a negative learning rate", "--learning-rate -2e-5"),
        ("a learning rate that is not a number", "--learning-rate small"),
        ("weight decay beyond 1", "--weight-decay 1.5"),
        ("beta1 of 1", "--beta1 1"),
        ("epsilon of 0", "--epsilon 0"),
        ("--epsilon with sgd", "--optimizer sgd --epsilon 1e-6"),
        ("--momentum with adamw", "--momentum 0.8"),
        ("--polynomial-power with a linear schedule", "--polynomial-power 2"),
        ("a negative gradient norm", "--max-grad-norm -1"),
        ("layer decay of 0", "--layer-decay 0"),
        ("both --warmup-steps and --warmup-ratio", "--warmup-steps 5 --warmup-ratio 0.5"),
        ("warm-up beyond the steps", "--warmup-steps 50 --max-steps 10"),
        ("a warm-up ratio beyond 1", "--warmup-ratio 1.1"),
        ("hidden dropout of 1", "--hidden-dropout 1"),
        ("label smoothing of 1", "--label-smoothing 1"),
        ("three class weights for two classes", "--class-weights 1,2,3"),
        ("a negative class weight", "--class-weights 1,-2"),
        ("class weights that are not numbers", "--class-weights heavy"),
        ("more frozen layers than there are", "--freeze-layers 3"),
        ("frozen layers that are also re-initialized", "--freeze-layers 2 --reinit-layers 1"),
        ("evaluation every 0 steps", "--eval-steps 0"),
        ("an unknown metric", "--best-metric auc"),
        ("a boolean flag with an invalid value", "--tensorboard=maybe"),
        ("an unknown flag", "--learningrate 2e-5"),
        ("a data folder that does not exist", "--data nowhere"),
        ("a model with a different tokenizer", "--model other"),
        ("a model folder that does not exist", "--model ./nowhere"),
        ("an output with other files", "--output home"),
        ("an output that is a file", "--output taken"),
    ] {
        let data = if flags.starts_with("--data") { "" } else { "--data data " };
        all.fails(name, &format!("train {data}{flags}"));
    }
    if !tch::Cuda::is_available() {
        let found = Some(("is not available: ", " (hint: "));
        all.fails_except("a GPU where there is none", "train --data data --device cuda", found);
    }
    all.finish();
}
