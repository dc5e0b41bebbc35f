//! What a person does with the program itself, as the book tells it: two nodes, their pairing, and accounts. Each step is a
//! command line in a process of its own.
//!
//! What commands print is read as scripts read it: lines, or documents with `--json`; and on a terminal where the words count.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use crossport_tests::process::{Company, Watching, eventually, pair};
use crossport_tests::world::check;
use serde_json::Value;

/// A company of the test's own folder, not started.
pub fn company(name: &str, root: &Path) -> Result<Company> {
    Company::on_loopback(name, root.join(name.to_lowercase()), &[])
}

/// Acme with Anna and Alex, Globex with Boris and Bella, linked.
pub fn two_companies(root: &Path) -> Result<(Company, Company)> {
    two_companies_with(root, &[])
}

/// The same with arguments of `up`.
pub fn two_companies_with(root: &Path, settings: &[&str]) -> Result<(Company, Company)> {
    let company = |name: &str| Company::on_loopback(name, root.join(name.to_lowercase()), settings);
    let (mut acme, mut globex) = (company("Acme")?, company("Globex")?);
    acme.up()?;
    globex.up()?;
    pair(&acme, &globex)?;
    acme.person("anna", &["--name", "Anna Orlova"])?;
    acme.person("alex", &[])?;
    globex.person("boris", &["--name", "Boris Green"])?;
    globex.person("bella", &[])?;
    Ok((acme, globex))
}

/// The items of a list.
pub fn items(page: &Value) -> Result<&Vec<Value>> {
    page["items"]
        .as_array()
        .with_context(|| format!("no list: {page}"))
}

/// The words that a company's people read out.
fn words(company: &Company) -> Result<Vec<String>> {
    let status = company.ask(None, &["status"])?;
    let words = status["company"]["fingerprint_words"].as_array();
    let words = words.context("no words")?.iter();
    Ok(words
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect())
}

fn partner(company: &Company, name: &str) -> Result<Value> {
    company.ask(None, &["partner", "show", name])
}

#[test]
fn two_nodes_are_paired_by_hand() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (mut acme, mut globex) = (
        company("Acme", root.path())?,
        company("Globex", root.path())?,
    );
    let first = acme.up()?;
    check(
        "status of a node that is up",
        &first["status"]["ready"],
        &true.into(),
    )?;
    let ticket = acme
        .call(&["partner", "invite", "--alias", "gx", "-q"])
        .run()?
        .done()?;
    let joined = globex.up_with(&["--join", ticket.trim()])?;
    check(
        "the partner that was joined",
        &joined["partner"]["name"],
        &"Acme".into(),
    )?;
    check("its state", &joined["partner"]["state"], &"active".into())?;
    eventually("both see the link", || {
        for (company, name) in [(&acme, "gx"), (&globex, "Acme")] {
            ensure!(
                partner(company, name)?["connected"] == true,
                "{}",
                company.name
            );
        }
        Ok(())
    })?;
    // The alias is what this company calls the partner; the same ticket opens nothing a second time.
    let listed = acme.call(&["partner", "list"]).run()?.done()?;
    ensure!(listed.contains("\tgx\tactive\tyes\tno\t0\t"), "{listed}");
    let again = globex.call(&["partner", "accept", ticket.trim()]).run()?;
    ensure!(again.code == 6, "a ticket was used twice: {again:?}");
    verified(&acme, &globex)?;
    paused_and_resumed(&acme, &globex)?;
    removed(&acme, &globex)
}

fn verified(acme: &Company, globex: &Company) -> Result<()> {
    let words = words(globex)?;
    ensure!(words.len() == 6, "{words:?}");
    let mut wrong = words.clone();
    wrong.swap(0, 1);
    let verify = |words: &[String]| {
        let words = words.iter().map(String::as_str);
        acme.call(
            &["partner", "verify", "gx"]
                .into_iter()
                .chain(words)
                .collect::<Vec<_>>(),
        )
        .run()
    };
    let refused = verify(&wrong)?.refused(7, "X0307")?;
    ensure!(refused.contains("try: "), "{refused}");
    check(
        "verified by wrong words",
        &partner(acme, "gx")?["verified_at"],
        &Value::Null,
    )?;
    // Without the words a person is asked, and nobody is there to answer: --yes is not a comparison.
    acme.call(&["--yes", "partner", "verify", "gx"])
        .run()?
        .refused(2, "X0909")?;
    verify(&words)?.done()?;
    ensure!(
        partner(acme, "gx")?["verified_at"].is_string(),
        "not verified"
    );
    ensure!(
        partner(globex, "acme")?["verified_at"].is_null(),
        "the other side has compared nothing"
    );
    Ok(())
}

