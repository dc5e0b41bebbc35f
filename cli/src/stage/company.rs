//! A company with its running node and its operator's way in, and how two of them become partners.
//!
//! It must not know how people act: see `person`.

use super::{NodeProcess, Person, Spec, fresh_id, until};
use crate::client::{Client, Endpoint, segment};
use crate::errors::Failure;
use crossport_node::api::types::{
    AcceptInvitation, Code, Invitation, Invite, NewUser, Partner, PartnerState, Problem,
    RebuildReport, Repeatable, UserActivation, VerifyReport,
};
use crossport_node::config::OPERATOR_SOCKET;
use crossport_node::texts::Texts;
use hyper::Method;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;

/// Longest wait for two nodes to be partners with a link.
const PAIRED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Company {
    pub name: String,
    pub operator: Client,
    node: Option<NodeProcess>,
    /// Kept while the node is down.
    spec: Spec,
    texts: &'static Texts,
}

impl Company {
    /// Starts a company in its own part of this folder.
    pub async fn start(
        name: &str,
        folder: &Path,
        settings: &[(&str, &str)],
        texts: &'static Texts,
    ) -> Result<Self, Failure> {
        let low = name.to_lowercase();
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let spec = Spec {
            company: name.to_owned(),
            folder: folder.join(&low),
            log: folder.join(format!("{low}.log")),
            settings: settings.iter().map(own).collect(),
        };
        let node = NodeProcess::start(spec, texts).await?;
        let spec = node.spec.clone();
        let socket = spec.folder.join(OPERATOR_SOCKET);
        let operator = Client::new(Endpoint::Unix(socket), None, texts);
        let name = name.to_owned();
        Ok(Self {
            name,
            operator,
            node: Some(node),
            spec,
            texts,
        })
    }

    /// The running node.
    ///
    /// # Errors
    /// It is down.
    pub fn node(&self) -> Result<&NodeProcess, Failure> {
        let down = || Failure::new(self.texts, Code::NotReady, &self.name);
        self.node.as_ref().ok_or_else(down)
    }

    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn api(&self) -> Result<Endpoint, Failure> {
        Endpoint::parse(&self.node()?.status.api, self.texts)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        if let Some(node) = self.node.take() {
            self.spec = node.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM and a clean end.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(node) = self.node.take() {
            self.spec = node.stop().await?;
        }
        Ok(())
    }

    /// Starts the node again where it was.
    pub async fn restart(&mut self) -> Result<&NodeProcess, Failure> {
        let node = NodeProcess::start(self.spec.clone(), self.texts).await?;
        Ok(self.node.insert(node))
    }

    /// Waits until the node ends by itself; for ever while it is down.
    pub async fn ended(&mut self) -> Failure {
        match &mut self.node {
            Some(node) => node.ended().await,
            None => std::future::pending().await,
        }
    }

    /// A person of this company: the link that opens their account.
    pub async fn add_user(
        &self,
        nickname: &str,
        name: Option<&str>,
        administrator: bool,
    ) -> Result<UserActivation, Failure> {
        let body = NewUser {
            client_id: fresh_id(self.texts)?,
            nickname: nickname.to_owned(),
            name: name.map(str::to_owned),
            administrator,
        };
        self.operator
            .write(Method::POST, "/v0/operator/users", &body)
            .await
    }

    /// A person with an account of their own, signed in.
    pub async fn person(&self, nickname: &str) -> Result<Person, Failure> {
        let activation = self.add_user(nickname, None, false).await?;
        Person::sign_in(self.api()?, &activation.secret, self.texts).await
    }

    pub async fn invite(&self) -> Result<Invitation, Failure> {
        let body = Invite {
            client_id: fresh_id(self.texts)?,
            expires_in_s: None,
            alias: None,
        };
        let path = "/v0/operator/partners/invitations";
        self.operator.write(Method::POST, path, &body).await
    }

    pub async fn accept(&self, ticket: &str) -> Result<Partner, Failure> {
        let body = AcceptInvitation {
            client_id: fresh_id(self.texts)?,
            ticket: ticket.to_owned(),
            alias: None,
        };
        let path = "/v0/operator/partners/accept";
        self.operator.write(Method::POST, path, &body).await
    }

    /// What this company knows of a partner.
    pub async fn partner(&self, name: &str) -> Result<Partner, Failure> {
        let path = format!("/v0/operator/partners/{}", segment(name));
        self.operator.read(&path).await
    }

    /// Ends every session of a person.
    pub async fn reset_user(&self, nickname: &str) -> Result<UserActivation, Failure> {
        let body = Repeatable {
            client_id: fresh_id(self.texts)?,
        };
        let path = format!("/v0/operator/users/{}/reset", segment(nickname));
        self.operator.write(Method::POST, &path, &body).await
    }

    /// The whole journal, verified by its node.
    pub async fn verify(&self) -> Result<VerifyReport, Failure> {
        self.long_work("/v0/operator/verify").await
    }

    /// The index, made anew from the journal.
    pub async fn rebuild(&self) -> Result<RebuildReport, Failure> {
        self.long_work("/v0/operator/rebuild").await
    }

    /// Follows a long work to its report.
    async fn long_work<R: DeserializeOwned>(&self, path: &str) -> Result<R, Failure> {
        let unreadable = |error: serde_json::Error| {
            Failure::new(self.texts, Code::AnswerUnreadable, path).cause(error.to_string())
        };
        let mut stream = self.operator.stream(Method::POST, path, None).await?;
        while let Some(event) = stream.next().await? {
            match event.name.as_str() {
                "report" => return serde_json::from_str(&event.data).map_err(unreadable),
                "problem" => {
                    let problem: Problem = serde_json::from_str(&event.data).map_err(unreadable)?;
                    return Err(problem.into());
                }
                _ => {}
            }
        }
        Err(Failure::new(self.texts, Code::NodeUnreachable, path))
    }

    /// Waits until the link with a partner is there, or gone.
    pub async fn until_linked(
        &self,
        name: &str,
        linked: bool,
    ) -> Result<(Partner, Duration), Failure> {
        let what = format!("{}: partner {name}: connected = {linked}", self.name);
        until(&what, PAIRED_WITHIN, self.texts, async || {
            let partner = self.partner(name).await?;
            let there = partner.state == PartnerState::Active && partner.connected == linked;
            Ok(there.then_some(partner))
        })
        .await
    }
}

/// Makes two companies partners by a ticket and waits for the link on both sides.
pub async fn pair(inviting: &Company, accepting: &Company) -> Result<(), Failure> {
    let invitation = inviting.invite().await?;
    accepting.accept(&invitation.ticket).await?;
    inviting.until_linked(&accepting.name, true).await?;
    accepting.until_linked(&inviting.name, true).await?;
    Ok(())
}
