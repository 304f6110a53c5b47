//! The documents list the data sets, sources and file formats of the code. `VERDICT_UPDATE=1 cargo test -p data docs`
//! writes these lists again.

use std::fs;

use table::{FORMATS, FileFormat};

use crate::source::named::NamedDataset;
use crate::source::{DEFAULT, Dataset, FAMILIES, Source};
use crate::thousands::grouped;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const UPDATE: &str = "VERDICT_UPDATE=1 cargo test -p data docs";

/// What stands between two texts of a document is replaced.
struct Listed {
    file: &'static str,
    begin: &'static str,
    end: &'static str,
    list: String,
}

fn datasets() -> String {
    let row = |dataset: &NamedDataset| {
        let labels = match dataset.label_names {
            [first, .., last] if dataset.label_names.len() > 3 => format!("{first} to {last}"),
            names => names.join(", "),
        };
        let rows = dataset.rows.map(grouped).join(" | ");
        let default = if dataset.name == DEFAULT { " (default)" } else { "" };
        format!("| `{}`{default} | {labels} | {rows} | {} |\n", dataset.name, dataset.about)
    };
    let rows: String = NamedDataset::all().map(row).collect();
    let hub = "| `OWNER/NAME`, `OWNER/NAME:CONFIGURATION` | its own | | | | any data set of the Hugging Face Hub that has \
               Parquet files";
    let own = format!("| a path | yours | | | | your own {} file, or a folder of split files |", FileFormat::names());
    format!(
        "\n| name | labels | train | validation | test | what it is |\n| --- | --- | --- | --- | --- | --- |\n{rows}{hub} |\n{own}\n\n"
    )
}

fn sources() -> String {
    let rows = Source::ALL.map(|source| format!("| `{}` | {} |\n", source.name(), source.about())).concat();
    let auto =
        "the first of the data set's sources that is reachable, as listed below; each is given up within seconds";
    let takes = |family: &&[NamedDataset]| {
        let names: Vec<String> = family.iter().map(|dataset| format!("`{}`", dataset.name)).collect();
        let dataset = &family[0];
        let mut from: Vec<String> =
            dataset.downloads.iter().map(|(source, _)| format!("`{}`", source.name())).collect();
        if let Some(folder) = &dataset.folder {
            from.push(format!("a folder with `{}`", folder.files.join("`, `")));
        }
        format!("| {} | {} |\n", names.join(", "), from.join(", "))
    };
    let datasets: String = FAMILIES.iter().map(takes).collect();
    format!(
        "\n| source | what is read |\n| --- | --- |\n| `auto` (default) | {auto} |\n{rows}| a folder | its files |\n\n\
         | data sets | sources, in the order of `auto` |\n| --- | --- |\n{datasets}\n"
    )
}

fn formats() -> String {
    let endings = |format: &FileFormat| match format.endings {
        [] => "a folder".to_owned(),
        endings => endings.iter().map(|ending| format!("`.{ending}`")).collect::<Vec<_>>().join(", "),
    };
    let row = |format: &FileFormat| format!("| {} | {} | {} |\n", format.name, endings(format), format.about);
    let rows: String = FORMATS.iter().map(row).collect();
    format!("\n| format | endings | content |\n| --- | --- | --- |\n{rows}\n")
}

fn lists() -> Vec<Listed> {
    let names = format!("{}\\|OWNER/NAME\\|PATH`", Dataset::names().replace(", ", "\\|"));
    let sources = Source::ALL.map(|source| format!("{}\\|", source.name())).concat();
    vec![
        Listed {
            file: "docs/data.md",
            begin: "<!-- Data sets, written by `VERDICT_UPDATE=1 cargo test -p data docs`. -->\n",
            end: "<!-- End of the data sets. -->\n",
            list: datasets(),
        },
        Listed {
            file: "docs/data.md",
            begin: "<!-- Sources, written by `VERDICT_UPDATE=1 cargo test -p data docs`. -->\n",
            end: "<!-- End of the sources. -->\n",
            list: self::sources(),
        },
        Listed {
            file: "docs/data.md",
            begin: "<!-- File formats, written by `VERDICT_UPDATE=1 cargo test -p data docs`. -->\n",
            end: "<!-- End of the file formats. -->\n",
            list: formats(),
        },
        Listed { file: "README.md", begin: "`--dataset ", end: ", `--source ", list: names },
        Listed { file: "README.md", begin: "`--source auto\\|", end: "DIR`, `--model", list: sources },
        Listed {
            file: "README.md",
            begin: "To train on your own ",
            end: " file, give it as",
            list: FileFormat::names(),
        },
    ]
}

#[test]
fn the_docs_list_the_data_sets_sources_and_formats() {
    for Listed { file, begin, end, list } in lists() {
        let path = format!("{ROOT}/{file}");
        let found = fs::read_to_string(&path).unwrap();
        let (before, rest) = found.split_once(begin).unwrap_or_else(|| panic!("{file} has no {begin:?}"));
        let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{file} has no {end:?} after {begin:?}"));
        let expected = format!("{before}{begin}{list}{end}{after}");
        if std::env::var_os("VERDICT_UPDATE").is_some() {
            fs::write(&path, expected).unwrap();
        } else {
            assert!(found == expected, "{file} lists something else than the code after {begin:?} (hint: {UPDATE})");
        }
    }
}
