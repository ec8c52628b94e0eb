//! The header of an `.npy` file.
//!
//! Format: `\x93NUMPY`, version, length of the header, then a Python dictionary with
//! `descr` (type), `fortran_order` and `shape`, then the values.
//! Source: NumPy enhancement proposal 1 and `numpy.lib.format`, versions 1 to 3.

use std::io::Read;
use std::path::Path;

use crate::data::DataError;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers are a line of text; NumPy itself refuses more than 10,000 bytes by default.
const MAX_HEADER: usize = 10_000;

/// Kinds of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Unsigned,
    Signed,
    Float,
}

/// Type of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dtype {
    pub(super) kind: Kind,
    /// Bytes a value: 1, 2, 4 or 8.
    pub(super) size: usize,
    pub(super) big_endian: bool,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    /// First axis fastest.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Number of values.
    pub(super) n_values: usize,
}

impl Header {
    /// Reads the header; the reader then stands at the first value.
    pub(super) fn read(path: &Path, reader: &mut impl Read) -> Result<(Self, u64), DataError> {
        let mut start = [0u8; 8];
        read_exact(path, reader, &mut start, "the start of an npy array")?;
        if !start.starts_with(MAGIC) {
            return Err(DataError::format(
                path,
                "an npy array",
                format!("a file that begins with {:02x?}", &start[..6]),
            ));
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut bytes = [0u8; 2];
                read_exact(path, reader, &mut bytes, "the length of its header")?;
                (usize::from(u16::from_le_bytes(bytes)), 10)
            }
            2 | 3 => {
                let mut bytes = [0u8; 4];
                read_exact(path, reader, &mut bytes, "the length of its header")?;
                (u32::from_le_bytes(bytes) as usize, 12)
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
        let mut text = vec![0u8; length];
        read_exact(path, reader, &mut text, "a whole header")?;
        let text = String::from_utf8_lossy(&text);
        Ok((Self::parse(path, &text)?, (prefix + length) as u64))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, DataError> {
        let missing = |what: &str| {
            DataError::format(
                path,
                format!("a header with {what}"),
                format!("`{}`", text.trim()),
            )
        };
        let descr = value(text, "descr").ok_or_else(|| missing("`descr`"))?;
        let dtype = dtype(descr).ok_or_else(|| {
            DataError::unsupported(
                path,
                "whole numbers or floats of 1 to 8 bytes",
                format!("type {}", descr.trim_end()),
            )
        })?;
        let order = value(text, "fortran_order").ok_or_else(|| missing("`fortran_order`"))?;
        let shape = value(text, "shape")
            .and_then(|tuple| tuple.strip_prefix('(')?.split_once(')'))
            .and_then(|(list, _)| {
                list.split(',')
                    .map(str::trim)
                    .filter(|extent| !extent.is_empty())
                    .map(|extent| extent.parse().ok())
                    .collect::<Option<Vec<usize>>>()
            })
            .ok_or_else(|| missing("`shape`"))?;
        let n_values = shape
            .iter()
            .try_fold(1usize, |product, &extent| product.checked_mul(extent))
            .filter(|n| n.checked_mul(dtype.size).is_some())
            .ok_or_else(|| {
                DataError::format(path, "a shape that fits in memory", format!("{shape:?}"))
            })?;
        Ok(Self {
            dtype,
            fortran_order: order.starts_with("True"),
            shape,
            n_values,
        })
    }
}

/// The text after `'key':`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let start = quoted
        .iter()
        .find_map(|name| Some(text.find(name)? + name.len()))?;
    text[start..]
        .trim_start()
        .strip_prefix(':')
        .map(str::trim_start)
}

/// `'<f4'` and so on.
fn dtype(descr: &str) -> Option<Dtype> {
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, _) = descr[1..].split_once(quote)?;
    let (order, name) = match name.chars().next()? {
        c @ ('<' | '>' | '|' | '=') => (c, &name[1..]),
        _ => ('=', name),
    };
    let kind = match name.chars().next()? {
        '?' => Kind::Bool,
        'b' => Kind::Bool,
        'u' => Kind::Unsigned,
        'i' => Kind::Signed,
        'f' => Kind::Float,
        _ => return None,
    };
    let size = match &name[1..] {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    let known = match kind {
        Kind::Bool => size == 1,
        Kind::Unsigned | Kind::Signed => matches!(size, 1 | 2 | 4 | 8),
        Kind::Float => matches!(size, 2 | 4 | 8),
    };
    known.then_some(Dtype {
        kind,
        size,
        // `=` is the machine that wrote it; nobody exchanges files of big-endian machines so.
        big_endian: order == '>',
    })
}

fn read_exact(
    path: &Path,
    reader: &mut impl Read,
    to: &mut [u8],
    what: &str,
) -> Result<(), DataError> {
    reader.read_exact(to).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DataError::format(path, what, "a file that breaks off")
        }
        _ => DataError::io(path, &error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, DataError> {
        Header::parse(Path::new("a.npy"), text)
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let check = |text: &str, kind, size, big_endian, fortran_order, shape: &[usize]| {
            let header = parse(text).unwrap();
            let dtype = Dtype {
                kind,
                size,
                big_endian,
            };
            assert_eq!(header.dtype, dtype, "{text}");
            assert_eq!(header.fortran_order, fortran_order, "{text}");
            assert_eq!(header.shape, shape, "{text}");
            assert_eq!(header.n_values, shape.iter().product::<usize>());
        };
        check(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 28, 28), }   \n",
            Kind::Unsigned,
            1,
            false,
            false,
            &[60000, 28, 28],
        );
        check(
            "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4, 5), }\n",
            Kind::Float,
            4,
            false,
            true,
            &[2, 3, 4, 5],
        );
        check(
            "{'shape': (7,), 'fortran_order': False, 'descr': '>i8'}",
            Kind::Signed,
            8,
            true,
            false,
            &[7],
        );
        check(
            "{\"descr\": \"<f2\", \"fortran_order\": False, \"shape\": ()}",
            Kind::Float,
            2,
            false,
            false,
            &[],
        );
        check(
            "{'descr': '|b1', 'fortran_order': False, 'shape': (3, 1)}",
            Kind::Bool,
            1,
            false,
            false,
            &[3, 1],
        );
    }

    #[test]
    fn headers_that_are_refused() {
        let check = |text: &str, needle: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(needle), "{text}: {error}");
        };
        check("", "`descr`");
        check("{'descr': '<f4', 'shape': (1,)}", "`fortran_order`");
        check("{'descr': '<f4', 'fortran_order': False}", "`shape`");
        check(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,-2)}",
            "`shape`",
        );
        for descr in ["'<c8'", "'|O'", "'<U5'", "'<f16'", "[('a', '<f4')]", "'"] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
            check(&text, "whole numbers or floats");
        }
        check(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
            "fits in memory",
        );
    }
}
