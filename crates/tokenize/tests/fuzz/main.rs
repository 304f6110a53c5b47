//! A model folder's tokenizer, damaged: as `tokenizer.json` and as `vocab.txt` with `tokenizer_config.json`. What must
//! hold is in `test_support::fuzz`.

use std::fs;
use std::path::Path;

use test_support::fuzz::{FuzzTarget, MemoryLimit, SeedFile, SeedFormat, check, temporary_folder};
use tokenize::Tokenizer;

#[global_allocator]
static ALLOCATOR: test_support::fuzz::CountingAllocator = test_support::fuzz::CountingAllocator;

const MEMORY_LIMIT: MemoryLimit = MemoryLimit { per_byte: 400, fixed: 8 << 20 };

const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ngood\nfilm\n##s\n##ly\n,\n\u{E9}\n\u{4E2D}\n";

const TEXTS: [&str; 4] =
    ["A good film, goodly films", "", "caf\u{E9} \u{4E2D}\u{1F600}\u{301}\0[CLS]x", "aaaaaaaaaaaaaaa [UNK]"];

/// Opens the folder's tokenizer and encodes: every id must be one that a model of its size knows.
fn open(folder: &Path) -> Result<(), String> {
    let tokenizer = Tokenizer::from_folder(folder, 16).map_err(|error| error.to_string())?;
    for text in TEXTS {
        let encoded = tokenizer.encode(text).map_err(|error| error.to_string())?;
        assert!((1..=16).contains(&encoded.ids.len()), "{} ids", encoded.ids.len());
        let known = |id: &u32| (*id as usize) < tokenizer.vocab_size();
        assert!(encoded.ids.iter().all(known), "{:?} of {}", encoded.ids, tokenizer.vocab_size());
    }
    Ok(())
}

fn tokenizer_json(normalizer: &str, pre_tokenizer: &str, post_processor: &str, added: &str) -> String {
    let vocabulary: Vec<String> = VOCAB.lines().enumerate().map(|(id, token)| format!("\"{token}\": {id}")).collect();
    format!(
        r###"{{"version": "1.0", "truncation": {{"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0}},
        "padding": null, "added_tokens": [{added}], "normalizer": {normalizer}, "pre_tokenizer": {pre_tokenizer},
        "post_processor": {post_processor}, "decoder": {{"type": "WordPiece", "prefix": "##", "cleanup": true}},
        "model": {{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": {{{}}}}}}}"###,
        vocabulary.join(", ")
    )
}

#[test]
fn tokenizer_json_files() {
    let bert = r#"{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}"#;
    let many = r#"{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Strip", "strip_left": true, "strip_right": true}]}"#;
    let split = r#"{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Digits", "individual_digits": true}]}"#;
    let template = r#"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}], "pair": [],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}"#;
    let plain = r#"{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}"#;
    let added = |id: u32, token: &str, special: bool| {
        format!(
            r#"{{"id": {id}, "content": "{token}", "single_word": false, "lstrip": true, "rstrip": false, "normalized": {}, "special": {special}}}"#,
            !special
        )
    };
    let specials = [added(1, "[UNK]", true), added(2, "[CLS]", true), added(3, "[SEP]", true)].join(", ");
    let own = [specials.clone(), added(13, "newword", false)].join(", ");
    let splitter = r#"{"type": "BertPreTokenizer"}"#;
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, tokenizer_json(bert, splitter, plain, &specials)),
        SeedFile::new(SeedFormat::Json, tokenizer_json(bert, splitter, template, &own)),
        SeedFile::new(SeedFormat::Json, tokenizer_json(many, split, plain, &specials)),
        SeedFile::new(SeedFormat::Json, tokenizer_json("null", r#"{"type": "Whitespace"}"#, plain, "")),
    ];
    let folder = temporary_folder();
    check(
        &FuzzTarget { package: "tokenize", name: "tokenizer_json_files", memory_limit: MEMORY_LIMIT },
        seeds,
        |bytes| {
            fs::write(folder.path().join("tokenizer.json"), bytes).unwrap();
            open(folder.path())
        },
    );
}

#[test]
fn vocabularies() {
    let folder = temporary_folder();
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
    let long: String = (0..300).map(|number| format!("word{number}\n")).collect();
    let seeds = vec![
        SeedFile::new(SeedFormat::Lines, VOCAB),
        SeedFile::new(SeedFormat::Lines, VOCAB.replace('\n', "\r\n")),
        SeedFile::new(SeedFormat::Lines, VOCAB.to_owned() + &long),
        SeedFile::new(SeedFormat::Lines, format!("{long}{VOCAB}[unused0]\n \n")),
    ];
    check(&FuzzTarget { package: "tokenize", name: "vocabularies", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("vocab.txt"), bytes).unwrap();
        open(folder.path())
    });
}

#[test]
fn tokenizer_configs() {
    let folder = temporary_folder();
    fs::write(folder.path().join("vocab.txt"), VOCAB).unwrap();
    let seeds = vec![
        SeedFile::new(
            SeedFormat::Json,
            r#"{"do_lower_case": false, "strip_accents": null, "tokenize_chinese_chars": true, "tokenizer_class": "BertTokenizer", "model_max_length": 512, "added_tokens_decoder": {"0": {"content": "[PAD]", "special": true}}}"#,
        ),
        SeedFile::new(SeedFormat::Json, r#"{"do_lower_case": true, "strip_accents": false}"#),
        SeedFile::new(SeedFormat::Json, "{}"),
    ];
    check(&FuzzTarget { package: "tokenize", name: "tokenizer_configs", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("tokenizer_config.json"), bytes).unwrap();
        open(folder.path())
    });
}

#[test]
fn added_tokens() {
    let folder = temporary_folder();
    fs::write(folder.path().join("vocab.txt"), VOCAB).unwrap();
    let seeds = vec![
        SeedFile::new(SeedFormat::Json, r#"{"<user>": 13, "goodly": 14, "CAF\u00c9": 15}"#),
        SeedFile::new(SeedFormat::Json, r#"{"a film": 30, "film": 7, "": 2}"#),
        SeedFile::new(SeedFormat::Json, "{}"),
    ];
    check(&FuzzTarget { package: "tokenize", name: "added_tokens", memory_limit: MEMORY_LIMIT }, seeds, |bytes| {
        fs::write(folder.path().join("added_tokens.json"), bytes).unwrap();
        open(folder.path())
    });
}

#[test]
fn special_tokens_maps() {
    let folder = temporary_folder();
    fs::write(folder.path().join("vocab.txt"), VOCAB).unwrap();
    fs::write(folder.path().join("added_tokens.json"), r#"{"<user>": 13}"#).unwrap();
    let seeds = vec![
        SeedFile::new(
            SeedFormat::Json,
            r#"{"unk_token": "[UNK]", "cls_token": {"content": "[CLS]", "lstrip": true, "normalized": true, "rstrip": false, "single_word": true}, "additional_special_tokens": ["<user>", {"content": "new"}]}"#,
        ),
        SeedFile::new(SeedFormat::Json, r#"{"extra_special_tokens": {"own_token": "film"}, "sep_token": "good"}"#),
    ];
    check(
        &FuzzTarget { package: "tokenize", name: "special_tokens_maps", memory_limit: MEMORY_LIMIT },
        seeds,
        |bytes| {
            fs::write(folder.path().join("special_tokens_map.json"), bytes).unwrap();
            open(folder.path())
        },
    );
}
