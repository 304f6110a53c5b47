//! A tokenizer with a small vocabulary: the files it is read from, its settings, and invalid files.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: [&str; 16] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", "##s", "good", "Good", "cafe", "café", ".", "中", "国",
    "中国",
];

fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn vocab_txt() -> (&'static str, String) {
    ("vocab.txt", WORDS.map(|word| format!("{word}\n")).concat())
}

/// The tokenizer.json of the vocabulary above, with the truncation and padding that some published files carry.
fn tokenizer_json() -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, word)| (word.to_string(), json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": WORDS[..5].iter().enumerate().map(|(id, word)| json!({"id": id, "special": true,
            "content": word, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}))
            .collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

fn open(files: &[(&str, String)], max_length: usize) -> Result<Tokenizer, TokenizeError> {
    Tokenizer::from_folder(folder(files).path(), max_length)
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text).unwrap().ids
}

/// Opens the description after an edit and gives the refusal.
fn refusal(edit: impl FnOnce(&mut Value)) -> String {
    let mut description = tokenizer_json();
    edit(&mut description);
    let message = open(&[("tokenizer.json", description.to_string())], 8).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "names the file: {message}");
    message
}

#[test]
fn vocab_txt_and_tokenizer_json_give_the_same_tokenizer() {
    let from_json = open(&[("tokenizer.json", tokenizer_json().to_string())], 8).unwrap();
    let from_vocabulary = open(&[vocab_txt()], 8).unwrap();
    for text in ["", "a good film .", "Films films", "café 中国", "zebra"] {
        assert_eq!(ids(&from_json, text), ids(&from_vocabulary, text), "{text:?}");
    }
    assert_eq!(from_json.sha256(), from_vocabulary.sha256());
    assert_eq!((from_json.vocab_size(), from_json.max_length()), (16, 8));
    assert_eq!(ids(&from_json, "A good films."), [2, 5, 8, 6, 7, 12, 3]);
}

#[test]
fn published_truncation_and_padding_stay_out() {
    let tokenizer = open(&[("tokenizer.json", tokenizer_json().to_string())], 6).unwrap();
    let short = tokenizer.encode("a").unwrap();
    assert_eq!(short, Encoded { ids: vec![2, 5, 3], truncated: false, untruncated_len: 3, unknown: 0 });
    let exact = tokenizer.encode("a a a a").unwrap();
    assert_eq!(exact, Encoded { ids: vec![2, 5, 5, 5, 5, 3], truncated: false, untruncated_len: 6, unknown: 0 });
    let long = tokenizer.encode(&"a ".repeat(23)).unwrap();
    assert_eq!(long, Encoded { ids: vec![2, 5, 5, 5, 5, 3], truncated: true, untruncated_len: 25, unknown: 0 });
}

#[test]
fn the_configuration_states_the_normalization() {
    let cased = ("tokenizer_config.json", json!({"do_lower_case": false}).to_string());
    for form in [vocab_txt(), ("tokenizer.json", tokenizer_json().to_string())] {
        let tokenizer = open(&[form.clone(), cased.clone()], 8).unwrap();
        assert_eq!(ids(&tokenizer, "Good good café"), [2, 9, 8, 11, 3], "{}", form.0);
    }
    let accents = ("tokenizer_config.json", json!({"do_lower_case": true, "strip_accents": false}).to_string());
    assert_eq!(ids(&open(&[vocab_txt(), accents], 8).unwrap(), "Café"), [2, 11, 3]);
    let together = ("tokenizer_config.json", json!({"tokenize_chinese_chars": false}).to_string());
    assert_eq!(ids(&open(&[vocab_txt(), together], 8).unwrap(), "中国"), [2, 15, 3]);
    assert_eq!(ids(&open(&[vocab_txt()], 8).unwrap(), "中国"), [2, 13, 14, 3]);
    let wrong = ("tokenizer_config.json", json!({"do_lower_case": "yes"}).to_string());
    let message = open(&[vocab_txt(), wrong], 8).unwrap_err().to_string();
    assert!(message.contains("do_lower_case: expected true or false, found \"yes\""), "{message}");
}

