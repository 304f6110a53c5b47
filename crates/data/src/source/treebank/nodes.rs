//! The trees themselves, with the label of every phrase: for scoring a model on more than sentences.

use std::ops::Range;

use super::tree::{Classes, Tree};
use super::{DATASETS, Trees, from_folder, from_hub, from_stanford};
use crate::error::DataError;
use crate::record::Split;
use crate::source::is_unreachable;
use crate::source::{Source, SourceChoice};

/// The trees of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreebankSplit {
    /// In the order of the file; each holds its nodes in the order in which they close, so the whole sentence comes last.
    pub trees: Vec<Vec<TreebankNode>>,
    /// Where they come from.
    pub source: String,
}

/// A labeled phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreebankNode {
    /// Its words, parted by spaces, as the data sets of the treebank have them.
    pub text: String,
    /// Its characters in the text of the whole sentence.
    pub characters: Range<usize>,
    /// 0 (very negative) to 4 (very positive).
    pub label: u8,
    /// The places of the phrases that it consists of, in the order of the words; none of a single word.
    pub children: Vec<usize>,
}

impl TreebankSplit {
    /// Reads the trees of a split; `auto` takes the first of Hub and Stanford that is reachable.
    ///
    /// # Errors
    /// A source that has no trees, that is not reachable, or whose files aren't the treebank's.
    pub fn load(source: &SourceChoice, split: Split) -> Result<Self, DataError> {
        let trees = match source {
            SourceChoice::Auto => match from_hub() {
                Err(error) if is_unreachable(&error) => from_stanford(),
                found => found,
            },
            SourceChoice::Download(Source::Hub) => from_hub(),
            SourceChoice::Download(Source::Stanford) => from_stanford(),
            SourceChoice::Download(Source::Packaged) => Err(DataError::Request(
                "the packaged reviews have no trees (hint: auto, hub, stanford, or a folder with train.txt, dev.txt and \
                 test.txt)"
                    .into(),
            )),
            SourceChoice::Folder(folder) => from_folder(folder),
        }?;
        let Trees { train, validation, test, source, .. } = trees;
        let trees = match split {
            Split::Train => train,
            Split::Validation => validation,
            Split::Test => test,
        };
        Ok(Self { trees: trees.iter().map(nodes).collect(), source })
    }
}

/// Which class each label of the treebank is (0 to 4), in a data set whose classes have these names; `None` where they are no
/// data set's that is made of the treebank.
pub fn treebank_classes(label_names: &[String]) -> Option<[Option<u32>; 5]> {
    let dataset = DATASETS.iter().find(|dataset| dataset.label_names == label_names)?;
    let classes = super::classes(dataset);
    Some(std::array::from_fn(|label| Classes::of(classes, label as u8)))
}

/// The names of the classes of each data set that is made of the treebank.
pub fn treebank_label_names() -> impl Iterator<Item = &'static [&'static str]> {
    DATASETS.iter().map(|dataset| dataset.label_names)
}

/// How positive each class is, the middle at 0, one apart: for a model's labels in the order of its classes. `None` unless they
/// are those of a data set that is made of the treebank.
pub fn treebank_polarity(label_names: &[String]) -> Option<Vec<f32>> {
    DATASETS.iter().find(|dataset| dataset.label_names == label_names)?;
    let middle = (label_names.len() - 1) as f32 / 2.0;
    Some((0..label_names.len()).map(|class| class as f32 - middle).collect())
}

fn nodes(tree: &Tree) -> Vec<TreebankNode> {
    let mut nodes: Vec<TreebankNode> = Vec::new();
    // Where each word begins and ends in the sentence.
    let words: Vec<Range<usize>> = tree
        .text()
        .split(' ')
        .scan(0, |next, word| {
            let start = *next;
            let end = start + word.chars().count();
            *next = end + 1;
            Some(start..end)
        })
        .collect();
    // Closed nodes without a parent yet, with the place of their first word.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for ((text, label), span) in tree.phrases().zip(tree.spans()) {
        let first = open.partition_point(|(start, _)| *start < span.start);
        let children = open.drain(first..).map(|(_, place)| place).collect();
        open.push((span.start, nodes.len()));
        let characters = words[span.start].start..words[span.end - 1].end;
        nodes.push(TreebankNode { text, characters, label, children });
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    #[test]
    fn every_node_knows_its_children() {
        let tree = tree::parse("(1 (2 It) (1 (2 (2 does) (2 n't)) (3 (3 work))))").expect("a tree");
        let found: Vec<(String, u8, Vec<usize>)> =
            nodes(&tree).into_iter().map(|node| (node.text, node.label, node.children)).collect();
        let expected: [(&str, u8, &[usize]); 8] = [
            ("It", 2, &[]),
            ("does", 2, &[]),
            ("n't", 2, &[]),
            ("does n't", 2, &[1, 2]),
            ("work", 3, &[]),
            ("work", 3, &[4]),
            ("does n't work", 1, &[3, 5]),
            ("It does n't work", 1, &[0, 6]),
        ];
        assert_eq!(found, expected.map(|(text, label, children)| (text.to_owned(), label, children.to_vec())));
        let sentence: Vec<char> = "It does n't work".chars().collect();
        for node in nodes(&tree) {
            assert_eq!(sentence[node.characters].iter().collect::<String>(), node.text);
        }
    }

    #[test]
    fn only_the_labels_of_the_treebank_have_a_polarity() {
        let of = |names: &[&str]| treebank_polarity(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["negative", "positive"]), Some(vec![-0.5, 0.5]));
        assert_eq!(of(&["negative", "neutral", "positive"]), Some(vec![-1.0, 0.0, 1.0]));
        let five = ["very negative", "negative", "neutral", "positive", "very positive"];
        assert_eq!(of(&five), Some(vec![-2.0, -1.0, 0.0, 1.0, 2.0]));
        assert_eq!(of(&["positive", "negative"]), None);
    }

    #[test]
    fn classes_are_those_of_the_data_sets() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = treebank_classes(&names(&["negative", "positive"]));
        assert_eq!(two, Some([Some(0), Some(0), None, Some(1), Some(1)]));
        let three = treebank_classes(&names(&["negative", "neutral", "positive"]));
        assert_eq!(three, Some([Some(0), Some(0), Some(1), Some(2), Some(2)]));
        assert_eq!(treebank_label_names().count(), 3);
        assert_eq!(treebank_classes(&names(&["positive", "negative"])), None);
    }

    #[test]
    fn a_folder_has_the_trees_of_each_split_and_packaged_reviews_have_none() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, tree) in
            [("train.txt", "(3 good)"), ("dev.txt", "(1 (2 a) (1 bad))"), ("test.txt", "(2 so)\n(2 so)")]
        {
            std::fs::write(folder.path().join(name), tree).expect("written");
        }
        let load = |split| TreebankSplit::load(&SourceChoice::Folder(folder.path().into()), split).expect("trees");
        let sizes = [Split::Train, Split::Validation, Split::Test].map(|split| load(split).trees.len());
        assert_eq!(sizes, [1, 1, 2]);
        assert_eq!(load(Split::Validation).trees[0].len(), 3);
        assert!(load(Split::Test).source.starts_with("folder "));
        let packaged = TreebankSplit::load(&SourceChoice::Download(Source::Packaged), Split::Test);
        assert!(packaged.expect_err("none").to_string().starts_with("the packaged reviews have no trees"));
    }
}
