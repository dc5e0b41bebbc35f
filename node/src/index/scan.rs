//! Walking over rows in order, written ones and staged ones merged.
//!
//! A staged row hides the written one of the same key; a staged removal hides it as well.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;

use super::IndexError;

/// The bytes of a row; cheap to clone.
pub type RowBytes = sled::IVec;
type Staged = BTreeMap<Vec<u8>, Option<RowBytes>>;
type StagedRow<'a> = (&'a Vec<u8>, &'a Option<RowBytes>);

/// Which way a scan walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// Rows of a range of keys; see [`super::Index::scan`].
pub struct Scan<'a> {
    written: Peekable<Written>,
    staged: Peekable<StagedRange<'a>>,
    direction: Direction,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        tree: &sled::Tree,
        staged: Option<&'a Staged>,
        direction: Direction,
        low: &[u8],
        high: &[u8],
    ) -> Scan<'a> {
        // An empty range is asked for where a lower bound is computed; the maps would panic on a reversed one.
        let high = high.max(low);
        let written = Written {
            rows: tree.range::<&[u8], _>((Bound::Included(low), Bound::Excluded(high))),
            direction,
        };
        let range = staged
            .filter(|_| low < high)
            .map(|staged| staged.range::<[u8], _>((Bound::Included(low), Bound::Excluded(high))));
        Scan {
            written: written.peekable(),
            staged: StagedRange {
                rows: range,
                direction,
            }
            .peekable(),
            direction,
        }
    }
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(RowBytes, RowBytes), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.written.peek(), self.staged.peek()) {
                (Some(Ok((written, _))), Some((staged, _))) => {
                    let order = written.as_ref().cmp(staged.as_slice());
                    match self.direction {
                        Direction::Up => order,
                        Direction::Down => order.reverse(),
                    }
                }
                (Some(_), _) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return None,
            };
            if order.is_lt() {
                return self
                    .written
                    .next()
                    .map(|row| row.map_err(IndexError::Database));
            }
            if order.is_eq() {
                self.written.next();
            }
            if let Some((key, Some(row))) = self.staged.next() {
                return Some(Ok((key.as_slice().into(), row.clone())));
            }
        }
    }
}

struct Written {
    rows: sled::Iter,
    direction: Direction,
}

impl Iterator for Written {
    type Item = sled::Result<(RowBytes, RowBytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.direction {
            Direction::Up => self.rows.next(),
            Direction::Down => self.rows.next_back(),
        }
    }
}

struct StagedRange<'a> {
    rows: Option<btree_map::Range<'a, Vec<u8>, Option<RowBytes>>>,
    direction: Direction,
}

impl<'a> Iterator for StagedRange<'a> {
    type Item = StagedRow<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.as_mut()?;
        match self.direction {
            Direction::Up => rows.next(),
            Direction::Down => rows.next_back(),
        }
    }
}

/// The first key behind all keys that begin with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // A prefix of 0xff only: no table has such keys.
    vec![u8::MAX; prefix.len() + 1]
}
