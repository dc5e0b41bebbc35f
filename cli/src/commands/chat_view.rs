//! How messages look: one line a message on a terminal, with what happened to it.
//!
//! Shared by `chat show`, `chat watch` and `msg show`. Every text and name passes the escape of `output`.

use super::chat::titled;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column, Format, Look, block, clock, day, line, rendered, short_id};
use crossport_node::api::types::{
    Chat, CompanyLag, Frozen, Message, MessageKind, MessagePage, Person, Service, ServiceKind,
};
use crossport_node::say;

/// Of what is answered, so much stands before the answer.
const ANSWERED_CHARS: usize = 40;

/// For TSV; a terminal gets [`told`].
const COLUMNS: &[Column<Message>] = &[
    Column {
        title: "column-id",
        cell: |message| Cell::Id(message.id.clone()),
    },
    Column {
        title: "column-time",
        cell: |message| Cell::Time(message.sent_at.clone()),
    },
    Column {
        title: "column-name",
        cell: |message| Cell::Text(address(&message.author)),
    },
    Column {
        title: "column-kind",
        cell: |message| Cell::Word(kind_key(message.kind)),
    },
    Column {
        title: "column-mark",
        cell: |message| Cell::Mark {
            mark: message.mark,
            overdue: message.overdue,
        },
    },
    Column {
        title: "column-text",
        cell: |message| Cell::text(message.text.as_ref()),
    },
];

/// A page of a chat.
pub fn page(chat: &Chat, page: &MessagePage, context: &mut Context) -> Result<(), Failure> {
    if context.output.format != Format::Table {
        return context
            .output
            .list(page, &page.messages, |message| &message.id, COLUMNS);
    }
    if let Some(older) = &page.older {
        context
            .output
            .hint("hint-older", &[("cursor", older.as_str().into())]);
    }
    let heading = Cell::Named {
        name: titled(chat),
        external: chat.external,
    };
    context.output.print(&format!(
        "{}  {}",
        heading.painted(&context.output.look),
        context.output.look.dim(&short_id(&chat.id))
    ));
    days(&page.messages, context);
    for lag in &chat.overdue {
        hint_lag(None, lag, context);
    }
    if let Some(frozen) = chat.frozen {
        let reason = match frozen {
            Frozen::OwnerForked => say!(context.texts, "frozen-owner-forked"),
        };
        context
            .output
            .hint("hint-frozen", &[("reason", reason.into())]);
    }
    Ok(())
}

/// Replies, each with its day where that is another than before.
pub fn replies(page: &MessagePage, context: &mut Context) -> Result<(), Failure> {
    if context.output.format != Format::Table {
        return context
            .output
            .list(page, &page.messages, |message| &message.id, COLUMNS);
    }
    days(&page.messages, context);
    Ok(())
}

fn days(messages: &[Message], context: &mut Context) {
    let mut last_day = String::new();
    for message in messages {
        let text = told(message, None, &context.output.look);
        let this_day = day(&message.sent_at, &context.output.look);
        if this_day != last_day {
            let heading = context.output.look.dim(&this_day);
            context.output.print(&heading);
            last_day = this_day;
        }
        context.output.print(&text);
    }
}

/// Tells who lacks something of a chat, in a list of chats with its title.
pub fn hint_lag(chat: Option<&Chat>, lag: &CompanyLag, context: &mut Context) {
    if context.output.format != Format::Table {
        return;
    }
    let look = &context.output.look;
    let since = crate::output::relative(&lag.not_delivered_since, look);
    let (day, clock) = (
        day(&lag.not_delivered_since, look),
        clock(&lag.not_delivered_since, look),
    );
    let at = format!("{day} {clock}");
    let mut values = vec![
        ("company", line(&lag.company.name).into()),
        ("since", since.into()),
        ("at", at.into()),
    ];
    let Some(chat) = chat else {
        return context.output.hint("hint-lag", &values);
    };
    values.push(("title", titled(chat).into()));
    context.output.hint("hint-lag-in", &values);
}

/// One message in the format of this call, for streams.
pub fn row(message: &Message, chat: Option<&str>, context: &Context) -> String {
    match context.output.format {
        Format::Quiet => message.id.clone(),
        Format::Table => told(message, chat, &context.output.look),
        // JSON streams print changes, not messages; see `chat watch`.
        Format::Tsv | Format::Json => COLUMNS
            .iter()
            .map(|column| (column.cell)(message).plain())
            .collect::<Vec<_>>()
            .join("\t"),
    }
}

