//! Chats, messages and members by hand: made, read, watched, changed and traced with the program's command line.

use anyhow::{Context as _, Result, ensure};
use crossport_tests::process::{Company, Said, eventually, text};
use crossport_tests::world::check;
use serde_json::Value;

use crate::by_hand::{items, two_companies};

#[test]
fn chats_are_made_listed_read_and_watched_by_hand() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (acme, globex) = two_companies(root.path())?;
    let direct = acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    check("kind", &direct["kind"], &"direct".into())?;
    let again = acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    check("the direct chat that is there", &again["id"], &direct["id"])?;
    let people = [
        "chat",
        "new",
        "--title",
        "Launch",
        "boris@globex",
        "bella@globex",
        "alex",
    ];
    let group = acme.ask(Some("anna"), &people)?;
    check("kind", &group["kind"], &"group".into())?;
    eventually("all four are in", || {
        let members = globex.ask(Some("bella"), &["chat", "members", "list", "Launch"])?;
        let members = members["members"].as_array().context("no members")?;
        ensure!(members.len() == 4, "{members:?}");
        Ok(())
    })?;
    let mut live = globex
        .call(&["chat", "watch", "Launch"])
        .by("boris")
        .watch()?;
    let mut json = globex
        .call(&[
            "chat",
            "watch",
            "--json",
            "--count",
            "2",
            "--timeout",
            "60s",
        ])
        .by("boris")
        .watch()?;
    // The feed opens with a reset: from there on nothing is missed.
    json.shows("\"reset\"")?;
    eventually("the other watcher is there too", || {
        let metrics = globex.call(&["metrics"]).run()?.done()?;
        ensure!(metrics.contains("crossport_api_feeds 2\n"), "{metrics}");
        Ok(())
    })?;
    acme.ask(Some("anna"), &["chat", "send", "Launch", "are you there?"])?;
    live.shows("are you there?")?;
    let sent = acme.call(&["chat", "send", "Launch", "-", "-q"]).by("anna");
    let sent = sent.input("two lines\nof text\n").run()?.done()?;
    let line = live.shows("two lines")?;
    ensure!(
        line.starts_with(sent.trim()) && line.contains("two lines\\nof text"),
        "{line}"
    );
    json.shows("of text")?;
    check("exit code after the second message", json.ends()?, 0)?;
    let quiet = globex.call(&["chat", "watch", "Launch", "--count", "1", "--timeout", "1s"]);
    quiet.by("bella").run()?.refused(8, "X0903")?;
    marks_and_unread(&acme, &globex, sent.trim())
}

fn row(company: &Company, profile: &str, title: &str) -> Result<Value> {
    let list = company.ask(Some(profile), &["chat", "list"])?;
    let row = items(&list)?.iter().find(|chat| chat["title"] == title);
    row.cloned()
        .with_context(|| format!("{profile} has no {title:?}: {list}"))
}

