//! What the model's vocabulary makes of texts, and what a refusal leaves behind.

use super::*;

#[test]
fn texts_that_the_vocabulary_does_not_know_are_refused() {
    let workspace = TempWorkspace::new();
    let row =
        |row: usize| format!("{},{}\n", ["🥰", "😡", "😂", "💔"][row % 4].repeat(1 + row / 4), ["pos", "neg"][row % 2]);
    let rows: String = (0..30).map(row).collect();
    fs::write(workspace.path("data/train.csv"), format!("text,label\n{rows}good film,pos\nbad film,neg\n")).unwrap();
    let message = workspace.prepare(&["--max-length", "16"]).unwrap_err().to_string();
    for line in [
        "train: 30 of 34 tokens (88.2 %) are unknown to the model's vocabulary, such as \"🥰\" (train.csv row 1); up to \
         20.0 % is accepted (--max-unknown 0.2)",
        "train: 30 of 32 rows (93.8 %) have no token that the model's vocabulary knows",
        "train: 30 of 32 rows (93.8 %) have the same text as a row with a different label",
    ] {
        assert!(message.contains(line), "no {line:?} in {message}");
    }
    assert!(!workspace.path("out").exists(), "nothing was written");

    let page = summary::render(&workspace.prepare(&["--max-length", "16", "--allow-leakage"]).unwrap());
    for line in [
        "unknown tokens 30 (88.2 %) ! - - 20.0 %",
        "no other token in the text 30 (93.8 %) ! - - 5.0 %",
        "tokens of another text 29 (90.6 %) - -",
        "train: \"🥰\": train.csv row 1, unknown tokens only",
        "train: \"😡\" has the tokens of \"🥰\": train.csv row 2 and train.csv row 1",
    ] {
        assert!(lines(&page).iter().any(|found| found == line), "no line {line:?} in\n{page}");
    }
}

#[test]
fn a_refusal_leaves_the_older_data_and_the_folders_as_they_were() {
    let workspace = TempWorkspace::new();
    workspace.prepare(&["--max-length", "16"]).unwrap();
    let before = fs::read(workspace.path("out/own/manifest.json")).unwrap();
    fs::copy(workspace.path("data/train.csv"), workspace.path("data/test.csv")).unwrap();
    workspace.prepare(&["--max-length", "16"]).unwrap_err();
    assert_eq!(workspace.out(), ["own"]);
    assert_eq!(fs::read(workspace.path("out/own/manifest.json")).unwrap(), before);
}

#[test]
fn a_cased_vocabulary_is_lower_cased_aloud_or_kept_by_flag() {
    let workspace = TempWorkspace::new();
    workspace.vocabulary(&["Good", "Bad", "Film", "A", "B", "C"]);
    let outcome = workspace.prepare(&["--max-length", "16"]).unwrap();
    let manifest = &outcome.prepared.manifest;
    assert_eq!(manifest.lower_case, None);
    assert!(
        manifest
            .notes
            .iter()
            .any(|note| note.contains("the vocabulary has capital letters, but texts are lower-cased")
                && note.contains("--keep-case")),
        "{:?}",
        manifest.notes
    );
    let kept = workspace.prepare(&["--max-length", "16", "--keep-case"]).unwrap();
    assert!(!kept.already_prepared);
    let kept = &kept.prepared.manifest;
    assert_eq!((kept.lower_case, kept.notes.len() + 1), (Some(false), manifest.notes.len()));
    assert_ne!(kept.tokenizer_sha256, manifest.tokenizer_sha256);
    assert_ne!(kept.fingerprint, manifest.fingerprint);
    let both = Cli::try_parse_from(["prepare", "--keep-case", "--lower-case"]);
    assert!(both.is_err_and(|error| error.to_string().contains("cannot be used with")));
}

#[test]
fn a_shorter_length_of_the_model_is_said() {
    let workspace = TempWorkspace::new();
    let config = |length: &str| {
        fs::write(workspace.path("model/tokenizer_config.json"), format!("{{\"model_max_length\": {length}}}"))
    };
    config("8").unwrap();
    let notes = workspace.prepare(&["--max-length", "16"]).unwrap().prepared.manifest.notes;
    let said = "tokenizer_config.json has model_max_length 8, but texts may have 16 tokens (--max-length 8 truncates them there)";
    assert!(notes.iter().any(|note| note == said), "{notes:?}");
    config("1000000000000000019884624838656").unwrap();
    let notes = workspace.prepare(&["--max-length", "12"]).unwrap().prepared.manifest.notes;
    assert!(!notes.iter().any(|note| note.contains("model_max_length")), "{notes:?}");
}

#[test]
fn an_audit_of_an_older_program_is_made_again() {
    let workspace = TempWorkspace::new();
    workspace.prepare(&["--max-length", "16"]).unwrap();
    let path = workspace.path("out/own/audit.json");
    let mut audit: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    audit["splits"]["train"].as_object_mut().unwrap().remove("vocabulary").expect("a count of newer programs");
    fs::write(&path, audit.to_string()).unwrap();
    let manifest = workspace.path("out/own/manifest.json");
    let mut fields: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    fields["audit_sha256"] = disk::sha256_hex(audit.to_string()).into();
    fs::write(&manifest, fields.to_string()).unwrap();

    Prepared::open(&workspace.path("out/own")).unwrap().verify().expect("training still uses it");
    let again = workspace.prepare(&["--max-length", "16"]).unwrap();
    assert!(!again.already_prepared && again.prepared.audit().is_ok());
}
