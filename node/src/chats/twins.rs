//! Both sides may make a direct chat at once, each while the other is away: two chats then are one dialog.
//!
//! Owns which chats belong together. Nothing is merged on the disk: what people see is made from both, under the smaller id,
//! and what is written goes there, so that both sides meet without having to agree.

use crossport_protocol::ids::{ChatId, LocalId, UserId};
use crossport_protocol::owner_log::ChatKind as WireKind;

use crate::core::{Core, People};

impl Core {
    /// The direct chats with the same other person, smallest id first; only the chat itself if it is not direct.
    pub(crate) fn twins(&self, chat: &ChatId, user: &LocalId) -> Vec<ChatId> {
        let together = self
            .other_person(chat, user)
            .and_then(|other| self.directs.get(&(*user, other)));
        let Some(together) = together.filter(|chats| chats.len() > 1) else {
            return vec![*chat];
        };
        let readable = |twin: &&ChatId| *twin == chat || self.cached_handle(twin, user).is_some();
        together.iter().filter(readable).copied().collect()
    }

    /// The chat under which a person sees this one.
    pub(crate) fn shown_twin(&self, chat: &ChatId, user: &LocalId) -> ChatId {
        let twins = self.twins(chat, user);
        twins.first().copied().unwrap_or(*chat)
    }

    fn other_person(&self, chat: &ChatId, user: &LocalId) -> Option<UserId> {
        if !self.is_direct(chat) {
            return None;
        }
        let own = UserId {
            company: self.replicator.company(),
            local: *user,
        };
        let people = self.cached_people(chat)?.values();
        let mut users = people.map(|member| member.user);
        users.find(|other| *other != own)
    }

    fn is_direct(&self, chat: &ChatId) -> bool {
        let held = self.replicator.chat(chat);
        held.is_some_and(|held| held.owner().kind() == WireKind::DIRECT)
    }

    /// The people of a chat changed: who is in a direct chat with whom.
    pub(crate) fn note_direct(&mut self, chat: ChatId, people: &People) {
        if !self.is_direct(&chat) {
            return;
        }
        let company = self.replicator.company();
        let users = || people.values().map(|member| member.user);
        for own in users().filter(|user| user.company == company) {
            if let Some(other) = users().find(|other| *other != own) {
                let together = self.directs.entry((own.local, other)).or_default();
                together.insert(chat);
            }
        }
    }
}
