//! One name, one thing: no type has the name of a type in another package.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::source::{modules, packages};

/// Names that may stand in several packages, each with its reason. A name that stands in one only has to leave the list.
const SHARED: &[(&str, &str)] = &[("Result", "a package's `Result` with its own error, as in `std::io`")];

#[test]
fn no_type_has_the_name_of_a_type_in_another_package() {
    let mut packages_by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (package, src) in packages() {
        for name in modules(&src).into_values().flat_map(|source| type_names(source.tokens)) {
            packages_by_name.entry(name).or_default().insert(package.clone());
        }
    }
    let several: BTreeMap<_, _> = packages_by_name.into_iter().filter(|(_, packages)| packages.len() > 1).collect();
    let new: Vec<_> = several.iter().filter(|(name, _)| !SHARED.iter().any(|(shared, _)| shared == name)).collect();
    assert!(new.is_empty(), "the same type name in several packages; give each a name of its own: {new:#?}");
    let gone: Vec<_> = SHARED.iter().filter(|(name, _)| !several.contains_key(*name)).collect();
    assert!(gone.is_empty(), "these names stand in one package only and have to leave the list: {gone:#?}");
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
