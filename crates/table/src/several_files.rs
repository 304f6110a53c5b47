//! One table out of several files: shards, or the files of a pattern.
//!
//! Only one of them is open at a time. Each is opened to learn its columns, and again when it is read.

use std::path::{Path, PathBuf};

use crate::column::Column;
use crate::error::TableError;
use crate::excerpt::listed;
use crate::format::RowIter;
use crate::read_options::ReadOptions;
use crate::{Table, TableFile};

impl Table {
    /// Opens files with the same columns as one table, whose rows are theirs one after the other. The columns may stand in
    /// another order from file to file.
    ///
    /// [`columns`](Self::columns) are those of the first file; names of classes are there only if all files declare the
    /// same ones. [`files`](Self::files) has the columns that each file declares.
    ///
    /// # Errors
    /// What [`open`](Self::open) refuses, and files whose columns differ in names or types.
    ///
    /// # Panics
    /// If there is no path.
    pub fn open_all(paths: &[impl AsRef<Path>], options: &ReadOptions) -> Result<Self, TableError> {
        let mut table = Self::open(paths[0].as_ref(), options)?;
        let mut notes: Vec<(String, Vec<PathBuf>)> = Vec::new();
        let mut add_notes = |path: &Path, of_file: Vec<String>| {
            for note in of_file {
                match notes.iter_mut().find(|(known, _)| *known == note) {
                    Some((_, paths)) => paths.push(path.to_owned()),
                    None => notes.push((note, vec![path.to_owned()])),
                }
            }
        };
        add_notes(paths[0].as_ref(), std::mem::take(&mut table.notes));
        for path in &paths[1..] {
            let mut other = Self::open(path.as_ref(), options)?;
            add_notes(path.as_ref(), std::mem::take(&mut other.notes));
            let order = order(&table.files[0], &other.files[0])?;
            for (column, &at) in table.columns.iter_mut().zip(&order) {
                let found = other.columns[at].declared.as_ref().and_then(|declared| declared.class_names.as_ref());
                if let Some(declared) = &mut column.declared
                    && declared.class_names.as_ref() != found
                {
                    declared.class_names = None;
                }
            }
            table.files.push(TableFile { path: path.as_ref().to_owned(), columns: other.columns, order });
        }
        table.notes = notes.into_iter().map(|(note, in_files)| said(note, &in_files, paths.len())).collect();
        Ok(table)
    }
}

/// A note, with the files that it is about if others are there.
fn said(note: String, in_files: &[PathBuf], files: usize) -> String {
    let names: Vec<String> = in_files.iter().take(3).map(|path| path.display().to_string()).collect();
    match in_files.len() {
        all if all == files => note,
        1 => format!("{note} ({})", names[0]),
        some => {
            format!("{note} ({some} of {files} files: {}{})", names.join(", "), if some > 3 { ", ..." } else { "" })
        }
    }
}

