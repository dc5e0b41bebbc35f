//! Requests that another site's page makes a browser send.
//!
//! Owns the rule which `Host` and `Origin` are ours. It must not know any endpoint. A page of another site must not reach a
//! node on somebody's own machine, neither directly nor by a name that it points to `127.0.0.1` after it was loaded (DNS
//! rebinding), and must not act with the cookie of who is signed in here. A page of another port of the same host is
//! another site too: cookies do not know ports.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

use super::facade::{Refused, Text};
use super::types::Code;

/// Refuses a request that carries another site's origin, or was sent to a name that is none of this node's.
pub(super) fn check(
    method: &Method,
    headers: &HeaderMap,
    hosts: &[String],
    origins: &[String],
) -> Result<(), Refused> {
    let mut names = headers.get_all(header::HOST).iter();
    let authority = match (names.next().map(|name| name.to_str()), names.next()) {
        (Some(Ok(name)), None) => name,
        _ => {
            return Err(
                Refused::from(Code::RequestMalformed).detail("there must be one Host header")
            );
        }
    };
    if !is_ours(host_of(authority), hosts) {
        let refused = Refused::new(Code::NoSuchEndpoint, authority);
        return Err(refused.cause(Text::key("reason-foreign-host")));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("null");
        let site = origin.split_once("://").map_or("", |(_, site)| site);
        let same = site.eq_ignore_ascii_case(authority)
            || origins.iter().any(|ours| ours.eq_ignore_ascii_case(origin));
        if site.is_empty() || !same {
            return Err(another_site());
        }
    }
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if !method.is_safe() && matches!(site, Some(b"cross-site" | b"same-site")) {
        return Err(another_site());
    }
    Ok(())
}

fn another_site() -> Refused {
    Refused::from(Code::NotAllowed).cause(Text::key("reason-another-site"))
}

/// `[::1]:8460` gives `::1`.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

/// A rebound name is a name: a browser never calls an address literal another site.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(method: Method, headers: &[(&'static str, &str)], expected: Option<Code>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<header::HeaderName>().expect("a name"),
                    value.parse().expect("a value"),
                )
            })
            .fold(
                HeaderMap::new(),
                |mut map, (name, value): (header::HeaderName, header::HeaderValue)| {
                    map.append(name, value);
                    map
                },
            );
        let hosts = ["chat.acme.example".to_owned()];
        let origins = ["https://chat.acme.example".to_owned()];
        let found = check(&method, &map, &hosts, &origins)
            .err()
            .map(|refused| refused.code);
        assert_eq!(found, expected, "{method} {headers:?}");
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        let ours = ("host", "127.0.0.1:8460");
        check_with(Method::POST, &[ours], None);
        check_with(
            Method::POST,
            &[ours, ("origin", "http://127.0.0.1:8460")],
            None,
        );
        check_with(
            Method::POST,
            &[ours, ("origin", "https://chat.acme.example")],
            None,
        );
        check_with(Method::POST, &[("host", "Chat.Acme.Example")], None);
        check_with(
            Method::POST,
            &[("host", "[::1]:8460"), ("origin", "http://[::1]:8460")],
            None,
        );
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:9999",
            "null",
            "127.0.0.1:8460",
            "http://chat.acme.example",
            "https://chat.acme.example:8443",
            "https://chat.acme.example.evil.example",
        ] {
            check_with(
                Method::POST,
                &[ours, ("origin", origin)],
                Some(Code::NotAllowed),
            );
            check_with(
                Method::GET,
                &[ours, ("origin", origin)],
                Some(Code::NotAllowed),
            );
        }
        check_with(
            Method::POST,
            &[ours, ("sec-fetch-site", "cross-site")],
            Some(Code::NotAllowed),
        );
        check_with(Method::GET, &[ours, ("sec-fetch-site", "cross-site")], None);
        check_with(
            Method::GET,
            &[("host", "evil.example:8460")],
            Some(Code::NoSuchEndpoint),
        );
        check_with(Method::GET, &[], Some(Code::RequestMalformed));
        check_with(
            Method::GET,
            &[ours, ("host", "evil.example")],
            Some(Code::RequestMalformed),
        );
    }
}
