//! `crossport login`, `logout`, `whoami`: a person's own session on this machine.
//!
//! The token goes from the node into the credentials file and nowhere else: never to the screen, never to a log.

use crate::client::{Client, Endpoint};
use crate::context::Context;
use crate::credentials::{Credentials, Profile, profile_name};
use crate::errors::Failure;
use crate::output::Cell;
use clap::Args;
use crossport_node::api::types::{Code, Login as Request, Me, Session};
use crossport_node::say;
use hyper::Method;

#[derive(Args)]
pub struct Login {
    /// Address and secret in one: `http://127.0.0.1:8460/#SECRET`.
    link: Option<String>,
    #[arg(long)]
    device: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The link holds a secret.
        formatter
            .debug_struct("Login")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
pub struct Logout {
    #[arg(long)]
    local: bool,
}

pub async fn login(arguments: Login, context: &mut Context) -> Result<(), Failure> {
    if arguments.link.is_none() {
        context.output.hint("hint-paste-link", &[]);
    }
    let link = context.line_or_stdin(arguments.link)?;
    // The secret is never echoed, not even in an error.
    let parts = link
        .trim()
        .split_once('#')
        .filter(|(_, secret)| !secret.is_empty());
    let (address, secret) = parts.ok_or_else(|| context.failure(Code::ActivationRefused, "-"))?;
    let endpoint = Endpoint::parse(address.trim_end_matches('/'), context.texts)?;
    if !endpoint.is_local() {
        context.output.hint(
            "hint-not-encrypted",
            &[("address", endpoint.to_string().into())],
        );
    }
    // Opened before the secret is spent: a file that cannot be used must not cost the only token.
    let mut credentials = Credentials::open(context.credentials_file()?, context.texts)?;
    let client = Client::new(endpoint.clone(), None, context.texts);
    let device = arguments
        .device
        .unwrap_or_else(|| format!("{}, crossport {}", host_name(), env!("CARGO_PKG_VERSION")));
    let body = Request {
        client_id: context.client_id()?,
        secret: secret.to_owned(),
        device,
    };
    let session: Session = client.write(Method::POST, "/v0/login", &body).await?;
    let (nickname, company) = (
        session.me.person.nickname.clone(),
        session.me.person.company.name.clone(),
    );
    let name = context
        .globals
        .profile
        .clone()
        .unwrap_or_else(|| profile_name(&nickname, &company));
    credentials.put(
        &name,
        Profile {
            endpoint: endpoint.to_string(),
            token: session.token,
            nickname,
            company,
        },
    )?;
    let person = context.output.look.person(&session.me.person);
    let sentence = say!(
        context.texts,
        "done-login",
        person = person,
        profile = name.as_str()
    );
    context.output.done(&session.me, &name, &sentence)
}

pub async fn logout(arguments: Logout, context: &mut Context) -> Result<(), Failure> {
    let mut credentials = Credentials::open(context.credentials_file()?, context.texts)?;
    let (name, _) = credentials.profile(context.globals.profile.as_deref())?;
    let name = name.to_owned();
    if !arguments.local {
        let body = crossport_node::api::types::Repeatable {
            client_id: context.client_id()?,
        };
        match context
            .person()?
            .write_only(Method::POST, "/v0/logout", &body)
            .await
        {
            // The token is void already: what was asked for.
            Err(failure) if failure.code() == Some(Code::NotSignedIn) => {}
            result => result?,
        }
    }
    credentials.remove(&name)?;
    let sentence = say!(context.texts, "done-logout", profile = name.as_str());
    context
        .output
        .done(&serde_json::json!({ "profile": name }), &name, &sentence)
}

pub async fn whoami(context: &mut Context) -> Result<(), Failure> {
    let me: Me = context.person()?.read("/v0/me").await?;
    let fields = [
        ("field-nickname", Cell::Text(me.person.nickname.clone())),
        ("field-name", Cell::Person(Box::new(me.person.clone()))),
        ("field-company", Cell::Text(me.person.company.name.clone())),
        ("field-administrator", Cell::yes(me.administrator)),
        ("field-device", Cell::Text(me.device.clone())),
        ("field-since", Cell::Time(me.signed_in_at.clone())),
        ("field-id", Cell::Id(me.person.id.clone())),
    ];
    context.output.record(&me, &me.person.id, &fields)
}

/// What the machine calls itself, for the list of devices.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() {
        "terminal".to_owned()
    } else {
        name.trim().to_owned()
    }
}
