//! GLUE's form of SST-2, from the Hugging Face Hub.

use std::path::PathBuf;

use table::ColumnRequest;

use super::choice::Source;
use super::named::{LoadRequest, NamedDataset};
use super::{TWO_CLASSES, hub, split_tables};
use crate::error::DataError;
use crate::loaded::Loaded;
use crate::thousands::grouped;

pub(super) static DATASETS: [NamedDataset; 1] = [SST2];

const SST2: NamedDataset = NamedDataset {
    name: "glue-sst2",
    about: "GLUE's selection: phrases to train on, sentences to test on; the test labels are hidden",
    label_names: TWO_CLASSES,
    rows: [67_349, 872, 1_821],
    license: "not stated by its publisher; GLUE, Wang et al. 2019, after Socher et al. 2013",
    flags: &["--drop-empty"],
    downloads: &[(Source::Hub, download)],
    folder: None,
};

const DISAMBIGUATION: &str = "This is GLUE's SST-2: 67,349 phrases to train on, whole sentences only in validation \
    (872) and test (1,821), and the test labels are hidden, so scores are on validation. It is not the treebank's own \
    two-class form (sst2: 6,920 training sentences, test labels public), nor the five-class SST-5 (sst5: 8,544 training \
    sentences). Its scores don't compare with theirs.";

const REPO: &str = "stanfordnlp/sst2";
const FILES: [&str; 3] =
    ["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"];

fn download(request: &LoadRequest<'_>) -> Result<Loaded, DataError> {
    let (files, commit) = hub::files(REPO, FILES)?;
    read(files, format!("Hugging Face Hub, {REPO} ({commit})"), request.options.drop_empty)
}

/// Reads three files with GLUE's columns: `idx`, `sentence`, `label`, the test split's labels all -1.
fn read(files: [PathBuf; 3], source: String, drop_empty: bool) -> Result<Loaded, DataError> {
    let columns = ColumnRequest { text: Some("sentence"), label: Some("label"), label_optional: false };
    let loaded = split_tables::load(&SST2, files, columns, source, drop_empty)?;
    let [train, validation, test] = loaded.splits().map(|(_, records)| grouped(records.len()));
    let variant = format!(
        "GLUE SST-2: {train} training phrases, {validation} validation sentences, {test} unlabeled test sentences; not \
         the treebank's own 6,920/872/1,821 sentences"
    );
    Ok(Loaded { variant, disambiguation: Some(DISAMBIGUATION.into()), ..loaded })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};

    use super::*;
    use crate::record::Record;
    use crate::source::tests::{TempDataset, integers, parquet, strings};

    #[test]
    fn glue_of_the_hub() {
        let temp = TempDataset::new();
        let file = |split: &str, labels: &[i64]| {
            let sentences: Vec<String> =
                labels.iter().enumerate().map(|(i, _)| format!("{split} sentence {i} ")).collect();
            let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
            let index = Int32Array::from_iter_values(0..labels.len() as i32);
            let columns = vec![
                ("idx", Arc::new(index) as ArrayRef),
                ("sentence", strings(&sentences)),
                ("label", integers(labels)),
            ];
            parquet(temp.path().join(format!("data/{split}-00000-of-00001.parquet")), columns, &[])
        };
        let files = [file("train", &[0, 1, 1]), file("validation", &[1, 0]), file("test", &[-1, -1])];
        let loaded = read(files.clone(), "the Hub".into(), false).expect("a data set");
        assert_eq!(loaded.label_names, ["negative", "positive"]);
        let labels = |records: &[Record]| records.iter().map(|record| record.label).collect::<Vec<_>>();
        assert_eq!(labels(&loaded.train), [Some(0), Some(1), Some(1)]);
        assert_eq!(labels(&loaded.test), [None, None]);
        let disambiguation = loaded.disambiguation.expect("GLUE's form has a disambiguation");
        for figure in ["67,349 phrases", "872", "1,821", "labels are hidden", "6,920", "8,544"] {
            assert!(disambiguation.contains(figure), "{figure} is not in {disambiguation}");
        }
        assert!(loaded.variant.starts_with("GLUE SST-2: 3 training phrases, 2 validation sentences, 2 unlabeled test"));
        file("train", &[0, 1, 2]);
        let error = read(files, "the Hub".into(), false).expect_err("2 is no label of GLUE's").to_string();
        assert_eq!(
            temp.plain(&error),
            "data/train-00000-of-00001.parquet: row 3, column \"label\": label \"2\" is not one of 0, 1 (hint: --label-map)"
        );
    }
}