/// For each column of `first` its position in `other`, which must have the same ones.
fn order(first: &TableFile, other: &TableFile) -> Result<Vec<usize>, TableError> {
    let names = |file: &TableFile| file.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (names(first), names(other));
    let refuse = |reason: String| Err(TableError::file(&other.path, reason));
    let (path, hint) = (first.path.display(), "files of one table have the same columns");
    let order: Vec<usize> = if ours == theirs {
        (0..ours.len()).collect()
    } else {
        let without = |one: &[String], other: &[String]| {
            let missing: Vec<&str> = one.iter().filter(|name| !other.contains(name)).map(String::as_str).collect();
            listed(missing.into_iter())
        };
        let is_twice = |names: &[String]| (1..names.len()).any(|at| names[..at].contains(&names[at]));
        let found = ours.iter().map(|name| theirs.iter().position(|other| other == name)).collect::<Option<Vec<_>>>();
        match found {
            Some(order) if ours.len() == theirs.len() && !is_twice(&ours) => order,
            _ if is_twice(&ours) || is_twice(&theirs) => {
                let all = (listed(ours.iter().map(String::as_str)), listed(theirs.iter().map(String::as_str)));
                return refuse(format!("columns {}, and {} in {path} (hint: {hint})", all.1, all.0));
            }
            _ => {
                let (lost, new) = (without(&ours, &theirs), without(&theirs, &ours));
                return refuse(format!("other columns than {path}: only here {new}; only there {lost} (hint: {hint})"));
            }
        }
    };
    for (column, &at) in first.columns.iter().zip(&order) {
        let kind = |column: &Column| column.declared.as_ref().map(|declared| declared.values);
        let type_name = |column: &Column| match &column.declared {
            Some(declared) => declared.type_name.clone(),
            None => "of no declared type".to_owned(),
        };
        let found = &other.columns[at];
        if kind(column) != kind(found) {
            return refuse(format!(
                "column {:?} is {}, and {} in {path} (hint: write both with one type)",
                column.name,
                type_name(found),
                type_name(column)
            ));
        }
    }
    Ok(order)
}

/// The files that come after the one being read.
pub(crate) struct LaterFiles {
    pub(crate) files: std::vec::IntoIter<TableFile>,
    /// Positions in the table's columns.
    pub(crate) selected: Vec<usize>,
    pub(crate) options: ReadOptions,
}

