//! Frames that wait for the core: one queue for each partner; whoever was served least comes next.
//!
//! Owns fairness between partners, measured in the core's time and not in frames: a frame costs anything from a microsecond to
//! tens of milliseconds. A frame of many items is cut into pieces, so that one partner's longest frame never stands before
//! another's shortest. The beginning and the end of a link wait in the same queue: what was sent just before the end counts.
//! What waits is bounded where it is received (see `network`): each frame carries its share of that bound until its last
//! piece is done. It must not know what a frame means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossport_protocol::frame::Frame;
use crossport_protocol::ids::CompanyId;

use crate::core::LiveLink;
use crate::network::{DownReason, Share};

/// Items of one piece. Each costs a signature check and the store's work, some 0.1 ms.
const PIECE_ITEMS: usize = 32;

/// What the core is given to handle at once.
#[derive(Debug)]
pub(crate) struct Piece {
    pub company: CompanyId,
    pub link: u64,
    pub content: Content,
    /// Shared by the pieces of a frame.
    _share: Option<Arc<Share>>,
}

/// A piece of a frame, or bytes that are none, or what became of the link.
#[derive(Debug)]
pub(crate) enum Content {
    Up(LiveLink),
    Frame(Box<Frame>),
    Garbage(Bytes),
    Down(DownReason),
}

/// What comes of a link, in this order.
#[derive(Debug)]
pub(crate) enum Arrival {
    Up(LiveLink),
    Frame(Bytes, Share),
    Down(DownReason),
}

/// The queues of all partners.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    queues: BTreeMap<CompanyId, Queue>,
    /// Those that are not empty, least served first.
    order: BTreeSet<(Duration, CompanyId)>,
    /// How much the partner whose turn it is was served. Who had nothing waiting for a while begins here: being silent saves
    /// up no turns.
    turn: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    /// With the number of their link.
    arrivals: VecDeque<(u64, Arrival)>,
    /// What is left of the frame at the front.
    pieces: VecDeque<Piece>,
    /// The core's time that this partner was given.
    served: Duration,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn push(&mut self, company: CompanyId, link: u64, arrival: Arrival) {
        let queue = self.queues.entry(company).or_default();
        if queue.is_empty() {
            queue.served = queue.served.max(self.turn);
            self.order.insert((queue.served, company));
        }
        queue.arrivals.push_back((link, arrival));
    }

    /// Nothing of this partner is wanted any more.
    pub(crate) fn forget(&mut self, company: &CompanyId) {
        if let Some(queue) = self.queues.get_mut(company) {
            self.order.remove(&(queue.served, *company));
            queue.arrivals.clear();
            queue.pieces.clear();
        }
    }

    /// The next piece of the partner that was served least.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        let (served, company) = *self.order.first()?;
        self.turn = served;
        self.queues.get_mut(&company)?.next(company)
    }

    /// What the piece just taken cost, its decoding included.
    pub(crate) fn served(&mut self, company: CompanyId, cost: Duration) {
        let Some(queue) = self.queues.get_mut(&company) else {
            return;
        };
        self.order.remove(&(queue.served, company));
        queue.served = queue.served.saturating_add(cost);
        if !queue.is_empty() {
            self.order.insert((queue.served, company));
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.arrivals.is_empty() && self.pieces.is_empty()
    }

    fn next(&mut self, company: CompanyId) -> Option<Piece> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        let (link, arrival) = self.arrivals.pop_front()?;
        let piece = |content, share| Piece {
            company,
            link,
            content,
            _share: share,
        };
        match arrival {
            Arrival::Up(live) => Some(piece(Content::Up(live), None)),
            Arrival::Down(reason) => Some(piece(Content::Down(reason), None)),
            Arrival::Frame(bytes, share) => {
                let share = Some(Arc::new(share));
                let Ok(frame) = Frame::decode(&bytes) else {
                    return Some(piece(Content::Garbage(bytes), share));
                };
                let pieces = frame.pieces(PIECE_ITEMS).into_iter();
                self.pieces.extend(
                    pieces.map(|frame| piece(Content::Frame(Box::new(frame)), share.clone())),
                );
                self.pieces.pop_front()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(number: u8) -> CompanyId {
        CompanyId([number; 32])
    }

    /// An empty frame of an unknown kind.
    fn push(waiting: &mut Waiting, number: u8) {
        let bytes = Frame::Unknown(99).encode();
        let frame = Arrival::Frame(Bytes::from(bytes), Share::none());
        waiting.push(company(number), 1, frame);
    }

    fn serve(waiting: &mut Waiting, cost_ms: u64) -> Option<u8> {
        let piece = waiting.next()?;
        waiting.served(piece.company, Duration::from_millis(cost_ms));
        Some(piece.company.0[0])
    }

    #[test]
    fn whoever_was_served_least_comes_next_however_much_another_sends() {
        let mut waiting = Waiting::default();
        for _ in 0..100 {
            push(&mut waiting, 1);
        }
        for _ in 0..3 {
            push(&mut waiting, 2);
        }
        let costs = |who: u8| if who == 1 { 10 } else { 5 };
        let mut turns = Vec::new();
        for _ in 0..5 {
            let piece = waiting.next().expect("a hundred wait");
            let who = piece.company.0[0];
            waiting.served(piece.company, Duration::from_millis(costs(who)));
            turns.push(who);
        }
        assert_eq!(turns, [1, 2, 2, 1, 2]);
    }

    #[test]
    fn silence_saves_up_no_turns_and_empties_no_account() {
        let mut waiting = Waiting::default();
        push(&mut waiting, 1);
        assert_eq!(serve(&mut waiting, 50), Some(1));
        assert!(waiting.is_empty());
        for _ in 0..4 {
            push(&mut waiting, 1);
            push(&mut waiting, 2);
        }
        // The first was served long before: it waits until the other had as much, and no longer.
        let turns: Vec<_> = (0..4).map(|_| serve(&mut waiting, 20)).collect();
        assert_eq!(turns, [Some(2), Some(2), Some(2), Some(1)]);
        waiting.forget(&company(1));
        assert_eq!(serve(&mut waiting, 1), Some(2));
        assert!(waiting.is_empty());
        assert_eq!(serve(&mut waiting, 1), None);
    }
}
