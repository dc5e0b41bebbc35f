//! What goes wrong: on the wires, in the machines, with the clocks.

use super::World;
use crate::frame::{EnvelopesFrame, Frame};
use crate::sim::counts::Fault;
use crate::sim::watch::Checked;

/// Frames that may be under way in one direction before the oldest are delivered first.
const MOST_UNDER_WAY: usize = 200;
const HOUR_MS: i64 = 3_600_000;

impl World {
    fn happens(&mut self, one_in: usize) -> bool {
        one_in > 0 && self.random.one_in(one_in)
    }

    /// The next frame of a queue that is not lost.
    pub(super) fn next_frame(&mut self, wire: usize, side: usize) -> Option<Vec<u8>> {
        let habits = self.habits;
        let reorders = self.happens(habits.reorder);
        let (lost, twice) = (self.happens(habits.loss), self.happens(habits.duplicate));
        let altered = self.happens(habits.corrupt);
        let place = self.random.below(8);
        let queue = self.wires.get_mut(wire)?.queues.get_mut(side)?;
        let waits = queue.len();
        let place = if reorders && waits > 1 && waits < MOST_UNDER_WAY {
            self.watch.counts.fault(Fault::Reorder);
            place.min(waits - 1)
        } else {
            0
        };
        if waits > 3 {
            self.watch.counts.fault(Fault::Delay);
        }
        let frame = queue.remove(place)?;
        if twice {
            self.watch.counts.fault(Fault::Duplicate);
            queue.push_back(frame.clone());
        }
        if lost {
            self.watch.counts.fault(Fault::Loss);
            return None;
        }
        if altered {
            return self.alter(frame);
        }
        Some(frame)
    }

    /// A partner, or something before it, changes a signed byte.
    fn alter(&mut self, frame: Vec<u8>) -> Option<Vec<u8>> {
        let Ok(Frame::Envelopes(EnvelopesFrame {
            chat,
            sent_bytes,
            mut items,
        })) = Frame::decode(&frame)
        else {
            return Some(frame);
        };
        self.watch.counts.fault(Fault::Corruption);
        let index = self.random.below(items.len());
        if let Some(item) = items.get_mut(index) {
            let header = &mut item.envelope.header.0;
            // The last bytes of a header are the hash of a payload: it still decodes.
            match self.random.below(2) {
                0 => header.last_mut().into_iter().for_each(|byte| *byte ^= 1),
                _ => {
                    let mut bytes = item.envelope.signature.to_bytes();
                    bytes[0] ^= 1;
                    item.envelope.signature = crate::suite::Signature::from_bytes(bytes);
                }
            }
        }
        let altered = Frame::Envelopes(EnvelopesFrame {
            chat,
            sent_bytes,
            items,
        });
        Some(altered.encode())
    }

    /// After each step something may break.
    pub(super) fn go_wrong(&mut self) -> Checked {
        let habits = self.habits;
        let node = self.random.below(self.nodes.len());
        if self.happens(habits.link_down) {
            let wire = self.random.below(self.wires.len());
            self.watch.counts.fault(Fault::LinkDown);
            self.link_down(wire)?;
        }
        if self.happens(habits.partition) {
            self.partition(node)?;
        }
        if self.happens(habits.crash) {
            self.crash(node)?;
            let later = self.random.one_in(2);
            if !later {
                self.start(node, true, usize::MAX)?;
            }
        }
        if self.happens(habits.restore) {
            self.watch.counts.fault(Fault::DeclaredRestore);
            self.put_back(node, false)?;
        }
        if self.happens(habits.rollback) {
            self.watch.counts.fault(Fault::UnknownRollback);
            self.put_back(node, true)?;
        }
        if self.happens(habits.clock_jump) {
            self.jump(node);
        }
        if self.happens(habits.owner_dies) {
            self.owner_dies()?;
        }
        Ok(())
    }

