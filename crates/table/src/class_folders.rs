//! A folder with a folder of text files for each class, as the reviews of IMDb are shipped: `pos/0_9.txt`, `neg/1_1.txt`.
//!
//! Rows are sorted by class, then by file name, numbers in names compared as numbers. The names of all files are held in
//! memory, their texts one at a time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::column::Column;
use crate::ending;
use crate::error::TableError;
use crate::format::{FileFormat, OpenFile, Opened, RowIter};
use crate::input::Input;
use crate::natural_order::natural_order;
use crate::read_options::ReadOptions;
use crate::row::{Cell, Row};
use crate::text::MAX_RECORD;
use crate::text_reader::TextReader;

pub(crate) const CLASS_FOLDERS: FileFormat = FileFormat {
    name: "class folders",
    endings: &[],
    about: "a folder for each class with a `.txt` file for each text, such as `pos/0_9.txt`; the texts in `unsup` have no \
            label",
    matches_folder: Some(matches),
    open,
    create: None,
};

/// The folder of texts without a label, by its name in IMDb's archive.
const UNLABELED: &str = "unsup";
const COLUMNS: [&str; 3] = ["text", "label", "file"];
/// Other formats of tables; where a folder holds such a file, that is the data.
const OTHER_TABLES: [&str; 8] = ["csv", "tsv", "tab", "json", "jsonl", "ndjson", "parquet", "arrow"];

/// What is directly in a folder.
#[derive(Default)]
struct ClassFiles {
    texts: Vec<String>,
    folders: Vec<String>,
    others: usize,
    has_table: bool,
}

/// A folder of texts.
struct TextClass {
    name: String,
    /// In natural order.
    files: Vec<String>,
}

/// At least two folders with texts, which themselves hold no such folder, and no other table beside them.
fn matches(folder: &Path) -> bool {
    let Ok(listing) = list(folder) else { return false };
    let holds_texts = |folder: &Path| list(folder).is_ok_and(|listing| !listing.texts.is_empty());
    let mut classes = 0;
    for name in &listing.folders {
        let class = folder.join(name);
        let Ok(inside) = list(&class) else { return false };
        if inside.texts.is_empty() {
            continue;
        }
        // `train` and `test` of IMDb hold lists of addresses beside the folders of their classes.
        if inside.folders.iter().any(|name| holds_texts(&class.join(name))) {
            return false;
        }
        classes += 1;
    }
    classes >= 2 && !listing.has_table
}

fn open(input: Input, options: &ReadOptions) -> Result<Opened, TableError> {
    let folder = input.path().to_owned();
    if !folder.is_dir() {
        return Err(TableError::file(
            folder,
            "not a folder; texts by class are folders of .txt files (hint: --format)",
        ));
    }
    let read = |folder: &Path| list(folder).map_err(|error| TableError::io(folder, error));
    let listing = read(&folder)?;
    let (mut classes, mut ignored) = (Vec::new(), listing.texts.len() + listing.others);
    for name in listing.folders {
        let mut inside = read(&folder.join(&name))?;
        ignored += inside.others + inside.folders.len();
        if inside.texts.is_empty() {
            ignored += 1;
            continue;
        }
        inside.texts.sort_by(|one, other| natural_order(one, other));
        classes.push(TextClass { name, files: inside.texts });
    }
    if classes.is_empty() {
        return Err(TableError::file(folder, "no folder in it holds .txt files (hint: pos/1.txt, neg/1.txt)"));
    }
    classes.sort_by(|one, other| natural_order(&one.name, &other.name));
    let count = |class: &TextClass| match class.name.as_str() {
        UNLABELED => format!("{UNLABELED} {} without a label", class.files.len()),
        name => format!("{name} {}", class.files.len()),
    };
    let counts: Vec<String> = classes.iter().map(count).collect();
    let mut notes = vec![format!("texts by class: {}", counts.join(", "))];
    if ignored > 0 {
        notes.push(format!("{ignored} other files and folders are not read"));
    }
    let columns = COLUMNS.map(|name| Column { name: name.into(), declared: None }).to_vec();
    Ok(Opened { columns, file: Box::new(ClassFolders { folder, encoding: options.encoding.clone(), classes }), notes })
}

/// What is in a folder, but for hidden files and what macOS puts into archives.
fn list(folder: &Path) -> io::Result<ClassFiles> {
    let mut listing = ClassFiles::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(io::Error::other(format!(
                "the name {:?} is not UTF-8 (hint: rename the file)",
                entry.file_name().to_string_lossy()
            )));
        };
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let mut kind = entry.file_type()?;
        if kind.is_symlink() {
            kind = fs::metadata(entry.path())?.file_type();
        }
        let ending = ending(Path::new(&name));
        if kind.is_dir() {
            listing.folders.push(name);
        } else if kind.is_file() && ending == "txt" {
            listing.texts.push(name);
        } else {
            listing.others += 1;
            listing.has_table |= OTHER_TABLES.contains(&ending.as_str());
        }
    }
    Ok(listing)
}

struct ClassFolders {
    folder: PathBuf,
    encoding: Option<String>,
    classes: Vec<TextClass>,
}

