//! The endpoints: each is added once, and that makes its route, its entry in the API document and its metrics.
//!
//! Owns the agreement of router and document: method and path stand only at the handler. It must not know what a
//! handler does.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use utoipa::__dev::SchemaReferences;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterIn};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, Paths, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::Api;
use super::edge::{Endpoint, Guarded};
use super::facade::{Scopes, UseCases};
use super::types::{PROBLEM_CONTENT_TYPE, Problem};
use crate::metrics::Metrics;

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anyone,
    /// A person with a session, or with a token of this scope; what they may do is decided further inside.
    SignedIn(Scopes),
    /// An administrator of the company, with a session or a token of the scope `admin`.
    Administrator,
    /// The operator, on the unix socket only.
    Operator,
}

impl Who {
    /// Whoever is signed in, with whatever scope.
    pub(super) const PERSON: Self = Self::SignedIn(Scopes::NONE);
    pub(super) const READ: Self = Self::SignedIn(Scopes::READ);
    pub(super) const WRITE: Self = Self::SignedIn(Scopes::WRITE);
    /// The person's own account, from a device of theirs: no token reaches it.
    pub(super) const ACCOUNT: Self = Self::SignedIn(Scopes::ACCOUNT);
}

/// Routes under construction.
pub(super) struct Table<N> {
    people: Router<Arc<Api<N>>>,
    operators: Router<Arc<Api<N>>>,
    document: OpenApi,
    metrics: Metrics,
    timeout: Duration,
    endpoints: Vec<(Who, Arc<Endpoint>)>,
}

/// Both planes and their document.
pub(super) struct Routes<N> {
    /// What TCP serves.
    pub(super) people: Router<Arc<Api<N>>>,
    /// What the operator's socket serves besides.
    pub(super) operators: Router<Arc<Api<N>>>,
    pub(super) document: OpenApi,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "tests go through every endpoint")
    )]
    pub(super) endpoints: Vec<(Who, Arc<Endpoint>)>,
}

impl<N: UseCases> Table<N> {
    pub(super) fn new(metrics: Metrics, timeout: Duration) -> Self {
        let info = InfoBuilder::new()
            .title("Crossport")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(include_str!("document.md").trim_end()))
            .license(None)
            .build();
        let mut document = OpenApi::new(info, Paths::new());
        let mut components = Components::new();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        let cookie = ApiKeyValue::with_description(
            "__Host-crossport",
            "Set for browsers by redeem and login; over plain HTTP on loopback it is `crossport-PORT`",
        );
        components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        document.components = Some(components);
        let mut table = Self {
            people: Router::new(),
            operators: Router::new(),
            document,
            metrics,
            timeout,
            endpoints: Vec::new(),
        };
        let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
        Problem::schemas(&mut schemas);
        table.add_schemas(schemas);
        table
    }

    /// Adds an endpoint: `described` is what `#[utoipa::path]` made of the handler, and so holds method and path.
    pub(super) fn add<P, H, T>(&mut self, who: Who, described: P, handler: H)
    where
        P: utoipa::Path + SchemaReferences,
        H: Handler<T, Arc<Api<N>>>,
        T: 'static,
    {
        let _ = described;
        let route = P::path();
        let mut operation = P::operation();
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        self.add_schemas(schemas);
        complete(&mut operation, who);
        for method in P::methods() {
            let (name, filter) = name_and_filter(&method);
            let endpoint = Arc::new(Endpoint {
                method: name,
                route: route.clone(),
                who,
                takes_query: takes_query(&operation),
                timeout: self.timeout,
                metrics: self.metrics.route(name, &route),
            });
            let guarded = Guarded {
                handler: handler.clone(),
                endpoint: Arc::clone(&endpoint),
            };
            let plane = if who == Who::Operator {
                &mut self.operators
            } else {
                &mut self.people
            };
            *plane = std::mem::take(plane).route(&route, on(filter, guarded));
            self.endpoints.push((who, endpoint));
        }
        self.document
            .paths
            .add_path_operation(&route, P::methods(), operation);
    }

    pub(super) fn finish(self) -> Routes<N> {
        Routes {
            people: self.people,
            operators: self.operators,
            document: self.document,
            endpoints: self.endpoints,
        }
    }

    fn add_schemas(&mut self, schemas: Vec<(String, RefOr<utoipa::openapi::Schema>)>) {
        let components = self.document.components.get_or_insert_with(Components::new);
        components.schemas.extend(schemas);
    }
}

/// What all endpoints have in common.
fn complete(operation: &mut Operation, who: Who) {
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Problem::name())))
        .build();
    let refusal = ResponseBuilder::new()
        .description("A refusal")
        .content(PROBLEM_CONTENT_TYPE, problem)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), refusal.into());
    if matches!(who, Who::SignedIn(_) | Who::Administrator) {
        operation.security = Some(vec![
            SecurityRequirement::new::<_, _, String>(BEARER, []),
            SecurityRequirement::new::<_, _, String>(COOKIE, []),
        ]);
    }
}

fn takes_query(operation: &Operation) -> bool {
    operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
            RefOr::Ref(_) => false,
        })
}

fn name_and_filter(method: &HttpMethod) -> (&'static str, MethodFilter) {
    match method {
        HttpMethod::Get => ("GET", MethodFilter::GET),
        HttpMethod::Post => ("POST", MethodFilter::POST),
        HttpMethod::Put => ("PUT", MethodFilter::PUT),
        HttpMethod::Delete => ("DELETE", MethodFilter::DELETE),
        HttpMethod::Options => ("OPTIONS", MethodFilter::OPTIONS),
        HttpMethod::Head => ("HEAD", MethodFilter::HEAD),
        HttpMethod::Patch => ("PATCH", MethodFilter::PATCH),
        HttpMethod::Trace => ("TRACE", MethodFilter::TRACE),
    }
}
