//! The first three acts: companies, partnership, people.

use super::cast::Cast;
use super::story::{Story, took};
use crate::credentials::{Credentials, Profile, profile_name};
use crate::errors::Failure;
use crate::output::line;
use crate::stage::{Company, Person, fresh_id};
use crossport_node::api::types::{Code, Partner, PartnerState, VerifyPartner};
use crossport_node::say;
use hyper::Method;
use std::path::Path;

/// Characters of a ticket that are shown: enough to see what it looks like.
const TICKET_CHARS_SHOWN: usize = 44;

/// Two nodes from nothing.
pub async fn companies(
    story: &mut Story<'_>,
    folder: &Path,
) -> Result<(Company, Company), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-companies"))?;
    let lang = [("lang", texts.lang().code())];
    let (acme, globex) = tokio::join!(
        Company::start("Acme", folder, &lang, texts),
        Company::start("Globex", folder, &lang, texts)
    );
    let (acme, globex) = (acme?, globex?);
    for company in [&acme, &globex] {
        let node = company.node()?;
        story.check("status.ready", &true, &node.status.ready)?;
        story.check(
            "status.company.name",
            &company.name,
            &node.status.company.name,
        )?;
        let health = crate::client::Client::new(company.api()?, None, texts);
        let answer = health.read_text("/readyz").await;
        story.holds("GET /readyz", answer.is_ok(), &answer)?;
        let ready = say!(
            texts,
            "demo-ready",
            name = company.name.as_str(),
            api = node.status.api.as_str(),
            process = node.pid().to_string()
        );
        story.fact(&ready, Some(took(node.ready_after, texts)))?;
    }
    let ids =
        [&acme, &globex].map(|company| company.node().map(|node| node.status.company.id.clone()));
    let [one, other] = ids;
    story.holds("company ids differ", one? != other?, &acme.name)?;
    story.fact(&say!(texts, "demo-own-keys"), None)?;
    Ok((acme, globex))
}

/// Ticket, both approvals, words.
pub async fn pairing(
    story: &mut Story<'_>,
    acme: &Company,
    globex: &Company,
) -> Result<(), Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-pairing"))?;
    let invitation = acme.invite().await?;
    let shown: String = invitation.ticket.chars().take(TICKET_CHARS_SHOWN).collect();
    story.note(&say!(texts, "demo-ticket", ticket = shown))?;
    let begun = std::time::Instant::now();
    globex.accept(&invitation.ticket).await?;
    let (at_globex, _) = globex.until_linked("Acme", true).await?;
    let (at_acme, _) = acme.until_linked("Globex", true).await?;
    let linked = begun.elapsed();
    story.check(
        "Globex: partner Acme: state",
        &PartnerState::Active,
        &at_globex.state,
    )?;
    story.check(
        "Acme: partner Globex: state",
        &PartnerState::Active,
        &at_acme.state,
    )?;
    let transport = at_acme.transport.clone().unwrap_or_default();
    let transport = transport.to_uppercase();
    story.fact(
        &say!(texts, "demo-approved", transport = transport),
        Some(took(linked, texts)),
    )?;
    words(story, acme, globex, &at_acme).await?;
    words(story, globex, acme, &at_globex).await?;
    story.check(
        "verified",
        &true,
        &acme.partner("Globex").await?.verified_at.is_some(),
    )?;
    story.check(
        "verified",
        &true,
        &globex.partner("Acme").await?.verified_at.is_some(),
    )?;
    story.fact(&say!(texts, "demo-verified"), None)
}

/// One side compares the words that it sees with those that the other reads out.
async fn words(
    story: &mut Story<'_>,
    here: &Company,
    there: &Company,
    seen: &Partner,
) -> Result<(), Failure> {
    let texts = story.texts;
    let read_out = there.node()?.status.company.fingerprint_words.clone();
    story.check("fingerprint_words", &read_out, &seen.fingerprint_words)?;
    let path = format!("/v0/operator/partners/{}/verify", seen.id);
    let mut wrong = read_out.clone();
    wrong.reverse();
    let verify = async |words: Vec<String>| -> Result<Partner, Failure> {
        let body = VerifyPartner {
            client_id: fresh_id(texts)?,
            words,
        };
        here.operator.write(Method::POST, &path, &body).await
    };
    story.refused("wrong words", Code::WordsDiffer, verify(wrong).await)?;
    verify(read_out.clone()).await?;
    let spoken = say!(
        texts,
        "demo-words",
        here = here.name.as_str(),
        there = there.name.as_str(),
        words = read_out.join(" ")
    );
    story.note(&spoken)
}

/// Four accounts, each opened by its person alone.
pub async fn people(
    story: &mut Story<'_>,
    acme: Company,
    globex: Company,
    credentials: &Path,
) -> Result<Cast, Failure> {
    let texts = story.texts;
    story.act(say!(texts, "demo-act-people"))?;
    let begun = std::time::Instant::now();
    let anna = person(story, &acme, "anna", &say!(texts, "demo-name-anna")).await?;
    let alex = person(story, &acme, "alex", &say!(texts, "demo-name-alex")).await?;
    let boris = person(story, &globex, "boris", &say!(texts, "demo-name-boris")).await?;
    let bella = person(story, &globex, "bella", &say!(texts, "demo-name-bella")).await?;
    for (one, company) in [
        (&anna, &acme),
        (&alex, &acme),
        (&boris, &globex),
        (&bella, &globex),
    ] {
        let person = say!(
            texts,
            "demo-person",
            name = line(&one.who.name),
            nickname = one.who.nickname.as_str(),
            company = company.name.as_str()
        );
        story.note(&person)?;
    }
    story.fact(
        &say!(texts, "demo-signed-in"),
        Some(took(begun.elapsed(), texts)),
    )?;
    keep(story, credentials, &[&anna, &alex, &boris, &bella])?;
    let (direct, group) = (String::new(), String::new());
    Ok(Cast {
        acme,
        globex,
        anna,
        alex,
        boris,
        bella,
        direct,
        group,
        said: Vec::new(),
    })
}

/// A person who opens their account with a link that then opens nothing any more.
async fn person(
    story: &mut Story<'_>,
    company: &Company,
    nickname: &str,
    name: &str,
) -> Result<Person, Failure> {
    let activation = company.add_user(nickname, Some(name), false).await?;
    let person = Person::sign_in(company.api()?, &activation.secret, story.texts).await?;
    story.check("me.nickname", nickname, &person.who.nickname)?;
    story.check("me.company", &company.name, &person.who.company.name)?;
    let again = Person::sign_in(company.api()?, &activation.secret, story.texts).await;
    story.refused("the link a second time", Code::ActivationRefused, again)?;
    Ok(person)
}

/// Into a credentials file, so that the commands at the end can be pasted.
fn keep(story: &Story<'_>, file: &Path, people: &[&Person]) -> Result<(), Failure> {
    let mut credentials = Credentials::open(file.to_owned(), story.texts)?;
    for person in people {
        let (nickname, company) = (person.who.nickname.clone(), person.who.company.name.clone());
        let profile = Profile {
            endpoint: person.endpoint.to_string(),
            token: person.session.token.clone(),
            nickname: nickname.clone(),
            company: company.clone(),
        };
        credentials.put(&profile_name(&nickname, &company), profile)?;
    }
    Ok(())
}
