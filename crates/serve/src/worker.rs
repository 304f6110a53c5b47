//! The one thread that owns the model. A batch that fails is answered as failed, and the next one is computed.

use std::any::Any;
use std::error::Error;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use judge::{Completeness, Explanation};
use tokenize::Batch;

use crate::classifier::{Classifier, TextExplainer, TextScores};
use crate::error::{RequestError, ServeError};
use crate::explanations::WaitingExplanation;
use crate::fair_line::TakenText;
use crate::queue::{Work, WorkQueue};
use crate::state::AppState;

/// Passes over a first text before the server listens: the first has one-time costs, the others show the speed.
const WARM_UP_PASSES: usize = 3;

/// Starts the thread, after the model has scored a first text.
///
/// # Errors
/// A model that fails on it, and a thread that can't be started.
pub(crate) fn start(app: &AppState, mut classifier: impl Classifier) -> Result<JoinHandle<()>, ServeError> {
    let app = app.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let work = move || {
        let end = AbandonAtEnd(Arc::clone(&app.queue));
        let warm = warm_up(&app, &mut classifier);
        let failed = warm.is_err();
        // The other end waits for it.
        let _ = ready.send(warm);
        if !failed {
            run(&app, &end.0, &mut classifier);
        }
    };
    let thread = std::thread::Builder::new().name("model".to_owned()).spawn(work);
    let thread = thread.map_err(|source| ServeError::System { what: "failed to start a thread", source })?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(message)) => Err(ServeError::Model(message)),
        Err(_) => Err(ServeError::Model("its thread has ended".to_owned())),
    }
}

fn warm_up(app: &AppState, classifier: &mut impl Classifier) -> Result<(), String> {
    let text = "A first text of the usual length, so that the model's first answer to a request is not its slowest.";
    let encoded = app.tokenizer.encode(text).map_err(|error| error.to_string())?;
    let batch = Batch::from_ids(&[encoded.ids.as_slice(); 8]);
    for _ in 0..WARM_UP_PASSES {
        let began = Instant::now();
        let scores = classify(classifier, &batch, app.model.label_names.len())?;
        app.queue.observe_speed(batch.tokens(), began.elapsed());
        if !scores.iter().all(TextScores::are_finite) {
            return Err("its scores are not finite numbers".to_owned());
        }
    }
    Ok(())
}

fn run(app: &AppState, queue: &WorkQueue, classifier: &mut impl Classifier) {
    let mut explainer = None;
    while let Some(work) = queue.next_work(&app.metrics) {
        match work {
            Work::Batch(taken) => score(app, queue, classifier, &taken),
            Work::Explanation(asked) => explain(app, queue, classifier, &mut explainer, asked),
        }
    }
}

fn score(app: &AppState, queue: &WorkQueue, classifier: &mut impl Classifier, taken: &[TakenText]) {
    let ids: Vec<&[u32]> = taken.iter().map(|text| text.ids.as_slice()).collect();
    let batch = Batch::from_ids(&ids);
    app.metrics.batch(batch.len(), batch.tokens());
    let began = Instant::now();
    match classify(classifier, &batch, app.model.label_names.len()) {
        Ok(scores) => queue.complete(taken, scores, began.elapsed()),
        Err(message) => {
            app.log.message(format!(
                "error: the model failed on a batch of {} texts, {} tokens: {message}",
                batch.len(),
                batch.tokens()
            ));
            queue.fail(taken, &RequestError::ModelFailed);
        }
    }
}

/// Explains a text; after each pass a batch that waits is scored, so that texts wait for one pass and not for all.
fn explain(
    app: &AppState,
    queue: &WorkQueue,
    classifier: &mut impl Classifier,
    explainer: &mut Option<Box<dyn TextExplainer>>,
    asked: WaitingExplanation,
) {
    let WaitingExplanation { text, class, reply } = asked;
    // Unwind safety: what may be left half done is dropped below.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if explainer.is_none() {
            *explainer = classifier.explainer()?;
        }
        let Some(explainer) = explainer else { return Ok(Err(RequestError::NoExplainer)) };
        let explanation = explainer.explain(&text, class, &mut || {
            let taken = queue.waiting_batch(&app.metrics);
            if !taken.is_empty() {
                score(app, queue, classifier, &taken);
            }
            if reply.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // Without one nobody waits for it.
        Ok(explanation?.ok_or(RequestError::ModelFailed))
    }));
    let failed: Box<dyn Error + Send + Sync> = match outcome {
        Ok(Ok(Ok(explanation))) if !is_finite(&explanation) => return drop(reply.send(Err(RequestError::NotFinite))),
        Ok(Ok(answer)) => return drop(reply.send(answer)),
        Ok(Err(error)) => error,
        Err(payload) => {
            *explainer = None;
            panic_message(payload.as_ref()).into()
        }
    };
    app.log.message(format!("error: the model failed to explain a text: {failed}"));
    // Nobody may wait for it any more.
    let _ = reply.send(Err(RequestError::ModelFailed));
}

/// Whether JSON can express all numbers.
fn is_finite(explanation: &Explanation) -> bool {
    let Completeness { logit, baseline_logit, sum, relative_error, .. } = explanation.completeness;
    let numbers = [explanation.probability, logit, baseline_logit, sum, relative_error];
    let words = explanation.words.iter().map(|word| word.attribution);
    numbers.into_iter().chain(words).all(f64::is_finite)
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// The scores of a batch; an error also where the model panics or returns something else than scores for each text.
fn classify(classifier: &mut impl Classifier, batch: &Batch, classes: usize) -> Result<Vec<TextScores>, String> {
    // Unwind safety: the trait asks for a model that is fit for the next batch.
    let outcome = catch_unwind(AssertUnwindSafe(|| classifier.classify(batch)));
    let scores = match outcome {
        Ok(outcome) => outcome.map_err(|error| error.to_string())?,
        Err(payload) => return Err(panic_message(payload.as_ref())),
    };
    let fits = |scores: &TextScores| scores.logits.len() == classes && scores.probabilities.len() == classes;
    if scores.len() != batch.len() || !scores.iter().all(fits) {
        return Err(format!("expected {classes} scores for each of {} texts, found something else", batch.len()));
    }
    Ok(scores)
}

/// Says that no more batches are taken, however the thread ends.
struct AbandonAtEnd(Arc<WorkQueue>);

impl Drop for AbandonAtEnd {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// # Errors
/// Where the thread panicked, which `classify` doesn't let happen.
pub(crate) fn join(thread: JoinHandle<()>) -> Result<(), ServeError> {
    let failed = || ServeError::System { what: "the model's thread", source: io::Error::other("it panicked") };
    thread.join().map_err(|_| failed())
}
