//! The one queue between requests and the model: who is let in, and what waits when the model is free.
//!
//! After a pause of the machine the queue is long and gets shorter, and nobody has to be refused. Where more arrives than is
//! answered, or the queue has not been empty for long, it would make every request wait and serve nobody better, so it is kept
//! short. The latter is the idea of CoDel (Nichols and Jacobson 2012), with admission in place of dropping.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use judge::Explanation;
use tokio::sync::oneshot;

use crate::classifier::TextScores;
use crate::config::ServeLimits;
use crate::error::RequestError;
use crate::explanations::{ExplanationLine, WaitingExplanation};
use crate::fair_line::{FairLine, QUANTUM_TOKENS, Scored, TakenText, WaitingRequest};
use crate::metrics::Metrics;

/// Tokens and requests that may wait however slow the model is: 32 clients that send one text at a time are never refused.
const ALWAYS_ADMITTED_TOKENS: usize = 4 * QUANTUM_TOKENS;
const ALWAYS_ADMITTED_REQUESTS: usize = 32;
/// How much longer than [`ServeLimits::max_queue_time`] a queue may be that gets shorter.
const BURST_FACTOR: f64 = 16.0;
/// A queue that was not empty for so long does not get shorter.
const STANDING_AFTER: Duration = Duration::from_secs(2);
/// Nor does one to which this many times as much is brought as the model computes. More than once, because the model is
/// faster with the large batches of a long queue than it was before.
const OVERLOAD: f64 = 1.3;
/// Over how long what is brought is averaged: half of the weight is of the last third of a second.
const ARRIVALS_OVER: Duration = Duration::from_millis(500);
/// How often a request that may wait for room looks for it.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);
/// The weight of the newest pass in the measured speed.
const NEWEST_WEIGHT: f64 = 0.1;

/// What happens to a request that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It is refused at once.
    Refuse,
    /// It waits for room: the pieces of a file that is being labeled.
    Wait,
}

/// What becomes of texts that are brought to the queue.
#[derive(Debug)]
enum Admission {
    /// Where their scores arrive.
    Admitted(oneshot::Receiver<Result<Scored, RequestError>>),
    /// There is no room for them.
    Full(Vec<Vec<u32>>),
}

/// What the model's thread does next.
#[derive(Debug)]
pub(crate) enum Work {
    Batch(Vec<TakenText>),
    Explanation(WaitingExplanation),
}

/// The queue. Requests are submitted from any thread; one thread takes batches.
#[derive(Debug)]
pub(crate) struct WorkQueue {
    state: Mutex<QueueContent>,
    changed: Condvar,
    limits: ServeLimits,
}

#[derive(Debug)]
struct QueueContent {
    line: FairLine,
    explanations: ExplanationLine,
    tokens_per_second: f64,
    /// Tokens a second that are brought, refused ones included, at the time of the last ones.
    brought_per_second: f64,
    last_brought: Instant,
    /// When a batch last took all that waited.
    last_empty: Instant,
    /// The model's thread takes batches.
    alive: bool,
    /// No more requests are let in.
    closed: bool,
}

