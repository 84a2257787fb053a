//! `POST /api/auth/login`: a session for whoever knows the password.

use actix_web::{HttpRequest, web};
use serde::Deserialize;

use super::{NewSession, SessionBody};
use crate::domain::{Clock, Email, Password};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::{PasswordHasher, Tokens, Verification};
use crate::store::{Credentials, Store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    email: Option<String>,
    password: Option<String>,
}

impl RequestBody for LoginBody {}

pub(super) async fn log_in(
    request: HttpRequest,
    store: web::Data<dyn Store>,
    passwords: web::Data<PasswordHasher>,
    tokens: web::Data<Tokens>,
    clock: web::Data<Clock>,
    Json(body): Json<LoginBody>,
) -> Result<web::Json<SessionBody>, ApiError> {
    let (email, password) = check(body)?;
    let stored = find_credentials(store.get_ref(), email.as_ref()).await?;
    let checked = passwords.verify(password, stored.as_ref().map(|stored| stored.password_hash.clone())).await?;
    let (Some(stored), Verification::Right(renewed)) = (stored, checked) else {
        return Err(refused("wrong"));
    };
    let session = NewSession::begin(stored.user, &tokens, request.headers(), clock.now())?;
    // The store starts the session only if the hash is still the one that was checked: a log-in that overlaps a change
    // of password must not outlive it.
    let (user, chats) = futures_util::try_join!(
        store.start_session(stored.user, &stored.password_hash, renewed.as_ref(), &session.record),
        store.list_chat_ids(stored.user, OwnUser::MAX_CHATS),
    )?;
    let user = user.ok_or_else(|| refused("password changed meanwhile"))?;
    log::info!(event = "logged_in", user:display = user.id; "a person logged in");
    Ok(web::Json(session.into_body("Login successful", OwnUser::new(&user, &chats))))
}

/// An address that cannot exist is an unknown one. A password that cannot have been set is a wrong one, refused before
/// it takes a hashing slot.
fn check(body: LoginBody) -> Result<(Option<Email>, Password), ApiError> {
    let mut fields = Fields::new();
    let email = fields.required("email", body.email, Ok::<_, String>);
    let password = fields.required("password", body.password, Ok::<_, String>);
    fields.finish()?;
    let password = Password::parse(&password.unwrap_or_default()).map_err(|_| refused("no possible password"))?;
    Ok((Email::parse(&email.unwrap_or_default()).ok(), password))
}

async fn find_credentials(store: &dyn Store, email: Option<&Email>) -> Result<Option<Credentials>, ApiError> {
    match email {
        Some(email) => Ok(store.find_credentials(&email.key()).await?),
        None => Ok(None),
    }
}

fn refused(reason: &'static str) -> ApiError {
    log::info!(event = "login_failed", reason; "a log-in failed");
    ErrorCode::InvalidCredentials.into()
}
