//! The product's own source files as tokens: without comments and without what is compiled for tests alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::command::root;

/// A module's path from the root of its crate, which is the empty path.
pub(super) type Module = Vec<String>;

/// One file of a crate.
pub(super) struct Source {
    pub path: PathBuf,
    pub tokens: TokenStream,
}

/// The name and the source folder of each package that holds product code.
pub(super) fn packages() -> BTreeMap<String, PathBuf> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let folders = crates.chain([root().join("xtask")]).map(|folder| (folder.clone(), folder.join("src")));
    let named = folders.map(|(folder, src)| (folder.file_name().unwrap().to_str().unwrap().to_owned(), src));
    named.filter(|(_, src)| src.is_dir()).collect()
}

/// The files of the crate in `src` by module, found as the compiler finds them: from `mod` to `mod`.
pub(super) fn modules(src: &Path) -> BTreeMap<Module, Source> {
    let mut modules = BTreeMap::new();
    let roots = ["lib.rs", "main.rs"].map(|name| src.join(name));
    let first = roots.into_iter().find(|path| path.is_file()).expect("a crate has a lib.rs or a main.rs");
    let mut open = vec![(Module::new(), first)];
    while let Some((module, path)) = open.pop() {
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tokens = without_tests(parsed);
        for name in declared(&tokens) {
            let child: Module = module.iter().cloned().chain([name]).collect();
            let place = src.join(child.join("/"));
            let files = [place.with_extension("rs"), place.join("mod.rs")];
            if let Some(file) = files.into_iter().find(|file| file.is_file()) {
                open.push((child, file));
            }
        }
        modules.insert(module, Source { path, tokens });
    }
    modules
}

/// The names in `mod NAME;`.
fn declared(tokens: &TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let names = tokens.windows(3).filter_map(|window| match window {
        [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end)] => {
            (word == "mod" && end.as_char() == ';').then(|| name.to_string())
        }
        _ => None,
    });
    names.collect()
}

/// `tokens` without attributes, so without documentation, and without each item under `#[cfg(test)]`.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let inner = matches!(rest.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
                let attribute = if inner { rest.nth(1) } else { rest.next() };
                let words = attribute.map(|attribute| attribute.to_string().replace(' ', "")).unwrap_or_default();
                if words == "[cfg(test)]" {
                    // To the end of the item: its braces or its semicolon.
                    rest.by_ref().find(|token| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(mark) => mark.as_char() == ';',
                        _ => false,
                    });
                }
            }
            TokenTree::Group(group) => {
                let inside = without_tests(group.stream());
                kept.push(TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inside)));
            }
            token => kept.push(token),
        }
    }
    kept.into_iter().collect()
}