impl WorkQueue {
    pub(crate) fn new(limits: &ServeLimits) -> Self {
        let now = Instant::now();
        let state = QueueContent {
            line: FairLine::default(),
            explanations: ExplanationLine::default(),
            tokens_per_second: 0.0,
            brought_per_second: 0.0,
            last_brought: now,
            last_empty: now,
            alive: true,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), limits: limits.clone() }
    }

    /// The scores of texts, given as their token ids.
    ///
    /// A caller that drops the future gives the request up.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`] at once where the queue is full and `when_full` doesn't wait; a pass that fails; a
    /// model that has stopped.
    pub(crate) async fn submit(&self, mut texts: Vec<Vec<u32>>, when_full: WhenFull) -> Result<Scored, RequestError> {
        self.lock().observe_brought(texts.iter().map(Vec::len).sum(), Instant::now());
        let answer = loop {
            match self.admit(texts)? {
                Admission::Admitted(answer) => break answer,
                Admission::Full(refused) if when_full == WhenFull::Wait => texts = refused,
                Admission::Full(_) => return Err(RequestError::Overloaded),
            }
            tokio::time::sleep(ROOM_INTERVAL).await;
        };
        answer.await.unwrap_or(Err(RequestError::Unhealthy))
    }

    /// Why a text has its label, or how much speaks for another class.
    ///
    /// A caller that drops the future gives the request up.
    ///
    /// # Errors
    /// [`RequestError::Overloaded`] where too many wait for explanations; a model that fails or has stopped.
    pub(crate) async fn explain(&self, text: String, class: Option<usize>) -> Result<Explanation, RequestError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            state.check_open()?;
            state.explanations.push(WaitingExplanation { text, class, reply })?;
        }
        self.changed.notify_one();
        answer.await.unwrap_or(Err(RequestError::Unhealthy))
    }

    /// Puts texts into the line if there is room for them.
    fn admit(&self, texts: Vec<Vec<u32>>) -> Result<Admission, RequestError> {
        let mut state = self.lock();
        state.check_open()?;
        if !self.has_room(&state) {
            return Ok(Admission::Full(texts));
        }
        let (reply, answer) = oneshot::channel();
        state.line.push(WaitingRequest::new(texts, reply));
        drop(state);
        self.changed.notify_one();
        Ok(Admission::Admitted(answer))
    }

    /// Whether a new request would be answered in time.
    fn has_room(&self, state: &QueueContent) -> bool {
        let (requests, ahead) = (state.line.len(), state.line.tokens_ahead());
        if requests >= self.limits.max_concurrent_requests {
            return false;
        }
        let few = requests <= ALWAYS_ADMITTED_REQUESTS && ahead <= ALWAYS_ADMITTED_TOKENS;
        // An empty queue has not been standing, however long ago a batch was taken.
        let stands = requests > 0 && state.last_empty.elapsed() >= STANDING_AFTER;
        let grows = state.brought_per_second > OVERLOAD * state.tokens_per_second;
        let time = self.limits.max_queue_time.as_secs_f64() * if stands || grows { 1.0 } else { BURST_FACTOR };
        few || ahead as f64 <= state.tokens_per_second * time
    }

    /// Waits for work. An explanation comes first: it lets batches in after each of its passes. `None` when the queue is closed
    /// and everything is taken.
    pub(crate) fn next_work(&self, metrics: &Metrics) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(explanation) = state.explanations.next() {
                return Some(Work::Explanation(explanation));
            }
            let batch = state.take_batch(self.limits.max_batch_tokens, metrics);
            if !batch.is_empty() {
                return Some(Work::Batch(batch));
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The texts whose turn it is, without waiting for any.
    pub(crate) fn waiting_batch(&self, metrics: &Metrics) -> Vec<TakenText> {
        self.lock().take_batch(self.limits.max_batch_tokens, metrics)
    }

    /// Hands the scores of a pass out.
    pub(crate) fn complete(&self, batch: &[TakenText], scores: Vec<TextScores>, took: Duration) {
        let tokens: usize = batch.iter().map(|text| text.ids.len()).sum();
        let mut state = self.lock();
        state.observe_speed(tokens, took);
        state.line.complete(batch, scores);
    }

    pub(crate) fn fail(&self, batch: &[TakenText], error: &RequestError) {
        self.lock().line.fail_batch(batch, error);
    }

    /// Counts a pass that answers nobody, so that the speed is known before the first request.
    pub(crate) fn observe_speed(&self, tokens: usize, took: Duration) {
        self.lock().observe_speed(tokens, took);
    }

    /// Whether the model's thread takes batches.
    pub(crate) fn is_alive(&self) -> bool {
        self.lock().alive
    }

    /// Lets no more requests in. Those that are in are answered.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The model's thread has ended: what is left will not be answered.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.alive = false;
        state.line.fail_all(&RequestError::Unhealthy);
        state.explanations.fail_all(&RequestError::Unhealthy);
    }

    fn lock(&self) -> MutexGuard<'_, QueueContent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueContent {
    fn check_open(&self) -> Result<(), RequestError> {
        match self {
            Self { alive: false, .. } => Err(RequestError::Unhealthy),
            Self { closed: true, .. } => Err(RequestError::Stopping),
            _ => Ok(()),
        }
    }

    fn take_batch(&mut self, budget: usize, metrics: &Metrics) -> Vec<TakenText> {
        let batch = self.line.take_batch(budget);
        metrics.queue_size(self.line.waiting());
        if self.line.waiting() == 0 {
            self.last_empty = Instant::now();
        }
        batch
    }

    /// Adds tokens to those brought a second, an average whose weights decay exponentially.
    fn observe_brought(&mut self, tokens: usize, now: Instant) {
        let over = ARRIVALS_OVER.as_secs_f64();
        let since = now.saturating_duration_since(self.last_brought).as_secs_f64();
        self.brought_per_second = self.brought_per_second * (-since / over).exp() + tokens as f64 / over;
        self.last_brought = now;
    }

    fn observe_speed(&mut self, tokens: usize, took: Duration) {
        let newest = tokens as f64 / took.as_secs_f64().max(1e-6);
        let known = self.tokens_per_second;
        self.tokens_per_second = if known == 0.0 { newest } else { known + NEWEST_WEIGHT * (newest - known) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(limits: ServeLimits) -> WorkQueue {
        WorkQueue::new(&limits)
    }

    /// Submits a request with one text of so many tokens, and keeps its end open.
    fn admit(queue: &WorkQueue, tokens: usize) -> Option<oneshot::Receiver<Result<Scored, RequestError>>> {
        match queue.admit(vec![vec![1; tokens]]).unwrap() {
            Admission::Admitted(answer) => Some(answer),
            Admission::Full(_) => None,
        }
    }

    /// A queue that has not been empty for this long, as soon as somebody waits in it.
    fn not_empty_for(time: Duration, limits: ServeLimits) -> WorkQueue {
        let queue = queue(limits);
        queue.lock().last_empty = Instant::now().checked_sub(time).expect("the machine runs for longer");
        queue
    }

    #[test]
    fn as_much_is_let_in_as_is_answered_in_time() {
        let limits = ServeLimits { max_queue_time: Duration::from_secs(1), ..ServeLimits::default() };
        let queue = not_empty_for(STANDING_AFTER, limits);
        queue.observe_speed(2000, Duration::from_secs(1));
        let kept: Vec<_> = std::iter::from_fn(|| admit(&queue, 100)).take(1000).collect();
        assert_eq!(kept.len(), 21, "2,000 tokens may be ahead of the last");
        // One request counts by its turn, not by its size.
        drop(kept);
        assert_eq!(queue.lock().line.take_batch(1000), [], "nobody waits for them any more");
        let kept: Vec<_> = std::iter::from_fn(|| admit(&queue, 100_000)).take(1000).collect();
        assert_eq!(kept.len(), 8, "2,000 / {QUANTUM_TOKENS}, and one");
    }

    #[test]
    fn a_queue_that_is_emptied_again_and_again_may_be_long_for_a_moment() {
        let limits = ServeLimits { max_queue_time: Duration::from_secs(1), ..ServeLimits::default() };
        let (queue, metrics) = (not_empty_for(STANDING_AFTER, limits), Metrics::new());
        queue.observe_speed(2000, Duration::from_secs(1));
        let fill = || std::iter::from_fn(|| admit(&queue, 100)).take(1000).collect::<Vec<_>>();
        let mut kept = fill();
        assert_eq!(kept.len(), 21, "it stands");
        while queue.lock().line.waiting() > 0 {
            let batch = queue.waiting_batch(&metrics);
            let scores = vec![TextScores { logits: vec![0.0], probabilities: vec![1.0] }; batch.len()];
            queue.complete(&batch, scores, Duration::from_secs_f64(batch.len() as f64 * 0.05));
        }
        kept = fill();
        assert_eq!(kept.len(), 321, "a batch has just taken all that waited");
        queue.lock().last_empty -= STANDING_AFTER;
        drop(kept.split_off(30));
        assert!(admit(&queue, 100).is_none(), "it stands again");
    }

    #[test]
    fn a_queue_may_be_long_only_while_less_is_brought_than_is_computed() {
        let (start, pause) = (Instant::now(), Duration::from_millis(10));
        for (tokens_in_pause, most) in [(16, 321), (24, 321), (28, 21), (40, 21)] {
            let limits = ServeLimits { max_queue_time: Duration::from_secs(1), ..ServeLimits::default() };
            let queue = queue(limits);
            queue.observe_speed(2000, Duration::from_secs(1));
            for pauses in 1..=500 {
                queue.lock().observe_brought(tokens_in_pause, start + pauses * pause);
            }
            let measured = queue.lock().brought_per_second / (100.0 * tokens_in_pause as f64);
            assert!((0.97..1.03).contains(&measured), "{measured}");
            let kept: Vec<_> = std::iter::from_fn(|| admit(&queue, 100)).take(1000).collect();
            assert_eq!(kept.len(), most, "{tokens_in_pause} tokens each 10 ms, of which 20 are computed");
        }
    }

    #[test]
    fn thirty_two_clients_with_one_text_each_are_let_in_by_any_model() {
        let queue = queue(ServeLimits::default());
        queue.observe_speed(1, Duration::from_secs(10));
        let kept: Vec<_> = std::iter::from_fn(|| admit(&queue, 30)).take(1000).collect();
        assert_eq!(kept.len(), 33);
    }

    #[test]
    fn no_more_requests_than_the_limit_are_let_in() {
        let queue = queue(ServeLimits { max_concurrent_requests: 3, ..ServeLimits::default() });
        let kept: Vec<_> = std::iter::from_fn(|| admit(&queue, 3)).take(1000).collect();
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn what_was_let_in_is_taken_after_the_queue_is_closed_and_nothing_else() {
        let (queue, metrics) = (queue(ServeLimits::default()), Metrics::new());
        let _kept = admit(&queue, 3);
        queue.close();
        assert_eq!(queue.admit(vec![vec![1]]).unwrap_err(), RequestError::Stopping);
        assert!(matches!(queue.next_work(&metrics), Some(Work::Batch(batch)) if batch.len() == 1));
        assert!(queue.next_work(&metrics).is_none());
        queue.abandon();
        assert_eq!(queue.admit(vec![vec![1]]).unwrap_err(), RequestError::Unhealthy);
    }
}
