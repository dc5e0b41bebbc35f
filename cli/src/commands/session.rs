//! `crossport login`, `logout`, `whoami`: a person's own session on this machine.
//!
//! The token goes from the node into the credentials file and nowhere else: never to the screen, never to a log.

use crate::client::{Client, Endpoint};
use crate::context::Context;
use crate::credentials::{Credentials, Profile, profile_name};
use crate::errors::Failure;
use crate::output::Cell;
use crate::secrets;
use clap::Args;
use crossport_node::api::types::{Code, Login as Request, Me, Redeem as RedeemRequest, Session};
use crossport_node::say;
use hyper::Method;
use std::io::IsTerminal as _;

/// Where a node of this machine listens unless told otherwise.
const NODE_HERE: &str = "http://127.0.0.1:8460";

#[derive(Args)]
pub struct Login {
    /// Address and secret in one: `http://127.0.0.1:8460/#SECRET`; with `--user` the address alone.
    link: Option<String>,
    /// Sign in with a password instead.
    #[arg(long)]
    user: Option<String>,
    #[arg(long, conflicts_with = "user")]
    nickname: Option<String>,
    #[arg(long, conflicts_with = "user")]
    name: Option<String>,
    #[arg(long, conflicts_with = "user")]
    password: bool,
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
    match arguments.user.clone() {
        Some(user) => with_password(user, arguments, context).await,
        None => redeem(arguments, context).await,
    }
}

/// Opens an account with the secret of a link.
async fn redeem(arguments: Login, context: &mut Context) -> Result<(), Failure> {
    if arguments.link.is_none() && std::io::stdin().is_terminal() {
        context.output.hint("hint-paste-link", &[]);
    }
    let link = context.line_or_stdin(arguments.link)?;
    // The secret is never echoed, not even in an error.
    let parts = link
        .trim()
        .split_once('#')
        .filter(|(_, secret)| !secret.is_empty());
    let (address, secret) = parts.ok_or_else(|| context.failure(Code::ActivationRefused, "-"))?;
    let endpoint = endpoint(address, context)?;
    // Opened before the secret is spent: a file that cannot be used must not cost the only token.
    let credentials = Credentials::open(context.credentials_file()?, context.texts)?;
    let password = if arguments.password || secrets::is_terminal() {
        secrets::new_password(context, !arguments.password)?
    } else {
        None
    };
    let body = RedeemRequest {
        client_id: context.client_id()?,
        secret: secret.to_owned(),
        device: device(arguments.device),
        nickname: arguments.nickname,
        name: arguments.name,
        password,
        cookie: false,
    };
    let client = Client::new(endpoint.clone(), None, context.texts);
    let session: Session = client.write(Method::POST, "/v0/redeem", &body).await?;
    keep(credentials, &endpoint, session, context)
}

/// Signs in with a password.
async fn with_password(
    user: String,
    arguments: Login,
    context: &mut Context,
) -> Result<(), Failure> {
    let address = arguments.link.unwrap_or_else(|| NODE_HERE.to_owned());
    let endpoint = endpoint(&address, context)?;
    let credentials = Credentials::open(context.credentials_file()?, context.texts)?;
    let body = Request {
        client_id: context.client_id()?,
        name: user,
        password: secrets::line("ask-password", context)?,
        device: device(arguments.device),
        cookie: false,
    };
    let client = Client::new(endpoint.clone(), None, context.texts);
    let session: Session = client.write(Method::POST, "/v0/login", &body).await?;
    keep(credentials, &endpoint, session, context)
}

fn endpoint(address: &str, context: &mut Context) -> Result<Endpoint, Failure> {
    let endpoint = Endpoint::parse(address.trim_end_matches('/'), context.texts)?;
    if !endpoint.is_local() {
        context.output.hint(
            "hint-not-encrypted",
            &[("address", endpoint.to_string().into())],
        );
    }
    Ok(endpoint)
}

fn device(named: Option<String>) -> String {
    named.unwrap_or_else(|| format!("{}, crossport {}", host_name(), env!("CARGO_PKG_VERSION")))
}

/// Writes the new token into the credentials, and says who is signed in.
fn keep(
    mut credentials: Credentials,
    endpoint: &Endpoint,
    session: Session,
    context: &mut Context,
) -> Result<(), Failure> {
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
