//! Who is next: requests wait in a line, and each forward pass takes some texts of each in turn.
//!
//! A request with many texts gets [`QUANTUM_TOKENS`] tokens of a round and goes to the back of the line, so one with a
//! single text waits for one round, however large the others are.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::classifier::TextScores;
use crate::error::RequestError;

/// Tokens that a request may take of a round. Its first text of a round is taken whatever its length.
pub(crate) const QUANTUM_TOKENS: usize = 256;

/// A request whose texts are all scored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scored {
    /// Of each text, in order.
    pub scores: Vec<TextScores>,
    /// From the arrival in the queue to the first pass with a text of it.
    pub queued: Duration,
    /// From there to the end of the last pass with a text of it.
    pub computed: Duration,
}

/// The other end waits for the scores; where it is dropped, the request is no longer wanted.
pub(crate) type Reply = oneshot::Sender<Result<Scored, RequestError>>;

/// A request in the line.
#[derive(Debug)]
pub(crate) struct WaitingRequest {
    /// The token ids of each text; taken out when its turn comes.
    texts: Vec<Vec<u32>>,
    scores: Vec<Option<TextScores>>,
    /// The first text that isn't taken.
    next: usize,
    /// Texts that are scored.
    done: usize,
    /// Tokens of the texts that aren't taken.
    tokens: usize,
    arrived: Instant,
    first_taken: Option<Instant>,
    reply: Reply,
}

impl WaitingRequest {
    pub(crate) fn new(texts: Vec<Vec<u32>>, reply: Reply) -> Self {
        let tokens = texts.iter().map(Vec::len).sum();
        let scores = vec![None; texts.len()];
        Self { texts, scores, next: 0, done: 0, tokens, arrived: Instant::now(), first_taken: None, reply }
    }

    /// Its tokens that come before those of a new request.
    fn ahead(&self) -> usize {
        self.tokens.min(QUANTUM_TOKENS)
    }
}

/// A text of a forward pass: of which request, which of its texts, and its token ids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TakenText {
    request: u64,
    index: usize,
    pub ids: Vec<u32>,
}

/// The requests that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct FairLine {
    requests: HashMap<u64, WaitingRequest>,
    /// Those with texts that aren't taken yet, in the order of their turns.
    turns: VecDeque<u64>,
    next_request: u64,
    /// The sum of [`WaitingRequest::ahead`].
    ahead: usize,
}

impl FairLine {
    pub(crate) fn push(&mut self, request: WaitingRequest) {
        self.ahead += request.ahead();
        self.turns.push_back(self.next_request);
        self.requests.insert(self.next_request, request);
        self.next_request += 1;
    }

    /// Requests that are not answered yet.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Requests with texts of which no pass has begun.
    pub(crate) fn waiting(&self) -> usize {
        self.turns.len()
    }

    /// The tokens that come before those of a new request with one text.
    pub(crate) fn tokens_ahead(&self) -> usize {
        self.ahead
    }

    /// Texts of at most `budget` tokens, or one longer text. Empty where nothing waits. Requests that nobody waits for any
    /// more are dropped.
    pub(crate) fn take_batch(&mut self, budget: usize) -> Vec<TakenText> {
        let (mut batch, mut left) = (Vec::new(), budget);
        while let Some(id) = self.turns.pop_front() {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            self.ahead -= request.ahead();
            if request.reply.is_closed() {
                // Texts of it that a pass has taken already come back to nobody.
                self.requests.remove(&id);
                continue;
            }
            let (mut quantum, mut full) = (QUANTUM_TOKENS, false);
            let mut first = true;
            while let Some(ids) = request.texts.get_mut(request.next) {
                let tokens = ids.len();
                if tokens > left && !batch.is_empty() {
                    full = true;
                    break;
                }
                if tokens > quantum && !first {
                    break;
                }
                batch.push(TakenText { request: id, index: request.next, ids: std::mem::take(ids) });
                (left, quantum, first) = (left.saturating_sub(tokens), quantum.saturating_sub(tokens), false);
                request.tokens -= tokens;
                request.next += 1;
                request.first_taken.get_or_insert_with(Instant::now);
            }
            if request.next < request.texts.len() {
                self.ahead += request.ahead();
                // One that had no room left keeps its turn.
                if full && first { self.turns.push_front(id) } else { self.turns.push_back(id) }
            }
            if full || left == 0 {
                break;
            }
        }
        batch
    }

    /// Puts the scores of a pass down, and answers the requests that are complete by them. Returns how many those are.
    pub(crate) fn complete(&mut self, batch: &[TakenText], scores: Vec<TextScores>) {
        for (text, scores) in batch.iter().zip(scores) {
            // Dropped, because nobody waits for it, or because another of its texts has no scores.
            let Some(request) = self.requests.get_mut(&text.request) else { continue };
            if !scores.are_finite() {
                self.fail(text.request, RequestError::NotFinite);
                continue;
            }
            request.scores[text.index] = Some(scores);
            request.done += 1;
            if request.done == request.texts.len()
                && let Some(request) = self.requests.remove(&text.request)
            {
                let began = request.first_taken.unwrap_or(request.arrived);
                let scored = Scored {
                    scores: request.scores.into_iter().flatten().collect(),
                    queued: began - request.arrived,
                    computed: began.elapsed(),
                };
                // Nobody may wait for it any more.
                let _ = request.reply.send(Ok(scored));
            }
        }
    }

    /// Answers every request with a text in a pass that failed.
    pub(crate) fn fail_batch(&mut self, batch: &[TakenText], error: &RequestError) {
        batch.iter().for_each(|text| self.fail(text.request, error.clone()));
    }

