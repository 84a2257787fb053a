//! The Authentication service: accounts, their sessions, passwords and addresses.

mod email;
mod login;
mod logout;
mod page;
mod parts;
mod password;
mod password_reset;
mod pending_registration;
mod register;
mod registration_policy;
mod sessions;

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, USER_AGENT};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::domain::{Email, Session, SessionId, Timestamp, UserId, Username};
use crate::http::{ApiError, Endpoint, ErrorCode, OwnUser};
use crate::identity::Tokens;

pub use registration_policy::RegistrationPolicy;

/// What the service offers.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::POST, "/api/auth/register", register::register).open().failing(&[
            ErrorCode::UsernameTaken,
            ErrorCode::EmailTaken,
            ErrorCode::PasswordTooCommon,
        ]),
        Endpoint::new(Method::POST, "/api/auth/login", login::log_in).open().failing(&[ErrorCode::InvalidCredentials]),
        Endpoint::new(Method::POST, "/api/auth/logout", logout::log_out),
        Endpoint::new(Method::GET, "/api/auth/sessions", sessions::list_sessions),
        Endpoint::new(Method::DELETE, "/api/auth/sessions", sessions::end_sessions).failing(&[ErrorCode::SessionNotFound]),
        Endpoint::new(Method::GET, "/api/auth/email", email::show_page).page(),
        Endpoint::new(Method::POST, "/api/auth/email", email::send_verification).failing(&[ErrorCode::MailUnavailable]),
        Endpoint::new(Method::PUT, "/api/auth/email", email::verify_email).open().failing(&[
            ErrorCode::InvalidMailToken,
            ErrorCode::WrongPassword,
            ErrorCode::PasswordRequired,
            ErrorCode::EmailTaken,
            ErrorCode::TooManyChanges,
        ]),
        Endpoint::new(Method::PUT, "/api/auth/password", password::change_password)
            .failing(&[ErrorCode::WrongPassword, ErrorCode::PasswordTooCommon]),
        Endpoint::new(Method::GET, "/api/auth/password-reset", password_reset::show_page).page(),
        Endpoint::new(Method::POST, "/api/auth/password-reset", password_reset::ask_for_reset)
            .open()
            .failing(&[ErrorCode::MailUnavailable]),
        Endpoint::new(Method::PUT, "/api/auth/password-reset", password_reset::reset_password)
            .open()
            .failing(&[ErrorCode::InvalidMailToken, ErrorCode::PasswordTooCommon]),
    ]
}

/// What the document of the API tells of them.
#[derive(OpenApi)]
#[openapi(
    paths(
        register::register,
        login::log_in,
        logout::log_out,
        sessions::list_sessions,
        sessions::end_sessions,
        email::show_page,
        email::send_verification,
        email::verify_email,
        password::change_password,
        password_reset::show_page,
        password_reset::ask_for_reset,
        password_reset::reset_password
    ),
    components(schemas(sessions::ListedSession))
)]
pub struct Documentation;

/// The answer that begins a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BegunSession)]
struct SessionBody {
    #[schema(examples("Login successful"))]
    message: &'static str,
    /// For the header `Authorization`, as `Bearer <token>`.
    #[schema(examples("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI…"))]
    token: String,
    /// When the session ends in any case.
    expires_at: Timestamp,
    user: OwnUser,
}

/// A session about to begin: what the store keeps of it, and the token for its owner.
struct NewSession {
    record: Session,
    token: String,
}

impl NewSession {
    fn begin(user: UserId, tokens: &Tokens, headers: &HeaderMap, now: Timestamp) -> Result<Self, ApiError> {
        let id = SessionId::generate().map_err(internal)?;
        let record = Session::begin(&id, now, user_agent(headers));
        let token = tokens.issue(user, &id, now, record.expires_at).map_err(internal)?;
        Ok(Self { record, token })
    }

    fn into_body(self, message: &'static str, user: OwnUser) -> SessionBody {
        SessionBody { message, token: self.token, expires_at: self.record.expires_at, user }
    }
}

/// How the client program names itself, for the list of sessions: visible ASCII, cut to 256 bytes, without what the
/// Functions host appends.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    const MAX_BYTES: usize = 256;
    let sent = headers.get(USER_AGENT)?.to_str().ok()?;
    let own = sent.split(" Azure-Functions-Host/").next().unwrap_or(sent);
    Some(own.chars().take(MAX_BYTES).collect()).filter(|own: &String| !own.is_empty())
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    ApiError::caused(ErrorCode::Internal, error)
}

/// What an attacker who knows a person tries first.
fn personal_words(username: &Username, email: &Email) -> Vec<String> {
    vec![username.as_str().to_owned(), email.local_part().to_owned()]
}
