//! What the server asks of a model. The crate has no tensors: the program that starts the server implements [`Classifier`].

use std::error::Error;
use std::ops::ControlFlow;

use judge::Explanation;
use tokenize::Batch;

/// A model that scores token-packed texts. One thread owns it and calls it, batch after batch.
///
/// A panic in [`classify`](Self::classify) fails the batch and not the server: what is left must be fit for the next batch.
pub trait Classifier: Send + 'static {
    /// The scores of every text of the batch, in order.
    ///
    /// # Errors
    /// What the model reports, such as a lack of memory. It goes to the server's log and never to a client.
    fn classify(&mut self, batch: &Batch) -> Result<Vec<TextScores>, Box<dyn Error + Send + Sync>>;

    /// What explains the labels of this model, called in its thread for the first explanation; `None` where nothing does.
    ///
    /// # Errors
    /// What keeps it from being opened. It goes to the server's log and never to a client.
    fn explainer(&mut self) -> Result<Option<Box<dyn TextExplainer>>, Box<dyn Error + Send + Sync>> {
        Ok(None)
    }
}

/// Says which words of a text its label comes from. It lives in the thread that owns the model.
pub trait TextExplainer {
    /// Explains a class, or without one the label that the model gives. `pause` is called after each pass, and takes as long as
    /// other work needs; where it breaks, the explanation is no longer wanted, and the answer is `None`.
    ///
    /// # Errors
    /// What the model reports. It goes to the server's log and never to a client.
    fn explain(
        &mut self,
        text: &str,
        class: Option<usize>,
        pause: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Explanation>, Box<dyn Error + Send + Sync>>;
}

/// The scores of a text, in the order of the classes.
#[derive(Debug, Clone, PartialEq)]
pub struct TextScores {
    /// What the model computes.
    pub logits: Vec<f32>,
    /// Their softmax.
    pub probabilities: Vec<f32>,
}

impl TextScores {
    /// Whether all of them are numbers: a damaged model's may be infinite or NaN, which JSON can't express.
    pub(crate) fn are_finite(&self) -> bool {
        self.logits.iter().chain(&self.probabilities).all(|score| score.is_finite())
    }
}

/// What is said of the model by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// Its name, such as that of its folder. Never a path: clients see it.
    pub id: String,
    /// PyTorch's name of the number format, such as `float32`.
    pub dtype: String,
    /// The device, such as `cpu`.
    pub device: String,
    /// The labels, in the order of the classes.
    pub label_names: Vec<String>,
}