/// `3fa9c2e1.0  14:02  Boris [Globex]: Hello  ●`, further lines of the text indented.
pub fn told(message: &Message, chat: Option<&str>, look: &Look) -> String {
    let id = short_id(&message.id);
    let indent = " ".repeat(id.chars().count() + 9);
    let place = chat
        .map(|title| format!("{} / ", line(title)))
        .unwrap_or_default();
    let head = format!(
        "{}  {}  {}{}",
        look.dim(&id),
        clock(&message.sent_at, look),
        look.dim(&place),
        look.person(&message.author)
    );
    let body = body(message, look).replace('\n', &format!("\n{indent}"));
    let mut notes = Vec::new();
    if message.edited_at.is_some() && message.kind == MessageKind::Text {
        notes.push(look.dim(&say!(look.texts, "note-edited")));
    }
    if message.clock_ahead {
        notes.push(look.dim(&say!(look.texts, "note-clock-ahead")));
    }
    notes.extend(
        message
            .reactions
            .iter()
            .map(|reaction| format!("{} {}", line(&reaction.emoji), reaction.people.len())),
    );
    if message.mark.is_some() || message.overdue {
        notes.push(look.mark(message.mark, message.overdue));
    }
    let notes: String = notes.iter().map(|note| format!("  {note}")).collect();
    let forwarded = message.forwarded.as_ref();
    let forwarded =
        forwarded.map(|from| format!("{}{}: ", look.dim("↪ "), look.person(&from.author)));
    let forwarded = forwarded.unwrap_or_default();
    format!(
        "{head}: {}{forwarded}{body}{notes}",
        answered(message, look)
    )
}

/// What a message answers, in a few words.
fn answered(message: &Message, look: &Look) -> String {
    let Some(id) = message.reply_to.as_deref() else {
        return String::new();
    };
    let text = message.reply.as_ref().map(|reply| {
        let text = reply.text.as_deref().unwrap_or("…");
        let words: String = line(text).chars().take(ANSWERED_CHARS).collect();
        format!("{}: {words}", line(&reply.author.name))
    });
    let text = text.map(|text| format!("({text}) ")).unwrap_or_default();
    look.dim(&format!("↳ {} {text}", short_id(id)))
}

/// What a message says, or why it says nothing.
pub fn body(message: &Message, look: &Look) -> String {
    let texts = look.texts;
    match message.kind {
        MessageKind::Text if look.color && !message.tokens.is_empty() => {
            rendered(&message.tokens, look)
        }
        // Without styles the source says more than a tree.
        MessageKind::Text => block(message.text.as_deref().unwrap_or_default()),
        MessageKind::Service => message
            .service
            .as_ref()
            .map_or_else(String::new, |service| {
                look.dim(&service_text(service, look))
            }),
        MessageKind::Deleted => {
            let by = message.deleted.as_ref().map_or_else(
                || line(&message.author.name),
                |deleted| line(&deleted.by.name),
            );
            look.dim(&say!(texts, "note-deleted", name = by))
        }
        MessageKind::Recalled => look.dim(&say!(texts, "note-recalled")),
        MessageKind::Unreadable => look.dim(&say!(texts, "note-unreadable")),
        MessageKind::NeedsNewer => look.dim(&say!(texts, "note-needs-newer")),
    }
}

fn service_text(service: &Service, look: &Look) -> String {
    let key = match service.what {
        ServiceKind::ChatCreated if service.title.is_none() => "service-chat-opened",
        ServiceKind::ChatCreated => "service-chat-created",
        ServiceKind::MemberAdded => "service-member-added",
        ServiceKind::MembersRemoved => "service-members-removed",
        ServiceKind::MemberJoined => "service-member-joined",
        ServiceKind::MemberLeft => "service-member-left",
        ServiceKind::CardChanged => "service-card-changed",
        ServiceKind::CompanyAdded => "service-company-added",
        ServiceKind::CompanyRemoved => "service-company-removed",
        ServiceKind::CompanyLeft => "service-company-left",
        ServiceKind::TitleChanged => "service-title-changed",
        ServiceKind::RoleChanged => "service-role-changed",
        ServiceKind::MemberBarred => "service-member-barred",
        ServiceKind::AccessReset => "service-access-reset",
        ServiceKind::NoSuchPerson => "service-no-such-person",
        ServiceKind::Resumed => "service-resumed",
        ServiceKind::Continued if service.title.is_some() => "service-continued-in",
        ServiceKind::Continued => "service-continued",
    };
    // Who acted is named as authors are; whom it was done to, as commands take them.
    let named = |person: &Person| match service.what {
        ServiceKind::MemberAdded => Cell::Person(Box::new(person.clone())).plain(),
        _ => line(&address(person)),
    };
    let people = service
        .people
        .iter()
        .map(named)
        .collect::<Vec<_>>()
        .join(", ");
    let company = service
        .company
        .as_ref()
        .map(|company| line(&company.name))
        .unwrap_or_default();
    let title = line(service.title.as_deref().unwrap_or_default());
    look.texts.format(
        key,
        &[
            ("people", people.into()),
            ("company", company.into()),
            ("title", title.into()),
        ],
    )
}

