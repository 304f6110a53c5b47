//! The command line of this process, and what its environment must not contain.

use std::ffi::OsString;

use kernels::isa::Isa;

use crate::error::{Result, TrainError};

/// The arguments as UTF-8 text, because paths are written into JSON and TOML files.
///
/// # Errors
/// Names an argument that isn't UTF-8, or an instruction set of the environment that the kernels can't use.
pub fn arguments() -> Result<Vec<String>> {
    Isa::requested().map_err(|error| TrainError::Refused(error.to_string()))?;
    read(std::env::args_os())
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<Vec<String>> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|argument| {
            TrainError::Refused(format!(
                "expected arguments in UTF-8, found {argument:?} (hint: rename the file or folder, or name it by a \
                 symbolic link)"
            ))
        })
    };
    arguments.map(text).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_argument_that_is_not_utf_8_is_named() {
        let arguments = |bytes: &[u8]| ["train".into(), OsString::from_vec(bytes.to_vec())].into_iter();
        assert_eq!(read(arguments("café".as_bytes())).unwrap(), ["train", "café"]);
        let message = read(arguments(b"--output=caf\xff")).unwrap_err().to_string();
        assert!(message.contains(r#"found "--output=caf\xFF""#), "{message}");
    }
}
