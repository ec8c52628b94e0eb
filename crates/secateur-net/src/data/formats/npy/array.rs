//! One array: its header, and its values one after the other.
//!
//! Arrays of the caller's own lend their values ([`super::lent`]); those in files are read. npyz
//! reads both header and values, but from files it trusts: it sets aside as many bytes as a header claims
//! to be long, its parser takes twice the time with every nested bracket, and its product of
//! the extents may overflow. So a header is read and checked here before npyz gets it. Values
//! are taken one by one, so that memory grows with what the file holds and not with what its
//! header claims.

use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, TypeChar};

use super::lent::LentValues;
use crate::data::{DataError, Row};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of a header up to where the length of its text is known, in version 1; later
/// versions have two more.
const PREFIX: usize = 10;
/// Headers are a line of text; NumPy itself refuses more than 10,000 bytes by default.
const MAX_HEADER: usize = 10_000;
/// Of a plain array, `{... (...)}`. Records, which are of no use here, have more.
const MAX_BRACKETS: usize = 2;
/// Of all numbers of a header: with 19 digits, one of them that of the type, the array has
/// fewer than 10^18 values of at most 8 bytes, which is below 2^63.
const MAX_DIGITS: usize = 19;
/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// An array whose header was read and whose values come next.
pub(super) struct Array<'a> {
    /// For people.
    pub(super) path: &'a Path,
    pub(super) shape: Vec<usize>,
    /// Values between neighbours along each axis.
    pub(super) strides: Vec<usize>,
    values: Values<'a>,
}

/// Where the values come from.
enum Values<'a> {
    File {
        header: NpyHeader,
        reader: &'a mut dyn Read,
    },
    /// Of the caller, row-major.
    Lent(Row<'a>),
}

impl<'a> Array<'a> {
    /// Reads the header of an array of `n_bytes` in all.
    ///
    /// # Errors
    /// [`DataError::Format`] or [`DataError::Damaged`] if it is none, or promises more values
    /// than there are bytes.
    pub(super) fn new(
        path: &'a Path,
        values: &'a mut dyn Read,
        n_bytes: u64,
    ) -> Result<Self, DataError> {
        let text = header_text(path, values)?;
        check_sizes(path, &text)?;
        let header = NpyHeader::from_reader(&text[..])
            .map_err(|error| DataError::damaged(path, "the header of an npy array", error))?;
        let size = header.dtype().num_bytes().unwrap_or(0) as u64;
        let held = n_bytes.saturating_sub(text.len() as u64);
        if header.len().saturating_mul(size) > held {
            let expected = format!("{} values of {size} bytes {PROMISED}", header.len());
            let got = format!("{held} bytes in all");
            return Err(DataError::format(path, expected, got));
        }
        let sizes = |sizes: &[u64]| sizes.iter().map(|&size| size as usize).collect();
        Ok(Self {
            path,
            shape: sizes(header.shape()),
            strides: sizes(header.strides()),
            values: Values::File {
                header,
                reader: values,
            },
        })
    }

    /// An array of the caller's own.
    ///
    /// # Errors
    /// [`DataError::Format`] if its values are not as many as its extents say.
    pub(super) fn lent(
        path: &'a Path,
        shape: &[usize],
        values: Row<'a>,
    ) -> Result<Self, DataError> {
        let n = shape
            .iter()
            .try_fold(1usize, |n, &extent| n.checked_mul(extent));
        if n != Some(values.len()) {
            let expected = format!("as many values as {shape:?} says");
            return Err(DataError::format(path, expected, values.len().to_string()));
        }
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        Ok(Self {
            path,
            shape: shape.to_vec(),
            strides,
            values: Values::Lent(values),
        })
    }

    /// What the values are, and in how many bytes; `None` for anything but one number.
    pub(super) fn kind(&self) -> Option<(TypeChar, u64)> {
        match &self.values {
            Values::File { header, .. } => match header.dtype() {
                DType::Plain(kind) => Some((kind.type_char(), kind.size_field())),
                _ => None,
            },
            Values::Lent(row) => Some(LentValues::of(row).npy_kind()),
        }
    }