fn marks_and_unread(acme: &Company, globex: &Company, sent: &str) -> Result<()> {
    check(
        "unread at Boris",
        &row(globex, "boris", "Launch")?["unread"],
        &2.into(),
    )?;
    check(
        "unread at Anna",
        &row(acme, "anna", "Launch")?["unread"],
        &0.into(),
    )?;
    eventually("the mark turns", || {
        let last = row(acme, "anna", "Launch")?["last"].clone();
        ensure!(last["mark"] == "stored_everywhere", "{last}");
        Ok(())
    })?;
    // Only their author sees marks.
    ensure!(
        row(globex, "boris", "Launch")?["last"]["mark"].is_null(),
        "Boris sees a mark"
    );
    globex.ask(Some("boris"), &["chat", "read", "Launch"])?;
    check(
        "unread after reading",
        &row(globex, "boris", "Launch")?["unread"],
        &0.into(),
    )?;
    eventually("it is read", || {
        let last = row(acme, "anna", "Launch")?["last"].clone();
        ensure!(last["mark"] == "read", "{last}");
        Ok(())
    })?;
    let listed = acme
        .call(&["chat", "list"])
        .by("anna")
        .on_terminal()?
        .done()?;
    ensure!(listed.contains("Launch [Globex]"), "{listed}");
    ensure!(listed.contains("●●"), "{listed}");
    // The newest chat stands first; a page, then the next one.
    let first = acme.ask(Some("anna"), &["chat", "list", "--limit", "1"])?;
    check("first", &items(&first)?[0]["title"], &"Launch".into())?;
    let next = text(&first, "next")?;
    let second = acme.ask(
        Some("anna"),
        &["chat", "list", "--limit", "1", "--cursor", next],
    )?;
    check(
        "second",
        &items(&second)?[0]["title"],
        &"Boris Green".into(),
    )?;
    let shown = acme
        .call(&["chat", "show", "Launch"])
        .by("anna")
        .run()?
        .done()?;
    let line = shown.lines().find(|line| line.starts_with(sent));
    let cells: Vec<&str> = line.context("not shown")?.split('\t').skip(2).collect();
    check(
        "the line",
        cells,
        vec!["anna", "text", "read", "two lines\\nof text"],
    )
}

#[test]
fn messages_are_changed_and_traced_by_hand() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (acme, globex) = two_companies(root.path())?;
    acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    let say = |text: &str| -> Result<String> {
        let sent = acme.call(&["chat", "send", "boris", text, "-q"]).by("anna");
        Ok(sent.run()?.done()?.trim().to_owned())
    };
    eventually("the message can be sent", || say("Hello").map(drop))?;
    let (kept, slip) = (say("We start at nine.")?, say("Oops")?);
    eventually("Boris has them", || {
        globex.ask(Some("boris"), &["msg", "show", &slip]).map(drop)
    })?;
    acme.ask(Some("anna"), &["msg", "edit", &kept, "We start at ten."])?;
    acme.ask(Some("anna"), &["msg", "delete", &slip])?;
    globex.ask(Some("boris"), &["msg", "react", &kept, "👍"])?;
    globex.ask(Some("boris"), &["msg", "react", &kept, "🎉"])?;
    globex.ask(Some("boris"), &["msg", "react", &kept, "🎉", "--remove"])?;
    let answer = globex.ask(
        Some("boris"),
        &["chat", "send", "anna", "Fine.", "--reply-to", &kept],
    )?;
    check("reply", text(&answer, "reply_to")?, &kept)?;
    eventually(
        "Boris sees the new text, its history and the deletion",
        || {
            let detail = globex.ask(Some("boris"), &["msg", "show", &kept])?;
            ensure!(detail["message"]["text"] == "We start at ten.", "{detail}");
            ensure!(
                detail["revisions"][0]["text"] == "We start at nine.",
                "{detail}"
            );
            let gone = globex.ask(Some("boris"), &["msg", "show", &slip])?;
            ensure!(
                gone["message"]["kind"] == "deleted" && gone["revisions"] == Value::Array(vec![]),
                "{gone}"
            );
            Ok(())
        },
    )?;
    eventually("Anna sees the one reaction that was left", || {
        let shown = acme.ask(Some("anna"), &["msg", "show", &kept])?;
        let reactions = shown["message"]["reactions"].as_array().context("none")?;
        ensure!(
            reactions.len() == 1 && reactions[0]["emoji"] == "👍",
            "{reactions:?}"
        );
        Ok(())
    })?;
    // A unique beginning is enough; what belongs to another, is gone, or has left is refused.
    acme.ask(Some("anna"), &["msg", "show", &kept[..12]])?;
    globex
        .call(&["msg", "edit", &kept, "mine"])
        .by("boris")
        .run()?
        .refused(4, "X0406")?;
    acme.call(&["msg", "edit", &slip, "again"])
        .by("anna")
        .run()?
        .refused(6, "X0411")?;
    acme.call(&["msg", "recall", &kept])
        .by("anna")
        .run()?
        .refused(6, "X0407")?;
    traced(&acme, &globex, &kept)
}

