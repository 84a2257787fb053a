//! `/api/auth/email`: whether an address is its account's owner's.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::page;
use super::parts::Parts;
use crate::domain::{LinkId, MailKind, MailPurpose, MailToken, MailTokenHash};
use crate::http::{Accepted, ApiError, ErrorCode, Fields, Json, Message, RequestBody};
use crate::identity::{Actor, Bearer, Confirmation};
use crate::rate_limits::MailPermission;
use crate::store::{AddressToken, MoveOutcome, MoveProof};

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

/// Sends the mail again, if there is an address to verify; the answer is the same.
#[utoipa::path(
    post,
    path = "/api/auth/email",
    summary = "Send the verification again",
    description = "Sends the mail that verifies the caller's address, or the one that the account moves to, again.",
    responses((status = 202, description = "A mail is on its way, if there was anything to verify.", body = Message))
)]
pub(super) async fn send_verification(bearer: Bearer, parts: Parts) -> Result<Accepted, ApiError> {
    let user = bearer.admit(parts.store().find_profile(bearer.session_key()).await?)?;
    if !parts.mailer.is_available() {
        return Err(ErrorCode::MailUnavailable.into());
    }
    let pending = user.pending_email.filter(|pending| parts.now < pending.until).map(|pending| pending.address);
    let (kind, purpose, address, is_wanted) = match pending {
        Some(pending) => (MailKind::NewAddress, MailPurpose::NewAddress, pending, true),
        None => (MailKind::Verification, MailPurpose::Verification, user.email, !user.is_email_verified),
    };
    if parts.limits.ask_for_mail(purpose, &address.key()).await? == MailPermission::Granted
        && is_wanted
        && let Some(mail) = parts.mailer.order(kind, &address, parts.now)
    {
        parts.store().order_mail(user.id, &mail).await?;
        parts.mailer.notify();
    }
    Ok(Accepted::new("If there is an address to verify, a mail is on its way to it"))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyBody {
    #[schema(required, value_type = MailToken)]
    token: Option<String>,
    /// The account's password: needed to move an account to another address, unless a session of it is given as a token.
    #[schema(value_type = Option<String>, format = Password, examples("tulip-gravel-onion"))]
    password: Option<String>,
}

impl RequestBody for VerifyBody {}

/// A password that is given is checked whatever else would do, so that a wrong one is always told.
#[utoipa::path(
    put,
    path = "/api/auth/email",
    summary = "Verify an address",
    description = "Uses the token from a mail to verify the address that it was sent to. Where an account moves to that address \
        this needs a session of the account, as a bearer token, or its password: whoever reads somebody else's mail must not give \
        anything away by pressing the button in it.",
    request_body = VerifyBody,
    responses((status = 200, description = "The address is verified.", body = Message))
)]
pub(super) async fn verify_email(
    request: HttpRequest,
    parts: Parts,
    confirmation: Confirmation,
    Json(body): Json<VerifyBody>,
) -> Result<web::Json<Message>, ApiError> {
    let mut fields = Fields::new();
    let token = fields.required("token", body.token, Ok::<_, String>);
    let token = fields.finish_with(|| token)?;
    let guess = parts.limits.redeem_mail_token().await?;
    let hash = MailToken::parse(&token).ok_or(ErrorCode::InvalidMailToken)?.hash();
    let mut found = find(&parts, &hash).await?;
    guess.give_back();
    for _ in 0..Confirmation::ATTEMPTS {
        if let Some(typed) = &body.password {
            confirmation.check(found.owner.user, &found.password_hash, typed).await?;
        }
        if !found.is_move {
            let user = parts.store().verify_email(&hash, parts.now).await?.ok_or(ErrorCode::InvalidMailToken)?;
            parts.audit.note("email_verified", &Actor::User(user));
            return Ok(Message::new("Email verified"));
        }
        let proof = match &body.password {
            Some(_checked) => MoveProof::Password(found.password_hash.clone()),
            None => session_of(&request, &parts, &found).await?,
        };
        if move_address(&parts, &hash, &found, &proof).await? {
            return Ok(Message::new("Email verified"));
        }
        found = find(&parts, &hash).await?;
    }
    Err(Confirmation::overtaken())
}

async fn find(parts: &Parts, hash: &MailTokenHash) -> Result<AddressToken, ApiError> {
    Ok(parts.store().find_address_token(hash, parts.now).await?.ok_or(ErrorCode::InvalidMailToken)?)
}

/// A live session of the account, or the refusal that names the account whose password would do.
async fn session_of(request: &HttpRequest, parts: &Parts, found: &AddressToken) -> Result<MoveProof, ApiError> {
    if let Some(bearer) = Bearer::of_open_route(request).filter(|bearer| bearer.user() == found.owner.user) {
        let key = bearer.session_key();
        if bearer.admit(parts.store().find_session(key).await?).is_ok() {
            return Ok(MoveProof::Session(key.session));
        }
    }
    Err(ApiError::advised(ErrorCode::PasswordRequired, format!("that of the account {}", found.owner.username.as_str())))
}

/// `false` when the link or its proof is not good any more, which only another look tells apart.
async fn move_address(parts: &Parts, hash: &MailTokenHash, found: &AddressToken, proof: &MoveProof) -> Result<bool, ApiError> {
    let link = LinkId::generate().map_err(|error| ApiError::caused(ErrorCode::Internal, error))?;
    let notify = parts.mailer.order(MailKind::AddressChanged, &found.owner.address, parts.now).is_some();
    match parts.store().move_address(hash, proof, link, parts.now, notify).await? {
        MoveOutcome::Moved => {
            parts.mailer.notify();
            parts.audit.note("address_changed", &Actor::User(found.owner.user));
            Ok(true)
        }
        MoveOutcome::Taken => Err(ErrorCode::EmailTaken.into()),
        MoveOutcome::TooMany => Err(ErrorCode::TooManyChanges.into()),
        MoveOutcome::Refused => Ok(false),
    }
}