#[test]
fn a_batch_keeps_its_order() {
    let tokenizer = open(&[vocab_txt()], 8).unwrap();
    let texts: Vec<String> = (0..500).map(|count| "film ".repeat(count % 5)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let batch = tokenizer.encode_batch(&texts).unwrap();
    assert!(batch.iter().enumerate().all(|(row, encoded)| encoded.untruncated_len == 2 + row % 5));
}

#[test]
fn refusals_say_what_and_where() {
    let message = open(&[], 8).unwrap_err().to_string();
    assert!(message.contains("neither tokenizer.json nor vocab.txt"), "{message}");
    let message = open(&[vocab_txt()], 2).unwrap_err().to_string();
    assert!(message.contains("--max-length 2") && message.contains("at least 3"), "{message}");
    let message = open(&[("vocab.txt", "a\nb\n".into())], 8).unwrap_err().to_string();
    assert!(message.contains("has no line [CLS]"), "{message}");
    let japanese = ("tokenizer_config.json", json!({"tokenizer_class": "BertJapaneseTokenizer"}).to_string());
    assert!(open(&[vocab_txt(), japanese], 8).unwrap_err().to_string().contains("BertJapaneseTokenizer"));
    let message = open(&[("tokenizer.json", "{\"model\"".into())], 8).unwrap_err().to_string();
    assert!(message.contains("not valid JSON"), "{message}");
    let message = open(&[("tokenizer.json", "[".repeat(100_000))], 8).unwrap_err().to_string();
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn hostile_descriptions_are_refused() {
    assert!(refusal(|json| json["model"]["type"] = json!("BPE")).contains("\"WordPiece\""));
    assert!(refusal(|json| json["model"]["vocab"] = json!([])).contains("no \"vocab\""));
    assert!(
        refusal(|json| json["model"]["vocab"]["a"] = json!(4_294_967_295_u64))
            .contains("token \"a\": expected an id from 0 to ")
    );
    assert!(refusal(|json| json["model"]["unk_token"] = json!("<unk>")).contains("unk_token \"<unk>\""));
    assert!(refusal(|json| json["model"]["max_input_chars_per_word"] = json!(u64::MAX)).contains("10000"));
    assert!(refusal(|json| json["normalizer"] = json!({"type": "Precompiled"})).contains("\"Precompiled\""));
    let nested =
        json!({"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "Replace"}]}]});
    assert!(refusal(|json| json["normalizer"] = nested).contains("\"Replace\""));
    assert!(refusal(|json| json["pre_tokenizer"] = json!({"type": "Split"})).contains("\"Split\""));
    assert!(refusal(|json| json["post_processor"] = Value::Null).contains("no post_processor"));
    let unknown = json!([{"SpecialToken": {"id": "[GONE]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
    assert!(refusal(|json| json["post_processor"]["single"] = unknown).contains("\"[GONE]\""));
    let textless = json!([{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]);
    assert!(refusal(|json| json["post_processor"]["single"] = textless).contains("the text 0 times"));
    let outside = json!({"id": "[CLS]", "ids": [99], "tokens": ["[CLS]"]});
    assert!(refusal(|json| json["post_processor"]["special_tokens"]["[CLS]"] = outside).contains("99"));
}

/// The value that `path` leads to, following the picks modulo what is there.
fn pick<'a>(mut value: &'a mut Value, picks: &[usize]) -> &'a mut Value {
    for pick in picks {
        let children = match value {
            Value::Object(fields) => fields.len(),
            Value::Array(values) => values.len(),
            _ => 0,
        };
        if children == 0 {
            break;
        }
        value = match value {
            Value::Object(fields) => fields.values_mut().nth(pick % children).unwrap(),
            Value::Array(values) => &mut values[pick % children],
            _ => unreachable!(),
        };
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any value anywhere may be any other: an error or a working tokenizer comes out, never a panic.
    #[test]
    fn a_mutated_description_never_panics(
        picks in prop::collection::vec(0usize..40, 1..6),
        other in 0usize..10,
        max_length in 0usize..12,
    ) {
        let mut description = tokenizer_json();
        let others = [json!(null), json!(-1), json!(0), json!(u64::MAX), json!(1e300), json!(""), json!("[CLS]"),
                      json!([]), json!({}), json!([[{"type": "Sequence"}]])];
        *pick(&mut description, &picks) = others[other].clone();
        if let Ok(tokenizer) = open(&[("tokenizer.json", description.to_string())], max_length) {
            for text in ["", "a good film", "[CLS] [MASK]", "\u{0}\u{301}é中国 zebra"] {
                if let Ok(encoded) = tokenizer.encode(text) {
                    prop_assert!(encoded.ids.len() <= max_length);
                }
            }
        }
    }
}

proptest! {
    /// Word by word gives what the library gives for the whole, whatever lies between and inside the words.
    #[test]
    fn words_have_the_ids_of_their_text(
        parts in prop::collection::vec(
            prop_oneof![
                "[a-zA-Z.,'!-]{1,6}", "[ \\t\\n\\r\u{A0}\u{2028}\u{3000}\u{0B}\u{0C}\u{85}]{1,3}",
                "(a|film|films|good|Good|goods|<a>|<A>|caf\u{E9}|cafe\u{301}|\u{4E2D}\u{56FD})",
                "[\u{301}\u{323}\u{308}]{1,2}", "(\\[MASK\\]|\\[UNK|\\[|##s)", "[\u{200B}\u{FEFF}\u{200D}\u{130}\u{3A3}]", any::<char>().prop_map(String::from),
            ],
            0..14,
        ),
        with_added in any::<bool>(),
    ) {
        let text = parts.concat();
        let added = json!({"GOODs": 16, "<a>": 17, "fi": 18, "[x": 19}).to_string();
        let mut files = vec![("tokenizer.json", tokenizer_json().to_string())];
        files.extend(with_added.then_some(("added_tokens.json", added)));
        let tokenizer = open(&files, 512).unwrap();
        prop_assert!(tokenizer.words.is_some());
        let expected = tokenizer.library(&text).unwrap();
        // The second time every word is known.
        for _ in 0..2 {
            let found = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(&found.ids[1..found.ids.len() - 1], &expected[..], "{:?}", &text);
            prop_assert_eq!(found.untruncated_len, expected.len() + 2);
        }
    }
}

#[test]
fn added_tokens_that_normalization_changes_keep_texts_whole() {
    let mut other = tokenizer_json();
    other["added_tokens"].as_array_mut().unwrap().push(json!({"id": 6, "special": false, "content": "a film",
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": true}));
    assert!(open(&[("tokenizer.json", other.to_string())], 512).unwrap().words.is_none());
    let mut other = tokenizer_json();
    other["pre_tokenizer"] = json!({"type": "Whitespace"});
    assert!(open(&[("tokenizer.json", other.to_string())], 512).unwrap().words.is_none());
}

#[test]
fn unknown_tokens_and_long_words_are_counted_beyond_the_cut() {
    let tokenizer = open(&[vocab_txt()], 5).unwrap();
    let texts = ["a film", "zebra 🙄🙄 film zebra zebra", "", "🙄", "[UNK] a"];
    let encoded = tokenizer.encode_batch(&texts).unwrap();
    assert_eq!(encoded.iter().map(|encoded| encoded.unknown).collect::<Vec<_>>(), [0, 4, 0, 1, 1]);
    assert_eq!((encoded[1].ids.as_slice(), encoded[1].truncated), (&[2, 1, 1, 6, 3][..], true));

    let (fits, long) = ("x".repeat(100), "x".repeat(101));
    let texts = [
        fits.clone(),
        long.clone(),
        format!("{long} a {long}"),
        format!("{fits}.{fits}"),
        format!("{fits}中{fits}"),
        // An accent more is dropped, a part that is written as one letter is not.
        format!("{fits}\u{301}"),
        "\u{AC01}".repeat(34),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let found = tokenizer.inspect_batch(&texts).unwrap();
    assert_eq!(found.iter().map(|found| found.long_words).collect::<Vec<_>>(), [0, 1, 2, 0, 0, 0, 1]);
    assert_eq!((found[2].tokens, found[2].encoded.unknown, found[2].encoded.untruncated_len), (3, 2, 5));
    for (text, found) in texts.iter().zip(&found) {
        assert_eq!(tokenizer.encode(text).unwrap(), found.encoded);
    }
}

proptest! {
    #[test]
    fn ids_have_the_same_hash_only_if_they_are_the_same(
        one in prop::collection::vec(0u32..3, 0..6),
        other in prop::collection::vec(0u32..3, 0..6),
    ) {
        prop_assert_eq!(IdsHash::new(&one) == IdsHash::new(&other), one == other);
        let texts = [&one, &other].map(|ids| ids.iter().map(|id| ["a ", "film ", "Good "][*id as usize]).collect::<String>());
        let tokenizer = open(&[vocab_txt()], 4).unwrap();
        let found = tokenizer.inspect_batch(&[texts[0].as_str(), &texts[1]]).unwrap();
        prop_assert_eq!(found[0].ids_hash == found[1].ids_hash, one == other);
    }
}

#[test]
fn texts_that_the_model_cannot_tell_apart_have_one_hash() {
    let tokenizer = open(&[vocab_txt()], 8).unwrap();
    let hash = |text: &str| tokenizer.inspect_batch(&[text]).unwrap()[0].ids_hash;
    assert_eq!(hash("Good caf\u{E9}"), hash(" GOOD  cafe\u{301}\n"));
    assert_eq!(hash("🙄"), hash("😍"));
    assert_ne!(hash("good cafe"), hash("cafe good"));
}

#[test]
fn lower_casing_a_cased_vocabulary_is_said() {
    let config = |fields: Value| ("tokenizer_config.json", fields.to_string());
    let notes = |files: &[(&str, String)]| open(files, 8).unwrap().notes().join("; ");
    let said = "the vocabulary has capital letters, but texts are lower-cased: tokenizer_config.json doesn't have \
                do_lower_case, and transformers' default is true (--keep-case keeps case)";
    assert_eq!(notes(&[vocab_txt()]), said);
    let mut cased = tokenizer_json();
    cased["normalizer"]["lowercase"] = json!(false);
    assert_eq!(notes(&[("tokenizer.json", cased.to_string())]), said);
    assert!(
        notes(&[vocab_txt(), config(json!({"do_lower_case": true}))])
            .contains("tokenizer_config.json has do_lower_case true")
    );
    assert_eq!(notes(&[vocab_txt(), config(json!({"do_lower_case": false}))]), "");

    let uncased = ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nfilm\n".to_owned());
    assert_eq!(notes(std::slice::from_ref(&uncased)), "");
    let kept = notes(&[uncased, config(json!({"do_lower_case": false}))]);
    assert!(kept.contains("hardly any capital letters") && kept.contains("--lower-case"), "{kept}");
    let gap = notes(&[
        ("added_tokens.json", json!({"<b>": 40, "film": 6, "<c>": 41, "<d>": 42, "<e>": 43}).to_string()),
        vocab_txt(),
    ]);
    let moved = "ids of added tokens follow the vocabulary, as in transformers: \"<b>\" has id 16, not 40, \"<c>\" has id 17, not \
                 41, \"<d>\" has id 18, not 42 and 1 more";
    assert!(gap.starts_with(moved), "{gap}");
}

#[test]
fn published_files_hold_the_casing() {
    let mut json_form = tokenizer_json();
    json_form["normalizer"]["lowercase"] = json!(true);
    let fast = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
    let forms = [
        vec![vocab_txt()],
        vec![("tokenizer.json", json_form.to_string()), ("added_tokens.json", json!({"<a>": 16}).to_string())],
        vec![("tokenizer.json", json_form.to_string()), ("tokenizer_config.json", fast.to_string())],
    ];
    for form in forms {
        let source = folder(&form);
        for casing in [Casing::AsConfigured, Casing::Keep, Casing::Lower] {
            let expected = Tokenizer::with_casing(source.path(), 8, casing).unwrap();
            let files = crate::published_files(source.path(), casing).unwrap();
            let named = |name: &str| files.iter().any(|(file, _)| file == name);
            assert!(form.iter().all(|(name, _)| named(name)), "{files:?}");
            let copy = tempfile::tempdir().unwrap();
            files.iter().for_each(|(name, bytes)| std::fs::write(copy.path().join(name), bytes).unwrap());
            let published = Tokenizer::from_folder(copy.path(), 8).unwrap();
            assert_eq!(published.sha256(), expected.sha256(), "{casing:?}");
            assert_eq!(crate::sha256(source.path(), casing).unwrap(), expected.sha256());
            let good = if casing == Casing::Keep { 9 } else { 8 };
            assert_eq!(ids(&published, "Good"), [2, good, 3], "{casing:?}");
        }
    }
    let mut other = tokenizer_json();
    other["normalizer"] = json!({"type": "Lowercase"});
    let source = folder(&[("tokenizer.json", other.to_string())]);
    let message = Tokenizer::with_casing(source.path(), 8, Casing::Keep).unwrap_err().to_string();
    assert!(message.contains("no BertNormalizer") && message.contains("--keep-case"), "{message}");
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let refusal = |name: &'static str, content: Value| {
        open(&[vocab_txt(), (name, content.to_string())], 8).unwrap_err().to_string()
    };
    for (name, content, said) in [
        ("added_tokens.json", json!({"<a>": "16"}), "token \"<a>\": expected an id from 0 to 2147483647, found \"16\""),
        ("added_tokens.json", json!({"<a>": -1}), "found -1"),
        ("added_tokens.json", json!({"\u{301}": 16}), "the added token \"\\u{301}\" has no visible character"),
        ("added_tokens.json", json!(["<a>"]), "is not a JSON object"),
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"x": {"content": "<a>"}}}),
            "expected a token id, found \"x\"",
        ),
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"16": {"special": true}}}),
            "expected a token with \"content\"",
        ),
        ("tokenizer_config.json", json!({"unk_token": "<unk>"}), "unk_token \"<unk>\" is not in the vocabulary"),
        ("special_tokens_map.json", json!({"cls_token": 7}), "cls_token: expected a token, found 7"),
    ] {
        let message = refusal(name, content);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn padding_is_the_token_that_the_folder_names() {
    assert_eq!(open(&[vocab_txt()], 9).unwrap().padding(), Some(0));
    let named = ("tokenizer_config.json", json!({"pad_token": "[MASK]"}).to_string());
    assert_eq!(open(&[vocab_txt(), named], 9).unwrap().padding(), Some(4));
    let without = ("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n".to_owned());
    assert_eq!(open(&[without], 9).unwrap().padding(), None);
}
