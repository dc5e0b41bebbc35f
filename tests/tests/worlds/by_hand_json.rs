//! `--json` at every command: the command tree is asked of the program itself, and each of its leaves must answer with
//! documents, or refuse with the problem document of the API.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use crossport_tests::process::{Call, Company, eventually, text};
use crossport_tests::world::check;
use serde_json::Value;

use crate::by_hand::two_companies;

/// Names of the commands that do something, from the manual pages that the program writes: one a command.
fn leaves(company: &Company) -> Result<BTreeSet<String>> {
    let folder = company.folder.join("man");
    let written = company.ask(None, &["man", "--out", &folder.display().to_string()])?;
    ensure!(written["folder"].is_string(), "{written}");
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let page = name.strip_suffix(".1").context("a manual page")?;
        pages.insert(page.to_owned());
    }
    let is_leaf = |page: &&String| {
        !pages
            .iter()
            .any(|below| below.starts_with(&format!("{page}-")))
    };
    let name = |page: &String| page.trim_start_matches("crossport-").replace('-', " ");
    Ok(pages.iter().filter(is_leaf).map(name).collect())
}

/// A call that must succeed, or be refused with this number.
struct Case {
    leaf: &'static str,
    who: Option<&'static str>,
    rest: Vec<String>,
    refused: Option<&'static str>,
}

fn case(leaf: &'static str, who: Option<&'static str>, rest: &[&str]) -> Case {
    Case {
        leaf,
        who,
        rest: rest.iter().map(ToString::to_string).collect(),
        refused: None,
    }
}

impl Case {
    fn refused(mut self, number: &'static str) -> Self {
        self.refused = Some(number);
        self
    }

    fn call<'a>(&self, company: &'a Company) -> Call<'a> {
        let mut arguments: Vec<&str> = vec!["--json", "--yes"];
        arguments.extend(self.leaf.split(' '));
        arguments.extend(self.rest.iter().map(String::as_str));
        let call = company.call(&arguments);
        match self.who {
            Some(who) => call.by(who),
            None => call,
        }
    }
}

/// One document, or one a line.
fn documents(text: &str) -> Result<Vec<Value>> {
    if let Ok(whole) = serde_json::from_str(text) {
        return Ok(vec![whole]);
    }
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line:?}")))
        .collect()
}

fn problem(text: &str) -> Result<String> {
    let problem: Value =
        serde_json::from_str(text).with_context(|| format!("no JSON: {text:?}"))?;
    let code = problem["code"].as_str().context("no code")?;
    ensure!(
        problem["title"].is_string() && problem["status"].is_u64(),
        "{problem}"
    );
    ensure!(
        problem["type"] == format!("urn:crossport:problem:{code}"),
        "{problem}"
    );
    ensure!(problem["try_next"].is_string(), "no next step: {problem}");
    Ok(code.to_owned())
}

/// Commands of the operator; `up` and long work are refused here, their documents are read by other tests.
fn by_the_operator(words: &[String], folder: &str) -> Vec<Case> {
    let fresh = format!("{folder}/fresh");
    let words = words.iter().map(String::as_str);
    vec![
        case("demo", None, &["--stay", "--exit"]).refused("X0912"),
        case("bench federation", None, &["--only", "nothing"]).refused("X0912"),
        case("up", None, &["--data-dir", &fresh, "--set", "nonsense=1"]).refused("X0906"),
        case("init", None, &["--data-dir", &fresh, "--company", "Fresh"]),
        case("status", None, &[]),
        case("doctor", None, &[]),
        case("user add", None, &["vera"]),
        case("user list", None, &[]),
        case("user reset", None, &["vera"]),
        case("partner invite", None, &[]),
        case("partner accept", None, &["junk"]).refused("X0303"),
        case(
            "partner verify",
            None,
            &["Globex"].into_iter().chain(words).collect::<Vec<_>>(),
        ),
        case("partner list", None, &[]),
        case("partner show", None, &["globex"]),
        case("partner ping", None, &["globex"]),
        case("verify", None, &[]),
        case("rebuild", None, &[]),
        case("config show", None, &["--origin"]),
        case("audit", None, &[]),
        case("metrics", None, &[]),
        case("completions", None, &["fish"]),
        case("man", None, &[]),
        case("version", None, &[]),
        case("partner pause", None, &["globex"]),
        case("partner resume", None, &["globex"]),
        case("partner remove", None, &["globex"]),
    ]
}

