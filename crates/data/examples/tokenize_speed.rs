//! How fast texts become token ids: `tokenize_speed FILE FOLDER` encodes each line of FILE with the tokenizer of FOLDER, as
//! `prepare-data` does it, and prints one line of JSON: texts, tokens (special ones included) and seconds.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use data::tokenize::Tokenizer;

/// No text is cut: BERT's limit would make less work of long ones.
const MAX_LENGTH: usize = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder] = arguments.as_slice() else {
        eprintln!("usage: tokenize_speed FILE FOLDER");
        return ExitCode::FAILURE;
    };
    match measure(file.as_ref(), folder.as_ref()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(file: &Path, folder: &Path) -> Result<String, data::DataError> {
    let text = std::fs::read_to_string(file).map_err(|error| data::DataError::io(file, error))?;
    let texts: Vec<&str> = text.lines().collect();
    let tokenizer = Tokenizer::from_folder(folder, MAX_LENGTH)?;
    let begin = Instant::now();
    let mut tokens = 0;
    for texts in texts.chunks(data::prepare::TEXTS_AT_ONCE) {
        tokens += tokenizer.encode_batch(texts)?.iter().map(|encoded| encoded.ids.len()).sum::<usize>();
    }
    let seconds = begin.elapsed().as_secs_f64();
    Ok(format!("{{\"texts\":{},\"tokens\":{tokens},\"seconds\":{seconds:.4}}}", texts.len()))
}
