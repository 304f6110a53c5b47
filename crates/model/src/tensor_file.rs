//! Named fp32 tensors as a safetensors file, written as a stream.
//!
//! The format (huggingface/safetensors): the header's length as a little-endian u64, a JSON header padded with spaces
//! to eight bytes, then the tensors' bytes one after another. Tensors are written in the order given and the header
//! lists them by name, so the same tensors always give the same bytes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::error::ModelError;
use crate::tensor_slice::bytes;

/// Elements per chunk where a tensor can't be written directly from its memory: 8 MB.
const CHUNK_ELEMENTS: i64 = 2 << 20;

/// Writes tensors of any dtype and device as fp32. Contiguous fp32 tensors on the CPU are written directly from their
/// memory, all others in chunks through one buffer of 8 MB.
///
/// # Errors
/// What `out` returns.
pub fn write_tensors<'a>(
    out: &mut impl Write,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)> + Clone,
) -> io::Result<()> {
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({"format": "pt"}))]);
    let mut end = 0;
    for (name, tensor) in tensors.clone() {
        let start = end;
        end += tensor.numel() * size_of::<f32>();
        let info = json!({"dtype": "F32", "shape": tensor.size(), "data_offsets": [start, end]});
        header.insert(name.to_owned(), info);
    }
    let mut header = serde_json::to_vec(&Value::Object(header))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut buffer = None;
    for (_, tensor) in tensors {
        if tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous() {
            out.write_all(bytes(tensor))?;
        } else {
            write_in_chunks(out, tensor, &mut buffer)?;
        }
    }
    Ok(())
}

/// Writes a tensor of any dtype, layout and device. The buffer is created on first use.
fn write_in_chunks(out: &mut impl Write, tensor: &Tensor, buffer: &mut Option<Tensor>) -> io::Result<()> {
    let all = tensor.f_contiguous().and_then(|tensor| tensor.f_view(-1)).map_err(io::Error::other)?;
    let buffer = buffer.get_or_insert_with(|| Tensor::empty(CHUNK_ELEMENTS, (Kind::Float, Device::Cpu)));
    for start in (0..all.size()[0]).step_by(CHUNK_ELEMENTS as usize) {
        let length = CHUNK_ELEMENTS.min(all.size()[0] - start);
        let copy = || {
            let mut chunk = buffer.f_narrow(0, 0, length)?;
            chunk.f_copy_(&all.f_narrow(0, start, length)?)?;
            Ok::<_, tch::TchError>(chunk)
        };
        out.write_all(bytes(&copy().map_err(io::Error::other)?))?;
    }
    Ok(())
}

/// The number of bytes that [`write_tensors`] writes for these tensors, without the header.
pub fn tensor_bytes<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> u64 {
    tensors.into_iter().map(|tensor| (tensor.numel() * size_of::<f32>()) as u64).sum()
}

/// Reads a file of fp32 tensors, in the order of its bytes, onto the CPU.
///
/// # Errors
/// A file that can't be read, isn't safetensors, or has tensors of another dtype.
pub fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>, ModelError> {
    let content = fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
    let invalid = |message: String| ModelError::Safetensors { path: path.to_owned(), message };
    let file = SafeTensors::deserialize(&content).map_err(|error| invalid(error.to_string()))?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(invalid(format!("{name}: expected F32, found {}", view.dtype())));
        }
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        tensors.push((name.to_owned(), Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?));
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<(String, Tensor)> {
        let values = Tensor::from_slice(&[1f32, -2.5, f32::MIN_POSITIVE, 0.1, 5.0, -0.0]);
        vec![("b.weight".to_owned(), values.view([2, 3])), ("a.bias".to_owned(), Tensor::from_slice(&[7f32]))]
    }

    #[test]
    fn tensors_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensors = tensors();
        let mut bytes = Vec::new();
        write_tensors(&mut bytes, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
        fs::write(&path, &bytes).unwrap();
        let found = read_tensors(&path).unwrap();
        assert_eq!(found.len(), 2);
        for (name, tensor) in &tensors {
            let (_, other) = found.iter().find(|(other, _)| other == name).unwrap();
            assert_eq!(other.size(), tensor.size());
            assert!(other.equal(tensor));
        }
        // The safetensors library reads the same.
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("b.weight").unwrap().shape(), [2, 3]);
        assert_eq!(tensor_bytes(tensors.iter().map(|(_, tensor)| tensor)), 28);
    }

    /// Longer than one chunk, not contiguous, and of another dtype.
    #[test]
    fn tensors_that_are_not_contiguous_fp32_are_converted() {
        let rows = 3 * CHUNK_ELEMENTS / 1024 + 7;
        let tensor = Tensor::arange(rows * 1024, (Kind::Int64, Device::Cpu)).view([rows, 1024]);
        let transposed = tensor.to_kind(Kind::Float).tr();
        let written = |tensor: &Tensor| {
            let mut bytes = Vec::new();
            write_tensors(&mut bytes, [("a", tensor), ("b", &Tensor::from(1.5f32)), ("c", tensor)]).unwrap();
            bytes
        };
        assert!(written(&tensor) == written(&tensor.to_kind(Kind::Float)));
        assert!(!transposed.is_contiguous() && written(&transposed) == written(&transposed.contiguous()));
        let empty = Tensor::empty([0, 3], (Kind::Half, Device::Cpu));
        assert!(written(&empty) == written(&empty.to_kind(Kind::Float)));
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        fs::write(&path, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
        let error = read_tensors(&path).unwrap_err().to_string();
        assert!(error.contains("x.safetensors: not a usable safetensors file"), "{error}");
    }
}
