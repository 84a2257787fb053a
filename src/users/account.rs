//! `DELETE /api/users/profile`: the end of an account, for whoever has a session and knows the password.

use actix_web::web;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::{ApiError, Fields, Json, Message, RequestBody};
use crate::identity::{Actor, Audit, Bearer, Confirmation};
use crate::store::Store;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteAccountBody {
    #[schema(required, value_type = String, format = Password, examples("tulip-gravel-onion"))]
    password: Option<String>,
}

impl RequestBody for DeleteAccountBody {}

#[utoipa::path(
    delete,
    path = "/api/users/profile",
    summary = "Delete the account",
    description = "Deletes the caller's account. Messages stay with those who got them, from `deleted user`.",
    request_body = DeleteAccountBody,
    responses((status = 200, description = "The account is deleted.", body = Message))
)]
pub(super) async fn delete_account(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    confirmation: Confirmation,
    audit: Audit,
    Json(body): Json<DeleteAccountBody>,
) -> Result<web::Json<Message>, ApiError> {
    let mut fields = Fields::new();
    let password = fields.required("password", body.password, Ok::<_, String>);
    let password = fields.finish_with(|| password)?;
    for _ in 0..Confirmation::ATTEMPTS {
        let own = confirmation.confirm(&bearer, &password).await?;
        if store.delete_account(bearer.user(), &own.password_hash, bearer.now()).await? {
            audit.note("account_deleted", &Actor::User(bearer.user()));
            return Ok(Message::new("Account deleted successfully"));
        }
    }
    Err(Confirmation::overtaken())
}
