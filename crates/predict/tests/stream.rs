//! Rows in, the same rows out in their order, each with the prediction that its text gets alone.

use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};

use model::{Config, Precision, SequenceClassifier};
use predict::{CHUNK_ROWS, ChunkPolicy, PredictError, Prediction, Predictor, RowWithText, stream};
use tch::Device;

const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 8, "initializer_range": 0.5,
    "id2label": {"0": "negative", "1": "neutral", "2": "positive"}}"#;

fn predictor() -> Predictor {
    let run = tempfile::tempdir().unwrap();
    let config = Config::from_json(CONFIG, Path::new("config.json")).unwrap();
    SequenceClassifier::random(config, Device::Cpu, Precision::Fp32, 7).save(run.path()).unwrap();
    std::fs::write(run.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\ngood\nfilm\n##s\n.\n").unwrap();
    Predictor::open(run.path(), Device::Cpu, Precision::Fp32).unwrap()
}

#[derive(Debug, Clone, PartialEq)]
struct NumberedText(usize, &'static str);

impl RowWithText for NumberedText {
    fn text(&self) -> Option<&str> {
        Some(self.1).filter(|text| !text.is_empty())
    }

    fn size(&self) -> usize {
        self.1.len()
    }
}

#[derive(Debug)]
enum Failure {
    Read(&'static str),
    Write,
}

impl From<&'static str> for Failure {
    fn from(what: &'static str) -> Self {
        Self::Read(what)
    }
}

impl From<PredictError> for Failure {
    fn from(error: PredictError) -> Self {
        panic!("{error}")
    }
}

fn by(predictor: &Predictor) -> impl Fn(&[&str]) -> Result<Vec<Prediction>, Failure> {
    move |texts: &[&str]| Ok(predictor.predict(texts)?)
}

type Answered = Vec<(NumberedText, Option<Prediction>)>;

/// The predictions of two ways to batch the same texts differ by rounding only.
fn assert_equal(one: &Prediction, other: &Prediction) {
    assert_eq!((&one.label, one.truncated, one.unknown_words), (&other.label, other.truncated, other.unknown_words));
    for ((_, one), (_, other)) in one.probabilities.iter().zip(&other.probabilities) {
        assert!((one - other).abs() < 1e-5, "{one} {other}");
    }
}

#[test]
fn every_row_comes_back_in_its_place_with_the_prediction_of_its_text() {
    let predictor = predictor();
    let texts = ["a good film.", "", "films", "a qqq film", "a a a a a a a a a", "good good."];
    let alone: Vec<Prediction> = texts.iter().map(|text| predictor.predict(&[text]).unwrap().remove(0)).collect();
    let rows = 2 * CHUNK_ROWS + 5;
    let read = (0..rows).map(move |row| Ok::<_, &str>(NumberedText(row, texts[row % texts.len()])));
    let (mut answered, mut chunks) = (Answered::new(), 0);
    stream(by(&predictor), read, ChunkPolicy::Full, |chunk| {
        answered.extend(chunk);
        chunks += 1;
        Ok::<_, Failure>(())
    })
    .unwrap();
    assert_eq!((answered.len(), chunks), (rows, 3));
    for (row, (read, prediction)) in answered.iter().enumerate() {
        assert_eq!(*read, NumberedText(row, texts[row % texts.len()]));
        match prediction {
            Some(prediction) => assert_equal(prediction, &alone[row % texts.len()]),
            None => assert_eq!(read.1, ""),
        }
    }
    assert_eq!((alone[3].unknown_words, alone[3].nothing_known(), alone[4].truncated), (1, false, true));
    assert!(predictor.predict(&["qqq qq"]).unwrap()[0].nothing_known());
}

#[test]
fn an_answer_comes_before_the_next_row_is_there() {
    let predictor = predictor();
    let (questions, asked) = channel();
    let (answers, answered) = sync_channel(1);
    let client = std::thread::spawn(move || {
        for row in 0..3 {
            questions.send(Ok::<_, &str>(NumberedText(row, "a good film."))).unwrap();
            let (read, prediction): (NumberedText, Option<Prediction>) = answered.recv().unwrap();
            assert_eq!((read.0, prediction.is_some()), (row, true));
        }
    });
    stream(by(&predictor), asked.into_iter(), ChunkPolicy::Available, |chunk| {
        chunk.into_iter().for_each(|row| answers.send(row).unwrap());
        Ok::<_, Failure>(())
    })
    .unwrap();
    client.join().unwrap();
}

#[test]
fn rows_before_an_unreadable_one_are_answered_and_none_behind_it() {
    let read = (0..5).map(|row| if row == 3 { Err("row 3 is torn") } else { Ok(NumberedText(row, "films")) });
    let mut answered = Answered::new();
    let outcome = stream(by(&predictor()), read, ChunkPolicy::Full, |chunk| {
        answered.extend(chunk);
        Ok::<_, Failure>(())
    });
    assert!(matches!(outcome, Err(Failure::Read("row 3 is torn"))), "{outcome:?}");
    assert_eq!(answered.iter().map(|(row, _)| row.0).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn an_output_that_is_closed_ends_it_though_the_input_stays_open() {
    let (questions, asked) = channel();
    questions.send(Ok::<_, &str>(NumberedText(0, "films"))).unwrap();
    let outcome = stream(by(&predictor()), asked.into_iter(), ChunkPolicy::Available, |_| Err(Failure::Write));
    assert!(matches!(outcome, Err(Failure::Write)), "{outcome:?}");
    drop(questions);
}
