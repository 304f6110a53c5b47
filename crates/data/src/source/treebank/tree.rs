//! The Stanford Sentiment Treebank's bracketed trees: `(3 (2 It) (4 works))`.
//!
//! Every node carries a label from 0 (very negative) to 4 (very positive); the root's is the sentence's. [`parse`] keeps
//! a stack of its own and bounds both depth and length, so no line, however hostile, overflows the call stack or grows
//! without limit.
//!
//! **How tokens become text.** Tokens are joined by single spaces, as in GLUE and on the Hub (`It 's great .`). The Penn
//! Treebank's escapes are undone: `-LRB-` and `-RRB-` are round brackets, `\/` is `/` and `\*` is `*`. The quotes
//! `` `` `` and `''` stay, case stays; a no-break space inside a token (as in `8 1/2`) is part of the token.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use table::quoted;

use crate::record::{Record, is_blank};

/// The longest line that is read, in bytes. The treebank's longest has 700.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// The deepest nesting that is read. The treebank's deepest has 30. A line's phrases together are as many times as long
/// as the line, so this bounds their memory too.
pub(super) const MAX_DEPTH: usize = 128;

/// One sentence with the label of every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    tokens: Vec<String>,
    /// In the order in which nodes close, so the root comes last.
    nodes: Vec<Node>,
}

/// A labeled run of tokens, `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    label: u8,
    start: usize,
    end: usize,
}

impl Tree {
    /// The root's label, 0 to 4.
    pub(super) fn label(&self) -> u8 {
        self.nodes.last().map_or(2, |root| root.label)
    }

    pub(super) fn text(&self) -> String {
        self.tokens.join(" ")
    }

    /// Every node's text and label, leaves first, the whole sentence last.
    pub(super) fn phrases(&self) -> impl Iterator<Item = (String, u8)> {
        self.nodes.iter().map(|node| (self.tokens[node.start..node.end].join(" "), node.label))
    }

    /// Where each node lies in the tokens, in the same order.
    pub(super) fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        self.nodes.iter().map(|node| node.start..node.end)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub(super) struct TreeError {
    /// Byte in the line, from 1.
    pub(super) column: usize,
    pub(super) reason: String,
}

/// A node whose bracket is open.
struct Open {
    label: u8,
    start: usize,
    column: usize,
    /// A node holds one token or any number of nodes.
    leaf: bool,
    children: usize,
}

pub(super) fn parse(line: &str) -> Result<Tree, TreeError> {
    let fail = |column: usize, reason: String| Err(TreeError { column, reason });
    if line.len() > MAX_LINE {
        return fail(1, format!("a line of {} bytes; a tree has at most {MAX_LINE}", line.len()));
    }
    let mut tree = Tree { tokens: Vec::new(), nodes: Vec::new() };
    let mut open: Vec<Open> = Vec::new();
    let mut pieces = Pieces { line, at: 0 };
    while let Some((column, piece)) = pieces.next() {
        if open.is_empty() && !tree.nodes.is_empty() {
            return fail(column, format!("{} after the tree's last bracket; one tree a line", quoted(piece)));
        }
        match piece {
            "(" => {
                if open.last().is_some_and(|node| node.leaf) {
                    return fail(column, "a node inside a node that already holds a word".into());
                }
                if open.len() == MAX_DEPTH {
                    return fail(column, format!("nested deeper than {MAX_DEPTH}"));
                }
                let Some((_, label)) = pieces.next() else {
                    return fail(column, "expected a label from 0 to 4, found the end of the line".into());
                };
                let Some(label) = label_of(label) else {
                    return fail(column + 1, format!("expected a label from 0 to 4, found {}", quoted(label)));
                };
                open.push(Open { label, start: tree.tokens.len(), column, leaf: false, children: 0 });
            }
            ")" => {
                let Some(node) = open.pop() else {
                    return fail(column, "a closing bracket without its opening one".into());
                };
                if !node.leaf && node.children == 0 {
                    return fail(node.column, "a node without words".into());
                }
                tree.nodes.push(Node { label: node.label, start: node.start, end: tree.tokens.len() });
                if let Some(parent) = open.last_mut() {
                    parent.children += 1;
                }
            }
            word => match open.last_mut() {
                None => {
                    return fail(column, format!("expected \"(\", the start of a tree, found {}", quoted(word)));
                }
                Some(node) if node.leaf || node.children > 0 => {
                    return fail(
                        column,
                        format!(
                            "expected a node with one word or with nodes, found {} beside other content",
                            quoted(word)
                        ),
                    );
                }
                // Such a word alone would be an empty text, as a phrase or as a whole sentence.
                Some(_) if is_blank(word) => {
                    return fail(column, format!("a word without a visible character, {}", quoted(word)));
                }
                Some(node) => {
                    node.leaf = true;
                    tree.tokens.push(unescape(word));
                }
            },
        }
    }
    match open.last() {
        Some(node) => fail(node.column, "an opening bracket that is never closed".into()),
        None if tree.nodes.is_empty() => fail(1, "no tree on this line".into()),
        None => Ok(tree),
    }
}

/// Brackets and the words between them. Only the ASCII space and tab separate words.
struct Pieces<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.line.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        let start = self.at;
        match bytes.get(start)? {
            b'(' | b')' => self.at += 1,
            _ => {
                while !matches!(bytes.get(self.at), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')')) {
                    self.at += 1;
                }
            }
        }
        // The delimiters are ASCII, so both ends are character boundaries.
        Some((start + 1, &self.line[start..self.at]))
    }
}

