//! The change feed: what a person's clients are told as it happens.
//!
//! Owns the order of changes, a short memory of them for clients that reconnect, and one bounded queue per open stream. A
//! slow reader never slows the node: it is told that it missed something and reads again. A token is arrival-based:
//! `<boot>-<number>`; after a restart clients are told to start from the lists.

use std::collections::VecDeque;

use crossport_protocol::ids::{ChatId, EventId, LocalId};
use tokio::sync::mpsc;

use crate::api::types::Change;

/// Changes that one stream may have waiting: a second of a very busy node.
const QUEUE_LENGTH: usize = 16_384;
/// Remembered changes: minutes of a busy node, some megabytes.
const REMEMBERED: usize = 65_536;

/// What changed, without the content: it is read again for whoever asks later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Chat(ChatId),
    Message(ChatId, EventId),
}

/// A change on its way to one stream, with its token.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub token: String,
    pub change: Change,
}

#[derive(Debug)]
struct Subscription {
    user: LocalId,
    session: [u8; 32],
    chat: Option<ChatId>,
    sender: mpsc::Sender<Delivered>,
    missed: Vec<ChatId>,
}

/// The feed. One owner, the core thread.
#[derive(Debug)]
pub struct Changes {
    boot: u64,
    last: u64,
    remembered: VecDeque<(u64, Topic)>,
    subscriptions: Vec<Subscription>,
}

/// What a client that comes back must be told.
#[derive(Debug, PartialEq, Eq)]
pub enum Resume {
    /// Everything after its token is still known.
    From(Vec<(u64, Topic)>),
    TooOld,
    OtherBoot,
    Fresh,
}

impl Changes {
    pub fn new(boot: u64) -> Changes {
        Changes {
            boot,
            last: 0,
            remembered: VecDeque::new(),
            subscriptions: Vec::new(),
        }
    }

    pub fn token(&self, number: u64) -> String {
        format!("{:x}-{number}", self.boot)
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    /// What followed a token.
    pub fn resume(&self, token: Option<&str>) -> Resume {
        let Some(token) = token else {
            return Resume::Fresh;
        };
        let parsed = token.split_once('-').and_then(|(boot, number)| {
            Some((
                u64::from_str_radix(boot, 16).ok()?,
                number.parse::<u64>().ok()?,
            ))
        });
        match parsed {
            Some((boot, number)) if boot == self.boot => {
                let oldest = self
                    .remembered
                    .front()
                    .map_or(self.last, |(first, _)| first.saturating_sub(1));
                if number < oldest || number > self.last {
                    return Resume::TooOld;
                }
                Resume::From(
                    self.remembered
                        .iter()
                        .filter(|(at, _)| *at > number)
                        .copied()
                        .collect(),
                )
            }
            _ => Resume::OtherBoot,
        }
    }

    pub fn subscribe(
        &mut self,
        user: LocalId,
        session: [u8; 32],
        chat: Option<ChatId>,
    ) -> mpsc::Receiver<Delivered> {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        self.subscriptions
            .retain(|subscription| !subscription.sender.is_closed());
        self.subscriptions.push(Subscription {
            user,
            session,
            chat,
            sender,
            missed: Vec::new(),
        });
        receiver
    }

    /// Ends every stream of a session; the client finds out why when it comes back.
    pub fn end_session(&mut self, session: &[u8; 32]) {
        self.subscriptions
            .retain(|subscription| subscription.session != *session);
    }

    /// Remembers a change. Returns its number.
    pub fn note(&mut self, topic: Topic) -> u64 {
        self.last = self.last.saturating_add(1);
        self.remembered.push_back((self.last, topic));
        if self.remembered.len() > REMEMBERED {
            self.remembered.pop_front();
        }
        self.last
    }

    /// People who listen now, each once.
    pub fn listeners(&self) -> Vec<LocalId> {
        let mut users: Vec<LocalId> = self
            .subscriptions
            .iter()
            .map(|subscription| subscription.user)
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Hands a change to every stream of a person.
    pub fn send(&mut self, user: LocalId, chat: ChatId, number: u64, change: &Change) {
        let token = self.token(number);
        for subscription in self
            .subscriptions
            .iter_mut()
            .filter(|subscription| subscription.user == user)
        {
            if subscription.chat.is_none_or(|only| only == chat) {
                subscription.push(chat, &token, change);
            }
        }
    }
}

impl Subscription {
    fn push(&mut self, chat: ChatId, token: &str, change: &Change) {
        if !self.missed.is_empty() {
            let chats = self.missed.iter().map(ChatId::to_string).collect();
            let gap = Change::Gap(crate::api::types::Gap { chats });
            if self
                .sender
                .try_send(Delivered {
                    token: token.to_owned(),
                    change: gap,
                })
                .is_ok()
            {
                self.missed.clear();
            }
        }
        let sent = self.missed.is_empty()
            && self
                .sender
                .try_send(Delivered {
                    token: token.to_owned(),
                    change: change.clone(),
                })
                .is_ok();
        if !sent && !self.missed.contains(&chat) {
            self.missed.push(chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{Reset, ResetReason};

    fn change() -> Change {
        Change::Reset(Reset {
            reason: ResetReason::NewClient,
        })
    }

    #[test]
    fn a_client_that_comes_back_gets_what_followed_its_token() {
        let mut changes = Changes::new(7);
        let chat = ChatId([1; 32]);
        let first = changes.note(Topic::Chat(chat));
        let second = changes.note(Topic::Chat(chat));
        let token = changes.token(first);
        assert_eq!(
            changes.resume(Some(&token)),
            Resume::From(vec![(second, Topic::Chat(chat))])
        );
        assert_eq!(changes.resume(None), Resume::Fresh);
        assert_eq!(changes.resume(Some("8-1")), Resume::OtherBoot);
        assert_eq!(changes.resume(Some("nonsense")), Resume::OtherBoot);
        for _ in 0..REMEMBERED {
            changes.note(Topic::Chat(chat));
        }
        assert_eq!(changes.resume(Some(&token)), Resume::TooOld);
    }

    #[test]
    fn a_slow_reader_is_told_that_it_missed_something() {
        let mut changes = Changes::new(7);
        let (user, chat) = (LocalId([2; 16]), ChatId([1; 32]));
        let mut stream = changes.subscribe(user, [0; 32], None);
        for _ in 0..QUEUE_LENGTH + 5 {
            let number = changes.note(Topic::Chat(chat));
            changes.send(user, chat, number, &change());
        }
        for _ in 0..10 {
            stream.try_recv().expect("queued");
        }
        changes.send(user, chat, 1, &change());
        let mut told = false;
        while let Ok(delivered) = stream.try_recv() {
            told |= matches!(delivered.change, Change::Gap(_));
        }
        assert!(told, "the gap is said");
    }
}
