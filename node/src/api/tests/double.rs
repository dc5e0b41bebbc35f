//! A stand-in for the node: it remembers what it was asked, and does just enough to be seen through HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crossport_protocol::ids::LocalId;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::api::facade::{
    Answer, By, Caller, Feed, FeedItem, Lang, Made, OnProgress, Operator, Refused, Scopes, Text,
    TokenHash, UseCases,
};
use crate::api::types::{
    AcceptInvitation, AddMembers, AuditEntry, Change, ChangePassword, Chat, ChatKind, Code,
    Commands, Company, CompanyBadge, ConfigReport, Device, Doctor, EditMessage, Forward,
    Invitation, Invite, Login, MadeToken, MarkRead, Me, Members, Membership, Message,
    MessageDetail, MessageKind, MessagePage, MessagePageQuery, NewChat, NewToken, NewUser, Page,
    PageQuery, Partner, Person, Ping, ProgramToken, Progress, React, RebuildReport, Receipts,
    Redeem, Repeatable, Reset, ResetReason, SendMessage, Session, SetTopic, Status, User,
    UserActivation, VerifyPartner, VerifyReport, Why,
};
use crate::metrics::Metrics;

/// Tokens of two people who are signed in from the start.
pub(super) const ANNA: &str = "anna's-token-with-enough-characters";
pub(super) const BORIS: &str = "boris's-token-with-enough-characters";
/// The token of an administrator.
pub(super) const OLGA: &str = "olga's-token-with-enough-characters";
const OLGA_ID: [u8; 16] = [5; 16];

#[derive(Clone)]
pub(super) struct Double(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    calls: Mutex<Vec<String>>,
    sessions: watch::Sender<BTreeMap<TokenHash, (LocalId, Scopes)>>,
    feed: watch::Sender<Vec<Change>>,
}

pub(super) fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

impl Double {
    pub(super) fn new() -> Self {
        let sessions = [(ANNA, 1), (BORIS, 2), (OLGA, 5)]
            .map(|(token, user)| (hash(token), (LocalId([user; 16]), Scopes::ALL)));
        Self(Arc::new(Inner {
            metrics: Metrics::new(),
            calls: Mutex::default(),
            sessions: watch::Sender::new(sessions.into_iter().collect()),
            feed: watch::Sender::default(),
        }))
    }

    /// What was asked since the last look.
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.locked())
    }

    pub(super) fn sign_in(&self, token: &str) {
        self.give(token, [4; 16], Scopes::ALL);
    }

    /// A token of the administrator.
    pub(super) fn give_token(&self, token: &str, scopes: Scopes) {
        self.give(token, OLGA_ID, scopes);
    }

    fn give(&self, token: &str, user: [u8; 16], scopes: Scopes) {
        let given = (hash(token), (LocalId(user), scopes));
        self.0
            .sessions
            .send_modify(|sessions| sessions.extend([given]));
    }

    pub(super) fn revoke(&self, token: &str) {
        self.0
            .sessions
            .send_modify(|sessions| sessions.retain(|held, _| *held != hash(token)));
    }

    pub(super) fn publish(&self, changes: impl IntoIterator<Item = Change>) {
        self.0.feed.send_modify(|feed| feed.extend(changes));
    }

    fn locked(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.calls.lock().expect("no panic while held")
    }

    fn heard(&self, call: &str, arguments: &[&str]) {
        self.locked().push([&[call], arguments].concat().join(" "));
    }

    /// For use cases whose answer says nothing about HTTP.
    fn no<T>(&self, call: &str, arguments: &[&str]) -> Answer<T> {
        self.heard(call, arguments);
        Err(Refused::new(Code::AlreadyRunning, call))
    }
}

pub(super) fn person(nickname: &str) -> Person {
    let company = CompanyBadge {
        id: "ac".repeat(32),
        name: "Acme".to_owned(),
    };
    let (nickname, name) = (nickname.to_owned(), nickname.to_uppercase());
    Person {
        id: format!("{}.1", company.id),
        nickname,
        name,
        company,
        external: false,
        active: true,
    }
}

pub(super) fn message(number: u64, text: &str) -> Message {
    Message {
        id: format!("{number:064x}.0"),
        chat: "c4".repeat(32),
        author: person("anna"),
        mine: true,
        kind: MessageKind::Text,
        actions: Vec::new(),
        text: Some(text.to_owned()),
        tokens: Vec::new(),
        sent_at: "2026-11-23T19:46:08.000Z".to_owned(),
        arrived_at: "2026-11-23T19:46:08.001Z".to_owned(),
        arrival: number,
        clock_ahead: false,
        unread: false,
        mentioned: false,
        reply_to: None,
        reply: None,
        replies: 0,
        forwarded: None,
        edited_at: None,
        deleted: None,
        service: None,
        reactions: Vec::new(),
        mark: None,
        overdue: false,
        read_by: None,
        client_id: None,
    }
}

