//! What people do with words, over two companies: menus at messages and what the nodes make of them.

use anyhow::{Context as _, Result, ensure};
use crossport_node::api::facade::{Caller, UseCases};
use crossport_node::api::types::{
    Action, Chat, ChatKind, Code, EditMessage, Message, MessageKind, React, Repeatable, Token,
    TokenKind,
};
use crossport_tests::world::{Company, OPERATOR, check, eventually, pair};

/// Acme owns a group: Anna is an administrator of Acme and Alex is not; Boris is an administrator of Globex, Bella is not.
pub struct Group {
    pub acme: Company,
    pub globex: Company,
    pub anna: Caller,
    pub alex: Caller,
    pub boris: Caller,
    pub bella: Caller,
    pub chat: String,
}

impl Group {
    pub async fn start() -> Result<Group> {
        let (acme, globex) = (
            Company::start("Acme").await?,
            Company::start("Globex").await?,
        );
        pair(&acme, &globex).await?;
        let anna = acme.person_with("anna", true).await?;
        let alex = acme.person("alex").await?;
        let boris = globex.person_with("boris", true).await?;
        let bella = globex.person("bella").await?;
        let people = ["alex", "boris@globex", "bella@globex"];
        let chat = acme.chat(anna, ChatKind::Group, "Launch", &people).await?;
        let group = Group {
            acme,
            globex,
            anna,
            alex,
            boris,
            bella,
            chat: chat.id,
        };
        // At both: names in a text are resolved by the author's node.
        for (company, person) in [(&group.acme, alex), (&group.globex, bella)] {
            eventually("all four are in the chat", || async {
                let rows = company.chats(person).await?;
                Ok(rows
                    .iter()
                    .any(|row| row.id == group.chat && row.people == 4))
            })
            .await?;
        }
        Ok(group)
    }

    pub async fn down(mut self) -> Result<()> {
        self.acme.down().await?;
        self.globex.down().await
    }

    /// A text by Bella, that both nodes have.
    pub async fn bella_says(&self, text: &str) -> Result<Message> {
        let said = self.globex.post(self.bella, &self.chat, text).await?;
        arrives(&self.acme, self.anna, &said.id).await?;
        Ok(said)
    }

    /// A text by Alex, that both nodes have.
    pub async fn alex_says(&self, text: &str) -> Result<Message> {
        let said = self.acme.post(self.alex, &self.chat, text).await?;
        arrives(&self.globex, self.boris, &said.id).await?;
        Ok(said)
    }
}

pub async fn seen(company: &Company, by: Caller, id: &str) -> Result<Message> {
    Ok(company.node().message(by, id.to_owned()).await?.message)
}

pub async fn arrives(company: &Company, by: Caller, id: &str) -> Result<()> {
    eventually(&format!("{} has the message", company.name), || async {
        Ok(company.node().message(by, id.to_owned()).await.is_ok())
    })
    .await
}

pub fn once(id: &str) -> Repeatable {
    Repeatable {
        client_id: id.to_owned(),
    }
}

