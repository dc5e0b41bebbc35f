//! Who may reach what: the two planes, tokens, and that each address ends in its own use case.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::World;
use super::double::{ANNA, Double, OLGA};
use crate::api::Settings;
use crate::api::edge::Endpoint;
use crate::api::facade::Scopes;
use crate::api::routes::routes;
use crate::api::table::Who;

/// A request that fits an endpoint, with a body that fits every write.
pub(super) fn path_of(endpoint: &Endpoint) -> String {
    let path = endpoint
        .route
        .replace("{partner}", "globex")
        .replace("{user}", "anna")
        .replace("{chat}", "c4c4");
    let path = path
        .replace("{message}", "3fa9.0")
        .replace("{person}", "boris")
        .replace("{device}", "00ff")
        .replace("{token}", "00ff");
    if endpoint.method == "DELETE" {
        format!("{path}?client_id=one")
    } else {
        path
    }
}

/// The body of a write.
fn body_of(route: &str) -> Value {
    let mut body = json!({ "client_id": "one" });
    let more = match route {
        "/v0/operator/partners/accept" => json!({ "ticket": "T" }),
        "/v0/operator/partners/{partner}/verify" => json!({ "words": ["oak", "elm"] }),
        "/v0/operator/users" | "/v0/users" => json!({ "nickname": "carol" }),
        "/v0/redeem" => json!({ "secret": "open sesame", "device": "laptop" }),
        "/v0/login" => json!({ "name": "anna", "password": "a good one", "device": "laptop" }),
        "/v0/me/password" => json!({ "password": "a better one" }),
        "/v0/me/tokens" => json!({ "name": "backup", "scopes": ["read"] }),
        "/v0/chats" => json!({ "kind": "group", "title": "Trade", "people": ["boris@globex"] }),
        "/v0/chats/{chat}/messages" | "/v0/messages/{message}" => json!({ "text": "hello" }),
        "/v0/chats/{chat}/topic" => json!({ "title": "Trade" }),
        "/v0/chats/{chat}/members" => json!({ "people": ["boris@globex"] }),
        "/v0/messages/{message}/forward" => json!({ "chat": "c4c4" }),
        "/v0/messages/{message}/reactions" => json!({ "emoji": "+", "on": true }),
        _ => json!({}),
    };
    let map = body.as_object_mut().expect("an object");
    map.extend(more.as_object().expect("an object").clone());
    body
}

fn endpoints() -> Vec<(Who, std::sync::Arc<Endpoint>)> {
    let found = routes(&Double::new(), &Settings::default()).endpoints;
    assert!(found.len() > 40, "the table is there: {}", found.len());
    found
}

#[tokio::test]
async fn every_address_reaches_its_own_use_case() {
    let world = World::start().await;
    for (who, endpoint) in endpoints() {
        let mut client = world.unix().await;
        let method: Method = endpoint.method.parse().expect("a method");
        let writes = matches!(endpoint.method, "POST" | "PUT");
        let mut ask = client.ask(method, &path_of(&endpoint));
        if writes {
            ask = ask.json(&body_of(&endpoint.route));
        }
        if who == Who::Administrator {
            ask = ask.token(OLGA);
        } else if matches!(who, Who::SignedIn(_)) {
            // Logging out ends the session of the last one.
            let token = format!("token-of-{}", endpoint.route.replace(['/', '{', '}'], "-"));
            world.node.sign_in(&token);
            ask = ask.token(&token);
        }
        let (status, _, body) = ask.open().await;
        drop(body);
        let asked = world.node.calls();
        let expected = use_case(&endpoint);
        let found = asked
            .first()
            .and_then(|call| call.split(' ').next())
            .unwrap_or_default();
        assert_eq!(
            found, expected,
            "{} {} answered {status}",
            endpoint.method, endpoint.route
        );
    }
}

