//! `crossport up`: a node from nothing to ready, in one command.
//!
//! Owns what an operator sees while it comes up. It must not know what a node is made of: it starts it through
//! `crate::node`, and learns everything else through the operators' socket, like any other client.

use super::{partner, status, user};
use crate::client::query;
use crate::context::Context;
use crate::errors::Failure;
use crate::output::Format;
use clap::Args;
use crossport_node::api::types::{Code, NewUser, Page, Partner, Status, User, UserActivation};
use crossport_node::config::LogFormat;
use hyper::Method;
use serde::Serialize;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The `client_id` of the first administrator: a later start gives a new link while the old was not used, and never a
/// second person.
const FIRST_ADMINISTRATOR: &str = "first-administrator";

/// Longest that `--join` holds back its report for a link that was just agreed; a partner behind a slow line is shown as
/// not connected.
const LINKED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct Up {
    #[command(flatten)]
    settings: Settings,
    #[arg(long, value_name = "TICKET")]
    join: Option<String>,
    #[arg(long, value_name = "NICKNAME")]
    admin: Option<String>,
    /// For programs that start nodes: the end of standard input is a SIGTERM.
    #[arg(long)]
    with_parent: bool,
}

impl std::fmt::Debug for Up {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The ticket stays out of logs.
        formatter
            .debug_struct("Up")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Configuration by flags; every other key by `--set`.
#[derive(Debug, Args)]
pub struct Settings {
    #[arg(long, value_name = "NAME")]
    company: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    listen_tcp: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    listen_quic: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    announce: Vec<String>,
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// `up --json`: one document once the node is ready.
#[derive(Serialize)]
struct UpReport<'a> {
    status: &'a Status,
    /// Present while nobody has opened the first administrator's account.
    activation: Option<&'a UserActivation>,
    /// The partner whose ticket was given with `--join`.
    partner: Option<&'a Partner>,
}

impl Settings {
    /// As the configuration takes them: key, value, flag.
    pub fn flags(&self, context: &Context) -> Result<Vec<(String, String, String)>, Failure> {
        let announce = (!self.announce.is_empty()).then(|| self.announce.join(","));
        let named = [
            ("company", &self.company, "--company"),
            ("listen_tcp", &self.listen_tcp, "--listen-tcp"),
            ("listen_quic", &self.listen_quic, "--listen-quic"),
            ("api_listen", &self.api_listen, "--api-listen"),
            ("announce", &announce, "--announce"),
        ];
        let named = named.into_iter().filter_map(|(key, value, flag)| {
            Some((key.to_owned(), value.clone()?, flag.to_owned()))
        });
        let mut flags: Vec<_> = named.collect();
        for pair in &self.set {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| context.failure(Code::Usage, pair).cause("--set KEY=VALUE"))?;
            flags.push((
                key.trim().to_owned(),
                value.trim().to_owned(),
                format!("--set {}", key.trim()),
            ));
        }
        Ok(flags)
    }
}

pub async fn run(arguments: Up, context: &mut Context) -> Result<(), Failure> {
    let sources = context.sources(arguments.settings.flags(context)?);
    let config = super::config::load(&sources, context)?;
    // Everything below reaches the node through this folder's socket.
    context.globals.data_dir = Some(config.data_dir.clone());
    log_to_stderr(&config.log, config.log_format, context)?;
    let node = crate::node::start(config, context.texts).await?;
    let announced = announce(&arguments, context).await;
    if arguments.with_parent {
        stop_with_parent();
    }
    match announced {
        Ok(()) => node.wait_for_signal(context.texts).await,
        // A node that nobody can be told about is stopped cleanly, and the reason is the failure.
        Err(failure) => node.stop(context.texts).await.and(Err(failure)),
    }
}