async fn deleted_at(company: &Company, by: Caller, id: &str) -> Result<Message> {
    eventually(&format!("it is deleted at {}", company.name), || async {
        Ok(seen(company, by, id).await?.kind == MessageKind::Deleted)
    })
    .await?;
    seen(company, by, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_messages_carry_what_their_reader_may_do() -> Result<()> {
    let group = Group::start().await?;
    let hello = group.alex_says("hello all").await?;
    check("Alex edits", hello.actions.contains(&Action::Edit), true)?;
    let has = |message: &Message, action| message.actions.contains(&action);
    let by_boris = seen(&group.globex, group.boris, &hello.id).await?;
    check("Boris replies", has(&by_boris, Action::Reply), true)?;
    for action in [Action::Edit, Action::Delete, Action::WhoRead] {
        ensure!(!has(&by_boris, action), "Boris is offered {action:?}");
    }
    let edit = EditMessage {
        client_id: "edit".to_owned(),
        text: "mine now".to_owned(),
    };
    let node = group.globex.node();
    let refused = [
        node.edit(group.boris, hello.id.clone(), edit).await.err(),
        node.delete(group.boris, hello.id.clone(), once("delete"))
            .await
            .err(),
        node.receipts(group.boris, hello.id.clone()).await.err(),
    ];
    for refused in refused {
        check(
            "what is not offered is refused",
            refused.map(|refused| refused.code),
            Some(Code::NotYourMessage),
        )?;
    }
    let like = React {
        client_id: "like".to_owned(),
        emoji: "👍".to_owned(),
        on: true,
    };
    node.react(group.boris, hello.id.clone(), like.clone())
        .await?;
    // Of a deleted message only its author sees how far it got.
    let gone = group
        .acme
        .node()
        .delete(group.alex, hello.id.clone(), once("gone"))
        .await?;
    check(
        "menu of a deleted message",
        gone.actions,
        vec![Action::WhoRead],
    )?;
    let late = React {
        client_id: "late".to_owned(),
        ..like
    };
    let refused = group.acme.node().react(group.anna, hello.id, late).await;
    check(
        "reacting to what is gone",
        refused.err().map(|refused| refused.code),
        Some(Code::MessageGone),
    )?;
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn x_markdown_is_a_tree_beside_the_source_and_never_html() -> Result<()> {
    let group = Group::start().await?;
    let source = "**now** <b>or</b> [never](javascript:alert(1))";
    let said = group.alex_says(source).await?;
    check("source", said.text.as_deref(), Some(source))?;
    let seen = seen(&group.globex, group.boris, &said.id).await?;
    check("the same tree everywhere", &seen.tokens, &said.tokens)?;
    let [paragraph] = seen.tokens.as_slice() else {
        anyhow::bail!("one paragraph: {:?}", seen.tokens);
    };
    let kinds: Vec<TokenKind> = paragraph.tokens.iter().map(|token| token.kind).collect();
    check("kinds", kinds, vec![TokenKind::Bold, TokenKind::Text])?;
    check(
        "what is no markup stays as it was written",
        paragraph.tokens[1].text.as_deref(),
        Some(" <b>or</b> [never](javascript:alert(1))"),
    )?;
    group.down().await
}

async fn row_of(company: &Company, by: Caller, chat: &str) -> Result<Chat> {
    Ok(company.node().chat(by, chat.to_owned()).await?)
}

fn mention_in(message: &Message) -> Result<Token> {
    let inside = message.tokens.iter().flat_map(|token| &token.tokens);
    let mut mentions = inside.filter(|token| token.kind == TokenKind::Mention);
    mentions.next().cloned().context("no mention")
}

#[tokio::test(flavor = "multi_thread")]
async fn s19_mention_of_a_partners_person_is_counted_there_and_nowhere_else() -> Result<()> {
    let group = Group::start().await?;
    group.alex_says("good morning").await?;
    let said = group.alex_says("@boris@globex, look at this").await?;
    let named = mention_in(&said)?;
    check("words", named.text.as_deref(), Some("@boris@globex"))?;
    let seen_there = seen(&group.globex, group.boris, &said.id).await?;
    check("Boris is told", seen_there.mentioned, true)?;
    let person = mention_in(&seen_there)?.person.context("who")?;
    check("person", person.nickname.as_str(), "boris")?;
    check("of his own company", person.external, false)?;
    for (who, expected) in [(group.boris, (2, 1)), (group.bella, (2, 0))] {
        let row = row_of(&group.globex, who, &group.chat).await?;
        check("unread, mentions", (row.unread, row.mentions), expected)?;
    }
    for who in [group.anna, group.alex] {
        let row = row_of(&group.acme, who, &group.chat).await?;
        check("mentions at Acme", row.mentions, 0)?;
    }
    // Without a company the only one of that name is meant; a word after it does not belong to it.
    let again = group.alex_says("+boris.").await?;
    check("words", mention_in(&again)?.text.as_deref(), Some("+boris"))?;
    let row = row_of(&group.globex, group.boris, &group.chat).await?;
    check("mentions", row.mentions, 2)?;
    // What is deleted names nobody any more; what is read is not counted.
    let node = group.acme.node();
    node.delete(group.alex, said.id.clone(), once("gone"))
        .await?;
    eventually("one mention is left", || async {
        Ok(row_of(&group.globex, group.boris, &group.chat)
            .await?
            .mentions
            == 1)
    })
    .await?;
    group.globex.read_all(group.boris, &group.chat).await?;
    let row = row_of(&group.globex, group.boris, &group.chat).await?;
    check("after reading", (row.unread, row.mentions), (0, 0))?;
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s19_mentions_survive_a_rebuild_and_an_edit_tells_nobody() -> Result<()> {
    let group = Group::start().await?;
    let said = group.bella_says("@anna and @nobody").await?;
    let row = row_of(&group.acme, group.anna, &group.chat).await?;
    check("mentions of Anna", row.mentions, 1)?;
    let edit = EditMessage {
        client_id: "edit".to_owned(),
        text: "@alex rather".to_owned(),
    };
    let node = group.globex.node();
    node.edit(group.bella, said.id.clone(), edit).await?;
    eventually("the edit is shown", || async {
        let seen = seen(&group.acme, group.alex, &said.id).await?;
        let person = mention_in(&seen)?.person.context("who")?;
        Ok(person.nickname == "alex")
    })
    .await?;
    let told = Box::new(|_| {});
    group.acme.node().rebuild_index(OPERATOR, told).await?;
    for (who, expected) in [(group.anna, 1), (group.alex, 0)] {
        let row = row_of(&group.acme, who, &group.chat).await?;
        check("mentions after a rebuild", row.mentions, expected)?;
    }
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_mention_of_a_chat_leads_there_only_for_who_may_read_it() -> Result<()> {
    let group = Group::start().await?;
    let secret = group
        .acme
        .chat(group.anna, ChatKind::Group, "Secret plans", &["alex"])
        .await?;
    let said = group.alex_says("see #secret plans, all").await?;
    let named = mention_in(&said)?;
    check("words", named.text.as_deref(), Some("#secret plans"))?;
    check("leads there", named.chat, Some(secret.id))?;
    let seen = seen(&group.globex, group.boris, &said.id).await?;
    check("words only", mention_in(&seen)?.chat, None)?;
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_an_administrator_of_the_owner_deletes_a_partners_message() -> Result<()> {
    let group = Group::start().await?;
    let slip = group.bella_says("the password is swordfish").await?;
    let edit = EditMessage {
        client_id: "edit".to_owned(),
        text: "the password was swordfish".to_owned(),
    };
    group
        .globex
        .node()
        .edit(group.bella, slip.id.clone(), edit)
        .await?;
    eventually("Acme has the edit", || async {
        let seen = seen(&group.acme, group.anna, &slip.id).await?;
        Ok(seen.edited_at.is_some())
    })
    .await?;
    // Alex is no administrator.
    let refused = group
        .acme
        .node()
        .delete(group.alex, slip.id.clone(), once("alex"));
    check(
        "Alex",
        refused.await.err().map(|refused| refused.code),
        Some(Code::NotYourMessage),
    )?;
    let shown = seen(&group.acme, group.anna, &slip.id).await?;
    check(
        "offered to Anna",
        shown.actions.contains(&Action::Delete),
        true,
    )?;
    group
        .acme
        .node()
        .delete(group.anna, slip.id.clone(), once("anna"))
        .await?;
    for (company, by) in [(&group.acme, group.alex), (&group.globex, group.bella)] {
        let gone = deleted_at(company, by, &slip.id).await?;
        let by_whom = gone.deleted.context("says who deleted it")?.by.nickname;
        check("deleted by", by_whom.as_str(), "anna")?;
        let detail = company.node().message(by, slip.id.clone()).await?;
        check("revisions", detail.revisions.len(), 0)?;
    }
    let audit = group.acme.node().audit(OPERATOR, Default::default());
    let entries = audit.await?.items;
    ensure!(
        entries.iter().any(|entry| entry.what == "message.delete"),
        "not audited: {entries:?}"
    );
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_guests_administrator_deletes_only_what_its_own_people_said() -> Result<()> {
    let group = Group::start().await?;
    let (theirs, ours) = (
        group.bella_says("Bella's").await?,
        group.alex_says("Alex's").await?,
    );
    let node = group.globex.node();
    let refused = node.delete(group.boris, ours.id.clone(), once("ours"));
    check(
        "Boris at Acme's",
        refused.await.err().map(|refused| refused.code),
        Some(Code::NotYourMessage),
    )?;
    node.delete(group.boris, theirs.id.clone(), once("theirs"))
        .await?;
    let gone = deleted_at(&group.acme, group.alex, &theirs.id).await?;
    let by_whom = gone.deleted.context("says who deleted it")?.by.nickname;
    check("deleted by", by_whom.as_str(), "boris")?;
    check(
        "Alex's stays",
        seen(&group.globex, group.bella, &ours.id).await?.text,
        Some("Alex's".to_owned()),
    )?;
    group.down().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s34_what_an_administrator_deleted_is_never_sent_to_who_was_away() -> Result<()> {
    let mut group = Group::start().await?;
    group.globex.down().await?;
    let slip = group.acme.post(group.alex, &group.chat, "slip").await?;
    group
        .acme
        .node()
        .delete(group.anna, slip.id.clone(), once("anna"))
        .await?;
    group.acme.post(group.alex, &group.chat, "after").await?;
    group.globex.up().await?;
    arrives_as_deleted(&group, &slip.id).await?;
    group.down().await
}

async fn arrives_as_deleted(group: &Group, id: &str) -> Result<()> {
    eventually("Globex has what came after", || async {
        let texts = group.globex.texts(group.boris, &group.chat).await?;
        Ok(texts.contains(&"after".to_owned()))
    })
    .await?;
    let gone = deleted_at(&group.globex, group.boris, id).await?;
    let by_whom = gone.deleted.context("says who deleted it")?.by.nickname;
    check("deleted by", by_whom.as_str(), "anna")
}
