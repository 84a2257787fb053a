//! `/api/auth/email`: whether an address is its account's owner's.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::page;
use super::parts::Parts;
use crate::domain::{MailKind, MailPurpose, MailToken};
use crate::http::{Accepted, ApiError, ErrorCode, Fields, Json, Message, RequestBody};
use crate::identity::{Actor, Bearer};
use crate::rate_limits::MailPermission;

/// The page that the link in the mail opens. Opening it changes nothing: mail scanners follow links.
#[utoipa::path(
    get,
    path = "/api/auth/email",
    operation_id = "show_verification_page",
    summary = "Page that verifies an address",
    description = "What the link in a mail opens. Opening it changes nothing: its button sends the `PUT`.",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8"))
)]
pub(super) async fn show_page() -> HttpResponse {
    page::email_verification()
}

/// Sends the mail again, unless the address is verified or there is none; the answer is the same.
#[utoipa::path(
    post,
    path = "/api/auth/email",
    summary = "Send the verification again",
    description = "Sends the mail that verifies the caller's address again, unless it is verified.",
    responses((status = 202, description = "A mail is on its way, if there was anything to verify.", body = Message))
)]
pub(super) async fn send_verification(bearer: Bearer, parts: Parts) -> Result<Accepted, ApiError> {
    let user = bearer.admit(parts.store().find_profile(bearer.session_key()).await?)?;
    if !parts.mailer.is_available() {
        return Err(ErrorCode::MailUnavailable.into());
    }
    if parts.limits.ask_for_mail(MailPurpose::Verification, &user.email.key()).await? == MailPermission::Granted
        && !user.is_email_verified
        && let Some(mail) = parts.mailer.order(MailKind::Verification, &user.email, parts.now)
    {
        parts.store().order_mail(user.id, &mail).await?;
        parts.mailer.notify();
    }
    Ok(Accepted::new("If your address is not verified yet, a mail is on its way to it"))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyBody {
    #[schema(required, value_type = MailToken)]
    token: Option<String>,
}

impl RequestBody for VerifyBody {}

#[utoipa::path(
    put,
    path = "/api/auth/email",
    summary = "Verify an address",
    description = "Uses the token from a mail to verify the address that it was sent to.",
    request_body = VerifyBody,
    responses((status = 200, description = "The address is verified.", body = Message))
)]
pub(super) async fn verify_email(parts: Parts, Json(body): Json<VerifyBody>) -> Result<web::Json<Message>, ApiError> {
    let mut fields = Fields::new();
    let token = fields.required("token", body.token, Ok::<_, String>);
    let token = fields.finish_with(|| token)?;
    let guess = parts.limits.redeem_mail_token().await?;
    let token = MailToken::parse(&token).ok_or(ErrorCode::InvalidMailToken)?;
    let user = parts.store().verify_email(&token.hash(), parts.now).await?.ok_or(ErrorCode::InvalidMailToken)?;
    guess.give_back();
    parts.audit.note("email_verified", &Actor::User(user));
    Ok(Message::new("Email verified"))
}
