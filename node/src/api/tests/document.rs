//! The table of endpoints, the router and the API document say the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::World;
use super::double::Double;
use crate::api::Settings;
use crate::api::routes::routes;
use crate::api::table::Who;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/src/reference/openapi.json"
);
const TABLE: &str = include_str!("../types.rs");

type Endpoints = BTreeSet<(String, String)>;

/// `METHOD /path` in the first column of the tables in the doc comment.
fn written() -> Endpoints {
    let rows = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let codes = cells.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
    codes
        .filter_map(|code| {
            code.split_once(' ')
                .map(|(method, path)| (method.to_owned(), path.to_owned()))
        })
        .filter(|(method, path)| !method.is_empty() && path.starts_with('/'))
        .collect()
}

fn routed() -> Endpoints {
    let endpoints = routes(&Double::new(), &Settings::default()).endpoints;
    endpoints
        .iter()
        .map(|(_, endpoint)| (endpoint.method.to_owned(), endpoint.route.clone()))
        .collect()
}

fn described(document: &Value) -> Endpoints {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .expect("an item")
            .keys()
            .map(move |method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

fn document() -> Value {
    serde_json::to_value(routes(&Double::new(), &Settings::default()).document).expect("plain data")
}

#[test]
fn table_router_and_document_agree() {
    let written = written();
    assert!(written.len() > 40, "the table was read: {written:?}");
    assert_eq!(written, routed(), "the table in types.rs and the router");
    assert_eq!(
        written,
        described(&document()),
        "the table in types.rs and the API document"
    );
}

/// `CROSSPORT_UPDATE=1 cargo test -p crossport-node` writes it anew.
#[test]
fn the_page_in_the_book_is_up_to_date() {
    let text = serde_json::to_string_pretty(&document()).expect("plain data") + "\n";
    if std::env::var_os("CROSSPORT_UPDATE").is_some() {
        std::fs::write(PAGE, &text).expect("the page can be written");
    }
    let page = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        page == text,
        "docs/src/reference/openapi.json is old; try: CROSSPORT_UPDATE=1 cargo test -p crossport-node"
    );
}

#[test]
fn the_document_is_complete() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let (mut references, mut operations) = (BTreeSet::new(), 0);
    collect_references(&document, &mut references);
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for reference in &references {
        assert!(
            schemas.contains_key(reference),
            "{reference} is referred to and described nowhere"
        );
    }
    for name in ["Problem", "Message", "Change", "Page_Chat", "VerifyReport"] {
        assert!(schemas.contains_key(name), "{name} in {:?}", schemas.keys());
    }
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            operations += 1;
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says what it does"
            );
            assert!(
                operation["responses"]["default"].is_object(),
                "{method} {path} may refuse"
            );
            assert_eq!(
                path.matches('{').count(),
                path_parameters(operation),
                "{method} {path}"
            );
        }
    }
    assert!(operations > 40);
    for (who, endpoint) in routes(&Double::new(), &Settings::default()).endpoints {
        let operation = &document["paths"][&endpoint.route][endpoint.method.to_lowercase()];
        assert_eq!(
            operation["security"].is_array(),
            matches!(who, Who::SignedIn(_) | Who::Administrator),
            "{}",
            endpoint.route
        );
        let is_operators =
            endpoint.route.starts_with("/v0/operator/") || endpoint.route == "/metrics";
        assert_eq!(is_operators, who == Who::Operator, "{}", endpoint.route);
    }
}

fn path_parameters(operation: &Value) -> usize {
    let parameters = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    parameters
        .iter()
        .filter(|parameter| parameter["in"] == "path")
        .count()
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let reference = map.get("$ref").and_then(Value::as_str);
            found.extend(
                reference
                    .and_then(|text| text.strip_prefix("#/components/schemas/"))
                    .map(str::to_owned),
            );
            map.values()
                .for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn a_node_serves_its_document() {
    let world = World::start().await;
    let reply = world.tcp().await.read("/v0/openapi.json").reply().await;
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.json(), document());
}
