//! The last acts: what can be shown afterwards, and what an administrator cannot see.

use super::absence::Missed;
use super::cast::Cast;
use super::story::{Story, took};
use super::talk::HASH_CHARS;
use crate::client::Client;
use crate::errors::Failure;
use crate::output::{clock, short_id};
use crate::stage::{Company, Person};
use crossport_node::api::types::{Code, HopStep};
use crossport_node::say;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Messages whose receipts are shown one by one.
const SHOWN: usize = 3;
/// What an operator can ask for without naming anything.
const OPERATOR_READS: [&str; 7] = [
    "status", "doctor", "company", "config", "partners", "users", "audit",
];

/// Receipts that Globex signed, the road of one message, and both journals verified.
pub async fn evidence(story: &mut Story<'_>, cast: &Cast, missed: &Missed) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-evidence"))?;
    let mut statements = BTreeSet::new();
    for (number, id) in missed.ids.iter().enumerate() {
        let receipts = cast.author_of_missed(number).receipts(id).await?;
        let globex = receipts
            .companies
            .iter()
            .find(|receipt| receipt.company.name == "Globex");
        let statement = globex
            .and_then(|receipt| receipt.statement.clone())
            .unwrap_or_default();
        let stored_at = globex
            .and_then(|receipt| receipt.stored_at.clone())
            .unwrap_or_default();
        story.check("statement: digits", &64, &statement.len())?;
        story.holds("stored_at", !stored_at.is_empty(), &receipts)?;
        if number < SHOWN {
            let hash: String = statement.chars().take(HASH_CHARS).collect();
            let line = say!(
                texts,
                "demo-receipt",
                id = short_id(id),
                time = clock(&stored_at, story.look()),
                statement = hash
            );
            story.note(&line)?;
        }
        statements.insert(statement);
    }
    let fact = say!(
        texts,
        "demo-receipts",
        count = missed.ids.len(),
        statements = statements.len()
    );
    story.fact(&fact, None)?;
    road(story, cast, missed).await?;
    for company in [&cast.acme, &cast.globex] {
        verify(story, company).await?;
    }
    Ok(())
}

/// Every hop of one message, as its author's company knows it.
async fn road(story: &mut Story<'_>, cast: &Cast, missed: &Missed) -> Result<(), Failure> {
    let texts = story.texts;
    let id = missed.ids.first().cloned().unwrap_or_default();
    let why = cast.anna.why(&id).await?;
    let steps: Vec<HopStep> = why.hops.iter().map(|hop| hop.step).collect();
    for step in [HopStep::Signed, HopStep::Stored, HopStep::Delivered] {
        story.holds("hops", steps.contains(&step), &steps)?;
    }
    let names: Vec<String> = steps.iter().map(|step| step_name(*step, story)).collect();
    story.fact(
        &say!(
            texts,
            "demo-road",
            id = short_id(&id),
            hops = names.join(" → ")
        ),
        None,
    )
}

fn step_name(step: HopStep, story: &Story<'_>) -> String {
    let key = match step {
        HopStep::Signed => "hop-signed",
        HopStep::Stored => "hop-stored",
        HopStep::Received => "hop-received",
        HopStep::Released => "hop-released",
        HopStep::Sent => "hop-sent",
        HopStep::Delivered => "hop-delivered",
        HopStep::NotDelivered => "hop-not-delivered",
        HopStep::Read => "hop-read",
        HopStep::Void => "hop-void",
    };
    story.texts.format(key, &[])
}

async fn verify(story: &mut Story<'_>, company: &Company) -> Result<(), Failure> {
    let texts = story.texts;
    let report = company.verify().await?;
    story.check("verify: faults", &Vec::new(), &report.faults)?;
    story.check("verify: number of faults", &0, &report.faults_total)?;
    story.holds("verify: signatures", report.signatures > 0, &report)?;
    let fact = say!(
        texts,
        "demo-verified-journal",
        name = company.name.as_str(),
        records = report.records,
        signatures = report.signatures
    );
    story.fact(
        &fact,
        Some(took(Duration::from_millis(report.took_ms), texts)),
    )
}

