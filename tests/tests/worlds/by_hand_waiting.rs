//! What people see while a company is away, and what they see afterwards: lags, late marks, recalls, and chats that both
//! sides made at once.

use anyhow::{Context as _, Result, ensure};
use crossport_tests::process::{Company, eventually, text};
use crossport_tests::world::check;

use crate::by_hand::{items, two_companies, two_companies_with};

fn sent(company: &Company, who: &str, chat: &str, words: &str) -> Result<String> {
    let sent = company.ask(Some(who), &["chat", "send", chat, words])?;
    Ok(text(&sent, "id")?.to_owned())
}

#[test]
fn a_company_that_lacks_messages_is_named_until_it_has_them() -> Result<()> {
    let root = tempfile::tempdir()?;
    let soon = ["--set", "overdue_after_s=1", "--set", "notice_after_s=2"];
    let (mut acme, mut globex) = two_companies_with(root.path(), &soon)?;
    acme.ask(
        Some("anna"),
        &["chat", "new", "--title", "Launch", "boris@globex"],
    )?;
    eventually("Boris is in", || {
        globex
            .ask(Some("boris"), &["chat", "members", "list", "Launch"])
            .map(drop)
    })?;
    globex.down()?;
    let message = sent(&acme, "anna", "Launch", "are you there?")?;
    let recalled = sent(&acme, "anna", "Launch", "not for their ears")?;
    let deleted = sent(&acme, "anna", "Launch", "a slip")?;
    let receipts = acme.ask(Some("anna"), &["msg", "receipts", &message])?;
    let missing = &receipts["companies"][1];
    check("company", &missing["company"]["name"], &"Globex".into())?;
    ensure!(
        missing["not_delivered_since"].is_string() && missing["stored_at"].is_null(),
        "{receipts}"
    );
    acme.ask(Some("anna"), &["msg", "recall", &recalled])?;
    acme.ask(Some("anna"), &["msg", "delete", &deleted])?;
    late(&acme, &message)?;
    gone(&acme, &recalled, &deleted)?;
    acme.down()?;
    acme.up()?;
    late(&acme, &message)?;
    gone(&acme, &recalled, &deleted)?;
    globex.up()?;
    eventually("nothing is late any more", || {
        let list = acme.ask(Some("anna"), &["chat", "list"])?;
        let chat = &items(&list)?[0];
        ensure!(
            chat["overdue"].is_null() && chat["last"]["overdue"] == false,
            "{chat}"
        );
        let receipts = acme.ask(Some("anna"), &["msg", "receipts", &message])?;
        ensure!(
            receipts["companies"][1]["stored_at"].is_string(),
            "{receipts}"
        );
        Ok(())
    })?;
    let shown = acme
        .call(&["chat", "show", "Launch"])
        .by("anna")
        .on_terminal()?
        .done()?;
    ensure!(!shown.contains("not delivered"), "{shown}");
    check(
        "what Boris reads",
        globex.texts("boris", "Launch")?,
        vec!["are you there?".to_owned()],
    )?;
    // For those whom it never reached it is a deletion, and the text is nowhere.
    let there = globex.ask(Some("boris"), &["msg", "show", &recalled])?;
    check(
        "kind at Boris",
        &there["message"]["kind"],
        &"deleted".into(),
    )
}