/// `anna`, or `boris@Globex` for a partner's person: what `chat new` takes.
pub fn address(person: &Person) -> String {
    if person.external {
        format!("{}@{}", person.nickname, person.company.name)
    } else {
        person.nickname.clone()
    }
}

const fn kind_key(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text => "message-text",
        MessageKind::Service => "message-service",
        MessageKind::Deleted => "message-deleted",
        MessageKind::Recalled => "message-recalled",
        MessageKind::Unreadable => "message-unreadable",
        MessageKind::NeedsNewer => "message-needs-newer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_node::{message, person};
    use crossport_node::api::types::{Deleted, Mark, Reaction};
    use crossport_node::texts::Lang;

    fn written() -> Vec<Message> {
        let (anna, boris) = (
            person("anna", "Acme", false),
            person("boris", "Globex", true),
        );
        let plain = message("1", "Hello\nsecond line");
        let hostile = "Hi\u{1b}[2J \u{202e}!".to_owned();
        let edited_at = Some(plain.sent_at.clone());
        let reaction = Reaction {
            emoji: "👍".to_owned(),
            people: vec![anna, boris.clone()],
            mine: true,
        };
        vec![
            Message {
                mark: Some(Mark::StoredHere),
                overdue: true,
                ..plain.clone()
            },
            Message {
                author: boris,
                text: Some(hostile),
                edited_at,
                mine: false,
                ..plain.clone()
            },
            Message {
                reply_to: Some(plain.id.clone()),
                mark: Some(Mark::Read),
                ..plain.clone()
            },
            Message {
                reactions: vec![reaction],
                ..plain
            },
        ]
    }

    fn gone() -> Vec<Message> {
        let plain = Message {
            text: None,
            ..message("1", "")
        };
        let deleted = Some(Deleted {
            by: person("anna", "Acme", false),
            at: plain.sent_at.clone(),
        });
        vec![
            Message {
                kind: MessageKind::Deleted,
                deleted,
                ..plain.clone()
            },
            Message {
                kind: MessageKind::Recalled,
                ..plain.clone()
            },
            Message {
                kind: MessageKind::Unreadable,
                ..plain.clone()
            },
            Message {
                kind: MessageKind::NeedsNewer,
                clock_ahead: true,
                ..plain
            },
        ]
    }

    fn by_the_system() -> Vec<Message> {
        use ServiceKind::{AccessReset, ChatCreated, CompanyLeft, MemberAdded};
        let boris = person("boris", "Globex", true);
        let service = |what| Service {
            what,
            people: vec![boris.clone()],
            company: Some(boris.company.clone()),
            title: Some("Launch".to_owned()),
            chat: None,
        };
        let kinds = [ChatCreated, MemberAdded, AccessReset, CompanyLeft];
        let line = |what| Message {
            kind: MessageKind::Service,
            text: None,
            service: Some(service(what)),
            ..message("1", "")
        };
        kinds.map(line).to_vec()
    }

    fn transcript(lang: Lang) -> String {
        let messages = [written(), gone(), by_the_system()].concat();
        let look = Look::for_tests(lang);
        messages
            .iter()
            .map(|message| told(message, None, &look) + "\n")
            .collect()
    }

    #[test]
    fn messages_tell_what_happened_to_them() {
        for lang in Lang::ALL {
            insta::assert_snapshot!(format!("transcript_{}", lang.code()), transcript(lang));
        }
    }

    #[test]
    fn badges_name_the_other_companies() {
        assert_eq!(address(&person("boris", "Globex", true)), "boris@Globex");
        assert_eq!(address(&person("anna", "Acme", false)), "anna");
    }
}
