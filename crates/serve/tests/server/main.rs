//! A server in this process against its contract: each trap of it is a test. The model is none, so that no test needs
//! libtorch.

mod support;

/// What requests may say, and what they are answered.
mod contract;

/// What holds many requests together: the queue, its limits, and the model's failures.
mod load;

/// Files that are labeled.
mod files;

/// Clients that are slow, broken or hostile.
mod hostile;

/// How a server starts and ends.
mod stopping;

/// Explanations, between which texts are labeled.
mod explanations;
