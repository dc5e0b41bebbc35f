//! The use cases that the API offers, each a closure for the core thread.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crossport_protocol::codec;
use crossport_protocol::ids::ChatId;
use futures::StreamExt;

use super::{Input, Node, parsed};
use crate::api::facade::{
    Answer, By, Caller, Feed, FeedItem, Lang, Made, OnProgress, Operator, Refused, TokenHash,
    UseCases,
};
use crate::api::types::{
    AcceptInvitation, AddMembers, AuditEntry, Change, ChangePassword, Chat, Code, Commands,
    Company, ConfigReport, Device, Doctor, EditMessage, Forward, Invitation, Invite, Login,
    MadeToken, MarkRead, Me, Members, Message, MessageDetail, MessagePage, MessagePageQuery,
    NewChat, NewToken, NewUser, Page, PageQuery, Partner, Person, Ping, ProgramToken, React,
    RebuildReport, Receipts, Redeem, Repeatable, Reset, ResetReason, SendMessage, Session,
    SetTopic, Status, User, UserActivation, VerifyPartner, VerifyReport, Why,
};
use crate::changes::{Resume, Topic};
use crate::core::{Core, Post, now};
use crate::metrics::Metrics;
use crate::network::NodeKey as PeerKey;
use crate::paging;
use crate::reasons;
use crossport_protocol::event::Event;
use crossport_protocol::ids::EventId;

impl Node {
    /// Writes an event of a person; many of one round share an envelope.
    async fn write(
        &self,
        caller: Caller,
        client_id: String,
        draft: impl FnOnce(&Core) -> Answer<(ChatId, Option<EventId>, Event)> + Send + 'static,
    ) -> Answer<Message> {
        let alone = move |core: &Core| {
            let (chat, shows, event) = draft(core)?;
            Ok((chat, shows, event, Vec::new()))
        };
        self.write_all(caller, client_id, alone).await
    }

    /// The same for an event that others go with.
    async fn write_all(
        &self,
        caller: Caller,
        client_id: String,
        draft: impl FnOnce(&Core) -> Answer<(ChatId, Option<EventId>, Event, Vec<Event>)>
        + Send
        + 'static,
    ) -> Answer<Message> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let command = Box::new(move |core: &mut Core| match draft(core) {
            Ok((chat, shows, event, also)) => core.post(Post {
                user: caller.user,
                chat,
                event,
                also,
                client_id,
                shows,
                reply,
            }),
            Err(refused) => drop(reply.send(Err(refused))),
        });
        self.send(Input::Command(command)).await?;
        answer.await.map_err(|_| Refused::from(Code::NotReady))?
    }
}

impl UseCases for Node {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn metrics_text(&self) -> Answer<String> {
        self.look(|core| {
            core.refresh_metrics();
            Ok(core.metrics.text())
        })
        .await
    }

    async fn ready(&self) -> Answer<()> {
        let ended = self.stopped.borrow().is_some();
        if ended || self.inputs.is_closed() {
            Err(Code::NotReady.into())
        } else {
            Ok(())
        }
    }

    async fn authenticate(&self, token: TokenHash, lang: Lang) -> Answer<Option<Caller>> {
        let found = self.signed_in.used(&token, now());
        Ok(found.map(|access| Caller {
            user: access.user,
            session: token,
            administrator: access.administrator,
            scopes: access.scopes,
            lang,
        }))
    }

    async fn status(&self, _by: Operator) -> Answer<Status> {
        self.look(|core| Ok(core.status())).await
    }

    async fn doctor(&self, by: Operator) -> Answer<Doctor> {
        self.look(move |core| Ok(core.doctor(by))).await
    }

    async fn company(&self, _by: Operator) -> Answer<Company> {
        self.look(|core| Ok(core.company())).await
    }

    async fn config(&self, _by: Operator) -> Answer<ConfigReport> {
        self.look(|core| Ok(core.config.report().clone())).await
    }

    async fn partners(&self, _by: Operator, page: PageQuery) -> Answer<Page<Partner>> {
        self.look(move |core| {
            let all: Vec<_> = core
                .directory
                .partners()
                .map(|partner| partner.company)
                .collect();
            let (slice, next) = paging::slice(&all, &page)?;
            let items = slice
                .iter()
                .map(|company| core.partner_view(company))
                .collect::<Answer<Vec<Partner>>>()?;
            Ok(Page { items, next })
        })
        .await
    }

    async fn invite_partner(&self, by: Operator, invite: Invite) -> Answer<Invitation> {
        self.change(move |core| core.invite_partner(by, &invite))
            .await
    }