    /// Cuts a node off from some others, until it is mended.
    fn partition(&mut self, node: usize) -> Checked {
        self.watch.counts.fault(Fault::Partition);
        for index in 0..self.wires.len() {
            let touches = self
                .wires
                .get(index)
                .is_some_and(|wire| wire.ends.contains(&node));
            if touches && self.random.below(3) > 0 {
                self.link_down(index)?;
                if let Some(wire) = self.wires.get_mut(index) {
                    wire.blocked = true;
                }
            }
        }
        Ok(())
    }

    /// Something is repaired: a link, a partition, a node that was down.
    pub(super) fn mend(&mut self) -> Checked {
        match self.random.below(4) {
            0 => {
                let index = self.random.below(self.wires.len());
                if let Some(wire) = self.wires.get_mut(index) {
                    wire.blocked = false;
                }
                self.link_up(index)
            }
            1 => {
                let node = self.random.below(self.nodes.len());
                self.start(node, true, usize::MAX)
            }
            _ => {
                let index = self.random.below(self.wires.len());
                self.link_up(index)
            }
        }
    }

    /// The process ends at once: what was not committed is gone, and so is every link.
    pub(super) fn crash(&mut self, index: usize) -> Checked {
        if !self.is_up(index) {
            return Ok(());
        }
        self.watch
            .counts
            .fault(if self.node(index).pending.is_empty() {
                Fault::Crash
            } else {
                Fault::CrashBeforeCommit
            });
        self.note(|| format!("node {index} crashes"));
        self.down[index] = true;
        for wire in 0..self.wires.len() {
            if self
                .wires
                .get(wire)
                .is_some_and(|wire| wire.ends.contains(&index))
            {
                self.link_down(wire)?;
            }
        }
        Ok(())
    }

    pub(super) fn start(&mut self, index: usize, continuity: bool, entries: usize) -> Checked {
        if self.is_up(index) || self.dead.get(index).copied().unwrap_or(true) {
            return Ok(());
        }
        let now = self.now_at(index);
        let older_copy = self.node(index).journal.len() > entries;
        let node = self.node(index);
        if node.has_checkpoint(entries) {
            self.watch.counts.fault(Fault::StartFromCheckpoint);
        }
        let node = self.node_mut(index);
        let refused = node.restart(now, continuity, entries);
        let kept = node.journal.len();
        self.note(|| format!("node {index} starts with {kept} entries, continuity {continuity}, older {older_copy}"));
        self.down[index] = false;
        if let Some(refusal) = refused.first() {
            return Err(crate::sim::counts::Violation {
                invariant: crate::sim::counts::Invariant::NothingLost,
                detail: format!("node {index} refuses its own journal: {refusal}"),
            });
        }
        let node = self.nodes.get(index).expect("as many as there are nodes");
        self.watch.restarted(index, node, older_copy)
    }

    /// The node goes on from an older copy of its journal.
    fn put_back(&mut self, index: usize, continuity: bool) -> Checked {
        if !self.is_up(index) {
            return Ok(());
        }
        self.crash(index)?;
        let back = self.random.below(30);
        let kept = self.node(index).length_before(back);
        self.watch.put_back(index, continuity);
        self.start(index, continuity, kept)
    }

    fn jump(&mut self, index: usize) {
        let ms = 1 + self.random.below(2 * HOUR_MS as usize) as i64;
        let (fault, ms) = if self.random.one_in(2) {
            (Fault::ClockForward, ms)
        } else {
            (Fault::ClockBack, -ms)
        };
        self.watch.counts.fault(fault);
        if let Some(offset) = self.offsets_ms.get_mut(index) {
            *offset += ms;
        }
    }

    /// The owner of a chat never comes back. The others go on without it.
    fn owner_dies(&mut self) -> Checked {
        let alive = self.dead.iter().filter(|dead| !**dead).count();
        let Some(owner) = self.random.pick(&self.chats).map(|chat| chat.owner) else {
            return Ok(());
        };
        if alive <= 2 || self.dead.get(owner).copied().unwrap_or(true) {
            return Ok(());
        }
        self.watch.counts.fault(Fault::OwnerDead);
        self.crash(owner)?;
        self.down[owner] = true;
        self.dead[owner] = true;
        Ok(())
    }
}
