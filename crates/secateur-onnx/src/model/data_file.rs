//! The file beside a model that its tensors are written to.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protobuf::EnumOrUnknown;
use tempfile::NamedTempFile;

use super::external_data::{self, Place};
use super::proto::tensor_proto::DataLocation;
use super::proto::{StringStringEntryProto, TensorProto};
use super::write::{io_error, new_beside};
use super::{decode, store};
use crate::error::Result;

/// Tensors of fewer bytes stay in the message (`size_threshold` of `onnx.save_model`).
const SMALL_TENSOR: u64 = 1024;

/// Tensors of more bytes begin at a page, so that they can be mapped into memory; to do so for
/// all would make the file larger than its tensors.
///
/// Source: `align_threshold` of onnxruntime (`model_saving_options.h`) and of onnx_ir
/// (`external_data.py`), by which PyTorch writes; onnx itself packs all tensors.
const LARGE_TENSOR: u64 = 1 << 20;

/// A page (`on_disk_alignment_factor` of onnxruntime; onnx recommends as much in
/// `ExternalData.md`).
const PAGE: u64 = 4096;

/// True for a tensor whose bytes lie beside the model, or did until surgery cut them.
pub(super) fn lies_beside(tensor: &TensorProto) -> bool {
    is_external(tensor) || !tensor.external_data.is_empty()
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location() == DataLocation::EXTERNAL
}

/// Where a tensor's bytes are now.
enum Source {
    Beside(Place),
    Here(Bytes),
}

/// What tells tensors that can be written once: their common place in the given file, and
/// their bytes where those were changed since.
type Origin = (String, u64, u64, Option<Bytes>);

/// A file of tensors on its way.
pub(super) struct DataFile<'a> {
    /// Folder of the given model.
    base_dir: Option<&'a Path>,
    /// Name that the model calls the file by.
    location: String,
    path: PathBuf,
    out: BufWriter<NamedTempFile>,
    /// Bytes written.
    end: u64,
    /// Where the tensors of an origin were written.
    written: HashMap<Origin, u64>,
    is_empty: bool,
}

impl<'a> DataFile<'a> {
    /// Begins the file `<name>.data` beside the model at `model`; tensors with external data
    /// are read from `base_dir`.
    ///
    /// # Errors
    /// [`crate::OnnxError::Io`] naming the file.
    pub(super) fn begin(model: &Path, folder: &Path, base_dir: Option<&'a Path>) -> Result<Self> {
        let name = model
            .file_name()
            .map_or("model".into(), |name| name.to_string_lossy());
        let location = format!("{name}.data");
        let path = folder.join(&location);
        let file = new_beside(folder).map_err(|error| io_error(&path, error))?;
        Ok(Self {
            base_dir,
            location,
            path,
            out: BufWriter::new(file),
            end: 0,
            written: HashMap::new(),
            is_empty: true,
        })
    }

    /// Writes a tensor that belongs beside the model, or every tensor that is not small if the
    /// message `spills`.
    ///
    /// Short lists and single numbers come into the message: shapes, axes and bounds, which
    /// onnxruntime does not find elsewhere while it infers shapes.
    ///
    /// # Errors
    /// As [`super::Model::write`].
    pub(super) fn put(&mut self, tensor: &mut TensorProto, spills: bool) -> Result<()> {
        let moves_out = spills && tensor.raw_data().len() as u64 >= SMALL_TENSOR;
        if !(lies_beside(tensor) || moves_out) {
            return Ok(());
        }
        let n_bytes = decode::raw_bytes(tensor);
        if tensor.dims.len() <= 1 && n_bytes.is_some_and(|n_bytes| n_bytes < SMALL_TENSOR) {
            return store::bring_in(tensor, self.base_dir);
        }
        let source = if is_external(tensor) {
            Source::Beside(external_data::locate(tensor, self.base_dir, n_bytes)?)
        } else {
            Source::Here(tensor.take_raw_data())
        };
        let origin = origin(tensor, &source);
        let length = match &source {
            Source::Beside(place) => place.length,
            Source::Here(bytes) => bytes.len() as u64,
        };
        let shared = origin.as_ref().and_then(|origin| self.written.get(origin));
        let offset = match shared {
            Some(&offset) => offset,
            None => self
                .append(source, length)
                .map_err(|error| io_error(&self.path, error))?,
        };
        if let Some(origin) = origin {
            self.written.insert(origin, offset);
        }
        self.is_empty = false;
        set_place(tensor, &self.location, offset, length);
        Ok(())
    }

    /// Writes bytes behind the others; tells where they begin.
    fn append(&mut self, source: Source, length: u64) -> std::io::Result<u64> {
        let padding = match length > LARGE_TENSOR {
            true => self.end.next_multiple_of(PAGE) - self.end,
            false => 0,
        };
        self.out.write_all(&vec![0; padding as usize])?;
        match source {
            Source::Beside(place) => external_data::copy(place, &mut self.out)?,
            Source::Here(bytes) => self.out.write_all(&bytes)?,
        }
        let offset = self.end + padding;
        self.end = offset + length;
        Ok(offset)
    }

    /// Ends the file, synced; `None` if no tensor needs it.
    ///
    /// # Errors
    /// [`crate::OnnxError::Io`] naming the file.
    pub(super) fn finish(self) -> Result<Option<(NamedTempFile, PathBuf)>> {
        if self.is_empty {
            return Ok(None);
        }
        let io = |error: std::io::Error| io_error(&self.path, error);
        let file = self
            .out
            .into_inner()
            .map_err(|error| io(error.into_error()))?;
        file.as_file().sync_all().map_err(io)?;
        Ok(Some((file, self.path)))
    }
}

/// Where the bytes of a tensor came from; `None` for one that never lay beside the model.
fn origin(tensor: &TensorProto, source: &Source) -> Option<Origin> {
    let location = external_data::entry(tensor, "location")?.to_string();
    let offset = external_data::entry(tensor, "offset").and_then(|text| text.parse().ok());
    let (length, bytes) = match source {
        Source::Beside(place) => (place.length, None),
        Source::Here(bytes) => (bytes.len() as u64, Some(bytes.clone())),
    };
    Some((location, offset.unwrap_or(0), length, bytes))
}

fn set_place(tensor: &mut TensorProto, location: &str, offset: u64, length: u64) {
    tensor.raw_data = None;
    tensor.data_location = Some(EnumOrUnknown::new(DataLocation::EXTERNAL));
    let entries = [
        ("location", location.to_string()),
        ("offset", offset.to_string()),
        ("length", length.to_string()),
    ];
    // Other entries are dropped: a checksum of the old file would be wrong.
    tensor.external_data = entries
        .into_iter()
        .map(|(key, value)| {
            let mut entry = StringStringEntryProto::new();
            entry.set_key(key.to_string());
            entry.set_value(value);
            entry
        })
        .collect();
}
