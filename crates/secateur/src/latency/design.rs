//! Which widths of the layers are measured.
//!
//! Twenty-five networks in which every layer has one of five widths, so chosen that any two
//! neighbouring layers meet in each pair of their widths once: an orthogonal array of strength two
//! (Bose, Sankhya 3, 1938: rows `(i, j)`, columns `i`, `j` and `i + k·j` modulo 5).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::cost::Channels;
use secateur_search::space::Space;

/// Widths that a layer is measured at, as shares of its own.
const SHARES: [f64; LEVELS] = [1.0, 0.75, 0.5, 0.25, 0.125];
const LEVELS: usize = 5;
const COLUMNS: usize = LEVELS + 1;
/// Networks.
pub(super) const NETWORKS: usize = LEVELS * LEVELS;

/// Widths of all groups for each network, the given one first.
pub(super) fn networks(space: &Space, pieces: &[Channels], block: usize) -> Vec<Vec<usize>> {
    let columns = columns(space.groups.groups.len(), pieces);
    let rows = (0..NETWORKS).map(|row| {
        let groups = columns.iter().enumerate();
        groups
            .map(|(group, &column)| width(space, group, SHARES[level(row, column)], block))
            .collect()
    });
    rows.collect()
}

/// Widths of so many networks, each layer's at the end of any of its blocks: not those that are
/// measured by layer.
pub(super) fn random(space: &Space, block: usize, networks: usize) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let groups = 0..space.groups.groups.len();
    let mut one = || {
        let widths = groups.clone().map(|group| {
            let share = rng.random_range(SHARES[LEVELS - 1]..1.0);
            width(space, group, share, block)
        });
        widths.collect()
    };
    (0..networks).map(|_| one()).collect()
}

/// Level of a row of the array in a column.
fn level(row: usize, column: usize) -> usize {
    let (i, j) = (row / LEVELS, row % LEVELS);
    match column {
        0 => i,
        k => (j + (k - 1) * i) % LEVELS,
    }
}

/// A share of a group's width, up to the end of a block.
pub(super) fn width(space: &Space, group: usize, share: f64, block: usize) -> usize {
    let full = space.groups.groups[group].width;
    if !space.switchable[group] {
        return full;
    }
    let block = block.max(1);
    let blocks = (share * full as f64 / block as f64).ceil() as usize;
    (blocks * block).clamp(1, full)
}

/// A column for each group, different ones for those of one piece as far as there are.
fn columns(groups: usize, pieces: &[Channels]) -> Vec<usize> {
    let mut together = vec![Vec::new(); groups];
    for piece in pieces {
        let own = piece.groups();
        for &group in &own {
            together[group].extend(own.iter().copied().filter(|&other| other != group));
        }
    }
    let mut columns: Vec<usize> = Vec::new();
    for neighbours in &together {
        let taken = |column: &usize| {
            let others = neighbours.iter();
            others
                .filter(|&&other| columns.get(other) == Some(column))
                .count()
        };
        let least = (0..COLUMNS).min_by_key(taken).unwrap_or(0);
        columns.push(least);
    }
    columns
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn any_two_columns_hold_each_pair_once() {
        for a in 0..COLUMNS {
            for b in a + 1..COLUMNS {
                let rows = 0..NETWORKS;
                let pairs: BTreeSet<_> = rows.map(|row| (level(row, a), level(row, b))).collect();
                assert_eq!(pairs.len(), NETWORKS, "{a} {b}");
            }
            assert_eq!(level(0, a), 0);
        }
    }
}
