//! Where a run lives.
