//! Reading rows of a column.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescPtr;

use super::inflate::Pages;

/// Values that are read at once.
const AT_ONCE: usize = 1024;

/// Calls `each` with each of `n` rows from `first` on, in order.
pub(super) fn read<T: DataType>(
    pages: Pages,
    leaf: ColumnDescPtr,
    first: usize,
    n: usize,
    mut each: impl FnMut(Option<&T::T>),
) -> Result<()> {
    let whole = leaf.max_def_level();
    let mut reader = ColumnReaderImpl::<T>::new(leaf, Box::new(pages));
    let broken = || ParquetError::EOF("a column with fewer values than rows".into());
    if reader.skip_records(first)? != first {
        return Err(broken());
    }
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut left = n;
    while left > 0 {
        levels.clear();
        values.clear();
        let wanted = left.min(AT_ONCE);
        let (n, _, _) = reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
        if n == 0 {
            return Err(broken());
        }
        let mut values = values.iter();
        for row in 0..n {
            let is_there = whole == 0 || levels.get(row) == Some(&whole);
            each(is_there.then(|| values.next()).flatten());
        }
        left -= n;
    }
    Ok(())
}

/// The reader trusts headers in some places and panics where they lie; nothing of what it held is
/// used afterwards.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = catch_unwind(AssertUnwindSafe(read));
    result.unwrap_or_else(|_| Err(ParquetError::General("its headers lie".into())))
}
