//! Model folders: the tokenizer's files and `config.json`. The weights have a file of their own.

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
    all.with("vocab.txt without [CLS]", "tiny/vocab.txt", Edit::Swap("[CLS]", "[START]"), line);
    all.with("vocab.txt without [SEP]", "tiny/vocab.txt", Edit::Swap("[SEP]", "[END]"), line);
    all.with("vocab.txt without [UNK]", "tiny/vocab.txt", Edit::Swap("[UNK]", "<unk>"), line);
    all.with("vocab.txt in Latin-1", "tiny/vocab.txt", Edit::Is(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\ncaf\xE9\n"), line);
    all.with("vocab.txt is empty", "tiny/vocab.txt", Edit::Is(b""), line);
    all.with("vocab.txt is a web page", "tiny/vocab.txt", Edit::Is(b"<!DOCTYPE html>\n<html>\n"), line);
    all.with("vocab.txt is missing", "tiny/vocab.txt", Edit::Gone, line);
    all.with(
        "vocab.txt is longer than the model knows",
        "tiny/vocab.txt",
        Edit::Swap("lovely", "lovely\nlovelier"),
        line,
    );
    let settings = "tiny/tokenizer_config.json";
    all.with("tokenizer_config.json is cut off", settings, Edit::Cut(10), line);
    all.with("tokenizer_config.json is a list", settings, Edit::Is(b"[]"), line);
    all.with("do_lower_case is a word", settings, Edit::Swap("true", "\"yes\""), line);
    let class = Edit::Is(br#"{"tokenizer_class": "RobertaTokenizer"}"#);
    all.with("another kind of tokenizer", settings, class, line);

    for (name, from, to) in [
        ("cut off", ", \"film\": 4}}}", ""),
        ("a kind that isn't BERT's", "WordPiece", "BPE"),
        ("no model", "\"model\"", "\"modell\""),
        ("no vocabulary", "\"vocab\"", "\"words\""),
        (
            "a vocabulary as a list",
            "{\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"film\": 4}",
            "[\"[PAD]\"]",
        ),
        ("a negative id", "\"film\": 4", "\"film\": -4"),
        ("an id beyond 31 bits", "\"film\": 4", "\"film\": 4294967296"),
        ("an id far beyond the others", "\"film\": 4", "\"film\": 2000000000"),
        ("an id twice", "\"film\": 4", "\"film\": 3"),
        ("no unknown token", "\"unk_token\": \"[UNK]\", ", ""),
        ("an unknown token that isn't in the vocabulary", "\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\""),
        ("words of a million characters", ": 100,", ": 1000000,"),
        ("no post-processor", "\"post_processor\"", "\"processor\""),
        ("another post-processor", "BertProcessing", "RobertaProcessing"),
        ("a post-processor without ids", "\"cls\": [\"[CLS]\", 2], ", ""),
        ("a special token that isn't in the vocabulary", "[\"[CLS]\", 2]", "[\"[CLS]\", 99]"),
        ("a template without the text", "\"type\": \"BertProcessing\"", "\"type\": \"TemplateProcessing\""),
        ("an unknown normalizer", "BertNormalizer", "Precompiled"),
        ("an unknown pre-tokenizer", "BertPreTokenizer", "ByteLevel"),
        (
            "a normalizer that is a word",
            "{\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": true}",
            "\"lower\"",
        ),
        ("a setting of the wrong type", "\"clean_text\": true", "\"clean_text\": \"yes\""),
    ] {
        assert!(TOKENIZER.contains(from), "{name}: {from}");
        let name = format!("tokenizer.json: {name}");
        all.with(&name, "tiny/tokenizer.json", Edit::Is(TOKENIZER.replace(from, to).as_bytes()), line);
    }
    let deep = "[".repeat(100_000);
    all.with("tokenizer.json: nested 100,000 deep", "tiny/tokenizer.json", Edit::Is(deep.as_bytes()), line);
    all.finish();
}

#[test]
fn bad_model_configs_are_refused_in_these_words() {
    let mut all = MessageGroup::new("model_config", "A model folder's config.json", Sandbox::prepared());
    let file = "tiny/config.json";
    let train = "train --data data --model tiny";
    for (name, from, to) in [
        ("another architecture", "\"model_type\": \"bert\"", "\"model_type\": \"roberta\""),
        ("no architecture", "\"model_type\"", "\"type\""),
        ("no vocabulary size", "\"vocab_size\"", "\"vocabulary\""),
        ("a size as a text", "\"hidden_size\": 16", "\"hidden_size\": \"16\""),
        ("a size that isn't whole", "\"hidden_size\": 16", "\"hidden_size\": 16.5"),
        ("a negative size", "\"hidden_size\": 16", "\"hidden_size\": -16"),
        ("a size beyond all models", "\"intermediate_size\": 32", "\"intermediate_size\": 1000000000000"),
        ("no layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0"),
        ("heads that don't divide", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3"),
        ("an unknown activation", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\""),
        ("dropout of 1.5", "\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 1.5"),
        ("negative dropout", "\"attention_probs_dropout_prob\": 0.1", "\"attention_probs_dropout_prob\": -0.1"),
        ("an epsilon of 0", "\"layer_norm_eps\": 1e-12", "\"layer_norm_eps\": 0"),
        ("relative positions", "\"model_type\"", "\"position_embedding_type\": \"relative_key\", \"model_type\""),
        ("a decoder", "\"model_type\"", "\"is_decoder\": true, \"model_type\""),
        ("a negative initializer range", "\"initializer_range\": 0.2", "\"initializer_range\": -0.2"),
        ("label names in a list", "\"model_type\"", "\"id2label\": [\"a\", \"b\"], \"model_type\""),
        (
            "fewer positions than the data has tokens",
            "\"max_position_embeddings\": 32",
            "\"max_position_embeddings\": 8",
        ),
        ("fewer words than the data has", "\"vocab_size\": 31", "\"vocab_size\": 9"),
    ] {
        all.with(name, file, Edit::Swap(from, to), train);
    }
    all.with("not JSON", file, Edit::Is(b"model_type: bert\n"), train);
    all.with("cut off", file, Edit::Cut(40), train);
    all.with("nothing at all", file, Edit::Is(b""), train);
    all.with("a list", file, Edit::Is(b"[]"), train);
    all.with("Latin-1", file, Edit::Is(b"{\"model_type\": \"bert\", \"_name\": \"caf\xE9\"}"), train);
    all.with("it is missing", file, Edit::Gone, train);
    let prepare = "prepare --dataset reviews.csv --model tiny --max-length 32";
    all.with("not JSON, to prepare", file, Edit::Is(b"model_type: bert\n"), prepare);
    let swap = Edit::Swap("\"model_type\": \"bert\"", "\"model_type\": \"roberta\"");
    all.with("another architecture, to prepare", file, swap, prepare);
    all.with(
        "fewer positions than asked for, to prepare",
        file,
        Edit::Swap("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 16"),
        prepare,
    );
    all.finish();
}
