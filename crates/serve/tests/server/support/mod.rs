//! A server in this process, with a model that is none: what it answers follows from the words of a text.

use std::error::Error;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use judge::{Completeness, Explanation, WordAttribution};
use serde_json::Value;
use serve::{
    Classifier, ServeConfig, ServeError, ServedModel, Server, StopHandle, StopRequest, TextExplainer, TextScores,
};
use test_support::{HttpAnswer, HttpConnection};
use tokenize::{Batch, Tokenizer};

/// Words that make the model do something else than answer; their place in the vocabulary is their id.
const WORDS: [&str; 15] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "panic", "fail", "nan", "slow", "huge", "a", "film",
    "##s",
];

const PANIC: i64 = 7;
const FAIL: i64 = 8;
const NAN: i64 = 9;
const SLOW: i64 = 10;
const HUGE: i64 = 11;

/// How long the model takes for a batch with the word `slow`.
pub(crate) const SLOW_BATCH: Duration = Duration::from_millis(150);

/// Scores of three classes: `negative`, `neutral`, `positive`. The batches that it has seen are kept, as lengths of texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordClassifier {
    pub batches: Arc<Mutex<Vec<Vec<usize>>>>,
    /// What each batch takes.
    pub pause: Duration,
    /// What each pass of an explanation takes; `None` where nothing is explained.
    pub explains: Option<Duration>,
    /// Passes of explanations.
    pub passes: Arc<AtomicUsize>,
}

/// Passes of an explanation.
pub(crate) const PASSES: usize = 10;

impl Classifier for WordClassifier {
    fn classify(&mut self, batch: &Batch) -> Result<Vec<TextScores>, Box<dyn Error + Send + Sync>> {
        let texts: Vec<&[i64]> =
            batch.cu_seqlens.windows(2).map(|place| &batch.input_ids[place[0] as usize..place[1] as usize]).collect();
        self.batches.lock().unwrap().push(texts.iter().map(|text| text.len()).collect());
        std::thread::sleep(self.pause);
        let has = |word: i64| batch.input_ids.contains(&word);
        assert!(!has(PANIC), "the panic of a test");
        if has(FAIL) {
            return Err("no memory, at an address that is nobody's business".into());
        }
        if has(SLOW) {
            std::thread::sleep(SLOW_BATCH);
        }
        Ok(texts.into_iter().map(scores).collect())
    }

    fn explainer(&mut self) -> Result<Option<Box<dyn TextExplainer>>, Box<dyn Error + Send + Sync>> {
        let explainer = |pause| Box::new(WordExplainer { pause, passes: Arc::clone(&self.passes) });
        Ok(self.explains.map(|pause| explainer(pause) as Box<dyn TextExplainer>))
    }
}

/// Gives each word its number as its attribution.
struct WordExplainer {
    pause: Duration,
    passes: Arc<AtomicUsize>,
}

impl TextExplainer for WordExplainer {
    fn explain(
        &mut self,
        text: &str,
        class: Option<usize>,
        pause: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Explanation>, Box<dyn Error + Send + Sync>> {
        assert!(!text.contains("panic"), "the panic of a test");
        if text.contains("fail") {
            return Err("no memory, at an address that is nobody's business".into());
        }
        for _ in 0..PASSES {
            std::thread::sleep(self.pause);
            self.passes.fetch_add(1, Ordering::SeqCst);
            if pause().is_break() {
                return Ok(None);
            }
        }
        let word = |(number, text): (usize, &str)| {
            let attribution = if text == "nan" { f64::NAN } else { number as f64 };
            WordAttribution { text: text.to_owned(), start: 0, end: 1, attribution, leave_one_out: None }
        };
        let label = class.map_or("predicted".to_owned(), |class| format!("class {class}"));
        Ok(Some(Explanation {
            text: text.to_owned(),
            label,
            predicted: "negative".to_owned(),
            probability: 0.5,
            words: text.split(' ').enumerate().map(word).collect(),
            completeness: Completeness {
                logit: 1.0,
                baseline_logit: 0.0,
                sum: 1.0,
                relative_error: 0.0,
                steps: PASSES,
            },
            leave_one_out_correlation: None,
            truncated: false,
            unknown_words: 0,
        }))
    }
}

fn scores(ids: &[i64]) -> TextScores {
    let count = |word: i64| ids.iter().filter(|id| **id == word).count() as f32;
    let mut logits = vec![count(6), 0.25, count(5)];
    if ids.contains(&NAN) {
        logits[1] = f32::NAN;
    }
    if ids.contains(&HUGE) {
        logits = vec![-1e38, 1e38, 3.0];
    }
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    TextScores { probabilities: powers.iter().map(|power| power / sum).collect(), logits }
}

/// A tokenizer of [`WORDS`] for texts of up to 8 tokens.
pub(crate) fn tokenizer(folder: &Path) -> Tokenizer {
    std::fs::write(folder.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), r#"{"do_lower_case": true}"#).unwrap();
    Tokenizer::from_folder(folder, 8).unwrap()
}

/// A server that stops when it is dropped.
pub(crate) struct TestServer {
    pub address: SocketAddr,
    pub classifier: WordClassifier,
    stop: StopHandle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: tempfile::TempDir,
}

impl TestServer {
    pub(crate) fn start(configure: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::with(WordClassifier::default(), configure)
    }

    pub(crate) fn with(classifier: WordClassifier, configure: impl FnOnce(&mut ServeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServeConfig { port: 0, ..ServeConfig::default() };
        configure(&mut config);
        let label_names = ["negative", "neutral", "positive"].map(str::to_owned).into();
        let model =
            ServedModel { id: "words".to_owned(), dtype: "float32".to_owned(), device: "cpu".to_owned(), label_names };
        let stop = StopHandle::default();
        let request = StopRequest::Handle(stop.clone());
        let server = Server::start(config, model, tokenizer(folder.path()), classifier.clone(), request).unwrap();
        classifier.batches.lock().unwrap().clear();
        let address = server.address();
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { address, classifier, stop, thread, _folder: folder }
    }

    pub(crate) fn connect(&self) -> HttpConnection {
        HttpConnection::open(self.address).expect("the server listens")
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> HttpAnswer {
        self.connect().post(path, body).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> HttpAnswer {
        self.connect().request("GET", path, &[], b"").expect("an answer")
    }

    /// The labels of a request for one text, which must succeed.
    pub(crate) fn labels(&self, text: &str) -> Value {
        let answer = self.post("/predict", serde_json::json!({ "inputs": text }).to_string());
        assert_eq!(answer.status, 200, "{text}: {}", answer.text());
        json(&answer)
    }

    /// The value of a counter.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics");
        let value = answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0.0)
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.stop();
    }

    /// How the server ends, after it was told to stop.
    pub(crate) fn end(mut self) -> Result<(), ServeError> {
        self.stop.stop();
        self.thread.take().expect("a running server").join().expect("no panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn json(answer: &HttpAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// The status and the `error_type` of an answer that reports an error in the form of every error.
pub(crate) fn refusal(answer: &HttpAnswer) -> (u16, String) {
    let body = json(answer);
    let message = body["error"].as_str().unwrap_or_else(|| panic!("{body}"));
    assert!(!message.is_empty() && body.as_object().unwrap().len() == 2, "{body}");
    (answer.status, body["error_type"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}
