//! What an operator does with a running node: looking, checking, verifying, rebuilding, and reading its figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, ensure};
use crossport_tests::process::{Company, eventually, pair, text};
use crossport_tests::world::check;

use crate::by_hand::{company, two_companies};

/// The head and the body of an answer.
fn asked(mut stream: impl Read + Write, path: &str) -> Result<(String, String)> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    Ok((head.to_owned(), body.to_owned()))
}

#[test]
fn an_operator_looks_after_a_node_by_hand() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (mut acme, globex) = two_companies(root.path())?;
    acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    for text in ["one", "two", "three"] {
        eventually("the chat takes a message", || {
            acme.ask(Some("anna"), &["chat", "send", "boris", text])
                .map(drop)
        })?;
    }
    let status = acme.ask(None, &["status"])?;
    check("users", &status["users"], &3.into())?;
    check("chats", &status["chats"], &1.into())?;
    check("partner", &status["partners"][0]["connected"], &true.into())?;
    ensure!(status["journal"]["bytes"].as_u64() > Some(500), "{status}");
    doctored(&acme, &globex)?;
    let verified = acme.ask(None, &["verify"])?;
    check("faults", &verified["faults_total"], &0.into())?;
    ensure!(verified["signatures"].as_u64() >= Some(8), "{verified}");
    let before = acme.texts("anna", "boris")?;
    let rebuilt = acme.ask(None, &["rebuild"])?;
    check("messages", &rebuilt["messages"], &3.into())?;
    check(
        "texts after a rebuild",
        acme.texts("anna", "boris")?,
        before,
    )?;
    health(&acme)?;
    configured(&acme)?;
    // A node that is gone is told apart from one that refuses.
    acme.down()?;
    acme.call(&["status"]).run()?.refused(3, "X0901")?;
    damaged(&mut acme)
}

fn doctored(acme: &Company, globex: &Company) -> Result<()> {
    let well = acme.call(&["doctor"]).run()?.done()?;
    for line in ["ok\tpermissions\t", "ok\tlisten\t", "ok\tpartner Globex\t"] {
        ensure!(well.contains(line), "{well}");
    }
    // How full the disk is here is not the test's affair.
    ensure!(
        well.contains("\tdisk\t") && !well.contains("failed"),
        "{well}"
    );
    let data = acme.folder.join("data");
    fs::set_permissions(&data, Permissions::from_mode(0o755))?;
    let ill = acme.call(&["doctor"]).lang("ru").run()?;
    fs::set_permissions(&data, Permissions::from_mode(0o700))?;
    ensure!(ill.code == 1, "{ill:?}");
    ensure!(
        ill.out
            .contains("failed\tpermissions\tпапку данных могут читать другие"),
        "{ill:?}"
    );
    ensure!(ill.err.contains("попробуйте: chmod 700 "), "{ill:?}");
    acme.ask(None, &["partner", "pause", "Globex"])?;
    let warned = acme.call(&["doctor"]).run()?.done()?;
    ensure!(
        warned.contains("warning\tpartner Globex\tpaused\tcrossport partner resume 'Globex'"),
        "{warned}"
    );
    acme.ask(None, &["partner", "resume", "Globex"])?;
    eventually("they are linked again", || {
        ensure!(
            globex
                .call(&["doctor"])
                .run()?
                .done()?
                .contains("ok\tpartner Acme"),
            "not yet"
        );
        Ok(())
    })
}

/// On the people's address, for a proxy or a supervisor; the figures only on the operators' socket.
fn health(acme: &Company) -> Result<()> {
    let api = acme.ask(None, &["status"])?;
    let api = text(&api, "api")?.trim_start_matches("http://").to_owned();
    let ask = |path: &str| asked(TcpStream::connect(&api)?, path);
    for path in ["/healthz", "/readyz"] {
        let (head, _) = ask(path)?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    }
    let (head, body) = ask("/metrics")?;
    ensure!(head.starts_with("HTTP/1.1 404 "), "{head}");
    ensure!(!body.contains("crossport_journal"), "{body}");
    Ok(())
}

fn configured(acme: &Company) -> Result<()> {
    let config = acme.folder.join("data/crossport.toml");
    fs::write(&config, "overdue_after_s = 77\n")?;
    let shown = acme.call(&["config", "show", "--origin"]).run()?.done()?;
    fs::remove_file(&config)?;
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(&format!("{key}\t")))
    };
    let overdue = line("overdue_after_s").context("no such key")?;
    ensure!(
        overdue.contains("\t77\t") && overdue.ends_with("crossport.toml"),
        "{overdue}"
    );
    let folder = line("data_dir").context("no such key")?;
    ensure!(folder.ends_with("CROSSPORT_DATA"), "{folder}");
    ensure!(line("tick_ms") == Some("tick_ms\t50\tdefault"), "{shown}");
    let bash = acme.call(&["completions", "bash"]).run()?.done()?;
    ensure!(bash.contains("complete -F _crossport"), "no script");
    let man = acme.call(&["man"]).run()?.done()?;
    ensure!(man.contains(".TH crossport"), "no page");
    Ok(())
}

/// A flipped bit is found by `verify`, which says so with its exit code.
fn damaged(acme: &mut Company) -> Result<()> {
    let journal = acme.folder.join("data/store/journal");
    let mut segments: Vec<_> = fs::read_dir(&journal)
        .with_context(|| journal.display().to_string())?
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| fs::metadata(path).is_ok_and(|data| data.len() > 2_000))
        .collect();
    segments.sort();
    let path = segments.first().context("no segment")?;
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes)?;
    acme.up()?;
    let found = acme.call(&["verify"]).run()?;
    ensure!(
        found.code == 7 && found.err.contains("[X0908]"),
        "{found:?}"
    );
    ensure!(found.err.contains("try: stop the node"), "{found:?}");
    Ok(())
}

