//! `crossport chat`: own chats, read and written as one person.

use super::chat_view;
use crate::client::{Client, query, segment};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column, line, short_id};
use clap::{Args, Subcommand, ValueEnum};
use crossport_node::api::types::{
    AddMembers, Chat as Row, ChatKind, Code, ID_PREFIX_CHARS_MIN, MarkRead, Member, Members,
    Membership, Message, MessagePage, NewChat, Page, Repeatable, SendMessage, SetTopic,
};
use crossport_node::say;
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Chat {
    New(New),
    #[command(alias = "ls")]
    List(List),
    Show(Show),
    Send(Send),
    Watch(super::chat_watch::Watch),
    Read(Read),
    #[command(subcommand)]
    Members(MembersVerb),
    Topic(Topic),
    Leave(Named),
}

#[derive(Debug, Subcommand)]
pub enum MembersVerb {
    #[command(alias = "ls")]
    List(Named),
    Add(Add),
    #[command(alias = "rm")]
    Remove(Remove),
}

#[derive(Debug, Args)]
pub struct New {
    #[arg(required = true)]
    people: Vec<String>,
    #[arg(long)]
    title: Option<String>,
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    #[arg(long, value_name = "MESSAGE")]
    from: Option<String>,
}

/// The kinds that a person can open; a company's own chat comes with the company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Direct,
    Group,
    Open,
    Channel,
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Args)]
pub struct Show {
    chat: String,
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[arg(long, value_name = "CURSOR", conflicts_with = "after")]
    before: Option<String>,
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

#[derive(Debug, Args)]
pub struct Send {
    chat: String,
    text: Option<String>,
    #[arg(long, value_name = "MESSAGE")]
    reply_to: Option<String>,
}

#[derive(Debug, Args)]
pub struct Read {
    chat: String,
    #[arg(long, value_name = "MESSAGE")]
    up_to: Option<String>,
}

#[derive(Debug, Args)]
pub struct Topic {
    chat: String,
    title: String,
}

#[derive(Debug, Args)]
pub struct Named {
    chat: String,
}

#[derive(Debug, Args)]
pub struct Add {
    chat: String,
    #[arg(required = true)]
    people: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Remove {
    chat: String,
    person: String,
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-id",
        cell: |chat| Cell::Id(chat.id.clone()),
    },
    Column {
        title: "column-title",
        cell: |chat| Cell::Named {
            name: titled(chat),
            external: chat.external,
        },
    },
    Column {
        title: "column-kind",
        cell: |chat| kind(chat.kind),
    },
    Column {
        title: "column-unread",
        cell: |chat| Cell::Number(chat.unread.into()),
    },
    Column {
        title: "column-mark",
        cell: last_mark,
    },
    Column {
        title: "column-last",
        cell: last_text,
    },
    Column {
        title: "column-time",
        cell: |chat| Cell::Time(chat.last_at.clone()),
    },
];

const MEMBER_COLUMNS: &[Column<Member>] = &[
    Column {
        title: "column-nickname",
        cell: |member| Cell::Text(member.person.nickname.clone()),
    },
    Column {
        title: "column-name",
        cell: |member| Cell::Person(Box::new(member.person.clone())),
    },
    Column {
        title: "column-company",
        cell: |member| Cell::Named {
            name: member.person.company.name.clone(),
            external: member.person.external,
        },
    },
    Column {
        title: "column-administrator",
        cell: |member| Cell::yes(member.administrator),
    },
    Column {
        title: "column-state",
        cell: |member| {
            Cell::Word(if member.invited {
                "state-invited"
            } else {
                "state-member"
            })
        },
    },
    Column {
        title: "column-since",
        cell: |member| Cell::Time(member.since.clone()),
    },
    Column {
        title: "column-id",
        cell: |member| Cell::Id(member.person.id.clone()),
    },
];

pub async fn run(verb: Chat, context: &mut Context) -> Result<(), Failure> {
    match verb {
        Chat::New(arguments) => new(arguments, context).await,
        Chat::List(arguments) => list(&arguments, context).await,
        Chat::Show(arguments) => show(&arguments, context).await,
        Chat::Send(arguments) => send(arguments, context).await,
        Chat::Watch(arguments) => super::chat_watch::run(arguments, context).await,
        Chat::Read(arguments) => read(arguments, context).await,
        Chat::Members(MembersVerb::List(named)) => members(&named, context).await,
        Chat::Members(MembersVerb::Add(arguments)) => add(arguments, context).await,
        Chat::Members(MembersVerb::Remove(arguments)) => remove(&arguments, context).await,
        Chat::Topic(arguments) => topic(arguments, context).await,
        Chat::Leave(named) => leave(&named, context).await,
    }
}

/// The id of a chat that was named by id, unique beginning of an id, title or the other person's nickname.
pub async fn resolve(named: &str, client: &Client, context: &Context) -> Result<Row, Failure> {
    let looks_like_id =
        named.len() >= ID_PREFIX_CHARS_MIN && named.chars().all(|c| c.is_ascii_hexdigit());
    if looks_like_id {
        match client.read(&path(named, "")).await {
            // A title may look like an id: `cafe`.
            Err(failure) if failure.code() == Some(Code::ChatNotFound) => {}
            result => return result,
        }
    }
    let chats: Page<Row> = super::whole_list(client, "/v0/chats", &[]).await?;
    let wanted = named.to_lowercase();
    let is_named = |chat: &Row| {
        let nickname = chat
            .person
            .as_ref()
            .map(|person| person.nickname.to_lowercase());
        chat.title.to_lowercase() == wanted || nickname.as_deref() == Some(wanted.as_str())
    };
    let mut matching = chats.items.into_iter().filter(is_named);
    match (matching.next(), matching.next()) {
        (Some(chat), None) => Ok(chat),
        (None, _) => Err(context.failure(Code::ChatNotFound, named)),
        (Some(one), Some(other)) => {
            let ids = format!("{}, {}", short_id(&one.id), short_id(&other.id));
            Err(context.failure(Code::IdAmbiguous, named).cause(ids))
        }
    }
}

async fn new(arguments: New, context: &mut Context) -> Result<(), Failure> {
    let alone = arguments.people.len() == 1 && arguments.title.is_none();
    let kind = match arguments.kind {
        None if alone => ChatKind::Direct,
        None | Some(Kind::Group) => ChatKind::Group,
        Some(Kind::Direct) => ChatKind::Direct,
        Some(Kind::Open) => ChatKind::Open,
        Some(Kind::Channel) => ChatKind::Channel,
    };
    if kind != ChatKind::Direct && arguments.title.is_none() {
        return Err(context
            .failure(Code::Usage, &say!(context.texts, "usage-title-missing"))
            .try_next("--title"));
    }
    let body = NewChat {
        client_id: context.client_id()?,
        kind,
        title: arguments.title,
        people: arguments.people,
        from: arguments.from,
    };
    let chat: Row = context
        .person()?
        .write(Method::POST, "/v0/chats", &body)
        .await?;
    let sentence = say!(
        context.texts,
        "done-chat-new",
        title = titled(&chat),
        id = short_id(&chat.id)
    );
    context.output.done(&chat, &chat.id, &sentence)
}

async fn list(arguments: &List, context: &mut Context) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query = query(&[
        ("limit", Some(&limit)),
        ("cursor", arguments.cursor.as_deref()),
    ]);
    let page: Page<Row> = context.person()?.read(&format!("/v0/chats{query}")).await?;
    context
        .output
        .list(&page, &page.items, |chat| &chat.id, COLUMNS)?;
    for chat in &page.items {
        let late = chat.overdue.iter().filter(|lag| lag.notice);
        late.for_each(|lag| chat_view::hint_lag(Some(chat), lag, context));
    }
    super::hint_next(page.next.as_deref(), context);
    if page.items.is_empty() {
        context.output.hint("hint-no-chat", &[]);
    }
    Ok(())
}

