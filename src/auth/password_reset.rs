//! `/api/auth/password-reset`: a way back in for whoever can read the account's mail.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::page;
use super::parts::Parts;
use super::personal_words;
use crate::domain::{Email, EmailKey, MailKind, MailPurpose, MailToken, Password, Timestamp};
use crate::http::{Accepted, ApiError, ErrorCode, Fields, Json, Message, RequestBody};
use crate::identity::{Actor, PasswordHasher};
use crate::logging;
use crate::mail::Mailer;
use crate::rate_limits::MailPermission;
use crate::store::{Store, StoreError};

/// The page that the link in the mail opens. Opening it changes nothing: mail scanners follow links.
#[utoipa::path(
    get,
    path = "/api/auth/password-reset",
    operation_id = "show_password_reset_page",
    summary = "Page that sets a new password",
    description = "What the link in a mail opens. Opening it changes nothing: its button sends the `PUT`.",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8"))
)]
pub(super) async fn show_page() -> HttpResponse {
    page::password_reset()
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AskForResetBody)]
pub(super) struct AskBody {
    #[schema(required, value_type = Email)]
    email: Option<String>,
}

impl RequestBody for AskBody {}

/// Answers the same for every address, in the same time: whether there is an account is looked up behind the answer.
#[utoipa::path(
    post,
    path = "/api/auth/password-reset",
    summary = "Ask for a new password",
    description = "Sends a mail with a link that sets a new password. Whether there is such an account is not told.",
    request_body = AskBody,
    responses((status = 202, description = "A mail is on its way, if an account has this address.", body = Message))
)]
pub(super) async fn ask_for_reset(parts: Parts, Json(body): Json<AskBody>) -> Result<Accepted, ApiError> {
    let mut fields = Fields::new();
    let email = fields.required("email", body.email, |text| Email::parse(&text));
    let email = fields.finish_with(|| email)?;
    if !parts.mailer.is_available() {
        return Err(ErrorCode::MailUnavailable.into());
    }
    if parts.limits.ask_for_mail(MailPurpose::PasswordReset, &email.key()).await? == MailPermission::Granted {
        parts.audit.note("password_reset_asked", &parts.typist_of(&email.key()));
        tokio::spawn(order_reset(parts.shared_store(), parts.mailer.clone(), email.key(), parts.now));
    }
    Ok(Accepted::new("If an account has this address, a mail is on its way to it"))
}

async fn order_reset(store: web::Data<dyn Store>, mailer: web::Data<Mailer>, email: EmailKey, now: Timestamp) {
    if let Err(error) = try_to_order_reset(store.get_ref(), &mailer, &email, now).await {
        log::error!(event = "password_reset_not_ordered", error = logging::causes(&error); "a mail with a new password could not be ordered");
    }
}

async fn try_to_order_reset(store: &dyn Store, mailer: &Mailer, email: &EmailKey, now: Timestamp) -> Result<(), StoreError> {
    let Some((user, address)) = store.find_address_owner(email, now).await? else { return Ok(()) };
    if let Some(mail) = mailer.order(MailKind::PasswordReset, &address, now) {
        store.order_mail(user, &mail).await?;
        mailer.notify();
    }
    Ok(())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ResetPasswordBody)]
pub(super) struct ResetBody {
    #[schema(required, value_type = MailToken)]
    token: Option<String>,
    #[schema(required, value_type = Password)]
    new_password: Option<String>,
}

impl RequestBody for ResetBody {}

impl ResetBody {
    fn check(self, passwords: &PasswordHasher) -> Result<(Option<MailToken>, Password), ApiError> {
        let mut fields = Fields::new();
        let token = fields.required("token", self.token, Ok::<_, String>);
        let new = fields.required("newPassword", self.new_password, |text| passwords.read_new(&text));
        // A text that cannot be a token is one that is not good.
        fields.finish_with(|| Some((MailToken::parse(&token?), new?)))
    }
}

/// The token is looked up first, so that only its holder costs a hash, and used up in the write that sets the password.
#[utoipa::path(
    put,
    path = "/api/auth/password-reset",
    summary = "Set a new password",
    description = "Uses the token from a mail to set a new password, and ends every session of its owner.",
    request_body = ResetBody,
    responses((status = 200, description = "The password is set.", body = Message))
)]
pub(super) async fn reset_password(parts: Parts, Json(body): Json<ResetBody>) -> Result<web::Json<Message>, ApiError> {
    let (token, new) = body.check(&parts.passwords)?;
    let invalid = ErrorCode::InvalidMailToken;
    let guess = parts.limits.redeem_mail_token().await?;
    let token = token.ok_or(invalid)?.hash();
    let owner = parts.store().find_mail_token(&token, MailPurpose::PasswordReset, parts.now).await?.ok_or(invalid)?;
    // Whoever holds a good token has not guessed.
    guess.give_back();
    let hash = parts.passwords.hash(new, personal_words(&owner.username, &owner.address), parts.net()).await;
    let hash = hash.map_err(|error| error.in_field("newPassword"))?;
    let notify = parts.mailer.order(MailKind::PasswordChanged, &owner.address, parts.now).is_some();
    let user = parts.store().reset_password(&token, &hash, parts.now, notify).await?.ok_or(invalid)?;
    parts.mailer.notify();
    parts.limits.forgive_logins(&owner.address.key()).await;
    parts.audit.note("password_reset", &Actor::User(user));
    Ok(Message::new("Password reset successfully"))
}