/// Nobody asks: whoever only listens learns that the deadline passed, also when the node was started anew in between, and that
/// the company has everything again.
#[test]
fn an_open_feed_is_told_when_the_deadline_passes() -> Result<()> {
    let root = tempfile::tempdir()?;
    let soon = ["--set", "overdue_after_s=3", "--set", "notice_after_s=5"];
    let (mut acme, mut globex) = two_companies_with(root.path(), &soon)?;
    acme.ask(
        Some("anna"),
        &["chat", "new", "--title", "Launch", "boris@globex", "alex"],
    )?;
    eventually("Boris is in", || {
        globex
            .ask(Some("boris"), &["chat", "members", "list", "Launch"])
            .map(drop)
    })?;
    let watch = |acme: &Company, who: &str| {
        let call = acme.call(&["chat", "watch", "Launch", "--json"]);
        let mut watching = call.by(who).watch()?;
        watching.shows("reset")?;
        Ok::<_, anyhow::Error>(watching)
    };
    globex.down()?;
    let before = sent(&acme, "anna", "Launch", "written before the start")?;
    acme.down()?;
    acme.up()?;
    let (mut author, mut colleague) = (watch(&acme, "anna")?, watch(&acme, "alex")?);
    let after = sent(&acme, "anna", "Launch", "written after it")?;
    for message in [&before, &after] {
        let receipt = format!(r#""message":"{message}","mark":"stored_here","overdue":true"#);
        author.shows(&receipt)?;
    }
    let seen = author.seen().to_vec();
    let sooner = seen
        .iter()
        .any(|line| line.contains(r#""event":"message""#) && line.contains(r#""overdue":true"#));
    ensure!(!sooner, "overdue before the deadline: {seen:#?}");
    colleague.shows(r#""not_delivered_since":"#)?;
    colleague.shows(r#""notice":true"#)?;
    let receipts = colleague.seen().iter();
    ensure!(
        !receipts
            .into_iter()
            .any(|line| line.contains(r#""event":"receipt""#)),
        "receipts are the author's: {:#?}",
        colleague.seen()
    );
    globex.up()?;
    author.shows(r#""mark":"stored_everywhere","overdue":false"#)?;
    while colleague
        .shows(r#""event":"chat""#)?
        .contains("not_delivered_since")
    {}
    Ok(())
}

/// Beyond the deadline it shows everywhere where the sender looks, in both languages.
fn late(acme: &Company, message: &str) -> Result<()> {
    eventually("the sender is told of the lag", || {
        let list = acme.ask(Some("anna"), &["chat", "list"])?;
        let chat = &items(&list)?[0];
        ensure!(chat["last"]["overdue"] == true, "{chat}");
        ensure!(chat["overdue"][0]["company"]["name"] == "Globex", "{chat}");
        ensure!(chat["overdue"][0]["notice"] == true, "{chat}");
        Ok(())
    })?;
    let receipts = acme
        .call(&["msg", "receipts", message])
        .by("anna")
        .run()?
        .done()?;
    let line = receipts.lines().find(|line| line.starts_with("Globex\t"));
    ensure!(
        line.is_some_and(|line| line.starts_with("Globex\toverdue\t")),
        "{receipts}"
    );
    let told = [
        (
            "en",
            "! not delivered to Globex since 2",
            "! Launch [Globex]: not delivered to Globex since 2",
        ),
        (
            "ru",
            "! не доставлено в Globex с 2",
            "! Launch [Globex]: не доставлено в Globex с 2",
        ),
    ];
    for (lang, in_chat, in_list) in told {
        let call = |arguments: &[&str]| {
            acme.call(arguments)
                .by("anna")
                .lang(lang)
                .on_terminal()?
                .done()
        };
        let shown = call(&["chat", "show", "Launch"])?;
        ensure!(shown.contains(in_chat) && shown.contains("○!"), "{shown}");
        let list = call(&["chat", "list"])?;
        ensure!(list.contains(in_list), "{list}");
    }
    Ok(())
}

/// What was taken back and what was deleted stay apart, also after a restart.
fn gone(acme: &Company, recalled: &str, deleted: &str) -> Result<()> {
    for (message, kind) in [(recalled, "recalled"), (deleted, "deleted")] {
        let shown = acme.ask(Some("anna"), &["msg", "show", message])?;
        check("kind", &shown["message"]["kind"], &kind.into())?;
        ensure!(shown["message"]["text"].is_null(), "{shown}");
        check(
            "revisions",
            shown["revisions"].as_array().map(Vec::len),
            Some(0),
        )?;
    }
    let shown = acme
        .call(&["chat", "show", "Launch"])
        .by("anna")
        .on_terminal()?
        .done()?;
    ensure!(shown.contains("recalled before it left"), "{shown}");
    ensure!(shown.contains("deleted by Anna Orlova"), "{shown}");
    Ok(())
}

#[test]
fn direct_chats_that_both_made_at_once_show_as_one() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (mut acme, globex) = two_companies(root.path())?;
    for (company, other) in [(&acme, "Globex"), (&globex, "Acme")] {
        company.ask(None, &["partner", "pause", other])?;
    }
    let mine = acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    let yours = globex.ask(Some("boris"), &["chat", "new", "anna@acme"])?;
    ensure!(
        mine["id"] != yours["id"],
        "they could not know of each other"
    );
    sent(&acme, "anna", text(&mine, "id")?, "Anna was first")?;
    sent(&globex, "boris", text(&yours, "id")?, "no, Boris was")?;
    for (company, other) in [(&acme, "Globex"), (&globex, "Acme")] {
        company.ask(None, &["partner", "resume", other])?;
    }
    let both = ["Anna was first", "no, Boris was"].map(str::to_owned);
    one_dialog(&acme, "anna", "boris", &both, 1)?;
    one_dialog(&globex, "boris", "anna", &both, 1)?;
    let ids = [(&acme, "anna"), (&globex, "boris")].map(|(company, who)| {
        let list = company.ask(Some(who), &["chat", "list"])?;
        Ok::<_, anyhow::Error>(items(&list)?[0]["id"].clone())
    });
    let [at_anna, at_boris] = ids;
    check("the chat under which both see it", at_anna?, at_boris?)?;
    // Both write on in the same chat; a watcher of the one dialog sees it; reading clears both.
    let mut watching = globex
        .call(&["chat", "watch", "anna", "--json"])
        .by("boris")
        .watch()?;
    watching.shows("reset")?;
    sent(&acme, "anna", "boris", "never mind")?;
    watching.shows("never mind")?;
    sent(&globex, "boris", "anna", "agreed")?;
    let all = ["Anna was first", "no, Boris was", "never mind", "agreed"].map(str::to_owned);
    one_dialog(&acme, "anna", "boris", &all, 2)?;
    acme.ask(Some("anna"), &["chat", "read", "boris"])?;
    one_dialog(&acme, "anna", "boris", &all, 0)?;
    acme.down()?;
    acme.up()?;
    one_dialog(&acme, "anna", "boris", &all, 0)
}

/// One row in the list with these messages, so many of them unread.
fn one_dialog(
    company: &Company,
    who: &str,
    other: &str,
    texts: &[String],
    unread: u32,
) -> Result<()> {
    eventually(&format!("{who} sees one dialog"), || {
        let list = company.ask(Some(who), &["chat", "list"])?;
        let chats = items(&list)?;
        ensure!(chats.len() == 1, "{} chats: {list}", chats.len());
        let mut seen = company.texts(who, other)?;
        let last = seen.last().cloned().context("nothing")?;
        ensure!(chats[0]["last"]["text"] == last, "{list}");
        ensure!(chats[0]["unread"] == unread, "{list}");
        // Written at the same moment, the first two may stand either way round.
        let mut expected = texts.to_vec();
        seen.sort();
        expected.sort();
        check("texts", seen, expected)
    })
}