/// Name of the use case as the stand-in says it.
fn use_case(endpoint: &Endpoint) -> &'static str {
    match (endpoint.method, endpoint.route.as_str()) {
        ("GET", "/healthz" | "/v0/openapi.json") => "",
        ("GET", "/readyz") => "readyz",
        ("GET", "/metrics" | "/v0/operator/metrics") => "metrics",
        ("GET", "/v0/operator/status") => "status",
        ("GET", "/v0/operator/doctor") => "doctor",
        ("GET", "/v0/operator/company") => "company",
        ("GET", "/v0/operator/config") => "config",
        ("GET", "/v0/operator/partners") => "partners",
        ("POST", "/v0/operator/partners/invitations") => "invite_partner",
        ("POST", "/v0/operator/partners/accept") => "accept_partner",
        ("GET", "/v0/operator/partners/{partner}") => "partner",
        ("POST", "/v0/operator/partners/{partner}/verify") => "verify_partner",
        ("POST", "/v0/operator/partners/{partner}/pause") => "pause_partner",
        ("POST", "/v0/operator/partners/{partner}/resume") => "resume_partner",
        ("POST", "/v0/operator/partners/{partner}/ping") => "ping_partner",
        ("DELETE", "/v0/operator/partners/{partner}") => "remove_partner",
        ("GET", "/v0/operator/users" | "/v0/users") => "users",
        ("POST", "/v0/operator/users" | "/v0/users") => "add_user",
        ("POST", "/v0/operator/users/{user}/reset" | "/v0/users/{user}/reset") => "reset_user",
        ("GET", "/v0/operator/audit") => "audit",
        ("POST", "/v0/operator/verify") => "verify",
        ("POST", "/v0/operator/rebuild") => "rebuild",
        ("POST", "/v0/redeem") => "redeem",
        ("POST", "/v0/login") => "login",
        ("POST", "/v0/me/password") => "change_password",
        ("GET", "/v0/me/devices") => "devices",
        ("DELETE", "/v0/me/devices/{device}") => "revoke_device",
        ("DELETE", "/v0/me/devices") => "revoke_other_devices",
        ("GET", "/v0/me/tokens") => "tokens",
        ("POST", "/v0/me/tokens") => "add_token",
        ("DELETE", "/v0/me/tokens/{token}") => "revoke_token",
        ("POST", "/v0/logout") => "logout",
        ("GET", "/v0/me") => "me",
        ("GET", "/v0/contacts") => "contacts",
        ("GET", "/v0/chats") => "chats",
        ("POST", "/v0/chats") => "new_chat",
        ("GET", "/v0/chats/{chat}") => "chat",
        ("GET", "/v0/chats/{chat}/messages") => "messages",
        ("POST", "/v0/chats/{chat}/messages") => "send_message",
        ("POST", "/v0/chats/{chat}/read") => "mark_read",
        ("PUT", "/v0/chats/{chat}/topic") => "set_topic",
        ("GET", "/v0/commands") => "commands",
        ("GET", "/v0/chats/{chat}/members") => "members",
        ("POST", "/v0/chats/{chat}/members") => "add_members",
        ("DELETE", "/v0/chats/{chat}/members/{person}") => "remove_member",
        ("POST", "/v0/chats/{chat}/leave") => "leave",
        ("GET", "/v0/messages/{message}") => "message",
        ("PUT", "/v0/messages/{message}") => "edit",
        ("DELETE", "/v0/messages/{message}") => "delete",
        ("PUT", "/v0/messages/{message}/reactions") => "react",
        ("POST", "/v0/messages/{message}/forward") => "forward",
        ("GET", "/v0/messages/{message}/thread") => "thread",
        ("POST", "/v0/messages/{message}/recall") => "recall",
        ("GET", "/v0/messages/{message}/receipts") => "receipts",
        ("GET", "/v0/messages/{message}/why") => "why",
        ("GET", "/v0/changes") => "changes",
        (method, route) => panic!("{method} {route} is new: write here which use case it is"),
    }
}

