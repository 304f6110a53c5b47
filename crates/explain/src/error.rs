//! Why a text is not explained.

use predict::PredictError;
use tokenize::TokenizeError;

/// Why a text is not explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The tokenizer leaves nothing of the text.
    #[error("expected a text, found no character of one")]
    Empty,
    /// There is no token for the absence of a word.
    #[error(
        "the tokenizer has no [PAD] token, which stands for nothing where a text is compared with nothing (hint: name one of its \
        tokens as pad_token in tokenizer_config.json)"
    )]
    NoPadding,
    /// A damaged model.
    #[error("the model's logits for this text are not finite numbers, so there is nothing to explain")]
    NotFinite,
    /// Whoever asked no longer wants to know.
    #[error("the explanation was given up")]
    GivenUp,
    /// A text that the tokenizer rejects.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    /// A run that can't be opened.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Numbers that can't be read from the device.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}