/// Commands of a person. `link` opens the account of Vera.
fn by_a_person(message: &str, link: &str) -> Vec<Case> {
    let anna = Some("anna");
    vec![
        case("login", Some("vera"), &[link]),
        case("whoami", Some("vera"), &[]),
        case("account password", Some("vera"), &[]).refused("X0102"),
        case("device list", Some("vera"), &[]),
        case("device revoke", Some("vera"), &["--others"]),
        case("token add", Some("vera"), &["bot", "--scope", "read"]),
        case("token list", Some("vera"), &[]),
        case("token revoke", Some("vera"), &["0000"]).refused("X0412"),
        case("logout", Some("vera"), &[]),
        case("contact list", anna, &[]),
        case("chat new", anna, &["alex"]),
        case("chat list", anna, &[]),
        case("chat show", anna, &["Launch"]),
        case("chat send", anna, &["Launch", "one more"]),
        case(
            "chat watch",
            anna,
            &["Launch", "--last", "2", "--count", "0"],
        ),
        case("chat read", anna, &["Launch"]),
        case("chat members list", anna, &["Launch"]),
        case("chat members add", anna, &["Launch", "alex"]),
        case("chat members remove", anna, &["Launch", "alex"]),
        case("msg show", anna, &[message]),
        case("msg edit", anna, &[message, "better"]),
        case("msg react", anna, &[message, "👍"]),
        case("msg recall", anna, &[message]).refused("X0407"),
        case("msg receipts", anna, &[message]),
        case("msg why", anna, &[message]),
        case("msg thread", anna, &[message]),
        case("msg forward", anna, &[message, "alex"]),
        case("chat topic", anna, &["Launch", "Launch"]),
        case("msg delete", anna, &[message]),
        case("chat leave", anna, &["Launch"]),
    ]
}

#[test]
fn every_command_answers_in_json() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (acme, globex) = two_companies(root.path())?;
    acme.ask(
        Some("anna"),
        &["chat", "new", "--title", "Launch", "boris@globex"],
    )?;
    let sent = acme.ask(Some("anna"), &["chat", "send", "Launch", "hello"])?;
    let message = text(&sent, "id")?.to_owned();
    eventually("it has left", || {
        globex
            .ask(Some("boris"), &["msg", "show", &message])
            .map(drop)
    })?;
    let status = globex.ask(None, &["status"])?;
    let words = status["company"]["fingerprint_words"]
        .as_array()
        .context("no words")?;
    let words: Vec<String> = words
        .iter()
        .filter_map(|word| Some(word.as_str()?.to_owned()))
        .collect();
    let folder = acme.folder.display().to_string();
    let mut tried = BTreeSet::new();
    let mut link = String::new();
    let operator = by_the_operator(&words, &folder);
    let (last, first) = operator.split_last().context("cases")?;
    for case in first {
        let answer = answered(&acme, case)?;
        if case.leaf == "user reset" {
            link = text(&answer[0], "link")?.to_owned();
        }
        tried.insert(case.leaf.to_owned());
    }
    let person = by_a_person(&message, &link);
    // A partner that is removed takes part in nothing any more: that comes last.
    for case in person.iter().chain([last]) {
        answered(&acme, case)?;
        tried.insert(case.leaf.to_owned());
    }
    let tree = leaves(&acme)?;
    check(
        "commands of the program and those that were tried",
        &tried,
        &tree,
    )?;
    for leaf in &tree {
        let arguments: Vec<&str> = leaf
            .split(' ')
            .chain(["--no-such-flag", "--json"])
            .collect();
        let said = acme.call(&arguments).run()?;
        ensure!(said.code == 2 && said.out.is_empty(), "{leaf}: {said:?}");
        check(leaf, problem(&said.err)?.as_str(), "X0912")?;
    }
    Ok(())
}

fn answered(company: &Company, case: &Case) -> Result<Vec<Value>> {
    let said = case.call(company).run()?;
    let place = || format!("{} {:?}: {said:?}", case.leaf, case.rest);
    if let Some(number) = case.refused {
        let found = problem(&said.err).with_context(place)?;
        ensure!(
            found == number && said.code != 0 && said.out.is_empty(),
            "{}",
            place()
        );
        return Ok(Vec::new());
    }
    ensure!(said.code == 0 && said.err.is_empty(), "{}", place());
    let documents = documents(&said.out).with_context(place)?;
    ensure!(!documents.is_empty(), "{}", place());
    Ok(documents)
}