/// A parent that is gone, however it went, closes the pipe that it held: the node then stops as by SIGTERM. A thread,
/// because reading standard input cannot be cancelled.
fn stop_with_parent() {
    std::thread::spawn(|| {
        // An input that breaks is as gone as one that ends.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        // A process may always signal itself.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    });
}

/// Prints who this node is, the first administrator's link, and what to do next.
async fn announce(arguments: &Up, context: &mut Context) -> Result<(), Failure> {
    let activation = first_administrator(arguments, context).await?;
    let joined = match &arguments.join {
        Some(ticket) => Some(partner::join(ticket.trim().to_owned(), None, context).await?),
        None => None,
    };
    let status = status_once_linked(joined.as_ref(), context).await?;
    if context.output.format == Format::Json {
        return context.output.json(&UpReport {
            status: &status,
            activation: activation.as_ref(),
            partner: joined.as_ref(),
        });
    }
    status::introduce(&status, context)?;
    if let Some(partner) = &joined {
        context.output.gap();
        let sentence = partner::accepted(partner, context);
        context.output.print(&sentence);
        partner::hint_verify(partner, context);
    }
    if let Some(activation) = &activation {
        context.output.gap();
        user::show_activation(activation, context)?;
    }
    context.output.gap();
    context.output.hint("hint-after-up", &[]);
    Ok(())
}

/// The node's status; one that has just joined a partner is linked in a moment, and then says so.
async fn status_once_linked(
    joined: Option<&Partner>,
    context: &Context,
) -> Result<Status, Failure> {
    let begun = std::time::Instant::now();
    loop {
        let status: Status = context.operator().read("/v0/operator/status").await?;
        let is_linked = |partner: &Partner| {
            let mut lines = status.partners.iter();
            lines.any(|line| line.id == partner.id && line.connected)
        };
        if joined.is_none_or(is_linked) || begun.elapsed() > LINKED_WITHIN {
            return Ok(status);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The link for the first administrator, as long as nobody of this company has opened an account.
async fn first_administrator(
    arguments: &Up,
    context: &Context,
) -> Result<Option<UserActivation>, Failure> {
    let client = context.operator();
    let limit = query(&[("limit", Some("2"))]);
    let users: Page<User> = client.read(&format!("/v0/operator/users{limit}")).await?;
    let nickname = match users.items.as_slice() {
        [] => arguments
            .admin
            .clone()
            .unwrap_or_else(|| login_name(std::env::var("USER").ok())),
        [only] if !only.activated && only.administrator => only.person.nickname.clone(),
        _ => return Ok(None),
    };
    let body = NewUser {
        client_id: FIRST_ADMINISTRATOR.to_owned(),
        nickname,
        name: None,
        administrator: true,
    };
    match client
        .write(Method::POST, "/v0/operator/users", &body)
        .await
    {
        Ok(activation) => Ok(Some(activation)),
        // Somebody added that only user by hand: their link was printed then.
        Err(failure)
            if matches!(
                failure.code(),
                Some(Code::ClientIdReused | Code::NicknameTaken)
            ) =>
        {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The name of whoever starts the node, if it can be a nickname and is a person's.
fn login_name(user: Option<String>) -> String {
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    user.filter(|name| {
        (1..=32).contains(&name.len()) && name.chars().all(allowed) && name != "root"
    })
    .unwrap_or_else(|| "admin".to_owned())
}

/// `14:05:09` in the zone of whoever watches.
struct Clock(jiff::tz::TimeZone);

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let now = jiff::Timestamp::now().to_zoned_datetime(self.0.clone());
        write!(writer, "{}", now.strftime("%H:%M:%S"))
    }
}

fn log_to_stderr(filter: &str, format: LogFormat, context: &Context) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        context
            .failure(Code::ConfigInvalid, "log")
            .cause(error.to_string())
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(context.output.draws());
    let installed = match format {
        // Whoever watches a terminal knows the day, and which program this is.
        LogFormat::Text if context.output.draws() => builder
            .with_timer(Clock(context.output.look.zone.clone()))
            .with_target(false)
            .try_init(),
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    installed.map_err(|error| {
        context
            .failure(Code::Failed, "log")
            .cause(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_administrator_is_named_after_whoever_starts_the_node() {
        assert_eq!(login_name(Some("anna".to_owned())), "anna");
        assert_eq!(login_name(Some("root".to_owned())), "admin");
        assert_eq!(login_name(Some("Анна".to_owned())), "admin");
        assert_eq!(login_name(None), "admin");
    }
}
