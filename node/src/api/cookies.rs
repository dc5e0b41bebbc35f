//! The cookie in which a browser keeps its session.
//!
//! Owns its name and attributes. It must not know what a token opens.
//!
//! Behind a certificate (`api_url` begins with `https`) it is `__Host-crossport`: `Secure`, `HttpOnly`, `SameSite=Strict`,
//! `Path=/`, no `Domain` (RFC 6265bis, 4.1.3). Over plain HTTP, which is served on loopback only, that cookie would be lost:
//! Safari drops `Secure` cookies there and Chromium refuses the prefix. So there it is `crossport-PORT` without `Secure`.
//! The port is part of the name because cookies do not know ports: two nodes on one machine would sign each other out. It
//! is the port that the browser named, so that it holds through an SSH tunnel too.

use axum::http::{HeaderMap, HeaderValue, header};

use super::settings::TOKEN_CHARS_MAX;

const SECURE_NAME: &str = "__Host-crossport";
const PLAIN_NAME: &str = "crossport";
/// The longest that browsers keep any cookie (RFC 6265bis, 5.5). The node ends sessions by rules of its own.
const KEPT_S: u32 = 400 * 24 * 3600;

/// The token of the session cookie.
pub(super) fn session(headers: &HeaderMap, secure: bool) -> Option<&str> {
    find(headers, &name(SECURE_NAME, PLAIN_NAME, headers, secure))
}

/// `Set-Cookie` for a session that was opened.
pub(super) fn open(token: &str, headers: &HeaderMap, secure: bool) -> Option<HeaderValue> {
    let name = name(SECURE_NAME, PLAIN_NAME, headers, secure);
    value(&name, token, KEPT_S, secure)
}

/// `Set-Cookie` that takes the session's cookie away.
pub(super) fn close(headers: &HeaderMap, secure: bool) -> Option<HeaderValue> {
    let name = name(SECURE_NAME, PLAIN_NAME, headers, secure);
    value(&name, "", 0, secure)
}

fn name(secure_name: &str, plain_name: &str, headers: &HeaderMap, secure: bool) -> String {
    if secure {
        return secure_name.to_owned();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    format!("{plain_name}-{}", port.unwrap_or(80))
}

fn value(name: &str, token: &str, max_age_s: u32, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{name}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}");
    // Tokens are hexadecimal digits; anything else would be a defect, and no cookie is the answer to it.
    HeaderValue::from_str(&text).ok()
}

fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut found = pairs.filter_map(|pair| {
        let (held, token) = pair.trim_ascii().split_once('=')?;
        (held == name).then_some(token)
    });
    let token = found
        .next()
        .filter(|token| !token.is_empty() && token.len() <= TOKEN_CHARS_MAX);
    // Two of one name: somebody beside us set the other, and nobody can tell which is ours.
    token.filter(|_| found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn a_cookie_is_bound_to_the_host_behind_a_certificate_and_to_the_port_without() {
        let asked = headers(&[("host", "chat.acme.example")]);
        let set = open("00ff", &asked, true).expect("a cookie");
        assert_eq!(
            set.to_str().expect("ASCII"),
            "__Host-crossport=00ff; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict; Secure"
        );
        let asked = headers(&[("host", "127.0.0.1:8460")]);
        let set = open("00ff", &asked, false).expect("a cookie");
        assert_eq!(
            set.to_str().expect("ASCII"),
            "crossport-8460=00ff; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn only_our_own_cookie_is_read() {
        let found = |cookies: &[&str], secure| {
            let mut all = vec![("host", "localhost:8460")];
            all.extend(cookies.iter().map(|cookie| ("cookie", *cookie)));
            session(&headers(&all), secure).map(str::to_owned)
        };
        assert_eq!(
            found(&["a=b; crossport-8460=00ff"], false).as_deref(),
            Some("00ff")
        );
        assert_eq!(
            found(&["a=b", "crossport-8460=00ff"], false).as_deref(),
            Some("00ff")
        );
        assert_eq!(
            found(&["__Host-crossport=00ff"], true).as_deref(),
            Some("00ff")
        );
        for other in [
            "crossport-8461=00ff",
            "crossport=00ff",
            "__Host-crossport=00ff",
            "crossport-8460=",
            "crossport-8460=00ff; crossport-8460=00fe",
        ] {
            assert_eq!(found(&[other], false), None, "{other}");
        }
        assert_eq!(
            found(&["crossport-8460=00ff"], true),
            None,
            "a plain one counts for nothing behind a certificate"
        );
    }
}
