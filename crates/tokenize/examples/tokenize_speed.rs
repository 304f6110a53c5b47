//! How many texts a second the tokenizer encodes on all threads: `tokenize_speed MODEL_FOLDER FILE`, a text a line.
//!
//! As preparing does it, 4,096 texts at a time. Prints one JSON line. RAYON_NUM_THREADS sets the number of threads.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use tokenize::Tokenizer;

const TEXTS_PER_CHUNK: usize = 4096;
const MAX_LENGTH: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file] = arguments.as_slice() else {
        return Err("usage: tokenize_speed MODEL_FOLDER FILE".into());
    };
    let tokenizer = Tokenizer::from_folder(Path::new(folder), MAX_LENGTH)?;
    let content = std::fs::read_to_string(file)?;
    let texts: Vec<&str> = content.lines().collect();
    // Threads are started by the first call.
    tokenizer.encode_batch(&texts[..texts.len().min(TEXTS_PER_CHUNK)])?;
    let (mut spent, mut tokens) = (Duration::ZERO, 0);
    for texts in texts.chunks(TEXTS_PER_CHUNK) {
        let began = Instant::now();
        let encoded = tokenizer.encode_batch(texts)?;
        spent += began.elapsed();
        tokens += encoded.iter().map(|encoded| encoded.ids.len()).sum::<usize>();
    }
    let figures = serde_json::json!({ "texts": texts.len(), "seconds": spent.as_secs_f64(), "tokens": tokens });
    println!("{figures}");
    Ok(())
}
