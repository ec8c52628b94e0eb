//! Tables for terminals, by the crate `comfy-table`: columns in line, no borders.

use std::fmt;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Spaces between columns: groups of digits have one between them.
const GAP: u16 = 3;

/// On which side the cells of a column begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows as lines of text, each ended by a newline; rows may differ in length. `align` is by
/// column, its last value for all further ones.
///
/// ```
/// use secateur::table::{Align, table};
///
/// let rows = [["kernels", "64"], ["MACs", "1 024"]].map(|row| row.map(str::to_string));
/// let text = table(&[Align::Left, Align::Right], rows);
/// assert_eq!(text, "kernels      64\nMACs      1 024\n");
/// ```
pub fn table<R>(align: &[Align], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { GAP }, 0));
        column.set_cell_alignment(match align.get(index).or(align.last()) {
            Some(Align::Right) => CellAlignment::Right,
            _ => CellAlignment::Left,
        });
    }
    let mut text = table.trim_fmt();
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Writes a table, two spaces in.
pub(crate) fn write_table<R>(
    f: &mut fmt::Formatter<'_>,
    align: &[Align],
    rows: impl IntoIterator<Item = R>,
) -> fmt::Result
where
    R: IntoIterator<Item = String>,
{
    let text = table(align, rows);
    text.lines().try_for_each(|line| writeln!(f, "  {line}"))
}
