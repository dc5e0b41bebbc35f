//! A quiet world: reliable links, in order, nobody crashes. What does not work here works nowhere.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::random::Seeded;
use super::shell::{Company, Shell};
use crate::clock::Time;
use crate::event::{AdminDelete, Delete, Edit, Event, Message, Reaction};
use crate::ids::{ChatId, EventId, Handle};
use crate::owner_log::{ChatKind, History};
use crate::replicator::{Draft, Output};
use crate::suite::Suite;

/// Nodes and the frames between them.
#[derive(Debug)]
pub struct Quiet {
    pub now: Time,
    pub nodes: Vec<Shell>,
    links: BTreeMap<(usize, usize), VecDeque<Vec<u8>>>,
    pub outputs: Vec<(usize, Output)>,
    /// Bytes that went from one node to another.
    pub bytes: BTreeMap<(usize, usize), u64>,
}

impl Quiet {
    pub fn new(suite: Suite, count: usize, seed: u64) -> Quiet {
        let mut random = Seeded::new(seed);
        let companies: Vec<Rc<Company>> = (0..count)
            .map(|index| {
                Rc::new(Company::new(
                    suite,
                    &format!("company {index}"),
                    &mut random,
                ))
            })
            .collect();
        let nodes = companies
            .iter()
            .map(|company| {
                let others = companies
                    .iter()
                    .filter(|other| other.id() != company.id())
                    .cloned()
                    .collect();
                Shell::new(company.clone(), others, random.split())
            })
            .collect();
        Quiet {
            now: Time(1_800_000_000_000),
            nodes,
            links: BTreeMap::new(),
            outputs: Vec::new(),
            bytes: BTreeMap::new(),
        }
    }

    pub fn act<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut crate::replicator::Replicator, &mut crate::replicator::Context<'_>) -> T,
    ) -> T {
        let (result, out) = self.nodes[node].call(self.now, act);
        self.outputs
            .extend(out.into_iter().map(|output| (node, output)));
        self.pump(node);
        result
    }

    fn pump(&mut self, node: usize) {
        let published = self.nodes[node].publish(self.now);
        self.outputs
            .extend(published.into_iter().map(|output| (node, output)));
        self.nodes[node].commit();
        let (sends, out) = self.nodes[node].pump(self.now);
        self.outputs
            .extend(out.into_iter().map(|output| (node, output)));
        for send in sends {
            let to = self.index_of(send.partner);
            *self.bytes.entry((node, to)).or_default() += send.frame.len() as u64;
            if let Some(queue) = self.links.get_mut(&(node, to)) {
                queue.push_back(send.frame);
            }
        }
    }

    fn index_of(&self, company: crate::ids::CompanyId) -> usize {
        self.nodes
            .iter()
            .position(|node| node.id() == company)
            .expect("only known companies are partners")
    }

    pub fn up(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.links.insert((from, to), VecDeque::new());
        }
        for (from, to) in [(a, b), (b, a)] {
            let partner = self.nodes[to].id();
            self.act(from, |replicator, cx| replicator.partner_up(cx, partner));
        }
    }

    pub fn down(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.links.remove(&(from, to));
            let partner = self.nodes[to].id();
            self.act(from, |replicator, cx| replicator.partner_down(cx, partner));
        }
    }

    /// Delivers everything that is under way, and lets time pass until nobody has anything to do.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            while let Some((from, to)) = self
                .links
                .iter()
                .find(|(_, queue)| !queue.is_empty())
                .map(|(link, _)| *link)
            {
                let frame = self
                    .links
                    .get_mut(&(from, to))
                    .and_then(VecDeque::pop_front)
                    .expect("found above");
                let partner = self.nodes[from].id();
                self.act(to, |replicator, cx| replicator.receive(cx, partner, &frame))
                    .expect("honest nodes keep the order of a link");
            }
            let wakes: Vec<(usize, Time)> = self
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(index, node)| Some((index, node.replicator.next_wake()?)))
                .collect();
            let Some(next) = wakes.iter().map(|(_, at)| *at).min() else {
                return;
            };
            let now = self.now.max(next);
            self.now = now;
            for (node, _) in wakes.iter().filter(|(_, at)| *at <= now) {
                self.pump(*node);
            }
        }
        panic!("the world does not come to rest");
    }

    pub fn say(&mut self, node: usize, chat: ChatId, event: Event) -> EventId {
        let draft = Draft {
            actor: person(node),
            event,
        };
        let ids = self
            .act(node, |replicator, cx| replicator.append(cx, chat, &[draft]))
            .expect("a member may write");
        ids[0]
    }

    pub fn create(&mut self, owner: usize, history: History, guests: &[usize]) -> ChatId {
        let chat = self
            .act(owner, |replicator, cx| {
                replicator.create_chat(cx, ChatKind::GROUP, history, Some("Plans"))
            })
            .expect("a chat can be made");
        for guest in guests {
            self.invite(owner, chat, *guest);
        }
        chat
    }

    pub fn invite(&mut self, owner: usize, chat: ChatId, guest: usize) {
        let company = self.nodes[guest].id();
        let expires = self.now.plus_ms(3_600_000);
        self.act(owner, |replicator, cx| {
            replicator.invite(cx, chat, company, expires)
        })
        .expect("the owner may invite");
    }

    /// The nodes hold and show the same.
    pub fn assert_agreed(&self, chat: &ChatId, nodes: &[usize]) {
        let first = &self.nodes[nodes[0]];
        let heads = |node: &Shell| {
            let chat = node.replicator.chat(chat).expect("the chat is here");
            (
                chat.owner().head(),
                chat.heads(),
                chat.delivered(),
                chat.statements().cloned().collect::<Vec<_>>(),
                chat.reads().cloned().collect::<Vec<_>>(),
            )
        };
        for node in &nodes[1..] {
            let node = &self.nodes[*node];
            assert_eq!(heads(first), heads(node));
            assert_eq!(first.facts.get(chat), node.facts.get(chat));
        }
    }
}

