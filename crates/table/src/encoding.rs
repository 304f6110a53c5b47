//! Character encodings by name, by byte-order mark, and as a guess for a hint.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

/// What messages suggest.
const COMMON: &str = "utf-8, utf-16le, utf-16be, windows-1252 (also for Latin-1), windows-1250, windows-1251, iso-8859-2, \
                      iso-8859-15, koi8-r, macintosh, shift_jis, euc-jp, gbk, gb18030, big5 or euc-kr";

/// Names that Python and others have for encodings, beside those of the WHATWG's standard; without `-` and `_`.
const ALIASES: [(&str, &str); 13] = [
    ("latin1", "windows-1252"),
    ("iso88591", "windows-1252"),
    ("ansi", "windows-1252"),
    ("utf8sig", "utf-8"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("macroman", "macintosh"),
    ("utf16", "utf-16le"),
    ("utf16le", "utf-16le"),
    ("utf16be", "utf-16be"),
    ("koi8r", "koi8-r"),
];

/// The encoding of this name.
pub(crate) fn named(name: &str) -> Result<&'static Encoding, String> {
    let plain = || -> String { name.chars().filter(|c| !"-_ ".contains(*c)).map(|c| c.to_ascii_lowercase()).collect() };
    let found = Encoding::for_label(name.as_bytes()).or_else(|| {
        let plain = plain();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == plain).map_or(plain.as_str(), |(_, label)| label);
        Encoding::for_label(alias.as_bytes())
    });
    match found {
        Some(encoding) if encoding != REPLACEMENT => Ok(encoding),
        _ => Err(format!("not a known encoding (hint: {COMMON})")),
    }
}

/// For the flag: a name that [`named`] knows.
pub(crate) fn name(name: &str) -> Result<String, String> {
    named(name).map(|_| name.to_owned())
}

/// The encoding that a byte-order mark names, and the mark's length.
pub(crate) fn by_mark(head: &[u8]) -> Option<(&'static Encoding, usize)> {
    Encoding::for_bom(head)
}

/// The encoding of a text for which a flag and a byte-order mark may name one, and which of them did.
pub(crate) fn choose(
    named: Option<&'static Encoding>,
    mark: Option<&'static Encoding>,
) -> Result<(&'static Encoding, &'static str), String> {
    match (named, mark) {
        (None, None) => Ok((UTF_8, "is the default")),
        (Some(named), None) => Ok((named, "--encoding names")),
        (None, Some(mark)) => Ok((mark, "its byte-order mark names")),
        (Some(named), Some(mark)) if named == mark || (is_utf16(named) && is_utf16(mark)) => {
            Ok((mark, "its byte-order mark names"))
        }
        (Some(named), Some(mark)) => Err(format!(
            "its byte-order mark says {}, --encoding {} (hint: leave out --encoding)",
            described(mark),
            named.name()
        )),
    }
}

/// Whether these bytes, whose last character may be cut, are UTF-8 and more than ASCII.
pub(crate) fn is_utf8_beyond_ascii(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > head.len(),
    };
    valid && !head.is_ascii()
}

pub(crate) fn is_utf16(encoding: &'static Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

/// `UTF-16 (little-endian)`.
pub(crate) fn described(encoding: &'static Encoding) -> &'static str {
    if encoding == UTF_16LE {
        "UTF-16 (little-endian)"
    } else if encoding == UTF_16BE {
        "UTF-16 (big-endian)"
    } else {
        encoding.name()
    }
}

/// The hint for bytes that are not UTF-8: a flag, with the encoding that fits best.
pub(crate) fn hint(bytes: &[u8]) -> String {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, false);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let guess = if guess == UTF_8 { encoding_rs::WINDOWS_1252 } else { guess };
    format!("--encoding {}", guess.name().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_encodings_as_people_write_them() {
        for (name, expected) in [
            ("latin-1", "windows-1252"),
            ("ISO-8859-1", "windows-1252"),
            ("cp1252", "windows-1252"),
            ("Windows-1251", "windows-1251"),
            ("utf_8", "UTF-8"),
            ("UTF-8-SIG", "UTF-8"),
            ("utf-16", "UTF-16LE"),
            ("utf_16_be", "UTF-16BE"),
            ("cp932", "Shift_JIS"),
            ("sjis", "Shift_JIS"),
            ("GBK", "GBK"),
            ("gb2312", "GBK"),
            ("koi8_r", "KOI8-R"),
        ] {
            assert_eq!(named(name).map(Encoding::name), Ok(expected), "{name}");
        }
        for unknown in ["", "klingon", "utf-7", "replacement", "utf-32"] {
            assert!(name(unknown).unwrap_err().contains("(hint: utf-8, utf-16le"), "{unknown}");
        }
    }

    #[test]
    fn the_hint_names_the_encoding() {
        assert_eq!(hint("text,label\ngood,pos\ncaf".as_bytes()), "--encoding windows-1252");
        for (encoding, text) in [
            (encoding_rs::WINDOWS_1252, "text,label\ngood,pos\ncaf\u{E9} au lait, d\u{E9}j\u{E0} vu,neg\n"),
            (encoding_rs::WINDOWS_1251, "text,label\nОтличный фильм, очень понравился,pos\nСкучно и долго,neg\n"),
            (encoding_rs::SHIFT_JIS, "text,label\nとても良い映画でした。また見たいです。,pos\n退屈な二時間。,neg\n"),
            (encoding_rs::GBK, "text,label\n这部电影非常好看,我很喜欢,pos\n太无聊了,浪费时间,neg\n"),
            (encoding_rs::EUC_KR, "text,label\n정말 재미있는 영화였습니다,pos\n지루하고 길다,neg\n"),
        ] {
            let bytes = encoding.encode(text).0;
            assert_eq!(hint(&bytes), format!("--encoding {}", encoding.name().to_lowercase()));
        }
    }
}