async fn show(arguments: &Show, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let limit = arguments.limit.to_string();
    let query = query(&[
        ("limit", Some(&limit)),
        ("before", arguments.before.as_deref()),
        ("after", arguments.after.as_deref()),
    ]);
    let page: MessagePage = client
        .read(&format!("{}{query}", path(&chat.id, "messages")))
        .await?;
    chat_view::page(&chat, &page, context)
}

async fn send(arguments: Send, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let text = context.text_or_stdin(arguments.text)?;
    let body = SendMessage {
        client_id: context.client_id()?,
        text,
        reply_to: arguments.reply_to,
    };
    let message: Message = client
        .write(Method::POST, &path(&chat.id, "messages"), &body)
        .await?;
    let mark = context.output.look.mark(message.mark, message.overdue);
    let sentence = say!(
        context.texts,
        "done-sent",
        title = titled(&chat),
        id = short_id(&message.id),
        mark = mark
    );
    context
        .output
        .done(&message, &message.id, sentence.trim_end())
}

async fn read(arguments: Read, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let body = MarkRead {
        client_id: context.client_id()?,
        up_to: arguments.up_to,
    };
    let chat: Row = client
        .write(Method::POST, &path(&chat.id, "read"), &body)
        .await?;
    let sentence = say!(
        context.texts,
        "done-read",
        title = titled(&chat),
        unread = chat.unread
    );
    context.output.done(&chat, &chat.id, &sentence)
}

