//! Tensors of a weights file that don't fit the model.

use std::fmt::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use tch::Kind;

use crate::builder::{ParameterSpec, Role};
use crate::error::ModelError;

/// Tensors that are not as expected, collected so that one message names them all.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) missing: Vec<String>,
    misshapen: Vec<String>,
    wrong_dtype: Vec<String>,
    /// Parameters that the file has under several names.
    pub(super) ambiguous: Vec<String>,
}

impl Problems {
    /// The tensor and its dtype if it is as expected; otherwise records the problem.
    pub(super) fn check<'a>(
        &mut self,
        ParameterSpec { name, shape, .. }: &ParameterSpec,
        view: Option<&TensorView<'a>>,
    ) -> Option<(TensorView<'a>, Kind)> {
        let Some(view) = view else {
            self.missing.push(name.clone());
            return None;
        };
        if !same_shape(view, shape) {
            self.misshapen.push(format!("{name}: found {:?}, expected {shape:?}", view.shape()));
            return None;
        }
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F64 => Kind::Double,
            other => {
                self.wrong_dtype.push(format!("{name}: found {other:?}, expected F32, F16, BF16 or F64"));
                return None;
            }
        };
        Some((view.clone(), kind))
    }

    /// Whether the classifier is missing, and nothing else is wrong but that the rest of the head may be missing too: so
    /// it is in a model that was only pretrained.
    pub(super) fn are_all_of_the_head(&self, specs: &[&ParameterSpec]) -> bool {
        let is_missing = |spec: &&&ParameterSpec| self.missing.contains(&spec.name);
        let of_head = specs.iter().filter(|spec| spec.role == Role::Head).filter(is_missing).count();
        specs.iter().filter(|spec| spec.per_class).all(|spec| is_missing(&spec))
            && of_head == self.missing.len()
            && [&self.misshapen, &self.wrong_dtype, &self.ambiguous].iter().all(|list| list.is_empty())
    }

    /// An error that lists all problems, if there are any, and the tensors of the file that the model doesn't use.
    pub(super) fn into_result(self, path: &Path, unused: &[String]) -> Result<(), ModelError> {
        let lists = [
            ("missing", &self.missing),
            ("misshapen", &self.misshapen),
            ("of an unsupported dtype", &self.wrong_dtype),
            ("under several names", &self.ambiguous),
        ];
        if lists.iter().all(|(_, list)| list.is_empty()) {
            return Ok(());
        }
        let mut details = String::new();
        let unused = unused.to_vec();
        for (what, list) in lists.into_iter().chain([("in the file but not expected", &unused)]) {
            const SHOWN: usize = 20;
            if !list.is_empty() {
                let _ = write!(details, "\n  {what}: {}", list.len());
                list.iter().take(SHOWN).for_each(|line| {
                    let _ = write!(details, "\n    {line}");
                });
                if list.len() > SHOWN {
                    let _ = write!(details, "\n    and {} more", list.len() - SHOWN);
                }
            }
        }
        details.push_str("\n  (hint: config.json and model.safetensors must come from the same model)");
        Err(ModelError::Mismatch { path: path.to_path_buf(), details })
    }
}

pub(super) fn same_shape(view: &TensorView, shape: &[i64]) -> bool {
    view.shape().iter().map(|&size| size as i64).eq(shape.iter().copied())
}
