//! The operator plane: handlers of `/v0/operator/...` and `/metrics`.
//!
//! Must not decide anything: each handler reads its arguments, calls one use case, and hands the answer on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::extract::{Body, UrlPath, UrlQuery};
use super::facade::{Answer, Operator, UseCases};
use super::table::{Table, Who};
use super::types::{
    AcceptInvitation, AuditEntry, Company, ConfigReport, Doctor, Invitation, Invite, NewUser, Page,
    PageQuery, Partner, Ping, Progress, RebuildReport, Repeatable, Status, User, UserActivation,
    VerifyPartner, VerifyReport,
};
use super::work;
use crate::metrics::METRICS_CONTENT_TYPE;

pub(super) fn add<N: UseCases>(table: &mut Table<N>) {
    table.add(Who::Operator, __path_status, status::<N>);
    table.add(Who::Operator, __path_doctor, doctor::<N>);
    table.add(Who::Operator, __path_company, company::<N>);
    table.add(Who::Operator, __path_config, config::<N>);
    table.add(Who::Operator, __path_partners, partners::<N>);
    table.add(Who::Operator, __path_invite_partner, invite_partner::<N>);
    table.add(Who::Operator, __path_accept_partner, accept_partner::<N>);
    table.add(Who::Operator, __path_partner, partner::<N>);
    table.add(Who::Operator, __path_verify_partner, verify_partner::<N>);
    table.add(Who::Operator, __path_pause_partner, pause_partner::<N>);
    table.add(Who::Operator, __path_resume_partner, resume_partner::<N>);
    table.add(Who::Operator, __path_ping_partner, ping_partner::<N>);
    table.add(Who::Operator, __path_remove_partner, remove_partner::<N>);
    table.add(Who::Operator, __path_users, users::<N>);
    table.add(Who::Operator, __path_add_user, add_user::<N>);
    table.add(Who::Operator, __path_reset_user, reset_user::<N>);
    table.add(Who::Operator, __path_audit, audit::<N>);
    table.add(Who::Operator, __path_verify, verify::<N>);
    table.add(Who::Operator, __path_rebuild, rebuild::<N>);
    table.add(
        Who::Operator,
        __path_operator_metrics,
        operator_metrics::<N>,
    );
    table.add(Who::Operator, __path_metrics, metrics::<N>);
}

type Node<N> = State<Arc<Api<N>>>;

/// The node at a glance.
#[utoipa::path(get, path = "/v0/operator/status", tag = "operator", responses((status = 200, body = Status)))]
async fn status<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Json<Status>> {
    api.node.status(by).await.map(Json)
}

/// Everything that commonly goes wrong, looked at now.
#[utoipa::path(get, path = "/v0/operator/doctor", tag = "operator", responses((status = 200, body = Doctor)))]
async fn doctor<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Json<Doctor>> {
    api.node.doctor(by).await.map(Json)
}

/// The own company: what others compare before they trust it.
#[utoipa::path(get, path = "/v0/operator/company", tag = "operator", responses((status = 200, body = Company)))]
async fn company<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Json<Company>> {
    api.node.company(by).await.map(Json)
}

/// Every setting and where its value came from. Secrets are shown as `***`.
#[utoipa::path(get, path = "/v0/operator/config", tag = "operator", responses((status = 200, body = ConfigReport)))]
async fn config<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Json<ConfigReport>> {
    api.node.config(by).await.map(Json)
}

/// All partners, waiting and quarantined ones too.
#[utoipa::path(get, path = "/v0/operator/partners", tag = "operator", params(PageQuery),
    responses((status = 200, body = Page<Partner>)))]
async fn partners<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<Partner>>> {
    api.node.partners(by, page).await.map(Json)
}

/// Makes a ticket for another company. Issuing it is this side's approval.
#[utoipa::path(post, path = "/v0/operator/partners/invitations", tag = "operator", request_body = Invite,
    responses((status = 201, body = Invitation)))]
async fn invite_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    Body(invite): Body<Invite>,
) -> Answer<(StatusCode, Json<Invitation>)> {
    let invitation = api.node.invite_partner(by, invite).await?;
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Accepts another company's ticket: `active` once both approved, else `waiting`.
#[utoipa::path(post, path = "/v0/operator/partners/accept", tag = "operator", request_body = AcceptInvitation,
    responses((status = 200, body = Partner)))]
async fn accept_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    Body(accept): Body<AcceptInvitation>,
) -> Answer<Json<Partner>> {
    api.node.accept_partner(by, accept).await.map(Json)
}

/// One partner, by company id, a unique prefix of it (4 digits or more), unique name or alias.
#[utoipa::path(get, path = "/v0/operator/partners/{partner}", tag = "operator", params(("partner" = String, Path)),
    responses((status = 200, body = Partner)))]
async fn partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
) -> Answer<Json<Partner>> {
    api.node.partner(by, partner).await.map(Json)
}

/// Records that people compared the fingerprint words; `409 X0307` if they differ.
#[utoipa::path(post, path = "/v0/operator/partners/{partner}/verify", tag = "operator",
    params(("partner" = String, Path)), request_body = VerifyPartner, responses((status = 200, body = Partner)))]
