//! `POST /api/auth/login`: a session for whoever knows the password.

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::parts::Parts;
use super::{NewSession, RegistrationPolicy, SessionBody};
use crate::domain::{Email, EmailKey, Password, PasswordHash};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::{Actor, Verification};
use crate::rate_limits::Attempt;
use crate::store::Credentials;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    #[schema(required, value_type = String, examples("ann@example.com"))]
    email: Option<String>,
    #[schema(required, value_type = String, format = Password, examples("tulip-gravel-onion"))]
    password: Option<String>,
}

impl RequestBody for LoginBody {}

/// Somebody at the door.
struct Visitor {
    /// What their guesses are counted under: one address has one counter, however it is spelt.
    counted_as: String,
    /// `None` for what cannot be anybody's address: it is treated as unknown.
    email: Option<EmailKey>,
    password: Password,
    /// Who that is, for the log.
    actor: Actor,
}

#[utoipa::path(
    post,
    path = "/api/auth/login",
    summary = "Log in",
    description = "Begins a session. A person has at most 20; a further one ends the one that was not used for longest.",
    request_body = LoginBody,
    responses((status = 200, description = "A session has begun.", body = SessionBody))
)]
pub(super) async fn log_in(request: HttpRequest, parts: Parts, Json(body): Json<LoginBody>) -> Result<web::Json<SessionBody>, ApiError> {
    let visitor = Visitor::read(body, &parts)?;
    let attempt = count(&parts, &visitor).await?;
    let (stored, checked) = match verify(&parts, &visitor).await {
        Ok(verified) => verified,
        Err(failure) => {
            // Nothing was checked, so nothing was guessed.
            attempt.give_back();
            return Err(failure);
        }
    };
    let (Some(stored), Verification::Right(renewed)) = (stored, checked) else {
        return Err(refused(&parts, &visitor.actor));
    };
    let answer = begin_session(&request, &parts, &stored, renewed.as_ref()).await?;
    let answer = answer.ok_or_else(|| refused(&parts, &visitor.actor))?;
    attempt.succeeded(parts.now);
    parts.audit.note("logged_in", &Actor::User(stored.user));
    Ok(web::Json(answer))
}

impl Visitor {
    /// A password that cannot have been set is a wrong one, refused before it takes a hashing slot.
    fn read(body: LoginBody, parts: &Parts) -> Result<Self, ApiError> {
        let mut fields = Fields::new();
        let email = fields.required("email", body.email, Ok::<_, String>);
        let password = fields.required("password", body.password, Ok::<_, String>);
        let (email, password) = fields.finish_with(|| Some((email?, password?)))?;
        let key = Email::parse(&email).ok().map(|email| email.key());
        let counted_as = key.as_ref().map_or_else(|| email.trim().to_ascii_lowercase(), |key| key.as_str().to_owned());
        let actor = key.as_ref().map_or(Actor::Nobody, |key| parts.typist_of(key));
        let password = Password::parse(&password).map_err(|_rule| refused(parts, &actor))?;
        Ok(Self { counted_as, email: key, password, actor })
    }
}

async fn count(parts: &Parts, visitor: &Visitor) -> Result<Attempt, ApiError> {
    let counted = parts.limits.login(&visitor.counted_as).await;
    if counted.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::RateLimited) {
        parts.audit.note("login_limited", &visitor.actor);
    }
    counted
}

/// The account, if there is one that may log in, and whether the password is its own; it takes as long if there is none.
async fn verify(parts: &Parts, visitor: &Visitor) -> Result<(Option<Credentials>, Verification), ApiError> {
    let found = match &visitor.email {
        Some(email) => parts.store().find_credentials(email).await?,
        None => None,
    };
    let stored = found.filter(|found| found.is_email_verified || parts.registration == RegistrationPolicy::Open);
    let hash = stored.as_ref().map(|stored| stored.password_hash.clone());
    let checked = parts.passwords.verify(visitor.password.clone(), hash, parts.net()).await?;
    Ok((stored, checked))
}

/// `None` when the password was changed while it was checked: a log-in that overlaps a change must not outlive it.
async fn begin_session(
    request: &HttpRequest,
    parts: &Parts,
    stored: &Credentials,
    renewed: Option<&PasswordHash>,
) -> Result<Option<SessionBody>, ApiError> {
    let session = NewSession::begin(stored.user, &parts.tokens, request.headers(), parts.now)?;
    let (user, chats) = futures_util::try_join!(
        parts.store().start_session(stored.user, &stored.password_hash, renewed, &session.record),
        parts.store().list_chat_ids(stored.user, OwnUser::MAX_CHATS),
    )?;
    Ok(user.map(|user| session.into_body("Login successful", OwnUser::new(user, chats, parts.now))))
}

fn refused(parts: &Parts, visitor: &Actor) -> ApiError {
    parts.audit.note("login_failed", visitor);
    ErrorCode::InvalidCredentials.into()
}