    /// Answers all that is left.
    pub(crate) fn fail_all(&mut self, error: &RequestError) {
        let ids: Vec<u64> = self.requests.keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail(id, error.clone()));
        self.turns.clear();
    }

    fn fail(&mut self, id: u64, error: RequestError) {
        if let Some(request) = self.requests.remove(&id) {
            if request.next < request.texts.len() {
                self.ahead -= request.ahead();
                self.turns.retain(|turn| *turn != id);
            }
            let _ = request.reply.send(Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Scored, RequestError>>;

    /// A request with texts of so many tokens.
    fn request(line: &mut FairLine, lengths: &[usize]) -> Answer {
        let (reply, answer) = oneshot::channel();
        line.push(WaitingRequest::new(lengths.iter().map(|length| vec![7; *length]).collect(), reply));
        answer
    }

    fn places(batch: &[TakenText]) -> Vec<(u64, usize)> {
        batch.iter().map(|text| (text.request, text.index)).collect()
    }

    fn scores(batch: &[TakenText]) -> Vec<TextScores> {
        let of = |text: &TakenText| TextScores { logits: vec![text.index as f32], probabilities: vec![1.0] };
        batch.iter().map(of).collect()
    }

    #[test]
    fn a_single_text_is_in_the_next_pass_however_large_the_requests_before_it() {
        let mut line = FairLine::default();
        let mut large: Vec<Answer> = (0..3).map(|_| request(&mut line, &[64; 1000])).collect();
        assert_eq!(line.take_batch(512).len(), 8);
        let mut single = request(&mut line, &[20]);
        // Three quanta of 256 tokens come before it.
        let batches: Vec<_> = (0..2).map(|_| line.take_batch(512)).collect();
        let turn = batches.iter().position(|batch| batch.iter().any(|text| text.request == 3));
        assert!(turn.is_some(), "{batches:?}");
        for batch in &batches {
            line.complete(batch, scores(batch));
        }
        assert!(single.try_recv().unwrap().is_ok());
        assert!(large.iter_mut().all(|answer| answer.try_recv().is_err()));
    }

    #[test]
    fn single_texts_go_in_the_order_of_their_arrival() {
        let mut line = FairLine::default();
        let _answers: Vec<Answer> = (0..10).map(|_| request(&mut line, &[30])).collect();
        let order: Vec<u64> = std::iter::from_fn(|| Some(line.take_batch(100)).filter(|batch| !batch.is_empty()))
            .flatten()
            .map(|text| text.request)
            .collect();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_pass_has_at_most_the_budget_or_one_longer_text() {
        let mut line = FairLine::default();
        let _answers = [request(&mut line, &[10, 60, 50]), request(&mut line, &[300])];
        let lengths = |batch: Vec<TakenText>| batch.iter().map(|text| text.ids.len()).collect::<Vec<_>>();
        assert_eq!(lengths(line.take_batch(100)), [10, 60]);
        assert_eq!(lengths(line.take_batch(100)), [300]);
        assert_eq!(lengths(line.take_batch(100)), [50]);
        assert_eq!((line.take_batch(100).len(), line.waiting(), line.tokens_ahead()), (0, 0, 0));
        assert_eq!(line.len(), 2, "neither is answered");
    }

    #[test]
    fn a_request_is_answered_once_and_in_order_when_its_last_text_is_scored() {
        let mut line = FairLine::default();
        let mut answer = request(&mut line, &[40, 40, 40]);
        let (one, two) = (line.take_batch(80), line.take_batch(80));
        line.complete(&two, scores(&two));
        assert!(answer.try_recv().is_err());
        line.complete(&one, scores(&one));
        let scored = answer.try_recv().unwrap().unwrap();
        assert_eq!(scored.scores.iter().map(|scores| scores.logits[0]).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        assert_eq!(line.len(), 0);
    }

    #[test]
    fn requests_that_nobody_waits_for_take_no_part_in_a_pass() {
        let mut line = FairLine::default();
        let kept = request(&mut line, &[10]);
        drop(request(&mut line, &[10; 50]));
        assert_eq!(places(&line.take_batch(1000)), [(0, 0)]);
        assert_eq!((line.len(), line.waiting(), line.tokens_ahead()), (1, 0, 0));
        drop(kept);
    }

    #[test]
    fn a_failed_pass_fails_its_requests_whole_and_no_others() {
        let mut line = FairLine::default();
        let (mut hit, mut spared) = (request(&mut line, &[200, 200]), request(&mut line, &[100]));
        let batch = line.take_batch(200);
        assert_eq!(places(&batch), [(0, 0)]);
        line.fail_batch(&batch, &RequestError::ModelFailed);
        assert_eq!(hit.try_recv().unwrap(), Err(RequestError::ModelFailed));
        assert_eq!(line.tokens_ahead(), 100);
        let batch = line.take_batch(1000);
        line.complete(&batch, scores(&batch));
        assert!(spared.try_recv().unwrap().is_ok());
        assert_eq!((line.len(), line.waiting(), line.tokens_ahead()), (0, 0, 0));
    }

    #[test]
    fn scores_that_are_no_numbers_fail_their_request_alone() {
        let mut line = FairLine::default();
        let (mut bad, mut good) = (request(&mut line, &[5, 5]), request(&mut line, &[5]));
        let batch = line.take_batch(100);
        let mut all = scores(&batch);
        all[1].probabilities[0] = f32::NAN;
        line.complete(&batch, all);
        assert_eq!(bad.try_recv().unwrap(), Err(RequestError::NotFinite));
        assert!(good.try_recv().unwrap().is_ok());
        assert_eq!(line.len(), 0);
    }
}
