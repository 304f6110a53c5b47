//! Requests for explanations, in the order of their arrival. They wait apart from texts to label: an explanation takes many
//! passes, between which batches of texts are scored.

use std::collections::VecDeque;

use judge::Explanation;
use tokio::sync::oneshot;

use crate::error::RequestError;

/// How many may wait, beside the one that is being computed.
const MOST_WAITING: usize = 8;

/// A request for an explanation. Where the other end of `reply` is dropped, it is no longer wanted.
#[derive(Debug)]
pub(crate) struct WaitingExplanation {
    pub text: String,
    /// The class to explain; `None` for that of the label that the model gives.
    pub class: Option<usize>,
    pub reply: oneshot::Sender<Result<Explanation, RequestError>>,
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(crate) struct ExplanationLine(VecDeque<WaitingExplanation>);

impl ExplanationLine {
    /// # Errors
    /// [`RequestError::Overloaded`] where too many wait.
    pub(crate) fn push(&mut self, request: WaitingExplanation) -> Result<(), RequestError> {
        self.0.retain(|waiting| !waiting.reply.is_closed());
        if self.0.len() >= MOST_WAITING {
            return Err(RequestError::Overloaded);
        }
        self.0.push_back(request);
        Ok(())
    }

    /// The next one that somebody waits for.
    pub(crate) fn next(&mut self) -> Option<WaitingExplanation> {
        std::iter::from_fn(|| self.0.pop_front()).find(|request| !request.reply.is_closed())
    }

    /// Answers all that wait.
    pub(crate) fn fail_all(&mut self, error: &RequestError) {
        self.0.drain(..).for_each(|request| drop(request.reply.send(Err(error.clone()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Explanation, RequestError>>;

    fn ask(line: &mut ExplanationLine, text: &str) -> Result<Answer, RequestError> {
        let (reply, answer) = oneshot::channel();
        line.push(WaitingExplanation { text: text.to_owned(), class: None, reply })?;
        Ok(answer)
    }

    #[test]
    fn the_first_that_is_still_wanted_is_next_and_no_more_wait_than_the_limit() {
        let mut line = ExplanationLine::default();
        let mut answers: Vec<Answer> = (0..MOST_WAITING).map(|n| ask(&mut line, &n.to_string()).unwrap()).collect();
        assert_eq!(ask(&mut line, "more").unwrap_err(), RequestError::Overloaded);
        drop(answers.remove(0));
        answers.push(ask(&mut line, "8").unwrap());
        assert_eq!(line.next().map(|request| request.text).as_deref(), Some("1"));
        line.fail_all(&RequestError::Stopping);
        let last = answers.last_mut().unwrap().try_recv().unwrap();
        assert_eq!(last, Err(RequestError::Stopping));
        assert!(line.next().is_none());
    }
}
