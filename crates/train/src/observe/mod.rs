//! Whoever watches a run.
