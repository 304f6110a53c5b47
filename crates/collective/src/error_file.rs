//! The file by which torchrun learns why a process has failed. torchrun prints the error of the process that failed first
//! as the root cause; without the file it only knows the exit code.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

/// Writes an error for torchrun. It is written in one step: torchrun itself ends at a file that is incomplete.
///
/// # Errors
/// A folder that can't be written.
pub fn write_error_file(path: &Path, message: &str) -> Result<(), disk::DiskError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    // With a key `py_callstack` torchrun prints that instead of the message. The timestamps are compared: the first counts.
    let content = json!({"message": {"message": message, "extraInfo": {"timestamp": seconds.to_string()}}});
    disk::write_atomic(path, content.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_what_torchrun_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.json");
        write_error_file(&path, "line 1\n\"line\" 2").unwrap();
        let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(value["message"]["message"], "line 1\n\"line\" 2");
        assert!(value["message"]["extraInfo"]["timestamp"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
        assert!(value["message"]["extraInfo"].get("py_callstack").is_none());
    }
}
