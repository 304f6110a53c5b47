//! What the first bytes of a file say it is, when that isn't text.

/// The start of a Git LFS pointer, the placeholder of a large file in a Git repository.
pub(crate) const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Signatures of files that people name as if they were text.
const SIGNATURES: [(&[u8], &str); 9] = [
    (b"\x1F\x8B", "an archive inside an archive (hint: unpack it)"),
    (b"\x28\xB5\x2F\xFD", "an archive inside an archive (hint: unpack it)"),
    (b"PK\x03\x04", "an archive or a spreadsheet, not text (hint: unpack it, or export it as CSV)"),
    (b"\xD0\xCF\x11\xE0", "an old spreadsheet or document, not text (hint: export it as CSV)"),
    (b"BZh", "a bzip2 archive, not text (hint: `bzip2 -d FILE`)"),
    (b"\xFD7zXZ\0", "an xz archive, not text (hint: `xz -d FILE`)"),
    (b"PAR1", "Parquet, not text (hint: name it .parquet)"),
    (b"ARROW1", "Arrow, not text (hint: name it .arrow)"),
    (b"%PDF-", "a PDF document, not text (hint: export its data as CSV)"),
];

/// What bytes are that are not text. `wide` is text whose characters may hold bytes of 0, as UTF-16's do.
pub(crate) fn not_text(head: &[u8], wide: bool) -> Option<&'static str> {
    if let Some((_, reason)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        // A text may begin with these letters; what follows them is a level of compression and a number.
        if !head.starts_with(b"BZh") || head.get(4..10) == Some(b"1AY&SY") {
            return Some(reason);
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("a tar archive, not text (hint: unpack it)");
    }
    let head = &head[..head.len().min(4096)];
    if head.iter().all(|byte| *byte == 0) && !head.is_empty() {
        return Some("only zero bytes, as a broken copy leaves them (hint: fetch or write the file again)");
    }
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    let mostly_zero = |zeros: usize| half >= 4 && zeros * 10 > half * 9;
    if !wide && mostly_zero(zeros(1)) {
        return Some("every second byte is 0, as in UTF-16, not UTF-8 (hint: --encoding utf-16le)");
    }
    if !wide && mostly_zero(zeros(0)) {
        return Some("every second byte is 0, as in UTF-16, not UTF-8 (hint: --encoding utf-16be)");
    }
    None
}

/// What text is that holds no data.
pub(crate) fn other_document(text: &[u8]) -> Option<&'static str> {
    if text.starts_with(LFS_POINTER) {
        return Some("a Git LFS pointer, not the data itself (hint: `git lfs pull` fetches it)");
    }
    let text = text.trim_ascii_start();
    let is_page = |tag: &&str| text.len() >= tag.len() && text[..tag.len()].eq_ignore_ascii_case(tag.as_bytes());
    if ["<!doctype html", "<html"].iter().any(is_page) {
        return Some("a web page, not data (hint: the address may need a login, or a link to the raw file)");
    }
    None
}