    /// As [`Self::kind`].
    ///
    /// # Errors
    /// [`DataError::Unsupported`] for values that are no numbers.
    pub(super) fn number(&self) -> Result<(TypeChar, u64), DataError> {
        let is_number = |kind: &(TypeChar, u64)| {
            let (char, size) = *kind;
            let sizes: &[u64] = match char {
                TypeChar::Bool => &[1],
                TypeChar::Float => &[2, 4, 8],
                TypeChar::Int | TypeChar::Uint => &[1, 2, 4, 8],
                _ => &[],
            };
            sizes.contains(&size)
        };
        let kind = self.kind().filter(is_number);
        kind.ok_or_else(|| self.no_numbers())
    }

    fn no_numbers(&self) -> DataError {
        let got = match &self.values {
            Values::File { header, .. } => format!("type {}", header.dtype().descr()),
            Values::Lent(_) => "another type".to_string(),
        };
        DataError::unsupported(self.path, "whole numbers or floats of 1 to 8 bytes", got)
    }

    /// All values of one byte, as they lie there.
    ///
    /// # Errors
    /// As [`Array::collect`].
    pub(super) fn bytes(self) -> Result<Vec<u8>, DataError> {
        let (header, reader) = match self.values {
            Values::File { header, reader } => (header, reader),
            Values::Lent(Row::Bytes(values)) => return Ok(values.to_vec()),
            Values::Lent(_) => return Err(self.no_numbers()),
        };
        let mut bytes = Vec::new();
        let n = header.len();
        match reader.take(n).read_to_end(&mut bytes) {
            Ok(held) if (held as u64) < n => Err(broken(self.path, n, held.to_string())),
            Ok(_) => at_end(self.path, n, reader).map(|()| bytes),
            Err(error) => Err(DataError::io(self.path, error)),
        }
    }

    /// What `take` makes of each value and its place, in the order in which they lie there.
    /// Whole numbers beyond 2^53 are rounded: no pixel and no label is one.
    ///
    /// # Errors
    /// [`DataError::Unsupported`] for values that are no numbers, [`DataError::Format`] if
    /// there are fewer or more than the header promises, and those of `take`.
    pub(super) fn collect<R>(
        self,
        take: impl FnMut(usize, f64) -> Result<R, DataError>,
    ) -> Result<Vec<R>, DataError> {
        let kind = self.number()?;
        let (header, reader) = match self.values {
            Values::File { header, reader } => (header, reader),
            Values::Lent(row) => return each(row, take),
        };
        let file = Typed {
            path: self.path,
            header,
            reader,
        };
        match kind {
            (TypeChar::Bool, 1) => file.read(|v: bool| f64::from(u8::from(v)), take),
            (TypeChar::Uint, 1) => file.read(|v: u8| v.into(), take),
            (TypeChar::Uint, 2) => file.read(|v: u16| v.into(), take),
            (TypeChar::Uint, 4) => file.read(|v: u32| v.into(), take),
            (TypeChar::Uint, _) => file.read(|v: u64| v as f64, take),
            (TypeChar::Int, 1) => file.read(|v: i8| v.into(), take),
            (TypeChar::Int, 2) => file.read(|v: i16| v.into(), take),
            (TypeChar::Int, 4) => file.read(|v: i32| v.into(), take),
            (TypeChar::Int, _) => file.read(|v: i64| v as f64, take),
            (TypeChar::Float, 2) => file.read(half::f16::to_f64, take),
            (TypeChar::Float, 4) => file.read(|v: f32| v.into(), take),
            _ => file.read(|v: f64| v, take),
        }
    }
}

/// What `take` makes of each value that is lent.
fn each<R>(
    row: Row<'_>,
    mut take: impl FnMut(usize, f64) -> Result<R, DataError>,
) -> Result<Vec<R>, DataError> {
    macro_rules! values {
        ($values:expr, $number:expr) => {{
            let values = $values.iter().map($number).enumerate();
            values.map(|(index, value)| take(index, value)).collect()
        }};
    }
    match row {
        Row::Floats(values) => values!(values, |&v| f64::from(v)),
        Row::Bytes(values) => values!(values, |&v| f64::from(v)),
        Row::Ints(values) => values!(values, |&v| v as f64),
        Row::Bools(values) => values!(values, |&v| f64::from(u8::from(v))),
    }
}

