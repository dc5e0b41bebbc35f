//! What a person may do with a message: one table of whose message it is, what it holds, the person's role in the chat, and
//! whether their company owns it.
//!
//! A node offers exactly these actions and refuses all others, so that no client needs a rule of its own. It must not know
//! how an action is done. The page `reference/actions.md` is made from [`page`].

use std::fmt::Write as _;

/// Whose message it is, as the person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// The person's own.
    Own,
    /// Somebody else's of the same company.
    Colleague,
    /// Somebody's of another company.
    Partner,
}

/// What the message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    Text,
    /// A file, with or without a text.
    File,
    /// A task, a meeting or a poll.
    Card,
    /// A line that the system writes.
    Service,
    /// Sealed, or of a later version.
    Unreadable,
    /// Deleted or recalled.
    Gone,
}

/// What the person is in the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads only: in a channel, or because nothing can be written there now.
    Reader,
    Writer,
    /// Writes, and is an administrator of their company.
    Administrator,
}

/// What the person's company is to the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    Owner,
    Guest,
}

/// One entry of the menu at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    Reply,
    Quote,
    Edit,
    Delete,
    Forward,
    CopyText,
    CopyLink,
    React,
    MarkUnread,
    WhoRead,
    CreateTask,
    CreateMeeting,
    NewChat,
    SaveFile,
    CopyFile,
}

/// A set of actions, in the order of a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions(u16);

impl Author {
    pub const ALL: [Author; 3] = [Author::Own, Author::Colleague, Author::Partner];
}

impl Content {
    pub const ALL: [Content; 6] = [
        Content::Text,
        Content::File,
        Content::Card,
        Content::Service,
        Content::Unreadable,
        Content::Gone,
    ];
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Reader, Role::Writer, Role::Administrator];
}

impl Relation {
    pub const ALL: [Relation; 2] = [Relation::Owner, Relation::Guest];
}

impl Action {
    pub const ALL: [Action; 15] = [
        Action::Reply,
        Action::Quote,
        Action::Edit,
        Action::Delete,
        Action::Forward,
        Action::CopyText,
        Action::CopyLink,
        Action::React,
        Action::MarkUnread,
        Action::WhoRead,
        Action::CreateTask,
        Action::CreateMeeting,
        Action::NewChat,
        Action::SaveFile,
        Action::CopyFile,
    ];
}

impl Actions {
    pub fn none() -> Actions {
        Actions::default()
    }

    pub fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    #[must_use]
    pub fn with(self, action: Action) -> Actions {
        Actions(self.0 | (1 << action as u8))
    }

    /// In the order of a menu.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.has(*action))
    }
}

/// The table.
pub fn allowed(author: Author, content: Content, role: Role, relation: Relation) -> Actions {
    Action::ALL
        .into_iter()
        .filter(|action| is_allowed(*action, author, content, role, relation))
        .fold(Actions::none(), Actions::with)
}

/// One cell of the table.
pub fn is_allowed(
    action: Action,
    author: Author,
    content: Content,
    role: Role,
    relation: Relation,
) -> bool {
    let own = author == Author::Own;
    let writes = role != Role::Reader;
    let has_text = matches!(content, Content::Text | Content::File);
    let said = has_text || content == Content::Card;
    match action {
        Action::Reply | Action::Quote | Action::React => writes && said,
        Action::Edit => writes && own && has_text,
        Action::Delete => writes && said && deletes(author, role, relation),
        Action::Forward | Action::CopyText => has_text,
        Action::CopyLink => content != Content::Gone,
        Action::MarkUnread => !own && said,
        // How far it got is also told of what is gone: a recall rests on it.
        Action::WhoRead => own && content != Content::Service,
        // The old chat shows where it went on.
        Action::CreateTask | Action::CreateMeeting | Action::NewChat => writes && has_text,
        Action::SaveFile | Action::CopyFile => content == Content::File,
    }
}

/// One's own; an administrator their company's; an administrator of the chat's owner everybody's.
fn deletes(author: Author, role: Role, relation: Relation) -> bool {
    match (author, role) {
        (Author::Own, _) => true,
        (Author::Colleague, Role::Administrator) => true,
        (Author::Partner, Role::Administrator) => relation == Relation::Owner,
        _ => false,
    }
}

/// The table as a page of the documentation.
pub fn page() -> String {
    let mut page = String::from(PAGE_HEAD);
    for content in Content::ALL {
        let _ = write!(page, "\n## {}\n\n", content_title(content));
        let titles = Action::ALL.map(action_title).join(" | ");
        let _ = writeln!(page, "| Message | Role | Chat | {titles} |");
        let _ = writeln!(page, "|{}", " --- |".repeat(Action::ALL.len() + 3));
        for author in Author::ALL {
            for role in Role::ALL {
                rows(&mut page, content, author, role);
            }
        }
    }
    page
}

