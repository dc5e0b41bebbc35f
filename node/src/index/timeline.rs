//! The timeline of a chat: envelopes by clock, so that a page of events is found among millions.
//!
//! Owns the order of rows and the bounds that make a merge exact. It must not know what an event says.
//!
//! Events are shown by (clock, event id), and an envelope holds events of a whole stretch of time; stretches of different
//! streams overlap. So envelopes lie in levels by the length of their stretch: in level n it is shorter than 2^n clock
//! steps. Whoever walks from a clock has to look at most that much further in each level, and no envelope with a huge
//! stretch, made on purpose, slows down the others.

use crossport_protocol::clock::Clock;

use super::rows::{self, ChatMeta, Short, Spot, TimelineRow};
use super::{Direction, Index, IndexError, Scan, View};

/// An envelope in a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub stream: u32,
    pub spot: Spot,
    pub first_clock: Clock,
    pub last_clock: Clock,
    /// One of its events is a message.
    pub has_message: bool,
}

impl Index {
    pub fn show(&mut self, chat: u32, meta: &mut ChatMeta, stretch: &Stretch) {
        let level = level(stretch.first_clock, stretch.last_clock);
        meta.levels |= 1 << level;
        let key = rows::timeline(chat, level, stretch.last_clock, &stretch.spot.hash);
        let row = TimelineRow {
            stream: stretch.stream,
            seq: stretch.spot.seq,
            first_clock: stretch.first_clock,
            has_message: stretch.has_message,
        };
        self.put(key, &row);
    }

    pub fn hide(&mut self, chat: u32, first: Clock, last: Clock, hash: &Short) {
        self.remove(rows::timeline(chat, level(first, last), last, hash));
    }

    /// Envelopes that may hold events at or before (`Down`), or at or after (`Up`), a clock; nearest first.
    pub fn timeline(
        &self,
        view: View,
        chat: u32,
        direction: Direction,
        from: Clock,
    ) -> Result<Timeline<'_>, IndexError> {
        let levels = self.meta(view, chat)?.levels;
        let mut lanes = Vec::new();
        for level in (0..64_u8).filter(|level| levels & (1 << level) != 0) {
            let (low, high) = match direction {
                Direction::Down => (Clock(0), Clock(from.0.saturating_add(longest(level)))),
                Direction::Up => (from, Clock(u64::MAX)),
            };
            let low = rows::timeline_from(chat, level, low);
            let high = rows::timeline_through(chat, level, high);
            let mut lane = Lane {
                scan: self.scan(view, direction, &low, &high),
                level,
                next: None,
            };
            lane.advance()?;
            lanes.push(lane);
        }
        Ok(Timeline { lanes, direction })
    }
}

/// A walk along all levels of a timeline.
#[derive(Debug)]
pub struct Timeline<'a> {
    lanes: Vec<Lane<'a>>,
    direction: Direction,
}

impl Timeline<'_> {
    /// No event of the envelopes that are left lies nearer than this clock. None at the end.
    pub fn bound(&self) -> Option<Clock> {
        let bounds = self
            .lanes
            .iter()
            .filter_map(|lane| lane.bound(self.direction));
        match self.direction {
            Direction::Down => bounds.max(),
            Direction::Up => bounds.min(),
        }
    }

    /// The envelope that the bound is due to.
    pub fn advance(&mut self) -> Result<Option<Stretch>, IndexError> {
        let Some(bound) = self.bound() else {
            return Ok(None);
        };
        let direction = self.direction;
        let lane = self
            .lanes
            .iter_mut()
            .find(|lane| lane.bound(direction) == Some(bound));
        match lane {
            Some(lane) => lane.advance(),
            None => Ok(None),
        }
    }
}

#[derive(Debug)]
struct Lane<'a> {
    scan: Scan<'a>,
    level: u8,
    next: Option<Stretch>,
}

impl Lane<'_> {
    fn bound(&self, direction: Direction) -> Option<Clock> {
        let last = self.next.as_ref()?.last_clock;
        Some(match direction {
            Direction::Down => last,
            Direction::Up => Clock(last.0.saturating_sub(longest(self.level))),
        })
    }

    fn advance(&mut self) -> Result<Option<Stretch>, IndexError> {
        let next = match self.scan.next() {
            Some(row) => {
                let (key, row) = row?;
                let row: TimelineRow = rows::decode(&row)?;
                let (clock, hash) = rows::clock_of_timeline(&key)
                    .zip(rows::short_of(&key))
                    .ok_or(IndexError::Missing("the clock in a timeline key"))?;
                Some(Stretch {
                    stream: row.stream,
                    spot: Spot { seq: row.seq, hash },
                    first_clock: row.first_clock,
                    last_clock: clock,
                    has_message: row.has_message,
                })
            }
            None => None,
        };
        Ok(std::mem::replace(&mut self.next, next))
    }
}

/// The number of bits that the length of the stretch takes; the longest possible one shares the level below.
fn level(first: Clock, last: Clock) -> u8 {
    let bits = u64::BITS - last.0.saturating_sub(first.0).leading_zeros();
    bits.min(63) as u8
}

/// The longest stretch in a level, in clock steps.
fn longest(level: u8) -> u64 {
    match level {
        63 => u64::MAX,
        _ => (1_u64 << level) - 1,
    }
}
