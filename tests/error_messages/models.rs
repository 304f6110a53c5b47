//! Model folders: the tokenizer's files and `config.json`. Weights are in `weights.rs`.

use super::{Edit, MessageGroup};
use crate::support::Sandbox;

/// A tokenizer.json of four words.
const TOKENIZER: &str = r####"{"version": "1.0", "added_tokens": [],
"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
"pre_tokenizer": {"type": "BertPreTokenizer"},
"post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]},
"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
"vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "film": 4}}}"####;

#[test]
fn bad_tokenizers_are_refused_in_these_words() {
    let mut all = MessageGroup::new("tokenizer", "A model folder's tokenizer", Sandbox::new());
    all.sandbox().write_reviews("a.csv", 30);
    let line = "prepare --dataset a.csv --model tiny --max-length 32";
    all.fails_with("vocab.txt without [CLS]", "tiny/vocab.txt", Edit::Replace("[CLS]", "[START]"), line);
    all.fails_with("vocab.txt without [SEP]", "tiny/vocab.txt", Edit::Replace("[SEP]", "[END]"), line);
    all.fails_with("vocab.txt without [UNK]", "tiny/vocab.txt", Edit::Replace("[UNK]", "<unk>"), line);
    all.fails_with(
        "vocab.txt in Latin-1",
        "tiny/vocab.txt",
        Edit::Content(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\ncaf\xE9\n"),
        line,
    );
    all.fails_with("vocab.txt is empty", "tiny/vocab.txt", Edit::Content(b""), line);
    all.fails_with("vocab.txt is a web page", "tiny/vocab.txt", Edit::Content(b"<!DOCTYPE html>\n<html>\n"), line);
    all.fails_with("vocab.txt is missing", "tiny/vocab.txt", Edit::Delete, line);
    all.fails_with(
        "vocab.txt has more tokens than the model's vocab_size",
        "tiny/vocab.txt",
        Edit::Replace("lovely", "lovely\nlovelier"),
        line,
    );
    let settings = "tiny/tokenizer_config.json";
    all.fails_with("tokenizer_config.json is truncated", settings, Edit::Truncate(10), line);
    all.fails_with("tokenizer_config.json is a list", settings, Edit::Content(b"[]"), line);
    all.fails_with("do_lower_case is a string", settings, Edit::Replace("true", "\"yes\""), line);
    let class = Edit::Content(br#"{"tokenizer_class": "RobertaTokenizer"}"#);
    all.fails_with("a tokenizer_class other than BERT's", settings, class, line);

    for (name, from, to) in [
        ("truncated", ", \"film\": 4}}}", ""),
        ("a model other than WordPiece", "WordPiece", "BPE"),
        ("no model", "\"model\"", "\"modell\""),
        ("no vocabulary", "\"vocab\"", "\"words\""),
        (
            "a vocabulary that is a list",
            "{\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"film\": 4}",
            "[\"[PAD]\"]",
        ),
        ("a negative id", "\"film\": 4", "\"film\": -4"),
        ("an id beyond 31 bits", "\"film\": 4", "\"film\": 4294967296"),
        ("an id far beyond the others", "\"film\": 4", "\"film\": 2000000000"),
        ("a duplicate id", "\"film\": 4", "\"film\": 3"),
        ("no unknown token", "\"unk_token\": \"[UNK]\", ", ""),
        ("an unknown token outside the vocabulary", "\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\""),
        ("a word limit of a million characters", ": 100,", ": 1000000,"),
        ("no post-processor", "\"post_processor\"", "\"processor\""),
        ("an unknown post-processor", "BertProcessing", "RobertaProcessing"),
        ("a post-processor without ids", "\"cls\": [\"[CLS]\", 2], ", ""),
        ("a special token outside the vocabulary", "[\"[CLS]\", 2]", "[\"[CLS]\", 99]"),
        ("a template without the text", "\"type\": \"BertProcessing\"", "\"type\": \"TemplateProcessing\""),
        ("an unknown normalizer", "BertNormalizer", "Precompiled"),
        ("an unknown pre-tokenizer", "BertPreTokenizer", "ByteLevel"),
        (
            "a normalizer that is a string",
            "{\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": true}",
            "\"lower\"",
        ),
        ("a setting of the wrong type", "\"clean_text\": true", "\"clean_text\": \"yes\""),
    ] {
        assert!(TOKENIZER.contains(from), "{name}: {from}");
        let name = format!("tokenizer.json: {name}");
        all.fails_with(&name, "tiny/tokenizer.json", Edit::Content(TOKENIZER.replace(from, to).as_bytes()), line);
    }
    let deep = "[".repeat(100_000);
    all.fails_with(
        "tokenizer.json: nesting 100,000 levels deep",
        "tiny/tokenizer.json",
        Edit::Content(deep.as_bytes()),
        line,
    );
    all.finish();
}

#[test]
fn bad_model_configs_are_refused_in_these_words() {
    let mut all = MessageGroup::new("model_config", "A model folder's config.json", Sandbox::prepared());
    let file = "tiny/config.json";
    let train = "train --data data --model tiny";
    for (name, from, to) in [
        ("an unsupported architecture", "\"model_type\": \"bert\"", "\"model_type\": \"roberta\""),
        ("no architecture", "\"model_type\"", "\"type\""),
        ("no vocabulary size", "\"vocab_size\"", "\"vocabulary\""),
        ("a size that is a string", "\"hidden_size\": 16", "\"hidden_size\": \"16\""),
        ("a fractional size", "\"hidden_size\": 16", "\"hidden_size\": 16.5"),
        ("a negative size", "\"hidden_size\": 16", "\"hidden_size\": -16"),
        ("an implausibly large size", "\"intermediate_size\": 32", "\"intermediate_size\": 1000000000000"),
        ("no layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0"),
        (
            "a number of heads that does not divide hidden_size",
            "\"num_attention_heads\": 2",
            "\"num_attention_heads\": 3",
        ),
        ("an unknown activation", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\""),
        ("dropout of 1.5", "\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 1.5"),
        ("negative dropout", "\"attention_probs_dropout_prob\": 0.1", "\"attention_probs_dropout_prob\": -0.1"),
        ("an epsilon of 0", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0"),
        ("relative positions", "\"model_type\"", "\"position_embedding_type\": \"relative_key\", \"model_type\""),
        ("a decoder", "\"model_type\"", "\"is_decoder\": true, \"model_type\""),
        ("a negative initializer range", "\"initializer_range\": 0.2", "\"initializer_range\": -0.2"),
        ("id2label as a list", "\"model_type\"", "\"id2label\": [\"a\", \"b\"], \"model_type\""),
        (
            "fewer positions than the data has tokens",
            "\"max_position_embeddings\": 32",
            "\"max_position_embeddings\": 8",
        ),
        ("a smaller vocabulary than the data's", "\"vocab_size\": 31", "\"vocab_size\": 9"),
    ] {
        all.fails_with(name, file, Edit::Replace(from, to), train);
    }
    all.fails_with("not JSON", file, Edit::Content(b"model_type: bert\n"), train);
    all.fails_with("truncated", file, Edit::Truncate(40), train);
    all.fails_with("an empty file", file, Edit::Content(b""), train);
    all.fails_with("a JSON list", file, Edit::Content(b"[]"), train);
    all.fails_with("Latin-1", file, Edit::Content(b"{\"model_type\": \"bert\", \"_name\": \"caf\xE9\"}"), train);
    all.fails_with("a missing file", file, Edit::Delete, train);
    let predict = "predict --run tiny lovely";
    for (name, problem) in [("several labels a text", "multi_label_classification"), ("a regression", "regression")] {
        let edit = Edit::Replace("single_label_classification", problem);
        all.fails_with(&format!("predict: {name}"), file, edit, predict);
    }
    let one = Edit::Replace("\"model_type\"", "\"id2label\": {\"0\": \"score\"}, \"model_type\"");
    all.fails_with("predict: one class", file, one, predict);
    let prepare = "prepare --dataset reviews.csv --model tiny --max-length 32";
    all.fails_with("prepare: not JSON", file, Edit::Content(b"model_type: bert\n"), prepare);
    let swap = Edit::Replace("\"model_type\": \"bert\"", "\"model_type\": \"roberta\"");
    all.fails_with("prepare: an unsupported architecture", file, swap, prepare);
    let long = "prepare --dataset reviews.csv --model tiny --max-length 40";
    all.fails("prepare: fewer positions than --max-length", long);
    all.fails_with(
        "prepare: fewer positions than the weights",
        file,
        Edit::Replace("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 16"),
        prepare,
    );
    all.finish();
}