/// Every endpoint with every set of scopes, by an administrator's token: it reaches what the table says and nothing else.
#[tokio::test]
async fn a_token_reaches_what_its_scopes_say_and_nothing_else() {
    let world = World::start().await;
    let mut cells = 0;
    for bits in 0..16_u8 {
        let held = Scopes::of_bits(bits);
        for (who, endpoint) in endpoints() {
            let needed = match who {
                Who::SignedIn(scope) => scope,
                Who::Administrator => Scopes::ADMIN,
                Who::Anyone | Who::Operator => continue,
            };
            let token = format!("token-{bits}-{cells}");
            world.node.give_token(&token, held);
            let mut client = world.tcp().await;
            let method: Method = endpoint.method.parse().expect("a method");
            let mut ask = client.ask(method, &path_of(&endpoint)).token(&token);
            if matches!(endpoint.method, "POST" | "PUT") {
                ask = ask.json(&body_of(&endpoint.route));
            }
            let (status, _, body) = ask.open().await;
            drop(body);
            let reached = !world.node.calls().is_empty();
            let what = format!("{} {} with {bits:04b}", endpoint.method, endpoint.route);
            assert_eq!(reached, held.contains(needed), "{what}: {status}");
            assert_eq!(
                !reached,
                status == StatusCode::FORBIDDEN,
                "{what}: {status}"
            );
            cells += 1;
        }
    }
    assert!(cells >= 16 * 30, "{cells} cells");
}

#[tokio::test]
async fn only_an_administrator_reaches_what_administrators_do() {
    let world = World::start().await;
    for (who, endpoint) in endpoints() {
        if who != Who::Administrator {
            continue;
        }
        for (token, may) in [(ANNA, false), (OLGA, true)] {
            let mut client = world.tcp().await;
            let method: Method = endpoint.method.parse().expect("a method");
            let ask = client.ask(method, &path_of(&endpoint)).token(token);
            let (status, _, _) = ask.json(&body_of(&endpoint.route)).open().await;
            let what = format!("{} {} {status}", endpoint.method, endpoint.route);
            assert_eq!(!world.node.calls().is_empty(), may, "{what}");
            assert_eq!(status == StatusCode::FORBIDDEN, !may, "{what}");
        }
    }
}

#[tokio::test]
async fn arguments_arrive_as_they_were_sent() {
    let world = World::start().await;
    let mut client = world.unix().await;
    client
        .read("/v0/operator/partners?cursor=abc&limit=7")
        .reply()
        .await;
    client.read("/v0/operator/company").reply().await;
    let path = "/v0/chats/c4/members/%D0%B1%D0%BE%D1%80%D0%B8%D1%81%40globex?client_id=x%20y";
    client.ask(Method::DELETE, path).token(ANNA).reply().await;
    client
        .read("/v0/contacts?query=%D0%90%D0%BD%D0%BD%D0%B0+%26")
        .token(ANNA)
        .reply()
        .await;
    let uid = rustix::process::geteuid().as_raw();
    let expected = [
        "partners abc 7",
        &format!("company {uid}"),
        "remove_member c4 борис@globex x y",
        "contacts Анна &",
    ];
    assert_eq!(world.node.calls(), expected);
}

