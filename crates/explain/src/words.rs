//! The words of a text as its reader sees them, each with the tokens that it is made of.

use std::ops::Range;

use tokenize::TokenPiece;

/// A word of a text, or a punctuation mark that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its tokens, by their index among the text's own.
    pub tokens: Range<usize>,
    /// Its characters in the text.
    pub characters: Range<usize>,
}

/// Joins the pieces of words that the vocabulary doesn't have, and what BERT splits inside of a word: `it's`, `well-made`
/// and `3.5` are one word each. Punctuation around a word is its own word.
pub(crate) fn words(text: &str, pieces: &[TokenPiece]) -> Vec<Word> {
    let characters: Vec<char> = text.chars().collect();
    let mut words: Vec<Word> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let Some(place) = &piece.place else { continue };
        match words.last_mut().filter(|word| continues(&characters, word, piece, place)) {
            Some(word) => {
                word.tokens.end = index + 1;
                word.characters.end = word.characters.end.max(place.end);
            }
            None => words.push(Word { tokens: index..index + 1, characters: place.clone() }),
        }
    }
    words
}

fn continues(characters: &[char], word: &Word, piece: &TokenPiece, place: &Range<usize>) -> bool {
    let end = word.characters.end;
    // Several tokens of one character.
    let overlaps = place.start < end;
    let touches = place.start == end
        && (piece.text.starts_with("##")
            || joins(characters, end)
            || end.checked_sub(1).is_some_and(|at| joins(characters, at)));
    overlaps || touches
}

/// Whether the character at `at` holds a word together: an apostrophe or a hyphen between letters or digits, a point or a comma
/// between digits.
fn joins(characters: &[char], at: usize) -> bool {
    let around = |holds: fn(char) -> bool| {
        let before = at.checked_sub(1).and_then(|before| characters.get(before));
        before.is_some_and(|c| holds(*c)) && characters.get(at + 1).is_some_and(|c| holds(*c))
    };
    match characters.get(at) {
        Some('\'' | '’' | '-' | '‐') => around(char::is_alphanumeric),
        Some('.' | ',') => around(|c| c.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text whose tokens are given with their places.
    fn texts(text: &str, tokens: &[(&str, Range<usize>)]) -> Vec<String> {
        let piece = |(token, place): &(&str, Range<usize>)| TokenPiece {
            id: 7,
            text: (*token).to_owned(),
            place: Some(place.clone()),
        };
        let pieces: Vec<TokenPiece> = tokens.iter().map(piece).collect();
        let words = words(text, &pieces);
        assert_eq!(
            words.iter().map(|word| word.tokens.len()).sum::<usize>(),
            tokens.len(),
            "each token is in one word"
        );
        words
            .iter()
            .map(|word| text.chars().skip(word.characters.start).take(word.characters.len()).collect())
            .collect()
    }

    /// Tokens as BERT's pre-tokenizer splits: runs of letters and digits, and punctuation marks.
    fn split(text: &str) -> Vec<(&str, Range<usize>)> {
        let characters: Vec<(usize, char)> = text.char_indices().collect();
        let mut tokens: Vec<(&str, Range<usize>)> = Vec::new();
        let mut at = 0;
        while at < characters.len() {
            let begin = at;
            let is_word = |at: usize| characters.get(at).is_some_and(|(_, c)| c.is_alphanumeric());
            at += 1;
            if is_word(begin) {
                while is_word(at) {
                    at += 1;
                }
            }
            let end = characters.get(at).map_or(text.len(), |(byte, _)| *byte);
            let token = &text[characters[begin].0..end];
            if !token.trim().is_empty() {
                tokens.push((token, begin..at));
            }
        }
        tokens
    }

    #[test]
    fn words_are_what_a_reader_sees() {
        for (text, expected) in [
            ("A lovely film.", &["A", "lovely", "film", "."][..]),
            ("It's well-made, isn’t it?", &["It's", "well-made", ",", "isn’t", "it", "?"]),
            ("8 1/2 of 3.5 or 1,000 ...", &["8", "1", "/", "2", "of", "3.5", "or", "1,000", ".", ".", "."]),
            ("It 's fun -- '90s", &["It", "'", "s", "fun", "-", "-", "'", "90s"]),
            ("(bad) \"good\" end-", &["(", "bad", ")", "\"", "good", "\"", "end", "-"]),
            ("Größe naïve-ish", &["Größe", "naïve-ish"]),
        ] {
            assert_eq!(texts(text, &split(text)), expected, "{text}");
        }
    }

    #[test]
    fn pieces_are_joined_and_a_character_of_several_tokens_is_one_word() {
        assert_eq!(texts("unlovely film", &[("un", 0..2), ("##lovely", 2..8), ("film", 9..13)]), ["unlovely", "film"]);
        assert_eq!(texts("好看", &[("好", 0..1), ("看", 1..2)]), ["好", "看"]);
        assert_eq!(texts("½!", &[("1", 0..1), ("/", 0..1), ("2", 0..1), ("!", 1..2)]), ["½", "!"]);
    }
}
