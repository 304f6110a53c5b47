//! The allocator of every binary that runs the model.
//!
//! A training step allocates and frees the same few hundred megabytes again and again. glibc gives such blocks back
//! to the kernel and pays for zeroed pages the next time, which costs more than the arithmetic on them. mimalloc,
//! built to override `malloc` for the whole process and thereby for libtorch too, keeps the pages.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