fn paused_and_resumed(acme: &Company, globex: &Company) -> Result<()> {
    let ping = acme.ask(None, &["partner", "ping", "gx"])?;
    ensure!(
        ping["round_trip_us"].as_u64().is_some_and(|us| us > 0),
        "{ping}"
    );
    acme.call(&["partner", "pause", "gx"]).run()?.done()?;
    check("state", &partner(acme, "gx")?["state"], &"paused".into())?;
    acme.call(&["partner", "ping", "gx"])
        .run()?
        .refused(6, "X0308")?;
    eventually("the other side has no link either", || {
        ensure!(
            partner(globex, "Acme")?["connected"] == false,
            "still linked"
        );
        Ok(())
    })?;
    acme.call(&["partner", "resume", "gx"]).run()?.done()?;
    eventually("the link is there again", || {
        acme.call(&["partner", "ping", "gx"])
            .run()?
            .done()
            .map(drop)
    })
}

fn removed(acme: &Company, globex: &Company) -> Result<()> {
    // A question nobody answers is no yes.
    acme.call(&["partner", "remove", "gx"])
        .run()?
        .refused(2, "X0909")?;
    acme.call(&["--yes", "partner", "rm", "gx"]).run()?.done()?;
    check("state", &partner(acme, "gx")?["state"], &"removed".into())?;
    eventually("the removed partner has no link", || {
        ensure!(
            partner(globex, "Acme")?["connected"] == false,
            "still linked"
        );
        Ok(())
    })?;
    // A ticket, this time from standard input, begins anew.
    let ticket = globex.call(&["partner", "invite", "-q"]).run()?.done()?;
    acme.call(&["partner", "accept"])
        .input(&ticket)
        .run()?
        .done()?;
    eventually("they are linked again", || {
        acme.call(&["partner", "ping", "globex"])
            .run()?
            .done()
            .map(drop)
    })
}

#[test]
fn an_account_is_opened_once_and_afterwards_only_reset() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut acme = company("Acme", root.path())?;
    let first = acme.up()?;
    acme.login("olga", &first["activation"])?;
    let link = acme.call(&["user", "add", "anna", "-q"]).run()?.done()?;
    acme.call(&["login"])
        .by("anna")
        .input(&link)
        .run()?
        .done()?;
    acme.person("alex", &[])?;
    let me = acme.ask(Some("anna"), &["whoami"])?;
    check("nickname", &me["person"]["nickname"], &"anna".into())?;
    // The link is spent; the operator has nothing else that opens the account.
    acme.call(&["login", link.trim()])
        .by("eve")
        .run()?
        .refused(4, "X0202")?;
    acme.call(&["user", "add", "anna"])
        .run()?
        .refused(6, "X0410")?;
    acme.ask(Some("anna"), &["chat", "new", "alex"])?;
    acme.ask(Some("anna"), &["chat", "send", "alex", "for Alex alone"])?;
    let mut watching = acme.call(&["chat", "watch", "--json"]).by("anna").watch()?;
    // The feed opens with a reset: from there on nothing is missed.
    watching.shows("\"reset\"")?;
    acme.ask(Some("alex"), &["chat", "send", "anna", "I see"])?;
    watching.shows("I see")?;
    let token = acme.tokens()?.concat();

    reset(&acme, &mut watching)?;
    // Everything they had is still theirs, behind another token.
    ensure!(acme.tokens()?.concat() != token, "the token is the old one");
    check(
        "texts",
        acme.texts("anna", "alex")?,
        vec!["for Alex alone".to_owned(), "I see".to_owned()],
    )
}

fn reset(acme: &Company, watching: &mut Watching) -> Result<()> {
    acme.call(&["user", "reset", "anna"])
        .run()?
        .refused(2, "X0909")?;
    let reset = acme.ask(None, &["user", "reset", "anna"])?;
    // Sessions and tokens end at once, the open feed too.
    acme.call(&["whoami"])
        .by("anna")
        .run()?
        .refused(4, "X0201")?;
    ensure!(watching.ends()? == 4, "{:?}", watching.seen());
    // It is in the audit, and announced in their chats and to them.
    let audit = items(&acme.ask(None, &["audit"])?)?.clone();
    let entry = audit.iter().find(|entry| entry["what"] == "user.reset");
    check(
        "audit",
        &entry.context("no entry")?["subject"],
        &"anna".into(),
    )?;
    let announced = |profile: &str, chat: &str| -> Result<()> {
        let shown = acme.ask(Some(profile), &["chat", "show", chat])?;
        let lines = shown["messages"].as_array().context("no messages")?;
        let line = lines
            .iter()
            .find(|line| line["service"]["what"] == "access_reset");
        let people = &line.with_context(|| format!("not told: {shown}"))?["service"]["people"];
        check("whose access", &people[0]["nickname"], &"anna".into())
    };
    announced("alex", "anna")?;
    acme.login("anna", &reset)?;
    announced("anna", "alex")?;
    let told = acme
        .call(&["chat", "show", "alex"])
        .by("anna")
        .on_terminal()?
        .done()?;
    ensure!(
        told.contains("the access of anna was reset by an administrator"),
        "{told}"
    );
    Ok(())
}