async fn verify_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
    Body(words): Body<VerifyPartner>,
) -> Answer<Json<Partner>> {
    api.node.verify_partner(by, partner, words).await.map(Json)
}

/// Sends and takes nothing for now.
#[utoipa::path(post, path = "/v0/operator/partners/{partner}/pause", tag = "operator",
    params(("partner" = String, Path)), request_body = Repeatable, responses((status = 200, body = Partner)))]
async fn pause_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<Partner>> {
    api.node.pause_partner(by, partner, write).await.map(Json)
}

/// Ends a pause.
#[utoipa::path(post, path = "/v0/operator/partners/{partner}/resume", tag = "operator",
    params(("partner" = String, Path)), request_body = Repeatable, responses((status = 200, body = Partner)))]
async fn resume_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<Partner>> {
    api.node.resume_partner(by, partner, write).await.map(Json)
}

/// Asks the partner's node for an answer; `504 X0309` after 10 s.
#[utoipa::path(post, path = "/v0/operator/partners/{partner}/ping", tag = "operator",
    params(("partner" = String, Path)), request_body = Repeatable, responses((status = 200, body = Ping)))]
async fn ping_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<Ping>> {
    api.node.ping_partner(by, partner, write).await.map(Json)
}

/// Ends a partnership; the partner is shown as `removed`.
#[utoipa::path(delete, path = "/v0/operator/partners/{partner}", tag = "operator",
    params(("partner" = String, Path), Repeatable), responses((status = 200, body = Partner)))]
async fn remove_partner<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(partner): UrlPath<String>,
    UrlQuery(write): UrlQuery<Repeatable>,
) -> Answer<Json<Partner>> {
    api.node.remove_partner(by, partner, write).await.map(Json)
}

/// The people of this company.
#[utoipa::path(get, path = "/v0/operator/users", tag = "operator", params(PageQuery),
    responses((status = 200, body = Page<User>)))]
async fn users<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<User>>> {
    api.node.users(by, page).await.map(Json)
}

/// Adds a person and makes the one-time secret that opens their account.
#[utoipa::path(post, path = "/v0/operator/users", tag = "operator", request_body = NewUser,
    responses((status = 201, body = UserActivation)))]
async fn add_user<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    Body(user): Body<NewUser>,
) -> Answer<(StatusCode, Json<UserActivation>)> {
    let activation = api.node.add_user(by, user).await?;
    Ok((StatusCode::CREATED, Json(activation)))
}

/// Ends every session of a person and makes a new one-time secret.
#[utoipa::path(post, path = "/v0/operator/users/{user}/reset", tag = "operator", params(("user" = String, Path)),
    request_body = Repeatable, responses((status = 200, body = UserActivation)))]
async fn reset_user<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlPath(user): UrlPath<String>,
    Body(write): Body<Repeatable>,
) -> Answer<Json<UserActivation>> {
    api.node.reset_user(by, user, write).await.map(Json)
}

/// Administrative acts, newest first.
#[utoipa::path(get, path = "/v0/operator/audit", tag = "operator", params(PageQuery),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn audit<N: UseCases>(
    State(api): Node<N>,
    by: Operator,
    UrlQuery(page): UrlQuery<PageQuery>,
) -> Answer<Json<Page<AuditEntry>>> {
    api.node.audit(by, page).await.map(Json)
}

/// Verifies the whole journal. Events: `progress` (`Progress`) repeatedly, then `report` (`VerifyReport`) or `problem`.
#[utoipa::path(post, path = "/v0/operator/verify", tag = "operator", responses(
    (status = 200, content((Progress = "text/event-stream"), (VerifyReport = "text/event-stream; event=report")))))]
async fn verify<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Response> {
    let node = api.node.clone();
    work::told(by.lang, move |told| async move {
        node.verify_journal(by, told).await
    })
    .await
}

/// Builds the index anew. Events: `progress` (`Progress`) repeatedly, then `report` (`RebuildReport`) or `problem`.
#[utoipa::path(post, path = "/v0/operator/rebuild", tag = "operator", responses(
    (status = 200, content((Progress = "text/event-stream"), (RebuildReport = "text/event-stream; event=report")))))]
async fn rebuild<N: UseCases>(State(api): Node<N>, by: Operator) -> Answer<Response> {
    let node = api.node.clone();
    work::told(by.lang, move |told| async move {
        node.rebuild_index(by, told).await
    })
    .await
}

/// Metrics as OpenMetrics text.
#[utoipa::path(get, path = "/v0/operator/metrics", tag = "operator",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn operator_metrics<N: UseCases>(State(api): Node<N>, _: Operator) -> Answer<Response> {
    let text = api.node.metrics_text().await?;
    let kind = HeaderValue::from_static(METRICS_CONTENT_TYPE);
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The same where scrapers look for it.
#[utoipa::path(get, path = "/metrics", tag = "operator",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics<N: UseCases>(api: Node<N>, by: Operator) -> Answer<Response> {
    operator_metrics(api, by).await
}
