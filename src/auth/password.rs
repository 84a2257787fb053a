//! `PUT /api/auth/password`: a new password for whoever has a session and knows the present one.

use actix_web::web;
use serde::Deserialize;
use utoipa::ToSchema;

use super::parts::Parts;
use super::personal_words;
use crate::domain::{MailKind, Password};
use crate::http::{ApiError, Fields, Json, Message, RequestBody};
use crate::identity::{Actor, Bearer, Confirmation, PasswordHasher};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ChangePasswordBody {
    #[schema(required, value_type = String, format = Password, examples("tulip-gravel-onion"))]
    current_password: Option<String>,
    #[schema(required, value_type = Password)]
    new_password: Option<String>,
}

impl RequestBody for ChangePasswordBody {}

impl ChangePasswordBody {
    fn check(self, passwords: &PasswordHasher) -> Result<(String, Password), ApiError> {
        let mut fields = Fields::new();
        let current = fields.required("currentPassword", self.current_password, Ok::<_, String>);
        let new = fields.required("newPassword", self.new_password, |text| passwords.read_new(&text));
        fields.finish_with(|| Some((current?, new?)))
    }
}

/// Every other session ends in the write that sets the password.
#[utoipa::path(
    put,
    path = "/api/auth/password",
    summary = "Change the password",
    description = "Sets a new password and ends every other session of the caller.",
    request_body = ChangePasswordBody,
    responses((status = 200, description = "The password is changed.", body = Message))
)]
pub(super) async fn change_password(
    bearer: Bearer,
    confirmation: Confirmation,
    parts: Parts,
    Json(body): Json<ChangePasswordBody>,
) -> Result<web::Json<Message>, ApiError> {
    let (current, new) = body.check(&parts.passwords)?;
    for _ in 0..Confirmation::ATTEMPTS {
        let own = confirmation.confirm(&bearer, &current).await?;
        let hash = parts.passwords.hash(new.clone(), personal_words(&own.username, &own.email), parts.net()).await;
        let hash = hash.map_err(|error| error.in_field("newPassword"))?;
        let notice = parts.mailer.order(MailKind::PasswordChanged, &own.email, parts.now).map(|mail| mail.at);
        if parts.store().change_password(bearer.session_key(), &own.password_hash, &hash, notice).await? {
            parts.mailer.notify();
            parts.audit.note("password_changed", &Actor::User(bearer.user()));
            return Ok(Message::new("Password changed successfully"));
        }
    }
    Err(Confirmation::overtaken())
}
