//! A tiny node for tests of the client's plumbing: real HTTP, real API types, no federation.
//!
//! Must stay far from behaving like a node: what a node does is tested with nodes.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use crossport_node::api::types::{
    Change, Chat, ChatKind, Code, CompanyBadge, Gap, Me, Membership, Message, MessageKind,
    MessagePage, PROBLEM_CONTENT_TYPE, Page, Person, Reset, ResetReason, SendMessage,
};
use crossport_node::texts::{Lang, Texts};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub struct TestNode {
    state: Arc<Inner>,
    port: u16,
    folder: tempfile::TempDir,
}

struct Inner {
    /// By client id, as a real node dedupes.
    messages: Mutex<BTreeMap<String, Message>>,
    feed: Mutex<Vec<Change>>,
    /// (feed length, number of cuts).
    news: watch::Sender<(usize, usize)>,
    requests: AtomicUsize,
    feeds: AtomicUsize,
    break_next: AtomicBool,
    /// Readers before this place are told of a gap and continue there.
    gap_until: AtomicUsize,
}

impl TestNode {
    pub async fn start() -> Self {
        let state = Arc::new(Inner {
            messages: Mutex::default(),
            feed: Mutex::default(),
            news: watch::Sender::new((0, 0)),
            requests: AtomicUsize::new(0),
            feeds: AtomicUsize::new(0),
            break_next: AtomicBool::new(false),
            gap_until: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/v0/me", get(me))
            .route("/v0/chats", get(chats))
            .route("/v0/chats/{chat}", get(chat))
            .route("/v0/chats/{chat}/messages", post(send).get(said))
            .route("/v0/changes", get(changes))
            .layer(middleware::from_fn(signed_in))
            .route(
                "/not-crossport",
                get(|| async { Html("<h1>It works!</h1>") }),
            )
            .with_state(state.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("listens");
        let port = tcp.local_addr().expect("bound").port();
        let unix =
            tokio::net::UnixListener::bind(folder.path().join("node.sock")).expect("listens");
        let over_tcp = router.clone();
        tokio::spawn(async move { axum::serve(tcp, over_tcp).await.expect("serves") });
        tokio::spawn(async move { axum::serve(unix, router).await.expect("serves") });
        Self {
            state,
            port,
            folder,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn socket_url(&self) -> String {
        format!("unix:{}", self.folder.path().join("node.sock").display())
    }

    /// The next write is stored, but its answer never arrives.
    pub fn break_after_next_write(&self) {
        self.state.break_next.store(true, Ordering::SeqCst);
    }

    pub fn messages(&self) -> usize {
        self.state
            .messages
            .lock()
            .expect("no panic while held")
            .len()
    }

    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub fn feeds_opened(&self) -> usize {
        self.state.feeds.load(Ordering::SeqCst)
    }

    /// Puts a message into the feed.
    pub fn say(&self, text: &str) {
        let mut feed = self.state.feed.lock().expect("no panic while held");
        let message = message(&(feed.len() + 1).to_string(), text);
        feed.push(Change::Message(Box::new(message)));
        self.state
            .news
            .send_modify(|(length, _)| *length = feed.len());
    }

    /// A client was too slow: what is in the feed now is not sent one by one.
    pub fn drop_into_gap(&self, texts: &[&str]) {
        let mut feed = self.state.feed.lock().expect("no panic while held");
        for text in texts {
            let message = message(&(feed.len() + 1).to_string(), text);
            feed.push(Change::Message(Box::new(message)));
        }
        let end = feed.len();
        self.state.gap_until.store(end, Ordering::SeqCst);
        self.state.news.send_modify(|(length, _)| *length = end);
    }

    /// Ends every open feed.
    pub fn cut_feeds(&self) {
        self.state.news.send_modify(|(_, cuts)| *cuts += 1);
    }
}

pub fn person(nickname: &str, company: &str, external: bool) -> Person {
    let badge = CompanyBadge {
        id: hex::encode([company.len() as u8; 32]),
        name: company.to_owned(),
    };
    let name = nickname
        .chars()
        .take(1)
        .flat_map(char::to_uppercase)
        .chain(nickname.chars().skip(1))
        .collect();
    Person {
        id: format!("{}.1", badge.id),
        nickname: nickname.to_owned(),
        name,
        company: badge,
        external,
        active: true,
    }
}

pub fn message(id: &str, text: &str) -> Message {
    Message {
        id: format!("{id:0>64}.0"),
        chat: "c0ffee".repeat(10) + "c0ff",
        author: person("anna", "Acme", false),
        mine: true,
        kind: MessageKind::Text,
        actions: Vec::new(),
        text: Some(text.to_owned()),
        tokens: Vec::new(),
        sent_at: "2026-11-23T19:46:08.000Z".to_owned(),
        arrived_at: "2026-11-23T19:46:08.001Z".to_owned(),
        arrival: id.parse().unwrap_or_default(),
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

async fn signed_in(headers: HeaderMap, request: Request, next: middleware::Next) -> Response {
    if headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value == "Bearer anna's token")
    {
        return next.run(request).await;
    }
    let lang = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or(Lang::En, Lang::accepted);
    let problem = Texts::of(lang).problem(Code::NotSignedIn, "-");
    (
        StatusCode::UNAUTHORIZED,
        [(header::CONTENT_TYPE, PROBLEM_CONTENT_TYPE)],
        Json(problem),
    )
        .into_response()
}

async fn me() -> Json<Me> {
    let (device, signed_in_at) = ("test".to_owned(), "2026-11-23T19:46:08.000Z".to_owned());
    Json(Me {
        person: person("anna", "Acme", false),
        administrator: false,
        device,
        signed_in_at,
        has_password: false,
    })
}

/// The only chat, with as many messages as were said.
fn only_chat(state: &Inner) -> Chat {
    let arrival = state.feed.lock().expect("no panic while held").len() as u64;
    let anna = person("anna", "Acme", false);
    Chat {
        id: message("1", "").chat,
        kind: ChatKind::Group,
        title: "Launch".to_owned(),
        person: None,
        external: false,
        owner: anna.company.clone(),
        companies: vec![anna.company],
        people: 2,
        membership: Membership::Member,
        unread: 0,
        mentions: 0,
        arrival,
        last_at: "2026-11-23T19:46:08.000Z".to_owned(),
        last: None,
        overdue: Vec::new(),
        frozen: None,
    }
}

async fn chats(State(state): State<Arc<Inner>>) -> Json<Page<Chat>> {
    let items = vec![only_chat(&state)];
    Json(Page { items, next: None })
}

async fn chat(State(state): State<Arc<Inner>>, Path(_chat): Path<String>) -> Json<Chat> {
    Json(only_chat(&state))
}

async fn said(State(state): State<Arc<Inner>>, Path(_chat): Path<String>) -> Json<MessagePage> {
    let feed = state.feed.lock().expect("no panic while held");
    let messages = feed.iter().filter_map(|change| match change {
        Change::Message(message) => Some(Message::clone(message)),
        _ => None,
    });
    Json(MessagePage {
        messages: messages.collect(),
        older: None,
        newer: None,
    })
}

async fn send(
    State(state): State<Arc<Inner>>,
    Path(_chat): Path<String>,
    Json(body): Json<SendMessage>,
) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let mut messages = state.messages.lock().expect("no panic while held");
    let number = messages.len() + 1;
    let stored = messages
        .entry(body.client_id)
        .or_insert_with(|| message(&number.to_string(), &body.text))
        .clone();
    if state.break_next.swap(false, Ordering::SeqCst) {
        // A body that fails midway: the connection is closed and the client cannot know.
        let broken = futures::stream::iter([
            Ok("{\"id\":".to_owned()),
            Err(std::io::Error::other("cable pulled")),
        ]);
        return axum::body::Body::from_stream(broken).into_response();
    }
    (StatusCode::CREATED, Json(stored)).into_response()
}

/// One open feed.
struct Reader {
    state: Arc<Inner>,
    first: Option<Change>,
    at: usize,
    news: watch::Receiver<(usize, usize)>,
    cuts: usize,
}

async fn changes(State(state): State<Arc<Inner>>, headers: HeaderMap) -> impl IntoResponse {
    state.feeds.fetch_add(1, Ordering::SeqCst);
    let token = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|token| token.parse::<usize>().ok());
    let length = state.feed.lock().expect("no panic while held").len();
    let first = token.is_none().then_some(Change::Reset(Reset {
        reason: ResetReason::NewClient,
    }));
    let mut news = state.news.subscribe();
    let cuts = news.borrow_and_update().1;
    let reader = Reader {
        state,
        first,
        at: token.unwrap_or(length),
        news,
        cuts,
    };
    Sse::new(futures::stream::unfold(reader, next_event))
}

async fn next_event(mut reader: Reader) -> Option<(Result<sse::Event, Infallible>, Reader)> {
    if let Some(change) = reader.first.take() {
        return Some((Ok(event(&change, reader.at)), reader));
    }
    loop {
        // A cut comes before whatever is waiting: that is what the client must ask for again.
        if reader.news.borrow_and_update().1 != reader.cuts {
            return None;
        }
        let gap_until = reader.state.gap_until.load(Ordering::SeqCst);
        if reader.at < gap_until {
            reader.at = gap_until;
            let gap = Change::Gap(Gap { chats: Vec::new() });
            return Some((Ok(event(&gap, reader.at)), reader));
        }
        let change = reader
            .state
            .feed
            .lock()
            .expect("no panic while held")
            .get(reader.at)
            .cloned();
        if let Some(change) = change {
            reader.at += 1;
            return Some((Ok(event(&change, reader.at)), reader));
        }
        reader.news.changed().await.ok()?;
    }
}

fn event(change: &Change, token: usize) -> sse::Event {
    let tagged = serde_json::to_value(change).expect("serialises");
    sse::Event::default()
        .event(change.name())
        .id(token.to_string())
        .json_data(&tagged["data"])
        .expect("serialises")
}
