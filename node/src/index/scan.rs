//! Walking over rows in order, all layers merged.
//!
//! A newer row hides an older one of the same key; a newer removal hides it as well.

use std::collections::btree_map;
use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;

use super::{IndexError, RowBytes, Rows, Written};

/// Which way a scan walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// Rows of a range of keys; see [`super::Index::scan`].
pub struct Scan<'a> {
    written: Peekable<WrittenRange>,
    /// The newest first.
    layers: Vec<Peekable<Layer<'a>>>,
    direction: Direction,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        written: &Written,
        layers: impl Iterator<Item = &'a Rows>,
        direction: Direction,
        low: &[u8],
        high: &[u8],
    ) -> Scan<'a> {
        // An empty range is asked for where a lower bound is computed; the maps would panic on a reversed one.
        let bounds = (low < high).then_some((Bound::Included(low), Bound::Excluded(high)));
        let mut failed = None;
        let rows = bounds.and_then(|bounds| match written.range::<&[u8]>(bounds) {
            Ok(rows) => Some(rows),
            Err(failure) => {
                failed = Some(failure);
                None
            }
        });
        let written = WrittenRange {
            rows,
            failed,
            direction,
        };
        let layers = layers.filter_map(|layer| {
            let rows = layer.range::<[u8], _>(bounds?);
            Some(Layer { rows, direction }.peekable())
        });
        Scan {
            written: written.peekable(),
            layers: layers.collect(),
            direction,
        }
    }

    /// The key that comes next in any layer.
    fn next_key(&mut self) -> Option<Result<RowBytes, IndexError>> {
        let mut first = match self.written.peek() {
            Some(Ok((key, _))) => Some(key.clone()),
            Some(Err(_)) => return Some(self.written.next()?.map(|(key, _)| key)),
            None => None,
        };
        for layer in &mut self.layers {
            let Some((key, _)) = layer.peek() else {
                continue;
            };
            if first
                .as_ref()
                .is_none_or(|first| self.direction.is_before(key, first))
            {
                first = Some(Bytes::copy_from_slice(key));
            }
        }
        first.map(Ok)
    }
}

impl Direction {
    fn is_before(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Direction::Up => one < other,
            Direction::Down => one > other,
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
            let key = match self.next_key()? {
                Ok(key) => key,
                Err(failure) => return Some(Err(failure)),
            };
            let mut newest: Option<Option<RowBytes>> = None;
            for layer in &mut self.layers {
                if let Some((_, row)) = layer.next_if(|(at, _)| at.as_slice() == key) {
                    newest.get_or_insert_with(|| row.clone());
                }
            }
            let is_same = |row: &Result<(RowBytes, RowBytes), IndexError>| matches!(row, Ok((at, _)) if *at == key);
            if let Some(Ok((_, row))) = self.written.next_if(is_same) {
                newest.get_or_insert(Some(row));
            }
            if let Some(Some(row)) = newest {
                return Some(Ok((key, row)));
            }
        }
    }
}

struct WrittenRange {
    rows: Option<redb::Range<'static, &'static [u8], &'static [u8]>>,
    /// Why the range could not be begun.
    failed: Option<redb::StorageError>,
    direction: Direction,
}

impl Iterator for WrittenRange {
    type Item = Result<(RowBytes, RowBytes), IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.failed.take() {
            return Some(Err(redb::Error::from(failure).into()));
        }
        let rows = self.rows.as_mut()?;
        let row = match self.direction {
            Direction::Up => rows.next(),
            Direction::Down => rows.next_back(),
        };
        let copied = row?.map(|(key, row)| {
            let copy = Bytes::copy_from_slice;
            (copy(key.value()), copy(row.value()))
        });
        Some(copied.map_err(|failure| redb::Error::from(failure).into()))
    }
}

struct Layer<'a> {
    rows: btree_map::Range<'a, Vec<u8>, Option<RowBytes>>,
    direction: Direction,
}

impl<'a> Iterator for Layer<'a> {
    type Item = (&'a Vec<u8>, &'a Option<RowBytes>);

    fn next(&mut self) -> Option<Self::Item> {
        match self.direction {
            Direction::Up => self.rows.next(),
            Direction::Down => self.rows.next_back(),
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