fn traced(acme: &Company, globex: &Company, message: &str) -> Result<()> {
    globex.ask(Some("boris"), &["chat", "read", "anna"])?;
    eventually("the receipts tell it all", || {
        let receipts = acme.ask(Some("anna"), &["msg", "receipts", message])?;
        let companies = receipts["companies"].as_array().context("no companies")?;
        let globex = companies
            .iter()
            .find(|receipt| receipt["company"]["name"] == "Globex");
        let globex = globex.context("no Globex")?;
        ensure!(globex["stored_at"].is_string(), "{globex}");
        ensure!(
            globex["statement"]
                .as_str()
                .is_some_and(|hash| hash.len() == 64),
            "{globex}"
        );
        ensure!(receipts["people"][0]["read_at"].is_string(), "{receipts}");
        Ok(())
    })?;
    let table = acme
        .call(&["msg", "receipts", message])
        .by("anna")
        .run()?
        .done()?;
    let states: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    check("states", states, vec!["stored", "stored", "read"])?;
    let steps = |company: &Company, who: &str| -> Result<Vec<String>> {
        let out = company
            .call(&["msg", "why", message])
            .by(who)
            .run()?
            .done()?;
        let steps = out.lines().filter_map(|line| line.split('\t').next());
        Ok(steps.map(str::to_owned).collect())
    };
    let hops = ["signed", "stored", "released", "delivered", "read"].map(str::to_owned);
    check("hops at Anna's", steps(acme, "anna")?, hops.to_vec())?;
    let hops = ["signed", "received", "read"].map(str::to_owned);
    check("hops at Boris's", steps(globex, "boris")?, hops.to_vec())
}

#[test]
fn members_come_and_go_by_hand() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (acme, globex) = two_companies(root.path())?;
    acme.ask(Some("anna"), &["chat", "new", "--title", "Launch", "alex"])?;
    let added = acme.call(&[
        "chat",
        "members",
        "add",
        "Launch",
        "boris@globex",
        "bella@globex",
    ]);
    added.by("anna").run()?.done()?;
    let there = |count: usize| {
        eventually(&format!("{count} members on both sides"), || {
            for (company, who) in [(&acme, "anna"), (&globex, "boris")] {
                let list = company
                    .call(&["chat", "members", "list", "Launch"])
                    .by(who)
                    .run()?;
                let list = list.done()?;
                ensure!(
                    list.lines().count() == count && !list.contains("invited"),
                    "{list}"
                );
            }
            Ok(())
        })
    };
    there(4)?;
    globex.ask(Some("bella"), &["chat", "send", "Launch", "from Bella"])?;
    people_go(&acme, &globex, &there)?;
    // At the other company the same lines name the other company.
    let shown = globex.call(&["chat", "show", "Launch", "--limit", "100"]);
    let shown = shown.by("boris").on_terminal()?.done()?;
    for line in [
        "Anna Orlova [Acme]: created the chat",
        "alex [Acme]: was added by Anna Orlova [Acme]",
        "Boris Green: was added by Anna Orlova [Acme]",
    ] {
        ensure!(shown.contains(line), "no {line:?}: {shown}");
    }
    company_goes(&acme, &globex)?;
    told(&acme)
}

fn removed(acme: &Company, who: &str) -> Result<Said> {
    let remove = ["--yes", "chat", "members", "remove", "Launch", who];
    acme.call(&remove).by("anna").run()
}