    async fn accept_partner(&self, by: Operator, accept: AcceptInvitation) -> Answer<Partner> {
        let text = accept.ticket.clone();
        let (ticket, request) = self.look(move |core| core.pair_request(&text)).await?;
        let bytes = Bytes::from(codec::encode(&request));
        let asked = self
            .network
            .pair(parsed(&ticket.addresses), PeerKey(ticket.node.0), bytes)
            .await;
        let reply = asked.map_err(|error| {
            Refused::new(Code::PartnerUnreachable, ticket.company.short())
                .because(reasons::pairing(&error), error)
        })?;
        self.change(move |core| core.finish_pairing(by, &ticket, accept.alias.as_deref(), &reply))
            .await
    }

    async fn partner(&self, _by: Operator, partner: String) -> Answer<Partner> {
        self.look(move |core| core.partner_view(&core.find_partner(&partner)?.company))
            .await
    }

    async fn verify_partner(
        &self,
        by: Operator,
        partner: String,
        words: VerifyPartner,
    ) -> Answer<Partner> {
        self.change(move |core| core.verify_partner(by, &partner, &words.words))
            .await
    }

    async fn pause_partner(
        &self,
        by: Operator,
        partner: String,
        _write: Repeatable,
    ) -> Answer<Partner> {
        self.change(move |core| core.pause_partner(by, &partner, true))
            .await
    }

    async fn resume_partner(
        &self,
        by: Operator,
        partner: String,
        _write: Repeatable,
    ) -> Answer<Partner> {
        self.change(move |core| core.pause_partner(by, &partner, false))
            .await
    }

    async fn ping_partner(
        &self,
        _by: Operator,
        partner: String,
        _write: Repeatable,
    ) -> Answer<Ping> {
        let text = partner.clone();
        let (held, link) = self
            .look(move |core| {
                let held = core.find_partner(&text)?;
                let link = core.links.get(&held.company).cloned();
                Ok((held, link))
            })
            .await?;
        if held.paused {
            return Err(Refused::new(Code::PartnerPaused, partner));
        }
        let unreachable = || Refused::new(Code::PartnerUnreachable, partner.clone());
        let link = link.ok_or_else(unreachable)?;
        let round_trip = self
            .network
            .ping(PeerKey(held.node.0))
            .await
            .map_err(|error| unreachable().cause(reasons::ping(&error)))?;
        let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        Ok(Ping {
            partner: held.company.to_string(),
            round_trip_us,
            transport: link.transport,
            address: link.address,
        })
    }

    async fn remove_partner(
        &self,
        by: Operator,
        partner: String,
        _write: Repeatable,
    ) -> Answer<Partner> {
        self.change(move |core| core.remove_partner(by, &partner))
            .await
    }

    async fn users(&self, by: impl Into<By> + Send, page: PageQuery) -> Answer<Page<User>> {
        let by = by.into();
        self.look(move |core| {
            let users = core.users(by)?;
            let (slice, next) = paging::slice(&users, &page)?;
            Ok(Page {
                items: slice.to_vec(),
                next,
            })
        })
        .await
    }

    async fn add_user(&self, by: impl Into<By> + Send, user: NewUser) -> Answer<UserActivation> {
        let by = by.into();
        self.change(move |core| core.add_user(by, &user)).await
    }

    async fn reset_user(
        &self,
        by: impl Into<By> + Send,
        user: String,
        write: Repeatable,
    ) -> Answer<UserActivation> {
        let by = by.into();
        self.change(move |core| core.reset_user(by, &user, &write.client_id))
            .await
    }

    async fn audit(&self, _by: Operator, page: PageQuery) -> Answer<Page<AuditEntry>> {
        self.look(move |core| core.audit_page(&page)).await
    }

    async fn verify_journal(&self, _by: Operator, told: OnProgress) -> Answer<VerifyReport> {
        let journal = self.journal.clone();
        let (identity, suite, keys) = self
            .look(|core| {
                let company = core.replicator.company();
                let log = core.replicator.roster().log(&company).cloned();
                Ok((log, core.replicator.suite(), core.keystore.epochs()))
            })
            .await?;
        let verified = tokio::task::spawn_blocking(move || {
            crate::verify::journal(&journal, suite, identity, keys, &told)
        });
        verified
            .await
            .map_err(|error| Refused::new(Code::Internal, "").detail(error))
    }