fn chat(kind: ChatKind, title: &str) -> Chat {
    let owner = person("anna").company;
    Chat {
        id: "c4".repeat(32),
        kind,
        title: title.to_owned(),
        person: None,
        external: false,
        companies: vec![owner.clone()],
        owner,
        people: 2,
        membership: Membership::Member,
        unread: 0,
        mentions: 0,
        arrival: 0,
        last_at: "2026-11-23T19:46:08.000Z".to_owned(),
        last: None,
        overdue: Vec::new(),
        frozen: None,
    }
}

impl UseCases for Double {
    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
    async fn metrics_text(&self) -> Answer<String> {
        self.heard("metrics", &[]);
        Ok(self.0.metrics.text())
    }
    async fn ready(&self) -> Answer<()> {
        self.heard("readyz", &[]);
        Ok(())
    }
    async fn authenticate(&self, token: TokenHash, lang: Lang) -> Answer<Option<Caller>> {
        let user = self.0.sessions.borrow().get(&token).copied();
        Ok(user.map(|(user, scopes)| Caller {
            user,
            session: token,
            administrator: user == LocalId(OLGA_ID),
            scopes,
            lang,
        }))
    }

    async fn status(&self, _: Operator) -> Answer<Status> {
        self.no("status", &[])
    }
    async fn doctor(&self, _: Operator) -> Answer<Doctor> {
        self.no("doctor", &[])
    }
    async fn company(&self, by: Operator) -> Answer<Company> {
        self.no("company", &[&by.uid.to_string()])
    }
    async fn config(&self, _: Operator) -> Answer<ConfigReport> {
        self.no("config", &[])
    }
    async fn partners(&self, _: Operator, page: PageQuery) -> Answer<Page<Partner>> {
        let limit = page
            .limit
            .map(|limit| limit.to_string())
            .unwrap_or_default();
        self.no("partners", &[&page.cursor.unwrap_or_default(), &limit])
    }
    async fn invite_partner(&self, _: Operator, invite: Invite) -> Answer<Invitation> {
        self.no("invite_partner", &[&invite.client_id])
    }
    async fn accept_partner(&self, _: Operator, accept: AcceptInvitation) -> Answer<Partner> {
        self.heard("accept_partner", &[&accept.ticket]);
        let refused = Refused::new(Code::PartnerRefused, "globex").detail("pairing/3");
        Err(refused
            .cause(Text::key("time-minutes-ago").with("count", 2))
            .try_next(Text::verbatim("crossport up")))
    }
    async fn partner(&self, _: Operator, partner: String) -> Answer<Partner> {
        self.heard("partner", &[&partner]);
        Err(Refused::new(Code::PartnerNotFound, partner))
    }
    async fn verify_partner(
        &self,
        _: Operator,
        partner: String,
        words: VerifyPartner,
    ) -> Answer<Partner> {
        self.no("verify_partner", &[&partner, &words.words.join("-")])
    }
    async fn pause_partner(
        &self,
        _: Operator,
        partner: String,
        write: Repeatable,
    ) -> Answer<Partner> {
        self.no("pause_partner", &[&partner, &write.client_id])
    }
    async fn resume_partner(
        &self,
        _: Operator,
        partner: String,
        write: Repeatable,
    ) -> Answer<Partner> {
        self.no("resume_partner", &[&partner, &write.client_id])
    }
    async fn ping_partner(&self, _: Operator, partner: String, write: Repeatable) -> Answer<Ping> {
        self.no("ping_partner", &[&partner, &write.client_id])
    }
    async fn remove_partner(
        &self,
        _: Operator,
        partner: String,
        write: Repeatable,
    ) -> Answer<Partner> {
        self.no("remove_partner", &[&partner, &write.client_id])
    }
    async fn users(&self, _: impl Into<By> + Send, _: PageQuery) -> Answer<Page<User>> {
        self.no("users", &[])
    }
    async fn add_user(&self, _: impl Into<By> + Send, user: NewUser) -> Answer<UserActivation> {
        self.no("add_user", &[&user.nickname])
    }
    async fn reset_user(
        &self,
        _: impl Into<By> + Send,
        user: String,
        write: Repeatable,
    ) -> Answer<UserActivation> {
        self.no("reset_user", &[&user, &write.client_id])
    }
    async fn audit(&self, _: Operator, _: PageQuery) -> Answer<Page<AuditEntry>> {
        self.no("audit", &[])
    }
    async fn verify_journal(&self, _: Operator, told: OnProgress) -> Answer<VerifyReport> {
        self.heard("verify", &[]);
        for done in 0..=500 {
            told(Progress { done, total: 500 });
            tokio::task::yield_now().await;
        }
        // Longer than the pause between two progress events, so that one is seen.
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let (records, envelopes, signatures, chats) = (500, 400, 400, 3);
        Ok(VerifyReport {
            records,
            envelopes,
            signatures,
            chats,
            faults: Vec::new(),
            faults_total: 0,
            took_ms: 9,
        })
    }
    async fn rebuild_index(&self, _: Operator, told: OnProgress) -> Answer<RebuildReport> {
        self.heard("rebuild", &[]);
        told(Progress { done: 1, total: 2 });
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        Err(Refused::from(Code::StorageFailed))
    }