impl LaterFiles {
    /// The rows of the next file.
    pub(crate) fn open_next(&mut self) -> Option<Result<RowIter, TableError>> {
        let TableFile { path, columns, order } = self.files.next()?;
        let selected: Vec<usize> = self.selected.iter().map(|&column| order[column]).collect();
        Some(Table::open(&path, &self.options).and_then(|table| {
            if table.columns != columns {
                return Err(TableError::file(&path, "its columns changed while it was read (hint: run again)"));
            }
            table.file.rows(&table.columns, &selected)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use ::parquet::arrow::ArrowWriter;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{Field, Schema};
    use tempfile::TempDir;

    use super::*;
    use crate::Cell;

    fn folder(files: &[(&str, &str)]) -> (TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().map(|(name, content)| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        });
        let paths = paths.collect();
        (folder, paths)
    }

    /// File, row and cells of each row.
    fn rows(table: Table, columns: &[usize]) -> Result<Vec<String>, TableError> {
        let mut rows = table.rows(columns)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next() {
            let row = row?;
            let cells: Vec<String> = row.cells.iter().map(Cell::to_string).collect();
            found.push(format!("{} {} {}", rows.file(), row.number, cells.join("|")));
        }
        Ok(found)
    }

    fn refusal(files: &[(&str, &str)]) -> String {
        let (_folder, paths) = folder(files);
        let table = Table::open_all(&paths, &ReadOptions::default());
        let message = table.and_then(|table| rows(table, &[0])).unwrap_err().to_string();
        message.replace(&format!("{}/", paths[0].parent().unwrap().display()), "")
    }

    #[test]
    fn columns_are_mapped_by_name_and_rows_tell_their_file() {
        let (_folder, paths) = folder(&[
            ("a.csv", "text,id,label\na,1,pos\nb,2,neg\n"),
            ("b.csv", "label,text,id\npos,c,3\n"),
            ("c.jsonl", "{\"id\":4,\"label\":\"neg\",\"text\":\"d\"}\n"),
            ("d.json", "{\"rows\":[{\"id\":5,\"label\":\"neg\",\"text\":\"e\"}]}\n"),
        ]);
        let open = || Table::open_all(&paths, &ReadOptions::default()).unwrap();
        let table = open();
        let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["text", "id", "label"]);
        let files: Vec<&Path> = table.files().iter().map(|file| file.path.as_path()).collect();
        assert_eq!(files, paths);
        assert_eq!(table.files()[1].columns[0].name, "label");
        assert_eq!(table.notes(), [format!("rows are the array under \"rows\" ({})", paths[3].display())]);
        let expected = ["0 1 pos|a", "0 2 neg|b", "1 1 pos|c", "2 1 neg|d", "3 1 neg|e"];
        assert_eq!(rows(table, &[2, 0]).unwrap(), expected);
        let table = open();
        fs::write(&paths[1], "text,label\nc,pos\n").unwrap();
        let message = rows(table, &[0]).unwrap_err().to_string();
        assert!(message.contains("b.csv: its columns changed while it was read"), "{message}");
    }

    #[test]
    fn files_of_other_columns_are_refused_with_both_names() {
        let first = ("a.csv", "text,label\na,1\n");
        assert_eq!(
            refusal(&[first, ("b.csv", "text,stars,id\nb,1,2\n")]),
            "b.csv: other columns than a.csv: only here stars, id; only there label (hint: files of one table have the \
             same columns)"
        );
        assert!(
            refusal(&[first, ("b.txt", "b\n")]).starts_with("b.txt: other columns than a.csv: only here none; only")
        );
        assert_eq!(
            refusal(&[("a.csv", "text,x,x\na,1,2\n"), ("b.csv", "x,text,x\n1,b,2\n")]),
            "b.csv: columns x, text, x, and text, x, x in a.csv (hint: files of one table have the same columns)"
        );
        let message = refusal(&[first, ("b.csv", "text,label\n\"b\n")]);
        assert!(message.starts_with("b.csv: line 2: a quote opens here"), "{message}");
        let (_folder, paths) = folder(&[("a.csv", "text,x,x\na,1,2\n"), ("b.csv", "text,x,x\nb,3,4\n")]);
        let table = Table::open_all(&paths, &ReadOptions::default()).unwrap();
        assert_eq!(rows(table, &[2]).unwrap(), ["0 1 2", "1 1 4"]);
    }

    fn parquet(path: &Path, label: ArrayRef, names: &[&str]) {
        let names = serde_json::json!({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}});
        let metadata = std::collections::HashMap::from([("huggingface".to_owned(), names.to_string())]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"; label.len()]));
        let field = |name: &str, column: &ArrayRef| Field::new(name, column.data_type().clone(), true);
        let fields = vec![field("text", &text), field("label", &label)];
        let schema = Arc::new(Schema::new(fields).with_metadata(metadata));
        let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), Arc::clone(&schema), None).unwrap();
        writer.write(&RecordBatch::try_new(schema, vec![text, label]).unwrap()).unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn declared_types_must_agree_and_class_names_stay_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.parquet", "b.parquet"].map(|name| folder.path().join(name));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, 1]));
        let class_names = |columns: &[Column]| columns[1].declared.as_ref().unwrap().class_names.clone();
        let named = |names: [&str; 2]| Some(names.map(str::to_owned).to_vec());
        parquet(&paths[0], Arc::clone(&numbers), &["neg", "pos"]);
        for (second, together) in [(["neg", "pos"], named(["neg", "pos"])), (["pos", "neg"], None)] {
            parquet(&paths[1], Arc::clone(&numbers), &second);
            let table = Table::open_all(&paths, &ReadOptions::default()).unwrap();
            assert_eq!(class_names(table.columns()), together);
            assert_eq!(class_names(&table.files()[0].columns), named(["neg", "pos"]));
            assert_eq!(class_names(&table.files()[1].columns), named(second));
            assert_eq!(rows(table, &[1]).unwrap(), ["0 1 0", "0 2 1", "1 1 0", "1 2 1"]);
        }
        parquet(&paths[1], Arc::new(StringArray::from(vec!["neg"])), &["neg", "pos"]);
        let message = Table::open_all(&paths, &ReadOptions::default()).err().unwrap().to_string();
        assert!(message.contains("b.parquet: column \"label\" is Utf8, and Int64 in "), "{message}");
    }
}