/// Values of a file, of one type.
struct Typed<'a> {
    path: &'a Path,
    header: NpyHeader,
    reader: &'a mut dyn Read,
}

impl Typed<'_> {
    fn read<T: Deserialize, R>(
        self,
        number: impl Fn(T) -> f64,
        mut take: impl FnMut(usize, f64) -> Result<R, DataError>,
    ) -> Result<Vec<R>, DataError> {
        let (path, n) = (self.path, self.header.len());
        let mut reader = BufReader::with_capacity(CHUNK, self.reader);
        let values = NpyFile::with_header(self.header, &mut reader)
            .data::<T>()
            .map_err(|error| DataError::unsupported(path, "numbers", error.to_string()))?;
        let mut taken = Vec::new();
        for (index, value) in values.enumerate() {
            let value = value.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => broken(path, n, index.to_string()),
                _ => DataError::io(path, error),
            })?;
            taken.push(take(index, number(value))?);
        }
        at_end(path, n, &mut reader).map(|()| taken)
    }
}

/// Checks that nothing follows the values.
fn at_end(path: &Path, n_values: u64, reader: &mut dyn Read) -> Result<(), DataError> {
    match reader.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(broken(path, n_values, "more bytes after them".to_string())),
        Err(error) => Err(DataError::io(path, error)),
    }
}

const PROMISED: &str = "as its header promises";

fn broken(path: &Path, n_values: u64, got: String) -> DataError {
    DataError::format(path, format!("{n_values} values {PROMISED}"), got)
}

/// The bytes before the values.
fn header_text(path: &Path, reader: &mut dyn Read) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let mut read_up_to = |length: usize, bytes: &mut Vec<u8>| {
        let missing = length - bytes.len();
        match reader.take(missing as u64).read_to_end(bytes) {
            Ok(n) if n == missing => Ok(()),
            Ok(_) => Err(DataError::format(
                path,
                "the whole header of an npy array",
                "a file that breaks off",
            )),
            Err(error) => Err(DataError::io(path, error)),
        }
    };
    read_up_to(PREFIX, &mut bytes)?;
    if !bytes.starts_with(MAGIC) {
        return Err(DataError::format(
            path,
            "an npy array",
            format!("a file that begins with {:02x?}", &bytes[..MAGIC.len()]),
        ));
    }
    let length = match bytes[MAGIC.len()] {
        1 => PREFIX + usize::from(u16::from_le_bytes([bytes[8], bytes[9]])),
        2 | 3 => {
            read_up_to(PREFIX + 2, &mut bytes)?;
            let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            (length as usize).saturating_add(PREFIX + 2)
        }
        version => {
            return Err(DataError::format(
                path,
                "version 1, 2 or 3 of npy",
                format!("version {version}"),
            ));
        }
    };
    if length > MAX_HEADER {
        return Err(DataError::format(
            path,
            format!("a header of at most {MAX_HEADER} bytes"),
            length.to_string(),
        ));
    }
    read_up_to(length, &mut bytes)?;
    Ok(bytes)
}

/// Checks that a header is one that npyz can be given.
fn check_sizes(path: &Path, header: &[u8]) -> Result<(), DataError> {
    let text = &header[PREFIX..];
    let count = |is: fn(&u8) -> bool| text.iter().filter(|byte| is(byte)).count();
    let shown = || String::from_utf8_lossy(text).trim().to_string();
    if count(|byte| matches!(byte, b'(' | b'[' | b'{')) > MAX_BRACKETS {
        return Err(DataError::unsupported(
            path,
            "an array of plain numbers",
            shown(),
        ));
    }
    if count(u8::is_ascii_digit) > MAX_DIGITS {
        return Err(DataError::format(
            path,
            "a shape that fits in memory",
            shown(),
        ));
    }
    Ok(())
}
