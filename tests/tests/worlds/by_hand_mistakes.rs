//! What people type wrong: each mistake has its exit code and number, and names the next step, in both languages.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use crossport_tests::house::commands::words;
use crossport_tests::process::{Company, eventually, text};

use crate::by_hand::two_companies_with;

/// How long a link for a new person lives here: people have opened their accounts by then.
const EXPIRES: Duration = Duration::from_secs(4);

/// Exit code, number, and what was typed; `{name}` stands for what only the test knows. Words are those of a shell.
const MISTAKES: &str = r#"
5 X0401 --as anna chat show nowhere
5 X0401 --as anna chat send deadbeef hello
5 X0401 --as anna chat watch nowhere
5 X0401 --as anna chat read nowhere
5 X0401 --as anna chat members list nowhere
6 X0405 --as anna chat show Twice
5 X0404 --as anna chat show Team --before deadbeef.0
2 X0912 --as anna chat show Team --limit 1000
2 X0102 --as anna chat list --cursor yesterday
5 X0402 --as anna chat new nobody
5 X0301 --as anna chat new boris@nowhere
2 X0912 --as anna chat new
2 X0912 --as anna chat new --kind group alex
2 X0912 --as anna chat new --kind circle alex
6 X0409 --as anna chat new --kind direct alex boris@globex
6 X0409 --as anna chat new --kind open --title Hall alex
2 X0102 --as anna chat new --title "one{feed}two" alex
2 X0102 --as anna chat send Team " "
2 X0102 --as anna chat send Team "a{escape}[2Jb"
2 X0103 --as anna chat send Team -
5 X0404 --as anna chat send Team x --reply-to deadbeef.0
5 X0402 --as anna chat members add Team nobody
6 X0409 --as anna chat members add alex olga
5 X0402 --as anna --yes chat members remove Team olga
2 X0909 --as anna chat leave Team
2 X0912 --as anna chat watch Team --timeout soon
8 X0903 --as anna chat watch Team --timeout 1s
2 X0912 --as anna chat sned Team hello
6 X0104 --as anna --client-id same chat send Team "other words"

5 X0404 --as anna msg show deadbeef.0
5 X0404 --as anna msg show zz
5 X0404 --as anna msg why deadbeef.0
4 X0406 --as anna msg edit {theirs} "mine now"
4 X0406 --as anna --yes msg delete {theirs}
6 X0411 --as anna msg edit {deleted} again
2 X0909 --as anna msg delete {mine}
2 X0102 --as anna msg react {mine} "not an emoji"
2 X0102 --as anna msg edit {mine} " "
4 X0406 --as anna msg recall {theirs}
5 X0404 --as olga msg show {mine}

4 X0904 --as nobody whoami
4 X0904 --as nobody chat list
4 X0904 --as nobody logout
4 X0202 --as nobody login junk
4 X0202 --as nobody login {spent}
4 X0202 --as nobody login {late}
3 X0901 --as nobody login http://127.0.0.1:9/#00ff
2 X0102 --as nobody login mailto:anna#00ff
4 X0905 --as nobody --credentials open.toml whoami

2 X0303 partner accept junk
2 X0303 partner accept {torn}
6 X0306 partner accept {own}
6 X0304 partner accept {expired}
5 X0301 partner show nobody
5 X0301 partner ping nobody
5 X0301 partner pause nobody
5 X0301 --yes partner remove nobody
7 X0307 partner verify globex lorem ipsum
2 X0912 partner invite --expires tomorrow
2 X0102 partner invite --expires 0s
2 X0102 user add "Anna Orlova"
6 X0410 user add anna
5 X0402 --yes user reset nobody
2 X0102 audit --cursor yesterday
2 X0909 user reset anna

3 X0901 --data-dir gone status
3 X0901 --data-dir gone verify
2 X0906 --data-dir fresh up
2 X0906 --data-dir fresh up --company A --set nonsense=1
2 X0906 --data-dir fresh up --company A --set tick_ms=0
2 X0906 --data-dir fresh up --company A --set log=a=b=c
2 X0906 --data-dir fresh up --company A --listen-tcp here
2 X0906 --data-dir fresh up --company A --listen-tcp 127.0.0.1:0 --listen-quic off --api-listen {api}
2 X0906 --data-dir fresh up --company A --listen-tcp 127.0.0.1:0 --listen-quic off --api-listen 0.0.0.0:0
2 X0906 --data-dir broken config show
2 X0912 up --set pair
6 X0505 up --listen-tcp 127.0.0.1:0 --listen-quic off --api-listen 127.0.0.1:0
6 X0910 init --company Again
"#;