    async fn redeem(&self, login: Redeem) -> Answer<Session> {
        self.heard("redeem", &[&login.device]);
        if login.secret != "open sesame" {
            return Err(Refused::from(Code::ActivationRefused));
        }
        let token = format!("token of {}", login.client_id).replace(' ', "-");
        let session = (hash(&token), (LocalId([3; 16]), Scopes::ALL));
        self.0
            .sessions
            .send_modify(|sessions| sessions.extend([session]));
        let me = Me {
            person: person("carol"),
            administrator: false,
            device: login.device,
            signed_in_at: "2026-11-23T19:46:08.000Z".to_owned(),
            has_password: false,
        };
        Ok(Session { token, me })
    }
    async fn login(&self, login: Login) -> Answer<Session> {
        self.heard("login", &[&login.name]);
        Err(Refused::from(Code::SignInRefused))
    }
    async fn change_password(&self, _: Caller, _: ChangePassword) -> Answer<()> {
        self.no("change_password", &[])
    }
    async fn logout(&self, caller: Caller) -> Answer<()> {
        self.heard("logout", &[]);
        self.0
            .sessions
            .send_modify(|sessions| sessions.retain(|held, _| *held != caller.session));
        Ok(())
    }
    async fn me(&self, caller: Caller) -> Answer<Me> {
        self.heard("me", &[]);
        let nickname = if caller.user == LocalId([1; 16]) {
            "anna"
        } else {
            "boris"
        };
        let device = caller.lang.code().to_owned();
        let signed_in_at = "2026-11-23T19:46:08.000Z".to_owned();
        Ok(Me {
            person: person(nickname),
            administrator: false,
            device,
            signed_in_at,
            has_password: false,
        })
    }
    async fn devices(&self, _: Caller) -> Answer<Page<Device>> {
        self.no("devices", &[])
    }
    async fn revoke_device(
        &self,
        _: Caller,
        device: String,
        write: Repeatable,
    ) -> Answer<Page<Device>> {
        self.no("revoke_device", &[&device, &write.client_id])
    }
    async fn revoke_other_devices(&self, _: Caller, _: Repeatable) -> Answer<Page<Device>> {
        self.no("revoke_other_devices", &[])
    }
    async fn tokens(&self, _: Caller) -> Answer<Page<ProgramToken>> {
        self.no("tokens", &[])
    }
    async fn add_token(&self, _: Caller, token: NewToken) -> Answer<MadeToken> {
        self.no("add_token", &[&token.name])
    }
    async fn revoke_token(
        &self,
        _: Caller,
        token: String,
        write: Repeatable,
    ) -> Answer<Page<ProgramToken>> {
        self.no("revoke_token", &[&token, &write.client_id])
    }
    async fn contacts(&self, _: Caller, page: PageQuery) -> Answer<Page<Person>> {
        self.heard("contacts", &[&page.query.unwrap_or_default()]);
        Ok(Page {
            items: vec![person("boris")],
            next: None,
        })
    }
    async fn chats(&self, _: Caller, _: PageQuery) -> Answer<Page<Chat>> {
        self.heard("chats", &[]);
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }
    async fn new_chat(&self, _: Caller, new: NewChat) -> Answer<Made<Chat>> {
        self.heard("new_chat", &[&new.people.join(",")]);
        let chat = chat(new.kind, new.title.as_deref().unwrap_or_default());
        Ok(if new.kind == ChatKind::Direct {
            Made::Existing(chat)
        } else {
            Made::New(chat)
        })
    }
    async fn chat(&self, _: Caller, chat: String) -> Answer<Chat> {
        self.heard("chat", &[&chat]);
        Err(Refused::new(Code::ChatNotFound, chat))
    }
    async fn messages(
        &self,
        _: Caller,
        chat: String,
        page: MessagePageQuery,
    ) -> Answer<MessagePage> {
        self.heard("messages", &[&chat, &page.before.unwrap_or_default()]);
        Ok(MessagePage {
            messages: Vec::new(),
            older: None,
            newer: None,
        })
    }
    async fn send_message(&self, _: Caller, chat: String, sent: SendMessage) -> Answer<Message> {
        match sent.text.as_str() {
            "panic" => panic!("a defect in a use case"),
            "hang" => std::future::pending().await,
            text => {
                // The speed check sends many: it must not measure the list of calls.
                if chat != "speed" {
                    self.heard("send_message", &[&chat, text]);
                }
                Ok(message(1, text))
            }
        }
    }
    async fn set_topic(&self, _: Caller, chat: String, topic: SetTopic) -> Answer<Chat> {
        self.no("set_topic", &[&chat, &topic.title])
    }