impl OpenFile for ClassFolders {
    fn rows(self: Box<Self>, _: &[Column], selected: &[usize]) -> Result<RowIter, TableError> {
        let (folder, encoding, selected) = (self.folder, self.encoding, selected.to_vec());
        let files = self
            .classes
            .into_iter()
            .flat_map(|TextClass { name, files }| files.into_iter().map(move |file| (name.clone(), file)));
        let mut row = 0;
        Ok(Box::new(files.map(move |(class, file)| {
            row += 1;
            let cell = |column: &usize| match COLUMNS[*column] {
                "text" => text(&folder.join(&class).join(&file), encoding.as_deref()).map(Cell::Text),
                "label" if class == UNLABELED => Ok(Cell::Missing),
                "label" => Ok(Cell::Text(class.clone())),
                _ => Ok(Cell::Text(format!("{class}/{file}"))),
            };
            let cells = selected.iter().map(cell).collect::<Result<_, _>>()?;
            Ok(Row { number: row, line: None, cells })
        })))
    }
}

/// A file's text, without a byte-order mark and without the line end that closes the file.
fn text(path: &Path, encoding: Option<&str>) -> Result<String, TableError> {
    if fs::metadata(path).is_ok_and(|about| about.len() == 0) {
        return Ok(String::new());
    }
    let mut reader = TextReader::open(Input::file(path), encoding)?;
    let mut bytes = Vec::new();
    loop {
        reader.fill()?;
        let piece = reader.window();
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(piece);
        if bytes.len() > MAX_RECORD {
            let reason = format!("longer than {MAX_RECORD} bytes, the most that is read (hint: one file a text)");
            return Err(TableError::file(path, reason));
        }
        let read = piece.len();
        reader.consume(read);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| TableError::file(path, "not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::tests::rows_of;
    use crate::{ReadOptions, Table};

    fn tree(files: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn rows_are_sorted_by_class_and_number() {
        let folder = tree(&[
            ("pos/10_1.txt", b"ten"),
            ("pos/0_9.txt", b"\xEF\xBB\xBFnine,\r\n\"quoted\"\r\n"),
            ("neg/1_2.TXT", b""),
            ("neg/notes.md", b"not a text"),
            ("unsup/0_0.txt", b"who knows"),
            ("urls_pos.txt", b"http://localhost"),
            ("empty/.keep", b""),
            (".git/a/x.txt", b"hidden"),
        ]);
        assert!(matches(folder.path()));
        let table = Table::open(folder.path(), &ReadOptions::default()).unwrap();
        assert_eq!(
            table.notes(),
            [
                "texts by class: neg 1, pos 2, unsup 1 without a label",
                // urls_pos.txt, notes.md and the folder without texts.
                "3 other files and folders are not read"
            ]
        );
        let label = table.rows(&[1]).unwrap().map(|row| row.unwrap().cells[0].to_string()).collect::<Vec<_>>();
        assert_eq!(label, ["neg", "pos", "pos", ""]);
        let text = |text: &str| Cell::Text(text.into());
        let rows = rows_of(folder.path()).unwrap();
        let cells: Vec<&[Cell]> = rows.iter().map(|row| row.cells.as_slice()).collect();
        assert_eq!(cells[0], [text(""), text("neg"), text("neg/1_2.TXT")]);
        assert_eq!(cells[1], [text("nine,\r\n\"quoted\""), text("pos"), text("pos/0_9.txt")]);
        assert_eq!(cells[2], [text("ten"), text("pos"), text("pos/10_1.txt")]);
        assert_eq!(cells[3], [text("who knows"), Cell::Missing, text("unsup/0_0.txt")]);
        assert_eq!((rows[3].number, rows[3].line), (4, None));
    }

    #[test]
    fn other_folders_are_not_of_this_format() {
        for files in [
            &["pos/1.txt"][..],
            &["a.txt", "b.txt"],
            &["pos/1.txt", "neg/1.txt", "train.csv"],
            // IMDb's archive as a whole: the splits are above the classes.
            &["train/urls_pos.txt", "train/pos/1.txt", "train/neg/1.txt", "test/urls_pos.txt", "test/pos/1.txt"],
            &["pos/1.csv", "neg/1.csv"],
        ] {
            let files: Vec<(&str, &[u8])> = files.iter().map(|name| (*name, &b"x"[..])).collect();
            assert!(!matches(tree(&files).path()), "{files:?}");
        }
        assert!(!matches(Path::new("/no/such/folder")));
    }

    #[test]
    fn files_are_decoded() {
        let folder = tree(&[("neg/1.txt", b"caf\xE9"), ("pos/1.txt", b"d\xE9j\xE0 vu")]);
        let options = ReadOptions { encoding: Some("latin-1".into()), ..ReadOptions::default() };
        let rows = Table::open(folder.path(), &options).unwrap().rows(&[0]).unwrap();
        let texts: Vec<String> = rows.map(|row| row.unwrap().cells[0].to_string()).collect();
        assert_eq!(texts, ["caf\u{E9}", "d\u{E9}j\u{E0} vu"]);
    }

    #[test]
    fn a_file_that_is_no_text_is_named() {
        let folder = tree(&[("neg/1.txt", b"fine\ncaf\xE9"), ("pos/1.txt", b"good")]);
        let message = rows_of(folder.path()).unwrap_err().to_string();
        assert!(message.contains("neg/1.txt: byte 8 (line 2): 0xE9 is not UTF-8 (hint: "), "{message}");
        let file = folder.path().join("neg/1.txt");
        let options = ReadOptions { format: Some("class folders".parse().unwrap()), ..ReadOptions::default() };
        let message = Table::open(&file, &options).err().unwrap().to_string();
        assert!(message.contains("neg/1.txt: not a folder; "), "{message}");
        let folder = tree(&[("neg/1.txt", &vec![b'x'; MAX_RECORD + 1]), ("pos/1.txt", b"good")]);
        let message = rows_of(folder.path()).unwrap_err().to_string();
        assert!(message.contains("neg/1.txt: longer than 4194304 bytes"), "{message}");
    }
}
