//! What is wrong with a weights file that safetensors can't read.

use safetensors::SafeTensorError;

/// What is wrong with the file: which other format it has, if that is recognized, otherwise where it is damaged.
pub(super) fn describe_invalid_file(error: &SafeTensorError, bytes: &[u8]) -> String {
    let length = bytes.len();
    if bytes.is_empty() {
        return "it is empty (hint: fetch it again)".to_owned();
    }
    if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
        return "it is a Git LFS pointer (hint: `git lfs pull` in its folder fetches the weights)".to_owned();
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return "it is a web page (hint: the address may need a login; fetch it again)".to_owned();
    }
    if bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) {
        return "it is a pickle under another name, and a pickle can run any code when it is opened (hint: \
                save_pretrained(folder, safe_serialization=True) in Python writes safetensors)"
            .to_owned();
    }
    let header = || u64::from_le_bytes(std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0)));
    let what = match error {
        SafeTensorError::HeaderTooSmall => format!("{length} bytes are too few for a header"),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            format!("it declares a header of {} bytes, but the file has {length}", header())
        }
        SafeTensorError::MetadataIncompleteBuffer => match end_of_tensors(bytes, header()) {
            Some(end) => format!("its tensors end at byte {end}, but the file has {length}"),
            None => format!("its tensors don't fill the file of {length} bytes"),
        },
        SafeTensorError::TensorInvalidInfo => "a tensor's shape and dtype don't match its number of bytes".to_owned(),
        SafeTensorError::ValidationOverflow => "a tensor's shape is too large".to_owned(),
        other => other.to_string(),
    };
    format!("{what} (hint: the file is cut off or damaged, fetch it again)")
}

/// The offset in the file at which its last tensor ends, according to its header.
fn end_of_tensors(bytes: &[u8], header: u64) -> Option<u64> {
    let start = usize::try_from(header).ok()?.checked_add(8)?;
    let tensors: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes.get(8..start)?).ok()?;
    let ends = tensors.values().filter_map(|tensor| tensor.pointer("/data_offsets/1")?.as_u64());
    ends.max()?.checked_add(start as u64)
}
