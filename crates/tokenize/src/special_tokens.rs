//! Which special tokens go around a text, read from a tokenizer's post-processor.

use serde_json::Value;

/// The ids that a post-processor puts before and after a single text.
///
/// The library's own post-processor looks tokens up without asking whether they are there, so it isn't used.
pub(crate) fn special_tokens(post_processor: Option<&Value>) -> Result<(Vec<u32>, Vec<u32>), String> {
    let needed = "BERT needs special tokens before and after the text: [CLS] text [SEP]";
    let processor =
        post_processor.and_then(Value::as_object).ok_or_else(|| format!("has no post_processor: {needed}"))?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    match processor.get("type").and_then(Value::as_str) {
        Some("BertProcessing") => {
            before.push(token_id(processor.get("cls").and_then(|cls| cls.get(1)))?);
            after.push(token_id(processor.get("sep").and_then(|sep| sep.get(1)))?);
        }
        Some("TemplateProcessing") => {
            let mut texts = 0;
            for piece in processor.get("single").and_then(Value::as_array).into_iter().flatten() {
                let Some(name) = piece.pointer("/SpecialToken/id").and_then(Value::as_str) else {
                    texts += 1;
                    continue;
                };
                let ids = processor.get("special_tokens").and_then(|tokens| tokens.get(name)?.get("ids")?.as_array());
                let ids = ids.ok_or_else(|| format!("post_processor has no ids for its special token {name:?}"))?;
                let side = if texts == 0 { &mut before } else { &mut after };
                for id in ids {
                    side.push(token_id(Some(id))?);
                }
            }
            if texts != 1 {
                return Err(format!("post_processor's single template has the text {texts} times: {needed}"));
            }
        }
        kind => {
            let kind = kind.unwrap_or("missing");
            return Err(format!("post_processor type is {kind:?}, not BertProcessing or TemplateProcessing: {needed}"));
        }
    }
    if before.is_empty() || after.is_empty() {
        return Err(format!("post_processor has {} and {} ids: {needed}", before.len(), after.len()));
    }
    Ok((before, after))
}

fn token_id(value: Option<&Value>) -> Result<u32, String> {
    let id = value.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| "post_processor has a special token whose id is not a whole number".into())
}