pub fn person(node: usize) -> Handle {
    Handle([node as u8 + 1; 16])
}

pub fn message(text: &str) -> Event {
    Event::Message(Message::text(text))
}

pub fn edit(target: EventId, text: &str) -> Event {
    Event::Edit(Edit {
        target,
        text: text.to_owned(),
        fields: crate::fields::Fields::none(),
    })
}

pub fn delete(target: EventId) -> Event {
    Event::Delete(Delete { target })
}

pub fn admin_delete(target: EventId) -> Event {
    Event::AdminDelete(AdminDelete { target })
}

pub fn reaction(target: EventId, present: bool) -> Event {
    Event::Reaction(Reaction {
        target,
        emoji: "👍".to_owned(),
        present,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(world: &Quiet, node: usize, chat: &ChatId) -> Vec<String> {
        let facts = world.nodes[node].facts.get(chat).into_iter().flatten();
        facts
            .filter_map(|(_, seen)| match &seen.event {
                Some(Event::Message(message)) => Some(message.text.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn three_companies_talk_and_agree() {
        for suite in [Suite::KeyedHash, Suite::Ed25519] {
            let mut world = Quiet::new(suite, 3, 1);
            let [acme, boris, chen] = [0, 1, 2];
            world.up(acme, boris);
            world.up(acme, chen);
            world.up(boris, chen);
            let chat = world.create(acme, History::FULL, &[boris, chen]);
            world.settle();
            let first = world.say(acme, chat, message("hello from acme"));
            world.say(boris, chat, message("hello from boris"));
            world.say(chen, chat, message("hello from chen"));
            world.settle();
            world.assert_agreed(&chat, &[acme, boris, chen]);
            assert_eq!(texts(&world, chen, &chat).len(), 3);
            world.say(acme, chat, edit(first, "hello again"));
            world.say(boris, chat, reaction(first, true));
            world.say(acme, chat, delete(first));
            world.settle();
            world.assert_agreed(&chat, &[acme, boris, chen]);
            for node in [acme, boris, chen] {
                assert_eq!(texts(&world, node, &chat).len(), 2);
                let stored = world.nodes[node].log.stored(&chat, &first.envelope);
                let stored = stored.expect("the header stays");
                assert!(stored.item.envelope.payloads[0].0.is_empty());
            }
            let refused: Vec<_> = world
                .outputs
                .iter()
                .filter(|(_, output)| matches!(output, Output::Refused { .. } | Output::Alarm(_)))
                .collect();
            assert!(refused.is_empty(), "{refused:?}");
        }
    }

    #[test]
    fn what_was_missed_arrives_with_the_link_and_without_new_traffic() {
        let mut world = Quiet::new(Suite::KeyedHash, 3, 2);
        world.up(0, 1);
        world.up(0, 2);
        let chat = world.create(0, History::FULL, &[1, 2]);
        world.settle();
        world.down(0, 1);
        for index in 0..20 {
            world.say(0, chat, message(&format!("from the owner {index}")));
            world.say(1, chat, message(&format!("from the absent {index}")));
            world.say(2, chat, message(&format!("from the third {index}")));
            world.settle();
        }
        world.up(0, 1);
        world.settle();
        world.assert_agreed(&chat, &[0, 1, 2]);
        assert_eq!(texts(&world, 1, &chat).len(), 60);
    }

    #[test]
    fn reads_and_statements_arrive_through_the_owner() {
        let mut world = Quiet::new(Suite::KeyedHash, 3, 3);
        world.up(0, 1);
        world.up(0, 2);
        let chat = world.create(0, History::FULL, &[1, 2]);
        world.settle();
        world.say(1, chat, message("read me"));
        world.settle();
        let heads = world.nodes[2]
            .replicator
            .chat(&chat)
            .expect("joined")
            .delivered();
        let read = world.act(2, |replicator, cx| {
            replicator.mark_read(cx, chat, person(2), &heads)
        });
        assert!(read);
        world.settle();
        world.assert_agreed(&chat, &[0, 1, 2]);
        let third = world.nodes[2].replicator.node_key();
        let author = &world.nodes[1].replicator;
        let held = author.chat(&chat).expect("joined");
        let statement = held
            .statements()
            .find(|statement| statement.content.node == third)
            .expect("it was relayed");
        assert_eq!(statement.content.heads, heads);
        let register = held
            .reads()
            .find(|register| register.content.node == third)
            .expect("it was relayed");
        let entries = author.open_reads(register).expect("the key is here");
        assert_eq!(entries[0].heads, heads);
    }

    #[test]
    fn a_newcomer_reads_from_its_joining_and_a_removed_company_nothing_more() {
        let mut world = Quiet::new(Suite::KeyedHash, 3, 4);
        let [acme, boris, chen] = [0, 1, 2];
        for (a, b) in [(acme, boris), (acme, chen), (boris, chen)] {
            world.up(a, b);
        }
        let chat = world.create(acme, History::FROM_JOINING, &[boris]);
        world.settle();
        world.say(acme, chat, message("before"));
        world.say(boris, chat, message("before too"));
        world.settle();
        world.invite(acme, chat, chen);
        world.settle();
        world.say(acme, chat, message("after"));
        world.say(boris, chat, message("after too"));
        world.settle();
        let same_heads = |world: &Quiet, one: usize, other: usize| {
            let heads = |node: usize| world.nodes[node].replicator.chat(&chat).map(|c| c.heads());
            assert_eq!(heads(one), heads(other));
        };
        same_heads(&world, acme, chen);
        assert_eq!(texts(&world, chen, &chat).len(), 2);

        let gone = world.nodes[boris].id();
        world
            .act(acme, |replicator, cx| replicator.remove(cx, chat, gone))
            .expect("the owner may remove");
        world.settle();
        world.say(acme, chat, message("secret"));
        world.settle();
        same_heads(&world, acme, chen);
        assert_eq!(texts(&world, chen, &chat).len(), 3);
        assert_eq!(texts(&world, boris, &chat).len(), 4);
        let draft = [Draft {
            actor: person(boris),
            event: message("still here?"),
        }];
        let late = world.act(boris, |replicator, cx| replicator.append(cx, chat, &draft));
        assert_eq!(late, Err(crate::replicator::AppendError::NotMember));

        world.invite(acme, chat, boris);
        world.settle();
        world.say(boris, chat, message("back"));
        world.say(chen, chat, message("welcome"));
        world.settle();
        same_heads(&world, acme, boris);
        same_heads(&world, acme, chen);
        assert_eq!(texts(&world, boris, &chat).len(), 6);
        assert_eq!(texts(&world, acme, &chat).len(), 7);
    }

    #[test]
    fn a_restored_copy_gets_its_own_messages_back_and_forks_nothing() {
        let mut world = Quiet::new(Suite::KeyedHash, 3, 5);
        world.up(0, 1);
        world.up(0, 2);
        let chat = world.create(0, History::FULL, &[1, 2]);
        world.settle();
        world.say(1, chat, message("kept"));
        world.settle();
        let copy = world.nodes[1].journal.len();
        world.say(1, chat, message("lost and found"));
        world.settle();
        world.down(0, 1);
        let now = world.now;
        let refused = world.nodes[1].restart(now, false, copy);
        assert!(refused.is_empty(), "{refused:?}");
        world.say(1, chat, message("written before anybody was asked"));
        world.up(0, 1);
        world.settle();
        world.assert_agreed(&chat, &[0, 1, 2]);
        assert_eq!(texts(&world, 1, &chat).len(), 3);
        let forks = world
            .outputs
            .iter()
            .filter(|(_, output)| {
                matches!(output, Output::Alarm(crate::replicator::Alarm::Fork { .. }))
            })
            .count();
        assert_eq!(forks, 0);
    }

    #[test]
    fn catching_up_costs_little_more_than_what_was_missed() {
        let mut world = Quiet::new(Suite::KeyedHash, 2, 6);
        world.up(0, 1);
        let chat = world.create(0, History::FULL, &[1]);
        world.settle();
        world.down(0, 1);
        let before: usize = world.nodes[0].log.wire_bytes(&chat);
        for index in 0..200 {
            world.say(0, chat, message(&format!("missed number {index}")));
        }
        let missing = world.nodes[0].log.wire_bytes(&chat) - before;
        world.bytes.clear();
        world.up(0, 1);
        world.settle();
        world.assert_agreed(&chat, &[0, 1]);
        let bytes: u64 = world.bytes.values().sum();
        assert!(
            bytes * 10 < missing as u64 * 13,
            "{bytes} bytes for {missing} missing"
        );
    }
}