async fn topic(arguments: Topic, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let body = SetTopic {
        client_id: context.client_id()?,
        title: arguments.title,
    };
    let path = path(&chat.id, "topic");
    let chat: Row = client.write(Method::PUT, &path, &body).await?;
    let sentence = say!(context.texts, "done-topic", title = titled(&chat));
    context.output.done(&chat, &chat.id, &sentence)
}

async fn members(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&named.chat, &client, context).await?;
    let members: Members = client.read(&path(&chat.id, "members")).await?;
    show_members(&members, context)
}

async fn add(arguments: Add, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let body = AddMembers {
        client_id: context.client_id()?,
        people: arguments.people,
    };
    let members: Members = client
        .write(Method::POST, &path(&chat.id, "members"), &body)
        .await?;
    show_members(&members, context)
}

async fn remove(arguments: &Remove, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&arguments.chat, &client, context).await?;
    let question = say!(
        context.texts,
        "ask-member-remove",
        name = line(&arguments.person),
        title = titled(&chat)
    );
    context.confirm(&question)?;
    let path = format!(
        "{}/{}",
        path(&chat.id, "members"),
        segment(&arguments.person)
    );
    let members: Members = client.remove(&path, &context.client_id()?).await?;
    show_members(&members, context)
}

async fn leave(named: &Named, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let chat = resolve(&named.chat, &client, context).await?;
    context.confirm(&say!(context.texts, "ask-leave", title = titled(&chat)))?;
    let body = Repeatable {
        client_id: context.client_id()?,
    };
    client
        .write_only(Method::POST, &path(&chat.id, "leave"), &body)
        .await?;
    let sentence = say!(context.texts, "done-left", title = titled(&chat));
    context
        .output
        .done(&serde_json::json!({ "chat": chat.id }), &chat.id, &sentence)
}

fn show_members(members: &Members, context: &mut Context) -> Result<(), Failure> {
    context.output.list(
        members,
        &members.members,
        |member| &member.person.id,
        MEMBER_COLUMNS,
    )
}

/// The path of a chat or of something in it.
pub fn path(chat: &str, below: &str) -> String {
    let path = format!("/v0/chats/{}", segment(chat));
    if below.is_empty() {
        path
    } else {
        format!("{path}/{below}")
    }
}

/// The title with the badge of the other companies (S33), safe for a terminal.
pub fn titled(chat: &Row) -> String {
    if !chat.external {
        return line(&chat.title);
    }
    // The reader's own company stands first while it takes part, and is no badge.
    let own = usize::from(chat.membership != Membership::Removed);
    let companies = chat.companies.iter().skip(own);
    let names: Vec<String> = match &chat.person {
        Some(person) => vec![line(&person.company.name)],
        None => companies.map(|company| line(&company.name)).collect(),
    };
    if names.is_empty() {
        return line(&chat.title);
    }
    format!("{} [{}]", line(&chat.title), names.join(", "))
}

const fn kind(kind: ChatKind) -> Cell {
    Cell::Word(match kind {
        ChatKind::Direct => "kind-direct",
        ChatKind::Group => "kind-group",
        ChatKind::Open => "kind-open",
        ChatKind::Channel => "kind-channel",
        ChatKind::Company => "kind-company",
    })
}

fn last_mark(chat: &Row) -> Cell {
    let overdue = !chat.overdue.is_empty();
    chat.last.as_ref().map_or(Cell::Empty, |last| Cell::Mark {
        mark: last.mark,
        overdue: last.overdue || overdue,
    })
}

fn last_text(chat: &Row) -> Cell {
    let last = chat.last.as_ref();
    last.and_then(|last| last.text.as_ref())
        .map_or(Cell::Empty, |text| Cell::Snippet(text.clone()))
}
