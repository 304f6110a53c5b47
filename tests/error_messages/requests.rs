//! What can be asked for on the command line and must not be.

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
        ("a data set that doesn't exist", "prepare --dataset sst7 --model tiny"),
        ("a path that doesn't exist", "prepare --dataset data/reviews --model tiny"),
        ("no name for the data set", "prepare --dataset= --model tiny"),
        ("GLUE's form from elsewhere than the Hub", "prepare --dataset glue-sst2 --source packaged --model tiny"),
        ("GLUE's form without a network", "prepare --dataset glue-sst2 --model tiny"),
        ("the Hub without a network", "prepare --dataset sst2 --source hub --model tiny"),
        ("the reviews from the Hub", "prepare --dataset reviews --source hub --model tiny"),
        ("the reviews from a folder without them", "prepare --dataset reviews --source home --model tiny"),
        ("four classes of reviews", "prepare --dataset reviews --classes 4 --model tiny"),
        ("classes of the treebank", "prepare --dataset sst2 --classes 3 --model tiny"),
        ("phrases of a file", "prepare --dataset a.csv --phrases --model tiny"),
        ("phrases of the packaged reviews", "prepare --dataset sst2 --source packaged --phrases --model tiny"),
        ("a text column of the treebank", "prepare --dataset sst2 --text-column text --model tiny"),
        ("a label map of the treebank", "prepare --dataset sst3 --label-map 0=a,1=b --model tiny"),
        ("a ratio for splits that are there", "prepare --dataset sst3 --split-ratio 0.2 --model tiny"),
        (
            "a ratio beside a validation file",
            "prepare --dataset a.csv --validation-file a.csv --split-ratio 0.2 --model tiny",
        ),
        ("a seed beside a validation file", "prepare --dataset a.csv --validation-file a.csv --seed 7 --model tiny"),
        ("empty rows of the reviews", "prepare --dataset reviews --drop-empty --model tiny"),
        ("a length without room for a word", "prepare --dataset a.csv --model tiny --max-length 2"),
        ("a length beyond the model's", "prepare --dataset a.csv --model tiny --max-length 33"),
        ("a negative length", "prepare --dataset a.csv --model tiny --max-length -5"),
        ("a negative seed", "prepare --dataset a.csv --model tiny --seed -1"),
        ("a flag that doesn't exist", "prepare --dataset a.csv --model tiny --maxlength 32"),
        ("a command that doesn't exist", "prepare-data --dataset a.csv"),
        ("a model folder that doesn't exist", "prepare --dataset a.csv --model ./models/bert"),
        ("a model on the Hub without a network", "prepare --dataset a.csv --model bert-large-uncased"),
        ("no name for the model", "prepare --dataset a.csv --model="),
        ("a file for a model", "prepare --dataset a.csv --model a.csv"),
        ("an empty folder for a model", "prepare --dataset a.csv --model empty"),
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
        ("no passes", "--epochs 0"),
        ("half a pass", "--epochs 0.5"),
        ("no steps", "--max-steps 0"),
        ("an empty batch", "--batch-size 0"),
        ("a batch larger than the data", "--batch-size 500"),
        ("a negative seed", "--seed -1"),
        ("a seed beyond 64 bits", "--seed 18446744073709551616"),
        ("a precision that doesn't exist", "--precision fp16"),
        ("no threads", "--threads 0"),
        ("an optimizer that doesn't exist", "--optimizer adamax"),
        ("no learning rate", "--learning-rate 0"),
        ("a negative learning rate", "--learning-rate -2e-5"),
        ("a learning rate in words", "--learning-rate small"),
        ("weight decay beyond 1", "--weight-decay 1.5"),
        ("beta1 of 1", "--beta1 1"),
        ("epsilon of 0", "--epsilon 0"),
        ("epsilon of sgd", "--optimizer sgd --epsilon 1e-6"),
        ("momentum of adamw", "--momentum 0.8"),
        ("a power of a linear schedule", "--polynomial-power 2"),
        ("a negative gradient norm", "--max-grad-norm -1"),
        ("layer decay of 0", "--layer-decay 0"),
        ("warm-up twice", "--warmup-steps 5 --warmup-ratio 0.5"),
        ("warm-up beyond the steps", "--warmup-steps 50 --max-steps 10"),
        ("a warm-up ratio beyond 1", "--warmup-ratio 1.1"),
        ("hidden dropout of 1", "--hidden-dropout 1"),
        ("label smoothing of 1", "--label-smoothing 1"),
        ("three class weights for two classes", "--class-weights 1,2,3"),
        ("a negative class weight", "--class-weights 1,-2"),
        ("class weights in words", "--class-weights heavy"),
        ("more frozen layers than there are", "--freeze-layers 3"),
        ("frozen layers drawn anew", "--freeze-layers 2 --reinit-layers 1"),
        ("evaluation every 0 steps", "--eval-steps 0"),
        ("a metric that doesn't exist", "--best-metric auc"),
        ("a switch with a word", "--tensorboard=maybe"),
        ("a flag that doesn't exist", "--learningrate 2e-5"),
        ("data that isn't there", "--data nowhere"),
        ("a model with another tokenizer", "--model other"),
        ("a model that isn't there", "--model ./nowhere"),
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