/// An administrator tries every door.
pub async fn administrator(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-administrator"))?;
    let operator = &cast.acme.operator;
    let doors = [
        ("/v0/chats".to_owned(), Code::NotSignedIn),
        (format!("/v0/chats/{}", cast.group), Code::NotSignedIn),
        (
            format!("/v0/chats/{}/messages", cast.group),
            Code::NotSignedIn,
        ),
        ("/v0/changes".to_owned(), Code::NotSignedIn),
        ("/v0/operator/chats".to_owned(), Code::NoSuchEndpoint),
        (
            format!("/v0/operator/chats/{}/messages", cast.group),
            Code::NoSuchEndpoint,
        ),
    ];
    for (path, code) in &doors {
        let answer = operator.read_text(path).await;
        story.refused(&format!("operator: GET {path}"), *code, answer)?;
    }
    story.fact(
        &say!(texts, "demo-operator-refused", count = doors.len()),
        None,
    )?;
    let mut bytes = 0;
    for name in OPERATOR_READS {
        bytes += silent(story, cast, operator, &format!("/v0/operator/{name}")).await?;
    }
    bytes += silent(story, cast, operator, "/v0/operator/metrics").await?;
    let fact = say!(
        texts,
        "demo-operator-silent",
        count = OPERATOR_READS.len() + 1,
        bytes = bytes
    );
    story.fact(&fact, None)?;
    outsider(story, cast).await?;
    reset(story, cast).await
}

/// What an operator can read says nothing of what people wrote.
async fn silent(
    story: &mut Story<'_>,
    cast: &Cast,
    operator: &Client,
    path: &str,
) -> Result<usize, Failure> {
    let text = operator.read_text(path).await?;
    let told = cast.said.iter().find(|said| text.contains(said.as_str()));
    story.check(
        &format!("operator: GET {path}: texts of chats"),
        &None,
        &told,
    )?;
    Ok(text.len())
}

/// An administrator with an account: a chat of others looks as if it did not exist.
async fn outsider(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    let texts = story.texts;
    let activation = cast
        .acme
        .add_user("olga", Some(&say!(texts, "demo-name-olga")), true)
        .await?;
    let olga = Person::sign_in(cast.acme.api()?, &activation.secret, texts).await?;
    story.check(
        "Olga is an administrator",
        &true,
        &olga.session.me.administrator,
    )?;
    story.check("chats of Olga", &0, &olga.chats().await?.items.len())?;
    let absent = "0".repeat(64);
    for chat in [&cast.direct, &cast.group, &absent] {
        story.refused("chat of others", Code::ChatNotFound, olga.chat(chat).await)?;
        story.refused(
            "messages of others",
            Code::ChatNotFound,
            olga.page(chat, None, 1).await,
        )?;
    }
    story.refused(
        "adding herself",
        Code::ChatNotFound,
        olga.add_members(&cast.group, &["olga"]).await,
    )?;
    let message = Cast::texts(&cast.anna, &cast.group)
        .await?
        .into_iter()
        .next()
        .unwrap_or_default();
    story.refused(
        "a message of others",
        Code::MessageNotFound,
        olga.message(&message.0).await,
    )?;
    story.fact(
        &say!(texts, "demo-outsider", name = first_name(&olga)),
        None,
    )
}

/// The one thing an administrator can do to a person's access is loud.
async fn reset(story: &mut Story<'_>, cast: &Cast) -> Result<(), Failure> {
    use super::talk::SOON;
    use crate::stage::until;
    use crossport_node::api::types::ServiceKind;
    let texts = story.texts;
    cast.acme.reset_user("alex").await?;
    story.refused(
        "Alex's old session",
        Code::NotSignedIn,
        cast.alex.chats().await,
    )?;
    let announced = until("reset announced at Boris", SOON, texts, async || {
        let page = cast
            .boris
            .page(&cast.group, None, super::cast::PAGE)
            .await?;
        let seen = page.messages.into_iter().find(|message| {
            message
                .service
                .as_ref()
                .is_some_and(|service| service.what == ServiceKind::AccessReset)
        });
        Ok(seen)
    });
    let (notice, _) = announced.await?;
    let service = notice.service.map(|service| service.what);
    story.check("notice at Boris", &Some(ServiceKind::AccessReset), &service)?;
    story.fact(
        &say!(texts, "demo-reset", name = first_name(&cast.alex)),
        None,
    )
}