/// One row where both relations allow the same, otherwise one for each.
fn rows(page: &mut String, content: Content, author: Author, role: Role) {
    let [owner, guest] = Relation::ALL.map(|relation| allowed(author, content, role, relation));
    if owner == guest {
        row(page, author, role, "any", owner);
    } else {
        row(page, author, role, "of the own company", owner);
        row(page, author, role, "of another company", guest);
    }
}

fn row(page: &mut String, author: Author, role: Role, chat: &str, actions: Actions) {
    let author = match author {
        Author::Own => "own",
        Author::Colleague => "of a colleague",
        Author::Partner => "of a partner's person",
    };
    let role = match role {
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Administrator => "administrator",
    };
    let cells = Action::ALL.map(|action| if actions.has(action) { "yes" } else { "" });
    let _ = writeln!(
        page,
        "| {author} | {role} | {chat} | {} |",
        cells.join(" | ")
    );
}

const PAGE_HEAD: &str = "# Actions at messages

Each message of the [HTTP API](http-api.md) carries `actions`: what its reader may do with it. The node refuses everything else by the same
table, which is `protocol/src/actions.rs`; this page is made from it.

A *reader* only reads, because nothing can be written in the chat now (its company or the person is out of it, its log has
forked). An *administrator* is an administrator of their company who takes part in the chat. A node offers an action from the
version on in which it can do it: tasks, meetings, files and marking as unread are not there yet.
";

fn content_title(content: Content) -> &'static str {
    match content {
        Content::Text => "Text",
        Content::File => "File",
        Content::Card => "Task, meeting or poll",
        Content::Service => "Line of the system",
        Content::Unreadable => "Unreadable, or of a later version",
        Content::Gone => "Deleted or recalled",
    }
}

fn action_title(action: Action) -> &'static str {
    match action {
        Action::Reply => "reply",
        Action::Quote => "quote",
        Action::Edit => "edit",
        Action::Delete => "delete",
        Action::Forward => "forward",
        Action::CopyText => "copy text",
        Action::CopyLink => "copy link",
        Action::React => "react",
        Action::MarkUnread => "mark unread",
        Action::WhoRead => "who read",
        Action::CreateTask => "task",
        Action::CreateMeeting => "meeting",
        Action::NewChat => "new chat",
        Action::SaveFile => "save file",
        Action::CopyFile => "copy file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<(Author, Content, Role, Relation)> {
        let mut every = Vec::new();
        for author in Author::ALL {
            for content in Content::ALL {
                for role in Role::ALL {
                    every.extend(Relation::ALL.map(|relation| (author, content, role, relation)));
                }
            }
        }
        every
    }

    #[test]
    fn s7_menu_follows_author_content_role_and_owner() {
        let menu = |author, role, relation| {
            let actions = allowed(author, Content::Text, role, relation);
            actions.iter().map(action_title).collect::<Vec<_>>()
        };
        assert_eq!(
            menu(Author::Own, Role::Writer, Relation::Guest),
            [
                "reply",
                "quote",
                "edit",
                "delete",
                "forward",
                "copy text",
                "copy link",
                "react",
                "who read",
                "task",
                "meeting",
                "new chat"
            ]
        );
        assert_eq!(
            menu(Author::Partner, Role::Reader, Relation::Owner),
            ["forward", "copy text", "copy link", "mark unread"]
        );
    }

    #[test]
    fn s7_nothing_is_made_of_what_is_gone_and_nobody_edits_for_another() {
        for (author, content, role, relation) in every() {
            let actions = allowed(author, content, role, relation);
            let mut left = actions.iter().filter(|action| *action != Action::WhoRead);
            assert!(content != Content::Gone || left.next().is_none());
            assert!(!actions.has(Action::Edit) || author == Author::Own);
            assert!(!actions.has(Action::WhoRead) || author == Author::Own);
            let writing = [Action::Reply, Action::Edit, Action::Delete, Action::React];
            let writes = writing.iter().any(|action| actions.has(*action));
            assert!(!writes || role != Role::Reader);
        }
    }

    #[test]
    fn s34_administrators_delete_their_own_people_and_the_owners_everybody() {
        for (author, content, role, relation) in every() {
            let may = is_allowed(Action::Delete, author, content, role, relation);
            let said = matches!(content, Content::Text | Content::File | Content::Card);
            let by_right = match author {
                Author::Own => role != Role::Reader,
                Author::Colleague => role == Role::Administrator,
                Author::Partner => role == Role::Administrator && relation == Relation::Owner,
            };
            assert_eq!(
                may,
                said && by_right,
                "{author:?} {content:?} {role:?} {relation:?}"
            );
        }
    }
}