    async fn commands(&self, _: Caller) -> Answer<Commands> {
        self.no("commands", &[])
    }

    async fn mark_read(&self, _: Caller, chat: String, _: MarkRead) -> Answer<Chat> {
        self.no("mark_read", &[&chat])
    }
    async fn members(&self, _: Caller, chat: String) -> Answer<Members> {
        self.no("members", &[&chat])
    }
    async fn add_members(&self, _: Caller, chat: String, people: AddMembers) -> Answer<Members> {
        self.no("add_members", &[&chat, &people.people.join(",")])
    }
    async fn remove_member(
        &self,
        _: Caller,
        chat: String,
        person: String,
        write: Repeatable,
    ) -> Answer<Members> {
        self.no("remove_member", &[&chat, &person, &write.client_id])
    }
    async fn leave(&self, _: Caller, chat: String, _: Repeatable) -> Answer<()> {
        self.heard("leave", &[&chat]);
        Ok(())
    }
    async fn message(&self, _: Caller, message: String) -> Answer<MessageDetail> {
        self.no("message", &[&message])
    }
    async fn edit(&self, _: Caller, message: String, edit: EditMessage) -> Answer<Message> {
        self.no("edit", &[&message, &edit.text])
    }
    async fn delete(&self, _: Caller, message: String, write: Repeatable) -> Answer<Message> {
        self.no("delete", &[&message, &write.client_id])
    }
    async fn forward(&self, _: Caller, message: String, forward: Forward) -> Answer<Message> {
        self.no("forward", &[&message, &forward.chat])
    }

    async fn thread(&self, _: Caller, message: String, _: MessagePageQuery) -> Answer<MessagePage> {
        self.no("thread", &[&message])
    }

    async fn react(&self, _: Caller, message: String, react: React) -> Answer<Message> {
        self.no("react", &[&message, &react.emoji])
    }
    async fn recall(&self, _: Caller, message: String, _: Repeatable) -> Answer<Message> {
        self.no("recall", &[&message])
    }
    async fn receipts(&self, _: Caller, message: String) -> Answer<Receipts> {
        self.no("receipts", &[&message])
    }
    async fn why(&self, _: Caller, message: String) -> Answer<Why> {
        self.no("why", &[&message])
    }

    /// The token of a change is its number; without one the feed begins with a reset and what comes then.
    async fn changes(
        &self,
        caller: Caller,
        chat: Option<String>,
        last: Option<String>,
    ) -> Answer<Feed> {
        self.heard(
            "changes",
            &[&chat.unwrap_or_default(), last.as_deref().unwrap_or("-")],
        );
        let feed = self.0.feed.subscribe();
        let sessions = self.0.sessions.subscribe();
        let known = last.and_then(|token| token.parse::<usize>().ok());
        let from = known.unwrap_or_else(|| feed.borrow().len());
        let reason = ResetReason::NewClient;
        let reset = FeedItem {
            token: from.to_string(),
            change: Change::Reset(Reset { reason }),
        };
        let reset = stream::iter(known.is_none().then_some(reset));
        let news = stream::unfold(from, move |at| {
            let (mut feed, mut sessions) = (feed.clone(), sessions.clone());
            async move {
                tokio::select! {
                    biased;
                    _ = sessions.wait_for(|sessions| !sessions.contains_key(&caller.session)) => None,
                    news = feed.wait_for(|feed| feed.len() > at) => {
                        let change = news.ok()?.get(at)?.clone();
                        let token = (at + 1).to_string();
                        Some((FeedItem { token, change }, at + 1))
                    }
                }
            }
        });
        Ok(reset.chain(news).boxed())
    }
}
