//! `crossport account`: what a person does about their own account.

use crate::context::Context;
use crate::errors::Failure;
use crate::secrets;
use clap::Subcommand;
use crossport_node::api::types::{ChangePassword, Me};
use crossport_node::say;
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Account {
    Password,
}

pub async fn run(verb: Account, context: &mut Context) -> Result<(), Failure> {
    match verb {
        Account::Password => password(context).await,
    }
}

async fn password(context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let me: Me = client.read("/v0/me").await?;
    let current = if me.has_password {
        Some(secrets::line("ask-current-password", context)?)
    } else {
        None
    };
    let password = secrets::new_password(context, false)?.unwrap_or_default();
    let body = ChangePassword {
        client_id: context.client_id()?,
        current,
        password,
    };
    client
        .write_only(Method::POST, "/v0/me/password", &body)
        .await?;
    let sentence = say!(context.texts, "done-password");
    context
        .output
        .done(&serde_json::json!({}), &me.person.nickname, &sentence)
}