/// Refused in both languages: number, next step, nothing on standard output.
fn is_refused(company: &Company, line: &str, known: &BTreeMap<&str, String>) -> Result<()> {
    let (exit, rest) = line.split_once(' ').context("an exit code")?;
    let (number, typed) = rest.split_once(' ').context("a number")?;
    let typed = known.iter().fold(typed.to_owned(), |typed, (name, value)| {
        typed.replace(&format!("{{{name}}}"), value)
    });
    let typed = words(&typed);
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
    for (lang, error, next) in [("en", "error", "try: "), ("ru", "ошибка", "попробуйте: ")]
    {
        // More than a message may have, for whoever reads standard input.
        let call = company.call(&typed).lang(lang).input(&known["long"]);
        let err = call.run()?.refused(exit.parse()?, number)?;
        ensure!(err.contains(&format!("{error}[{number}]: ")), "{err}");
        let steps: Vec<&str> = err
            .lines()
            .filter_map(|line| line.strip_prefix(next))
            .collect();
        ensure!(
            steps.len() == 1 && !steps[0].is_empty(),
            "no next step: {err}"
        );
        // A title that says nothing of what was wrong has `""` where the word should be.
        ensure!(
            !err.contains("\"\"") && !err.contains("«»"),
            "an empty subject: {err}"
        );
        let cyrillic = err.chars().any(|c| ('а'..='я').contains(&c));
        ensure!(cyrillic == (lang == "ru"), "the other language: {err}");
        if lang == "ru" {
            ensure!(is_in_russian(&err), "a reason in English: {err}");
        }
    }
    Ok(())
}

/// Every reason that is a sentence. What is none: ids of several matches, how a flag is written, and a filter's own words.
fn is_in_russian(err: &str) -> bool {
    let reason = |line: &&str| line.starts_with("причина: ") || line.starts_with("подробности: ");
    err.lines().filter(reason).all(|line| {
        let words = line.split_once(": ").map_or(line, |(_, words)| words);
        let is_sentence = words.split(' ').filter(|word| word.len() > 1).count() > 2;
        let of_others = err.contains("X0906") && words.contains("filter");
        !is_sentence || of_others || words.chars().any(|c| ('а'..='я').contains(&c))
    })
}

/// A chat with messages: of Anna, of hers deleted, of Alex.
fn talk(acme: &Company) -> Result<(String, String, String)> {
    acme.ask(Some("anna"), &["chat", "new", "alex"])?;
    for title in ["Team", "Twice", "Twice"] {
        acme.ask(Some("anna"), &["chat", "new", "--title", title, "alex"])?;
    }
    let send = |who: &str, words: &str| -> Result<String> {
        let sent = acme.ask(Some(who), &["chat", "send", "Team", words])?;
        Ok(text(&sent, "id")?.to_owned())
    };
    let (mine, deleted, theirs) = (
        send("anna", "mine")?,
        send("anna", "slip")?,
        send("alex", "yours")?,
    );
    acme.ask(Some("anna"), &["msg", "delete", &deleted])?;
    acme.ask(
        Some("anna"),
        &["--client-id", "same", "chat", "send", "Team", "words"],
    )?;
    Ok((mine, deleted, theirs))
}

#[test]
fn every_mistake_is_refused_with_a_number_and_a_next_step() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (acme, globex) = two_companies_with(root.path(), &["--set", "activation_expires_s=4"])?;
    let ticket = |company: &Company, more: &[&str]| -> Result<String> {
        let invitation = company.ask(None, &[&["partner", "invite"], more].concat())?;
        Ok(text(&invitation, "ticket")?.to_owned())
    };
    let (own, expired) = (ticket(&acme, &[])?, ticket(&globex, &["--expires", "1s"])?);
    let link = |nickname: &str| -> Result<String> {
        let activation = acme.ask(None, &["user", "add", nickname])?;
        Ok(text(&activation, "link")?.to_owned())
    };
    let (spent, late) = (link("olga")?, link("vera")?);
    let made = Instant::now();
    acme.ask(Some("olga"), &["login", &spent])?;
    let (mine, deleted, theirs) = talk(&acme)?;
    let status = acme.ask(None, &["status"])?;
    let api = text(&status, "api")?
        .trim_start_matches("http://")
        .to_owned();
    fs::create_dir_all(acme.folder.join("broken"))?;
    fs::write(
        acme.folder.join("broken/crossport.toml"),
        "listen_tpc = \"off\"\n",
    )?;
    fs::write(acme.folder.join("open.toml"), "")?;
    eventually("the unused link has expired", || {
        ensure!(made.elapsed() > EXPIRES + Duration::from_secs(1), "not yet");
        Ok(())
    })?;
    let known = BTreeMap::from([
        ("mine", mine),
        ("theirs", theirs),
        ("deleted", deleted),
        ("spent", spent),
        ("late", late),
        ("torn", own[..own.len() - 9].to_owned()),
        ("own", own),
        ("expired", expired),
        ("api", api),
        ("feed", "\n".to_owned()),
        ("escape", "\u{1b}".to_owned()),
        ("long", "ж".repeat(65_537)),
    ]);
    let mut failed = Vec::new();
    for line in MISTAKES.lines().filter(|line| !line.is_empty()) {
        if let Err(error) = is_refused(&acme, line, &known).context(line) {
            failed.push(format!("{error:#}"));
        }
    }
    ensure!(
        failed.is_empty(),
        "{} mistakes:\n{}",
        failed.len(),
        failed.join("\n")
    );
    // Nothing was lost or done by any of it.
    let texts = acme.texts("anna", "Team")?;
    ensure!(texts == ["mine", "yours", "words"], "{texts:?}");
    Ok(())
}