    async fn rebuild_index(&self, _by: Operator, told: OnProgress) -> Answer<RebuildReport> {
        let began = Instant::now();
        let told = Arc::new(told);
        let (records, messages) = self.change(move |core| core.rebuild_index(&told)).await?;
        Ok(RebuildReport {
            records,
            messages,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn redeem(&self, redeem: Redeem) -> Answer<Session> {
        self.redeem_secret(redeem).await
    }

    async fn login(&self, login: Login) -> Answer<Session> {
        self.sign_in(login).await
    }

    async fn logout(&self, caller: Caller) -> Answer<()> {
        self.change(move |core| {
            core.logout(caller);
            Ok(())
        })
        .await
    }

    async fn me(&self, caller: Caller) -> Answer<Me> {
        self.look(move |core| core.me(caller)).await
    }

    async fn change_password(&self, caller: Caller, change: ChangePassword) -> Answer<()> {
        self.set_password(caller, change).await
    }

    async fn devices(&self, caller: Caller) -> Answer<Page<Device>> {
        self.look(move |core| Ok(core.devices(caller))).await
    }

    async fn revoke_device(
        &self,
        caller: Caller,
        device: String,
        _write: Repeatable,
    ) -> Answer<Page<Device>> {
        self.change(move |core| core.revoke_device(caller, &device))
            .await
    }

    async fn revoke_other_devices(
        &self,
        caller: Caller,
        _write: Repeatable,
    ) -> Answer<Page<Device>> {
        self.change(move |core| Ok(core.revoke_other_devices(caller)))
            .await
    }

    async fn tokens(&self, caller: Caller) -> Answer<Page<ProgramToken>> {
        self.look(move |core| Ok(core.tokens(caller))).await
    }

    async fn add_token(&self, caller: Caller, token: NewToken) -> Answer<MadeToken> {
        self.change(move |core| core.add_token(caller, &token))
            .await
    }

    async fn revoke_token(
        &self,
        caller: Caller,
        token: String,
        _write: Repeatable,
    ) -> Answer<Page<ProgramToken>> {
        self.change(move |core| core.revoke_token(caller, &token))
            .await
    }

    async fn contacts(&self, caller: Caller, page: PageQuery) -> Answer<Page<Person>> {
        self.look(move |core| core.contacts(caller, &page)).await
    }

    async fn chats(&self, caller: Caller, page: PageQuery) -> Answer<Page<Chat>> {
        self.look(move |core| core.chats(caller, &page)).await
    }

    async fn new_chat(&self, caller: Caller, chat: NewChat) -> Answer<Made<Chat>> {
        self.change(move |core| core.new_chat(caller, &chat)).await
    }

    async fn chat(&self, caller: Caller, chat: String) -> Answer<Chat> {
        self.look(move |core| core.chat_row(&core.find_chat(&chat, &caller.user)?, &caller.user))
            .await
    }

    async fn messages(
        &self,
        caller: Caller,
        chat: String,
        page: MessagePageQuery,
    ) -> Answer<MessagePage> {
        self.look(move |core| core.messages(caller, &chat, &page))
            .await
    }

    async fn send_message(
        &self,
        caller: Caller,
        chat: String,
        message: SendMessage,
    ) -> Answer<Message> {
        let SendMessage {
            client_id,
            text,
            reply_to,
        } = message;
        self.write(caller, client_id, move |core| {
            let (chat, event) = core.draft_message(caller, &chat, text, reply_to.as_deref())?;
            Ok((chat, None, event))
        })
        .await
    }

    async fn set_topic(&self, caller: Caller, chat: String, topic: SetTopic) -> Answer<Chat> {
        self.change(move |core| core.set_topic(caller, &chat, &topic))
            .await
    }

    async fn commands(&self, caller: Caller) -> Answer<Commands> {
        self.look(move |core| Ok(core.commands(caller))).await
    }

    async fn mark_read(&self, caller: Caller, chat: String, read: MarkRead) -> Answer<Chat> {
        self.change(move |core| core.mark_read(caller, &chat, &read))
            .await
    }

    async fn members(&self, caller: Caller, chat: String) -> Answer<Members> {
        self.change(move |core| core.members(caller, &chat)).await
    }

    async fn add_members(
        &self,
        caller: Caller,
        chat: String,
        people: AddMembers,
    ) -> Answer<Members> {
        self.change(move |core| core.add_members(caller, &chat, &people))
            .await
    }

    async fn remove_member(
        &self,
        caller: Caller,
        chat: String,
        person: String,
        _write: Repeatable,
    ) -> Answer<Members> {
        self.change(move |core| core.remove_member(caller, &chat, &person))
            .await
    }

    async fn leave(&self, caller: Caller, chat: String, _write: Repeatable) -> Answer<()> {
        self.change(move |core| core.leave(caller, &chat)).await
    }

    async fn message(&self, caller: Caller, message: String) -> Answer<MessageDetail> {
        self.look(move |core| core.message(caller, &message)).await
    }

    async fn edit(&self, caller: Caller, message: String, edit: EditMessage) -> Answer<Message> {
        self.write(caller, edit.client_id, move |core| {
            let (chat, target, event) = core.draft_edit(caller, &message, edit.text)?;
            Ok((chat, Some(target), event))
        })
        .await
    }

    async fn delete(&self, caller: Caller, message: String, write: Repeatable) -> Answer<Message> {
        self.write_all(caller, write.client_id, move |core| {
            let (chat, target, event, edits) = core.draft_delete(caller, &message)?;
            Ok((chat, Some(target), event, edits))
        })
        .await
    }

    async fn forward(&self, caller: Caller, message: String, forward: Forward) -> Answer<Message> {
        self.write(caller, forward.client_id, move |core| {
            let (chat, event) = core.draft_forward(caller, &message, &forward.chat)?;
            Ok((chat, None, event))
        })
        .await
    }

    async fn thread(
        &self,
        caller: Caller,
        message: String,
        page: MessagePageQuery,
    ) -> Answer<MessagePage> {
        self.look(move |core| core.thread(caller, &message, &page))
            .await
    }

    async fn react(&self, caller: Caller, message: String, react: React) -> Answer<Message> {
        self.write(caller, react.client_id, move |core| {
            let (chat, target, event) =
                core.draft_reaction(caller, &message, react.emoji, react.on)?;
            Ok((chat, Some(target), event))
        })
        .await
    }

    async fn recall(&self, caller: Caller, message: String, _write: Repeatable) -> Answer<Message> {
        self.change(move |core| core.recall(caller, &message)).await
    }

    async fn receipts(&self, caller: Caller, message: String) -> Answer<Receipts> {
        self.look(move |core| core.receipts(caller, &message)).await
    }

    async fn why(&self, caller: Caller, message: String) -> Answer<Why> {
        self.look(move |core| core.why(caller, &message)).await
    }

    async fn changes(
        &self,
        caller: Caller,
        chat: Option<String>,
        last_event_id: Option<String>,
    ) -> Answer<Feed> {
        let (first, receiver) = self
            .change(move |core| {
                // Asked for before the session ended, a stream would live on after it.
                if core.signed_in.find(&caller.session, now()).is_none() {
                    return Err(Code::NotSignedIn.into());
                }
                let chat = chat
                    .map(|chat| core.find_chat(&chat, &caller.user))
                    .transpose()?;
                let first = core.first_changes(caller, chat, last_event_id.as_deref());
                Ok((
                    first,
                    core.changes.subscribe(caller.user, caller.session, chat),
                ))
            })
            .await?;
        let live = futures::stream::unfold(receiver, |mut receiver| async move {
            let delivered = receiver.recv().await?;
            Some((
                FeedItem {
                    token: delivered.token,
                    change: delivered.change,
                },
                receiver,
            ))
        });
        Ok(futures::stream::iter(first).chain(live).boxed())
    }
}

impl Core {
    /// What a stream begins with: a reset, or everything since the client's token.
    fn first_changes(
        &self,
        caller: Caller,
        chat: Option<ChatId>,
        token: Option<&str>,
    ) -> Vec<FeedItem> {
        let reset = |reason| {
            let token = self.changes.token(self.changes.last());
            vec![FeedItem {
                token,
                change: Change::Reset(Reset { reason }),
            }]
        };
        match self.changes.resume(token) {
            Resume::Fresh => reset(ResetReason::NewClient),
            Resume::TooOld => reset(ResetReason::TokenTooOld),
            Resume::OtherBoot => reset(ResetReason::NewGeneration),
            Resume::From(missed) => {
                let concerned = |topic: &Topic| match topic {
                    Topic::Chat(of) | Topic::Message(of, _) => chat.is_none_or(|only| only == *of),
                };
                let item = |(number, topic): (u64, Topic)| {
                    let change = self.change_of_topic(topic, &caller.user)?;
                    Some(FeedItem {
                        token: self.changes.token(number),
                        change,
                    })
                };
                missed
                    .into_iter()
                    .filter(|(_, topic)| concerned(topic))
                    .filter_map(item)
                    .collect()
            }
        }
    }
}
