//! What the reader of a message may do with it: the table of `protocol` for this person, this message and this node.
//!
//! Owns the one question that the menu of a message and every refusal ask. It must not have a rule of its own.

use crossport_protocol::actions::{self, Action, Actions, Author, Content, Relation, Role};
use crossport_protocol::ids::{ChatId, LocalId};

use crate::api::facade::{Answer, Refused};
use crate::api::types::{Action as Entry, Code, MessageKind};
use crate::core::Core;
use crate::store::Row;

/// Actions that this version can do.
const OFFERED: [Action; 10] = [
    Action::Reply,
    Action::Quote,
    Action::Edit,
    Action::Delete,
    Action::Forward,
    Action::CopyText,
    Action::CopyLink,
    Action::React,
    Action::WhoRead,
    Action::NewChat,
];

/// Where a person stands to a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stance {
    author: Author,
    content: Content,
    role: Role,
    relation: Relation,
}

impl Stance {
    fn may(self, action: Action) -> bool {
        let Stance {
            author,
            content,
            role,
            relation,
        } = self;
        actions::is_allowed(action, author, content, role, relation)
    }

    /// The author's own message.
    pub(crate) fn is_own(self) -> bool {
        self.author == Author::Own
    }

    /// The menu of the message.
    pub(crate) fn offered(self) -> Vec<Entry> {
        let offered = OFFERED.into_iter().filter(|action| self.may(*action));
        // The order of a menu is that of the table.
        let menu = offered.fold(Actions::none(), Actions::with);
        menu.iter().map(Entry::from).collect()
    }

    /// Why the table does not allow it, in the words of the API.
    fn refusal(self, action: Action) -> Code {
        let writer = Stance {
            role: Role::Writer,
            ..self
        };
        match action {
            _ if self.content == Content::Gone => Code::MessageGone,
            _ if self.role == Role::Reader && writer.may(action) => Code::ChatClosed,
            Action::Edit | Action::Delete | Action::WhoRead => Code::NotYourMessage,
            _ => Code::NotAllowed,
        }
    }
}

impl Core {
    pub(crate) fn stance(
        &self,
        chat: &ChatId,
        row: &Row,
        kind: MessageKind,
        user: &LocalId,
    ) -> Stance {
        let own = self.replicator.company();
        let author = if self.is_own(chat, row, user) {
            Author::Own
        } else if row.actor.company == own {
            Author::Colleague
        } else {
            Author::Partner
        };
        let content = match kind {
            MessageKind::Text => Content::Text,
            MessageKind::Service => Content::Service,
            MessageKind::Deleted | MessageKind::Recalled => Content::Gone,
            MessageKind::Unreadable | MessageKind::NeedsNewer => Content::Unreadable,
        };
        let owner = self.owner_of(chat);
        Stance {
            author,
            content,
            role: self.role_in(chat, user),
            relation: if owner == Some(own) {
                Relation::Owner
            } else {
                Relation::Guest
            },
        }
    }

    /// Whether the table allows it, or why not. `text` is how the client named the message.
    pub(crate) fn check_action(
        &self,
        action: Action,
        chat: &ChatId,
        row: &Row,
        user: &LocalId,
        text: &str,
    ) -> Answer<Stance> {
        let kind = self.message_of(chat, row, user).kind;
        let stance = self.stance(chat, row, kind, user);
        if stance.may(action) {
            Ok(stance)
        } else {
            Err(Refused::new(stance.refusal(action), text))
        }
    }

    /// What a person of this company is in a chat now.
    fn role_in(&self, chat: &ChatId, user: &LocalId) -> Role {
        let takes_part = self.cached_handle(chat, user).is_some();
        if !takes_part || !self.is_open(chat) {
            return Role::Reader;
        }
        let account = self.directory.user(user);
        if account.is_some_and(|account| account.administrator) {
            Role::Administrator
        } else {
            Role::Writer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_what_is_offered_is_in_the_table_and_the_page_is_the_table() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../docs/src/reference/actions.md"
        );
        let page = actions::page();
        if std::env::var_os("CROSSPORT_UPDATE").is_some() {
            std::fs::write(path, &page).expect("the page can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page,
            "docs/src/reference/actions.md is old; try: CROSSPORT_UPDATE=1 cargo test -p crossport-node"
        );
    }

    #[test]
    fn s7_a_refusal_says_what_stands_in_the_way() {
        let stance = Stance {
            author: Author::Partner,
            content: Content::Text,
            role: Role::Writer,
            relation: Relation::Guest,
        };
        assert_eq!(stance.refusal(Action::Edit), Code::NotYourMessage);
        let reader = Stance {
            role: Role::Reader,
            ..stance
        };
        assert_eq!(reader.refusal(Action::React), Code::ChatClosed);
        let gone = Stance {
            content: Content::Gone,
            ..stance
        };
        assert_eq!(gone.refusal(Action::React), Code::MessageGone);
        assert!(gone.offered().is_empty());
        assert!(!stance.offered().contains(&Entry::CreateTask));
    }
}