fn people_go(acme: &Company, globex: &Company, there: &dyn Fn(usize) -> Result<()>) -> Result<()> {
    // A person of the partner is taken out by the owner; a colleague by a colleague; one goes by oneself.
    removed(acme, "bella@globex")?.done()?;
    there(3)?;
    globex
        .call(&["chat", "send", "Launch", "again"])
        .by("bella")
        .run()?
        .refused(5, "X0401")?;
    removed(acme, "alex")?.done()?;
    there(2)?;
    acme.ask(Some("anna"), &["chat", "members", "add", "Launch", "alex"])?;
    there(3)?;
    acme.ask(Some("alex"), &["chat", "leave", "Launch"])?;
    there(2)?;
    removed(acme, "nobody")?.refused(5, "X0402")?;
    globex
        .call(&["--yes", "chat", "members", "remove", "Launch", "@acme"])
        .by("boris")
        .run()?
        .refused(4, "X0203")?;
    Ok(())
}

fn company_goes(acme: &Company, globex: &Company) -> Result<()> {
    acme.ask(Some("anna"), &["chat", "send", "Launch", "before"])?;
    eventually("Boris has it", || {
        ensure!(
            globex
                .texts("boris", "Launch")?
                .contains(&"before".to_owned()),
            "not yet"
        );
        Ok(())
    })?;
    removed(acme, "@globex")?.done()?;
    acme.ask(Some("anna"), &["chat", "send", "Launch", "among ourselves"])?;
    eventually("Globex knows that it is out", || {
        let chat = row(globex, "boris", "Launch")?;
        ensure!(chat["membership"] == "removed", "{chat}");
        Ok(())
    })?;
    let members = acme
        .call(&["chat", "members", "list", "Launch"])
        .by("anna")
        .run()?
        .done()?;
    check("members that are left", members.lines().count(), 1)?;
    globex
        .call(&["chat", "send", "Launch", "hello?"])
        .by("boris")
        .run()?
        .refused(6, "X0408")?;
    // What they had stays readable, what came after never arrives.
    let texts = globex.texts("boris", "Launch")?;
    ensure!(
        texts.contains(&"before".to_owned()) && !texts.contains(&"among ourselves".to_owned()),
        "{texts:?}"
    );
    Ok(())
}

/// The chat says who came and went, in each reader's words.
fn told(acme: &Company) -> Result<()> {
    let shown = acme
        .call(&["chat", "show", "Launch", "--limit", "100"])
        .by("anna");
    let (english, russian) = (
        shown.clone().on_terminal()?.done()?,
        shown.lang("ru").on_terminal()?.done()?,
    );
    let lines = [
        (
            "Anna Orlova: created the chat \"Launch\"",
            "Anna Orlova: создание чата «Launch»",
        ),
        (
            "alex: was added by Anna Orlova",
            "alex: теперь в чате, по приглашению: Anna Orlova",
        ),
        (
            "Anna Orlova: added the company Globex",
            "Anna Orlova: добавлена компания Globex",
        ),
        (
            "Boris Green [Globex]: was added by Anna Orlova",
            "Boris Green [Globex]: теперь в чате, по приглашению: Anna Orlova",
        ),
        (
            "Anna Orlova: removed bella@Globex",
            "Anna Orlova: удалены: bella@Globex",
        ),
        ("Anna Orlova: removed alex", "Anna Orlova: удалены: alex"),
        ("alex: left the chat", "alex: больше не в чате"),
        (
            "Anna Orlova: removed the company Globex",
            "Anna Orlova: удалена компания Globex",
        ),
    ];
    let mut rest = (english.as_str(), russian.as_str());
    for (en, ru) in lines {
        let at = |text: &'_ str, line: &str| text.find(line).map(|at| at + line.len());
        let (in_en, in_ru) = (at(rest.0, en), at(rest.1, ru));
        let (in_en, in_ru) = (
            in_en.with_context(|| format!("no {en:?} in its place: {english}"))?,
            in_ru.with_context(|| format!("no {ru:?} in its place: {russian}"))?,
        );
        rest = (&rest.0[in_en..], &rest.1[in_ru..]);
    }
    Ok(())
}
