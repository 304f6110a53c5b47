//! The modules of a crate form no cycles: a reader can begin with what a module depends on.
//!
//! A module depends on another where a file of it names something of the other by a path through `crate`, `super` or
//! `self`; a re-export counts for the file that defines the item. A module's children are a part of it, and are
//! compared among themselves.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};

use super::source::{Module, Source, modules, packages};

/// Where each name that a file imports comes from.
type Imports = BTreeMap<Module, BTreeMap<String, Module>>;

/// A path, and the name under which a `use` declares it.
type UsePath = (Vec<String>, Option<String>);

#[test]
fn the_modules_of_a_crate_form_no_cycles() {
    let found = packages().into_iter().map(|(package, src)| (package, cycles(&modules(&src))));
    let found: Vec<_> = found.filter(|(_, cycles)| !cycles.is_empty()).collect();
    assert!(found.is_empty(), "modules that import each other in a circle, by package: {found:#?}");
}

/// The groups of sibling modules in which each reaches each other.
fn cycles(files: &BTreeMap<Module, Source>) -> BTreeSet<Vec<String>> {
    let mentions: BTreeMap<&Module, Vec<UsePath>> =
        files.iter().map(|(module, source)| (module, mentions(source.tokens.clone(), module))).collect();
    let mut imports = Imports::new();
    for (&module, mentions) in &mentions {
        let named = mentions.iter().filter_map(|(path, name)| Some((name.clone()?, path.clone())));
        imports.insert(module.clone(), named.collect());
    }
    let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (&module, mentions) in &mentions {
        for home in mentions.iter().filter_map(|(path, _)| home(path, files, &imports, 0)) {
            let level = module.iter().zip(&home).take_while(|(one, other)| one == other).count();
            // Between a module and a part of it there is no edge.
            if level < module.len().min(home.len()) {
                edges.entry(module[..=level].to_vec()).or_default().insert(home[..=level].to_vec());
            }
        }
    }
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|from| (from, reached(from, &edges))).collect();
    let cycle = |module: &&Module| -> Vec<String> {
        let both = reached[module].iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(module)));
        both.map(|other| other.join("::")).collect()
    };
    reached.keys().map(cycle).filter(|cycle| !cycle.is_empty()).collect()
}

fn reached<'a>(from: &'a Module, edges: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        open.extend(edges.get(module).into_iter().flatten().filter(|next| reached.insert(*next)));
    }
    reached
}

/// The module of the file that defines what `path`, from the crate's root, names.
fn home(path: &[String], files: &BTreeMap<Module, Source>, imports: &Imports, hops: usize) -> Option<Module> {
    let module = (0..=path.len()).rev().map(|len| &path[..len]).find(|module| files.contains_key(*module))?;
    let imported = path.get(module.len()).and_then(|name| imports[module].get(name));
    match imported {
        // An import through a folder's own name can't lead back to itself in code that compiles.
        Some(path) if hops < 8 => home(path, files, imports, hops + 1),
        _ => Some(module.to_vec()),
    }
}

/// The paths that `tokens`, which stand in `here`, mention, each from the crate's root.
fn mentions(tokens: TokenStream, here: &[String]) -> Vec<UsePath> {
    let mut found = Vec::new();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(inside), ..] if word == "mod" => {
                let inner: Module = here.iter().cloned().chain([name.to_string()]).collect();
                found.extend(mentions(inside.stream(), &inner));
                at += 3;
            }
            [TokenTree::Ident(word), TokenTree::Ident(_) | TokenTree::Group(_), ..] if word == "use" => {
                let len = tokens[at..].iter().take_while(|token| token.to_string() != ";").count();
                imported(&tokens[at + 1..at + len], &[], &mut |path, name| {
                    found.extend(from_root(&path, here).map(|path| (path, Some(name))));
                });
                at += len;
            }
            [TokenTree::Ident(_), ..] => {
                let (path, len) = path(&tokens[at..]);
                let rooted = ["crate", "super", "self"].contains(&path[0].as_str()) && path.len() > 1;
                found.extend(rooted.then(|| from_root(&path, here)).flatten().map(|path| (path, None)));
                at += len;
            }
            [TokenTree::Group(inside), ..] => {
                found.extend(mentions(inside.stream(), here));
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// The names joined by `::` at the beginning of `tokens`, and how many tokens they take.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut path = vec![tokens[0].to_string()];
    let mut len = 1;
    while let [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(name), ..] = &tokens[len..] {
        if (one.as_char(), two.as_char()) != (':', ':') {
            break;
        }
        path.push(name.to_string());
        len += 3;
    }
    (path, len)
}

/// Calls `declare` with each path of a `use` tree below `prefix` and the name that it declares.
fn imported(tree: &[TokenTree], prefix: &[String], declare: &mut impl FnMut(Vec<String>, String)) {
    for branch in tree.split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',')) {
        let Some(TokenTree::Ident(_)) = branch.first() else { continue };
        let (names, len) = path(branch);
        let path: Vec<String> = prefix.iter().cloned().chain(names).collect();
        match &branch[len..] {
            [.., TokenTree::Group(inside)] => {
                let inside: Vec<TokenTree> = inside.stream().into_iter().collect();
                imported(&inside, &path, declare);
            }
            rest => {
                let own = path.iter().rfind(|name| *name != "self").cloned().unwrap_or_default();
                let path = path.into_iter().enumerate().filter(|(at, name)| *at == 0 || name != "self");
                let name = rest.last().map_or(own, ToString::to_string);
                declare(path.map(|(_, name)| name).collect(), name);
            }
        }
    }
}

/// `path` as it stands in `here`, from the crate's root. What begins with no keyword may be a child's or another crate's:
/// it is taken for a child's, and finds no file if it is not.
fn from_root(path: &[String], here: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (&[][..], &path[1..]),
        "self" => (here, &path[1..]),
        _ => (&here[..here.len().checked_sub(ups)?], &path[ups..]),
    };
    Some(base.iter().chain(rest).cloned().collect())
}