#[tokio::test]
async fn answers_carry_the_status_of_the_table() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let group = json!({ "client_id": "1", "kind": "group", "title": "Trade", "people": ["boris"] });
    let direct = json!({ "client_id": "2", "kind": "direct", "people": ["boris"] });
    let text = json!({ "client_id": "3", "text": "hello" });
    let made = client.write("/v0/chats", &group).token(ANNA).reply().await;
    assert_eq!(
        (made.status, &made.json()["title"]),
        (StatusCode::CREATED, &json!("Trade"))
    );
    assert_eq!(
        client
            .write("/v0/chats", &direct)
            .token(ANNA)
            .reply()
            .await
            .status,
        StatusCode::OK
    );
    let sent = client
        .write("/v0/chats/c4c4/messages", &text)
        .token(ANNA)
        .reply()
        .await;
    assert_eq!(
        (sent.status, &sent.json()["text"]),
        (StatusCode::CREATED, &json!("hello"))
    );
    let left = client
        .write("/v0/chats/c4c4/leave", &json!({ "client_id": "4" }))
        .token(ANNA)
        .reply()
        .await;
    assert_eq!((left.status, left.body.len()), (StatusCode::NO_CONTENT, 0));
    let health = client.read("/healthz").reply().await;
    assert_eq!(
        (health.status, health.body.as_ref()),
        (StatusCode::OK, b"ok\n".as_slice())
    );
    assert_eq!(client.read("/readyz").reply().await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_operator_plane_is_not_there_on_tcp() {
    let world = World::start().await;
    for (who, endpoint) in endpoints() {
        let mut client = world.tcp().await;
        let method: Method = endpoint.method.parse().expect("a method");
        let ask = client
            .ask(method, &path_of(&endpoint))
            .json(&body_of(&endpoint.route))
            .token("stolen");
        let (status, _, _) = ask.open().await;
        match who {
            Who::Operator => assert_eq!(status, StatusCode::NOT_FOUND, "{}", endpoint.route),
            Who::SignedIn(_) | Who::Administrator => {
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", endpoint.route);
            }
            Who::Anyone if endpoint.route == "/v0/login" => {
                assert_eq!(status, StatusCode::FORBIDDEN, "there is nobody here");
            }
            Who::Anyone => assert!(status.is_success(), "{} {status}", endpoint.route),
        }
    }
    let (metrics, redeem) = ("metrics", "redeem");
    let asked = world.node.calls();
    let reached: Vec<&str> = asked
        .iter()
        .filter_map(|call| call.split(' ').next())
        .collect();
    assert!(
        !reached.contains(&metrics) && reached.contains(&redeem),
        "{reached:?}"
    );
    assert_eq!(
        reached.len(),
        3,
        "only login, redeem and readyz were reached: {reached:?}"
    );
}

#[tokio::test]
async fn the_person_plane_needs_a_token_on_the_socket_too() {
    let world = World::start().await;
    let mut client = world.unix().await;
    let refused = client.read("/v0/chats").reply().await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::UNAUTHORIZED, "X0201")
    );
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    assert_eq!(
        client.read("/v0/chats").token(ANNA).reply().await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_session_begins_with_a_secret_and_ends_with_logout() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let login = |secret: &str| json!({ "client_id": "c", "secret": secret, "device": "laptop" });
    assert_eq!(
        client
            .write("/v0/redeem", &login("guess"))
            .reply()
            .await
            .code(),
        "X0202"
    );
    let session = client
        .write("/v0/redeem", &login("open sesame"))
        .reply()
        .await;
    assert_eq!(session.status, StatusCode::CREATED);
    assert_eq!(session.header("cache-control"), "no-store");
    let session = session.json();
    let token = session["token"].as_str().expect("a token");
    assert_eq!(
        client.read("/v0/me").token(token).reply().await.status,
        StatusCode::OK
    );
    let out = client
        .ask(Method::POST, "/v0/logout")
        .token(token)
        .reply()
        .await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(
        client.read("/v0/me").token(token).reply().await.code(),
        "X0201"
    );
}

#[tokio::test]
async fn what_is_no_bearer_token_signs_nobody_in() {
    let world = World::start().await;
    let mut client = world.tcp().await;
    let long = format!("Bearer {}", "a".repeat(5000));
    for value in [
        "",
        "Bearer",
        "Bearer ",
        ANNA,
        "Basic YW5uYTp4",
        &format!("Bearer {ANNA}x"),
        &long,
    ] {
        let reply = client
            .read("/v0/me")
            .header("authorization", value)
            .reply()
            .await;
        assert_eq!(reply.code(), "X0201", "{value:?}");
    }
    let reply = client
        .read("/v0/me")
        .header("authorization", &format!("bearer  {ANNA}"))
        .reply()
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}
