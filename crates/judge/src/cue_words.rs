//! Words that turn the meaning of those around them: negations and contrasts. The only lists of them; they are English.

/// Words that negate, after the list of Councill, McDonald and Velikovich ("What's great and what's not: learning to classify
/// the scope of negation for improved sentiment analysis", 2010), without those that only weaken. Words that end in `n't` do
/// too, and those that are written without its apostrophe.
const NEGATIONS: [&str; 33] = [
    "no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "cannot", "without", "nope", "nah",
    "aint", "arent", "cant", "couldnt", "didnt", "doesnt", "dont", "hadnt", "hasnt", "havent", "isnt", "mustnt",
    "neednt", "shant", "shouldnt", "wasnt", "werent", "wont", "wouldnt", "mightnt",
];

/// Words that set what follows, or what comes before, against the rest.
const CONTRASTS: [&str; 11] = [
    "but",
    "although",
    "though",
    "tho",
    "however",
    "yet",
    "despite",
    "nevertheless",
    "nonetheless",
    "whereas",
    "albeit",
];

/// Whether a word, in lower case, negates: `not`, `n't`, `don't`.
pub(crate) fn is_negation(word: &str) -> bool {
    word.ends_with("n't") || NEGATIONS.contains(&word)
}

/// Whether a text has a negation.
pub(crate) fn has_negation(text: &str) -> bool {
    cue_words(text).iter().any(|word| is_negation(word))
}

/// Whether a text has a contrast.
pub(crate) fn has_contrast(text: &str) -> bool {
    cue_words(text).iter().any(|word| CONTRASTS.contains(&word.as_str()))
}

/// The words of a text in lower case: letters, digits and apostrophes, of which those around a word are its quotes.
pub(crate) fn cue_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['\u{2019}', '\u{2BC}'], "'");
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.map(|word| word.trim_matches('\'').to_owned()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_found_however_they_are_written() {
        for text in
            ["It does n't work .", "NOT bad", "Don’t go", "I can't", "'no' fun", "nothing-new", "dont bother", "isn't"]
        {
            assert!(has_negation(text), "{text}");
        }
        for text in ["a notable knot", "Nora is noble", "another story", "the cantor", "", "n t"] {
            assert!(!has_negation(text), "{text}");
        }
        for text in ["Slow, but good", "Although long", "even though", "BUT"] {
            assert!(has_contrast(text), "{text}");
        }
        for text in ["a button", "thorough", "Buttercup", "yeti"] {
            assert!(!has_contrast(text), "{text}");
        }
    }
}
