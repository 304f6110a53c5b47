use proptest::prelude::*;
use tempfile::TempDir;

use crate::tests::{read, refused, texts_of};

const SOUND: &str =
    "id,text,label\n1,\"a \"\"fine\"\" film, really\",pos\n2,dull,neg\n3,\"two\nlines\",pos\n4,é 👍,neg\n";

#[test]
fn changed_csv_never_panics() {
    assert!((500..3999).contains(&refused("sound.csv", SOUND.as_bytes(), 4000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_a_csv_writer_writes_is_read_back(texts in prop::collection::vec("[a-z,\"\n\ré👍 ;]{1,12}", 1..20)) {
        let desk = TempDir::new().expect("a temporary folder");
        for (name, delimiter) in [("a.csv", b','), ("a.tsv", b'\t')] {
            let path = desk.path().join(name);
            let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_path(&path).expect("a writer");
            writer.write_record(["text", "label"]).expect("written");
            for text in &texts {
                writer.write_record([text.as_str(), "1"]).expect("written");
            }
            writer.flush().expect("flushed");
            prop_assert_eq!(&texts_of(read(&path).expect("a table")), &texts);
        }
    }
}