/// Samples by name, with their labels as they stand in the text.
type Samples = BTreeMap<String, BTreeMap<String, f64>>;

fn samples(company: &Company) -> Result<(Samples, String)> {
    let socket = company.folder.join("data/operator.sock");
    let (head, body) = asked(UnixStream::connect(socket)?, "/metrics")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut found = Samples::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        // A body in chunks has lines with their lengths between.
        let Some((series, value)) = line.trim().rsplit_once(' ') else {
            continue;
        };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let value = value.parse().with_context(|| line.to_owned())?;
        found
            .entry(name.to_owned())
            .or_default()
            .insert(labels.to_owned(), value);
    }
    Ok((found, body))
}

/// The sum of a metric over all its labels.
fn sum(samples: &Samples, name: &str) -> f64 {
    samples
        .get(name)
        .map_or(0.0, |series| series.values().sum())
}

/// Rows of the table in the book: name, kind, labels.
fn documented() -> Result<Vec<(String, String, BTreeSet<String>)>> {
    let page = include_str!("../../../docs/src/reference/metrics.md");
    let mut rows = Vec::new();
    for line in page
        .lines()
        .filter(|line| line.starts_with("| `crossport_"))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells.as_slice() else {
            anyhow::bail!("{line}");
        };
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        rows.push((
            name.trim_matches('`').to_owned(),
            (*kind).to_owned(),
            labels.collect(),
        ));
    }
    ensure!(rows.len() >= 13, "{rows:?}");
    Ok(rows)
}

/// What stands in the book is there, with its kind and labels, and nothing else is.
fn as_documented(samples: &Samples, body: &str) -> Result<()> {
    let rows = documented()?;
    for (name, kind, labels) in &rows {
        ensure!(
            body.contains(&format!("# TYPE {name} {kind}\n")),
            "{name} is no {kind}:\n{body}"
        );
        let suffix = match kind.as_str() {
            "counter" => "_total",
            "histogram" => "_count",
            _ => "",
        };
        let series = samples.get(&format!("{name}{suffix}"));
        let series = series.with_context(|| format!("{name} has no sample"))?;
        for text in series.keys() {
            let names = text
                .trim_end_matches('}')
                .split("\",")
                .filter_map(|label| label.split_once('='));
            let names: BTreeSet<String> = names.map(|(name, _)| name.to_owned()).collect();
            check(name, &names, labels)?;
        }
    }
    let kinds = body
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    check("metrics in the book and at the node", kinds, rows.len())
}

/// Two figures are only there: the lag of the index is gone before anybody can ask, and a panic would be a defect.
#[test]
fn every_metric_of_the_book_is_there_and_moves() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (mut acme, mut globex) = (
        company("Acme", root.path())?,
        company("Globex", root.path())?,
    );
    acme.up()?;
    let (start, _) = samples(&acme)?;
    globex.up()?;
    pair(&acme, &globex)?;
    acme.person("anna", &[])?;
    globex.person("boris", &[])?;
    acme.ask(Some("anna"), &["chat", "new", "boris@globex"])?;
    let mut watching = acme.call(&["chat", "watch", "--json"]).by("anna").watch()?;
    watching.shows("reset")?;
    eventually("Boris answers", || {
        globex
            .ask(Some("boris"), &["chat", "send", "anna", "hello Anna"])
            .map(drop)
    })?;
    acme.ask(Some("anna"), &["chat", "send", "boris", "hello Boris"])?;
    acme.call(&["chat", "show", "nothing"])
        .by("anna")
        .run()?
        .refused(5, "X0401")?;
    acme.call(&["msg", "show", "deadbeef.0"])
        .by("anna")
        .run()?
        .refused(5, "X0404")?;
    eventually("each figure has moved", || {
        let (now, body) = samples(&acme)?;
        as_documented(&now, &body)?;
        let grown = [
            "crossport_delivery_seconds_count",
            "crossport_refusals_total",
            "crossport_messages_stored_total",
            "crossport_journal_commit_seconds_count",
            "crossport_journal_records_total",
            "crossport_api_answers_total",
            "crossport_api_answer_time_seconds_count",
        ];
        for name in grown {
            ensure!(sum(&now, name) > sum(&start, name), "{name} has not moved");
        }
        for origin in ["origin=\"local\"}", "origin=\"partner\"}"] {
            ensure!(
                now["crossport_messages_stored_total"][origin] >= 1.0,
                "{origin}"
            );
        }
        check("linked", sum(&now, "crossport_partner_connected"), 1.0)?;
        check("feeds", sum(&now, "crossport_api_feeds"), 1.0)?;
        ensure!(sum(&now, "crossport_api_connections") >= 2.0, "connections");
        check("panics", sum(&now, "crossport_api_panics_total"), 0.0)
    })?;
    drop(watching);
    globex.down()?;
    acme.ask(Some("anna"), &["chat", "send", "boris", "are you away?"])?;
    eventually("the gauges tell that Globex is away", || {
        let (now, _) = samples(&acme)?;
        check("linked", sum(&now, "crossport_partner_connected"), 0.0)?;
        check("feeds", sum(&now, "crossport_api_feeds"), 0.0)?;
        ensure!(
            sum(&now, "crossport_partner_behind_seconds") > 0.0,
            "not behind"
        );
        Ok(())
    })
}