fn first_name(person: &Person) -> String {
    let first = person.who.name.split(' ').next().unwrap_or_default();
    crate::output::line(first)
}

/// Nothing of what was said, and no secret, is readable in the data folders and logs.
pub fn disk(story: &mut Story<'_>, cast: &Cast, folder: &Path) -> Result<(), Failure> {
    let texts = story.texts;
    let mut secrets = cast.said.clone();
    for person in cast.everyone() {
        secrets.push(person.session.token.clone());
        secrets.push(person.who.name.clone());
    }
    let search = Search::new(&secrets);
    let (mut files, mut bytes) = (0_u64, 0_u64);
    for company in [&cast.acme, &cast.globex] {
        for path in files_below(&[&company.spec().folder, &company.spec().log], story)? {
            let shown = path
                .strip_prefix(folder)
                .unwrap_or(&path)
                .display()
                .to_string();
            // A node at work may remove a file between the listing and the reading.
            let content = match std::fs::read(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                content => content.map_err(|error| Failure::io(texts, &shown, &error))?,
            };
            story.check(
                &format!("{shown}: readable texts"),
                &None,
                &search.first_in(&content),
            )?;
            files += 1;
            bytes += u64::try_from(content.len()).unwrap_or(u64::MAX);
        }
    }
    story.holds(
        "files searched",
        files > 4 && bytes > 1_000,
        &(files, bytes),
    )?;
    let mib = super::story::decimal(bytes as f64 / f64::from(1 << 20), 1, texts);
    let fact = say!(
        texts,
        "demo-disk",
        texts = secrets.len(),
        files = files,
        mib = mib
    );
    story.fact(&fact, None)
}

/// Every regular file at or below these paths.
fn files_below(roots: &[&PathBuf], story: &Story<'_>) -> Result<Vec<PathBuf>, Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        Failure::io(story.texts, &path.display().to_string(), error)
    };
    let mut waiting: Vec<PathBuf> = roots.iter().map(|root| (*root).clone()).collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        let kind = std::fs::symlink_metadata(&path)
            .map_err(|error| failed(&path, &error))?
            .file_type();
        if kind.is_file() {
            files.push(path);
        } else if kind.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|error| failed(&path, &error))? {
                waiting.push(entry.map_err(|error| failed(&path, &error))?.path());
            }
        }
    }
    Ok(files)
}

/// Many texts sought in one pass, by their first byte.
struct Search<'a> {
    by_first: Vec<Vec<&'a str>>,
}

impl<'a> Search<'a> {
    fn new(secrets: &'a [String]) -> Self {
        let mut by_first = vec![Vec::new(); 256];
        for secret in secrets {
            if let Some(bucket) = secret
                .as_bytes()
                .first()
                .and_then(|first| by_first.get_mut(usize::from(*first)))
            {
                bucket.push(secret.as_str());
            }
        }
        Self { by_first }
    }

    fn first_in(&self, content: &[u8]) -> Option<&'a str> {
        content.iter().enumerate().find_map(|(at, first)| {
            let candidates = self.by_first.get(usize::from(*first))?;
            let rest = content.get(at..)?;
            candidates
                .iter()
                .find(|secret| rest.starts_with(secret.as_bytes()))
                .copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Search;

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let secrets = ["hello".to_owned(), "help".to_owned(), String::new()];
        let search = Search::new(&secrets);
        assert_eq!(search.first_in(b"\x00\x01hello\x02"), Some("hello"));
        assert_eq!(search.first_in(b"..help"), Some("help"));
        assert_eq!(search.first_in(b"hell"), None);
    }
}
