//! No two packages define types of the same name.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::source::{modules, packages};

/// The one name that several packages have: each a `Result` with its own error, as in `std::io`.
const SHARED: &str = "Result";

#[test]
fn no_type_has_the_name_of_a_type_in_another_package() {
    let mut packages_by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, src) in packages() {
        for name in modules(&src).into_values().flat_map(|source| type_names(source.tokens)) {
            packages_by_name.entry(name).or_default().insert(package.clone());
        }
    }
    packages_by_name.retain(|name, packages| packages.len() > 1 && name != SHARED);
    assert!(packages_by_name.is_empty(), "type names in several packages; rename all but one: {packages_by_name:#?}");
}

/// The names of the types that a file declares outside functions and impl blocks.
fn type_names(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let names = tokens.windows(2).filter_map(|window| match window {
        [TokenTree::Ident(word), TokenTree::Ident(name)] => {
            ["struct", "enum", "union", "trait", "type"].iter().any(|keyword| word == keyword).then(|| name.to_string())
        }
        _ => None,
    });
    names.collect()
}
