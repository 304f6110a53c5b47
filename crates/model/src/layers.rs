//! The layers that architectures are built of, each with its forward pass, its explicit backward pass and the traits of
//! its parameters. The names of parameters are defined by the architectures.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod embeddings;
pub(crate) mod encoder_layer;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod product;