fn label_of(piece: &str) -> Option<u8> {
    match piece.as_bytes() {
        [digit @ b'0'..=b'4'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Undoes the Penn Treebank's escapes.
fn unescape(word: &str) -> String {
    match word {
        "-LRB-" => "(".into(),
        "-RRB-" => ")".into(),
        _ if word.contains('\\') || word.contains("RB-") => {
            word.replace("-LRB-", "(").replace("-RRB-", ")").replace("\\/", "/").replace("\\*", "*")
        }
        _ => word.into(),
    }
}

/// How many classes the treebank's five are folded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Classes {
    /// Negative (0, 1) and positive (3, 4); 2 is left out.
    Two,
    /// Negative (0, 1), neutral (2) and positive (3, 4).
    Three,
    Five,
}

impl Classes {
    /// The class of a treebank label (0 to 4); `None` where it is left out.
    pub(super) fn of(self, label: u8) -> Option<u32> {
        match self {
            Self::Two if label == 2 => None,
            Self::Two => Some(u32::from(label > 2)),
            Self::Three => Some(u32::from(label >= 2) + u32::from(label > 2)),
            Self::Five => Some(u32::from(label)),
        }
    }
}

/// The sentences of `trees` with their roots' classes.
pub(super) fn sentences(trees: &[Tree], classes: Classes) -> Vec<Record> {
    trees.iter().filter_map(|tree| Some(Record::labeled(tree.text(), classes.of(tree.label())?))).collect()
}

/// The phrases that `--phrases` adds to the training sentences.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Phrases {
    /// Each distinct text once, in the order of first appearance; none is one of the training sentences.
    pub(super) records: Vec<Record>,
    /// Phrases left out because they are a whole sentence of another split.
    pub(super) held_out: usize,
    /// Phrases that the trees label in more than one way; the commonest class is kept, on a tie the first seen.
    pub(super) ambiguous: usize,
}

/// Every distinct labeled phrase of the training trees that is neither a training sentence nor one of `held_out`.
pub(super) fn phrases(train: &[Tree], classes: Classes, held_out: &[Tree]) -> Phrases {
    let sentences: HashSet<String> = train.iter().map(Tree::text).collect();
    let foreign: HashSet<String> = held_out.iter().map(|tree| crate::record::lower_case(&tree.text())).collect();
    // Each phrase with its place in the order of first appearance, and how often it has each class.
    let mut votes: HashMap<String, (usize, Vec<(u32, usize)>)> = HashMap::new();
    for (text, label) in train.iter().flat_map(Tree::phrases) {
        let Some(class) = classes.of(label) else {
            continue;
        };
        if sentences.contains(&text) {
            continue;
        }
        let place = votes.len();
        let (_, seen) = votes.entry(text).or_insert_with(|| (place, Vec::new()));
        match seen.iter_mut().find(|(known, _)| *known == class) {
            Some((_, count)) => *count += 1,
            None => seen.push((class, 1)),
        }
    }
    let mut found = Phrases::default();
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_unstable_by_key(|(_, (place, _))| *place);
    for (text, (_, seen)) in votes {
        if foreign.contains(&crate::record::lower_case(&text)) {
            found.held_out += 1;
            continue;
        }
        found.ambiguous += usize::from(seen.len() > 1);
        let mut best = seen[0];
        for &vote in &seen[1..] {
            if vote.1 > best.1 {
                best = vote;
            }
        }
        found.records.push(Record::labeled(text, best.0));
    }
    found
}

#[cfg(test)]
mod tests;
