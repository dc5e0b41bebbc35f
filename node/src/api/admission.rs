//! Who may reach an endpoint: the one place where tokens, cookies, scopes and roles are looked at, for every endpoint.
//!
//! Owns the order: is somebody signed in, does the token reach that far, is it an administrator, do they ask too often. It
//! must not know any endpoint: the table says of each who may ask. A handler that wants to know the caller is given what
//! was found here, so that none can forget to look.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use super::extract::{Asker, Peer};
use super::facade::{Answer, Caller, Refused, Scopes, Text, TokenHash, UseCases};
use super::settings::TOKEN_CHARS_MAX;
use super::table::Who;
use super::types::Code;
use super::{Api, cookies};

/// Lets a request through with its caller, or refuses it.
pub(super) async fn admit<N: UseCases>(
    api: &Api<N>,
    who: Who,
    request: &mut Request,
) -> Answer<()> {
    let needed = match who {
        // Operators are told by their socket, see `Operator`.
        Who::Anyone | Who::Operator => return Ok(()),
        Who::SignedIn(scope) => scope,
        Who::Administrator => Scopes::ADMIN,
    };
    let asker = request.extensions().get::<Asker>().copied();
    let asker = asker.ok_or_else(|| Refused::from(Code::Internal).detail("no peer"))?;
    let token = token_hash(request, asker.peer, api.settings.secure_cookies)?;
    let Some(token) = token else {
        return Err(api.stranger(asker.peer, Code::NotSignedIn));
    };
    let Some(caller) = api.node.authenticate(token, asker.lang).await? else {
        return Err(api.stranger(asker.peer, Code::NotSignedIn));
    };
    if !api.sessions.take(caller.session) || !api.people.take(caller.user.0) {
        return Err(Refused::from(Code::TooManyRequests));
    }
    check(who, needed, &caller)?;
    request.extensions_mut().insert(caller);
    Ok(())
}

fn check(who: Who, needed: Scopes, caller: &Caller) -> Answer<()> {
    if !caller.scopes.contains(needed) {
        let cause = Text::key("token-lacks-scope").with("scope", needed.name());
        return Err(Refused::new(Code::NotAllowed, needed.name()).cause(cause));
    }
    if who == Who::Administrator && !caller.administrator {
        return Err(Refused::new(Code::NotAllowed, "administrator"));
    }
    Ok(())
}

/// SHA-256 of the bearer token (RFC 6750, 2.1), else of the cookie. Only the hash goes further: a lookup by it takes the
/// same time whatever the token is.
fn token_hash(request: &Request, peer: Peer, secure: bool) -> Answer<Option<TokenHash>> {
    let headers = request.headers();
    if headers.contains_key(header::AUTHORIZATION) {
        return Ok(bearer(headers).map(hash));
    }
    // No browser comes over the unix socket.
    let Peer::Tcp(_) = peer else {
        return Ok(None);
    };
    let Some(token) = cookies::session(headers, secure) else {
        return Ok(None);
    };
    if !request.method().is_safe() && !is_said_to_be_ours(headers) {
        return Err(Refused::from(Code::NotAllowed)
            .detail("a write with a cookie must name the page that it comes from"));
    }
    Ok(Some(hash(token)))
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_ascii();
    let sound = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= TOKEN_CHARS_MAX;
    sound.then_some(token)
}

/// Every browser that keeps `SameSite` says on a write where it comes from; that it is ours was checked before. A request
/// that says nothing is no browser's, and has no business with a cookie.
fn is_said_to_be_ours(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    headers.contains_key(header::ORIGIN) || site == Some(b"same-origin")
}
