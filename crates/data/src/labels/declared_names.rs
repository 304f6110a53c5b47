//! The names of classes that files declare. They count for the file that declares them: its numbers are put into the order
//! of the data set's names.

use super::column::Value;
use super::split_rows::SplitRows;
use crate::error::DataError;
use crate::labeled_table::SourceFile;

/// For each file its class names, and what their numbers are in the order of all.
#[derive(Debug, Default)]
pub(super) struct DeclaredNames {
    files: Vec<Option<FileClasses>>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
struct FileClasses {
    names: Vec<String>,
    /// The number of each name among the data set's.
    numbers: Vec<i64>,
}

impl DeclaredNames {
    /// The data set's names, which are the source's own, else those of the first file that declares some; and what each
    /// file's names mean among them.
    ///
    /// # Errors
    /// Files whose names are not the same ones.
    pub(super) fn find(
        split_rows: &SplitRows,
        declared: Option<&[&str]>,
    ) -> Result<(Option<Vec<String>>, Self), DataError> {
        let declaring = |file: &&SourceFile| file.class_names.is_some();
        let first = split_rows.files.iter().find(declaring);
        let names: Vec<String> = match (declared, first) {
            (Some(names), _) => names.iter().map(|name| name.to_string()).collect(),
            (None, Some(first)) => first.class_names.clone().unwrap_or_default(),
            (None, None) => return Ok((None, Self::default())),
        };
        let mut found = Self::default();
        let (mut reordered, mut without) = (Vec::new(), Vec::new());
        for file in &split_rows.files {
            let Some(own) = &file.class_names else {
                without.extend(file.label_column.as_ref().map(|_| file.name()));
                found.files.push(None);
                continue;
            };
            let numbers: Option<Vec<i64>> = own
                .iter()
                .map(|name| names.iter().position(|known| known == name).map(|number| number as i64))
                .collect();
            match (numbers, first) {
                (Some(numbers), _) if own.len() == names.len() => {
                    if *own != names {
                        reordered.push(file.name());
                    }
                    found.files.push(Some(FileClasses { names: own.clone(), numbers }));
                }
                // The source says what the numbers mean, whatever else its files call them.
                _ if declared.is_some() => found.files.push(None),
                (_, first) => {
                    let first = first.unwrap_or(file);
                    return Err(DataError::content(
                        &file.path,
                        format!(
                            "its classes are {}, those of {} are {} (hint: files of one data set have the same classes)",
                            own.join(", "),
                            first.path.display(),
                            names.join(", ")
                        ),
                    ));
                }
            }
        }
        if declared.is_none() {
            found.notes.extend((!reordered.is_empty()).then(|| {
                let files = reordered.join(", ");
                format!("{files}: the classes are in another order there; labels are matched by their names")
            }));
            found.notes.extend((!without.is_empty()).then(|| {
                let (files, first) = (without.join(", "), first.map(SourceFile::name).unwrap_or_default());
                format!("{files}: no names of classes there; its numbers are read as those of {first}")
            }));
        }
        Ok((Some(names), found))
    }

    /// What a value of a file means: the name that the file gives it, and its number in the order of all.
    pub(super) fn meanings(&self, file: usize, value: Value) -> [Option<Value>; 2] {
        let (Some(Some(classes)), Value::Number(number)) = (self.files.get(file), &value) else {
            return [None, Some(value)];
        };
        match usize::try_from(*number).ok().and_then(|at| Some((classes.names.get(at)?, classes.numbers.get(at)?))) {
            Some((name, number)) => [Some(Value::Word(name.clone())), Some(Value::Number(*number))],
            None => [None, Some(value)],
        }
    }
}
