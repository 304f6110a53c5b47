//! What the architectures are built of: each layer with its forward pass, its explicit backward pass, and what its
//! parameters are like. Names are the architectures' to give.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod embeddings;
pub(crate) mod encoder_layer;
pub(crate) mod layer_norm;
pub(crate) mod linear;
