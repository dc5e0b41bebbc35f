//! `crossport device`: where a person is signed in, and ending it.

use crate::client::{Client, segment};
use crate::context::Context;
use crate::errors::Failure;
use crate::output::{Cell, Column};
use clap::{Args, Subcommand};
use crossport_node::api::types::{Code, Device as Row, Page};

#[derive(Debug, Subcommand)]
pub enum Device {
    #[command(alias = "ls")]
    List,
    #[command(alias = "rm")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Revoke {
    #[arg(required_unless_present = "others")]
    device: Option<String>,
    #[arg(long, conflicts_with = "device")]
    others: bool,
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        title: "column-id",
        cell: |device| Cell::Text(device.id.clone()),
    },
    Column {
        title: "column-device",
        cell: |device| Cell::Text(device.name.clone()),
    },
    Column {
        title: "column-since",
        cell: |device| Cell::Time(device.signed_in_at.clone()),
    },
    Column {
        title: "column-last-seen",
        cell: |device| {
            let seen = device.last_seen_at.as_ref();
            Cell::Time(seen.unwrap_or(&device.signed_in_at).clone())
        },
    },
    Column {
        title: "column-current",
        cell: |device| Cell::yes(device.current),
    },
];

pub async fn run(verb: Device, context: &mut Context) -> Result<(), Failure> {
    let client = context.person()?;
    let page: Page<Row> = match verb {
        Device::List => client.read("/v0/me/devices").await?,
        Device::Revoke(Revoke {
            device: Some(device),
            ..
        }) => {
            let id = whole_id(&client, &device, context).await?;
            let path = format!("/v0/me/devices/{}", segment(&id));
            client.remove(&path, &context.client_id()?).await?
        }
        Device::Revoke(_) => {
            let path = "/v0/me/devices";
            client.remove(path, &context.client_id()?).await?
        }
    };
    context
        .output
        .list(&page, &page.items, |device| &device.id, COLUMNS)
}

/// A device by a unique beginning of its id.
async fn whole_id(client: &Client, begun: &str, context: &Context) -> Result<String, Failure> {
    let page: Page<Row> = client.read("/v0/me/devices").await?;
    let mut found = page.items.iter().filter(|row| row.id.starts_with(begun));
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row.id.clone()),
        (None, _) => Err(context.failure(Code::NotThere, begun)),
        (Some(_), Some(_)) => Err(context.failure(Code::IdAmbiguous, begun)),
    }
}
