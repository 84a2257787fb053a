//! The one way in which a request fails: a code from a closed list, rendered as the one envelope.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::store::StoreError;

/// Declares the closed list: variant, status, stable name, sentence for a person.
macro_rules! error_codes {
    ($($variant:ident = $status:ident, $name:literal, $message:literal;)*) => {
        /// What went wrong, as clients tell it apart. A code is never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant's sentence stands beside it")]
        pub enum ErrorCode { $($variant),* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The status it is answered with.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// Its stable name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its sentence for a person.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),* }
            }
        }
    };
}

error_codes! {
    InvalidJson = BAD_REQUEST, "invalid_json", "The body is not the JSON that this route expects";
    InvalidQuery = BAD_REQUEST, "invalid_query", "The query is malformed, or has a parameter twice or one that this route does not know";
    InvalidPath = BAD_REQUEST, "invalid_path", "The path is not valid percent-encoded UTF-8";
    InvalidRequest = BAD_REQUEST, "invalid_request", "A header of the request is malformed or given twice";
    Unauthorized = UNAUTHORIZED, "unauthorized", "A valid token is required";
    InvalidCredentials = UNAUTHORIZED, "invalid_credentials", "Email or password is wrong";
    NotAccepted = FORBIDDEN, "not_accepted", "This person does not take messages from you";
    Blocked = FORBIDDEN, "blocked", "This person cannot be added";
    WrongPassword = FORBIDDEN, "wrong_password", "The current password is wrong";
    PasswordRequired = FORBIDDEN, "password_required", "This needs the current password";
    NotFound = NOT_FOUND, "not_found", "There is no such route";
    UserNotFound = NOT_FOUND, "user_not_found", "There is no such user";
    ChatNotFound = NOT_FOUND, "chat_not_found", "There is no such chat";
    SessionNotFound = NOT_FOUND, "session_not_found", "You have no such session";
    NotBlocked = NOT_FOUND, "not_blocked", "You have not blocked this user";
    NotAFriend = NOT_FOUND, "not_a_friend", "This user is not on your list of friends";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "This route does not have that method";
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time";
    UsernameTaken = CONFLICT, "username_taken", "This username is taken";
    EmailTaken = CONFLICT, "email_taken", "This email address is taken";
    OwnRecoveryAddress = CONFLICT, "own_recovery_address", "This address is a way back to your account; only a new password set by a mail to it makes it your address again";
    TooManyChanges = CONFLICT, "too_many_changes", "Your address was changed too often; wait until a former address is forgotten";
    FriendLimit = CONFLICT, "friend_limit", "Your list of friends is full";
    BlockLimit = CONFLICT, "block_limit", "Your list of blocked people is full";
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload_too_large", "The body is larger than this route accepts";
    UriTooLong = URI_TOO_LONG, "uri_too_long", "The address of the request is too long";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send the body as JSON with Content-Type: application/json, and not compressed";
    ValidationFailed = UNPROCESSABLE_ENTITY, "validation_failed", "The request breaks a rule; see fields";
    PasswordTooCommon = UNPROCESSABLE_ENTITY, "password_too_common", "This password is too easy to guess";
    InvalidMailToken = UNPROCESSABLE_ENTITY, "invalid_mail_token", "This link was used, replaced by a newer one, or is too old; ask for a new mail";
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency_mismatch", "This client id was used for another text";
    RateLimited = TOO_MANY_REQUESTS, "rate_limited", "Too many requests of this kind; wait as long as Retry-After says";
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "The request has too many or too large headers";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong here; it has been noted";
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The service is unavailable for a moment; nothing was changed";
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "Too much is going on at once; nothing was changed";
    OutcomeUnknown = SERVICE_UNAVAILABLE, "outcome_unknown", "It is not known whether the change was made; repeating it is safe";
    MailUnavailable = SERVICE_UNAVAILABLE, "mail_unavailable", "This server sends no mail";
    StorageFull = SERVICE_UNAVAILABLE, "storage_full", "The storage is full; nothing was changed";
}

/// A failed request. The cause is for the log, everything else for the client.
#[derive(Debug)]
pub struct ApiError {
    /// What went wrong.
    pub code: ErrorCode,
    /// What else helps a person to find the mistake. Never what was sent.
    pub advice: Option<String>,
    /// Per field of the request, which rule it breaks.
    pub fields: BTreeMap<&'static str, String>,
    /// The methods that the route has, for a wrong one.
    pub allow: Option<String>,
    /// Whether a token was sent, for a missing or bad one.
    pub token_sent: bool,
    /// After how many seconds the same request will succeed, for one that came too soon.
    pub retry_after: Option<u32>,
    /// What happened inside.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The cause of a refusal: something happened as often as it may, by the limit of this name.
#[derive(Debug, thiserror::Error)]
#[error("limit {0}")]
pub struct LimitReached(pub &'static str);

/// The cause of a refusal: answers that were not taken are in the way of another one.
#[derive(Debug, thiserror::Error)]
#[error("answers that were made before are unread")]
pub struct UnreadAnswers;

impl ApiError {
    /// A failure in one field of the request.
    #[must_use]
    pub fn field(name: &'static str, rule: impl Into<String>) -> Self {
        Self { fields: BTreeMap::from([(name, rule.into())]), ..ErrorCode::ValidationFailed.into() }
    }

    /// A failure with a cause for the log.
    pub fn caused(code: ErrorCode, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..code.into() }
    }

    /// A failure with words that help to find the mistake.
    pub fn advised(code: ErrorCode, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..code.into() }
    }

    /// The sentence for a person.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match &self.advice {
            Some(advice) => format!("{}: {advice}", self.code.message()).into(),
            None => self.code.message().into(),
        }
    }

    /// Whether the connection serves no further request: the rest of this one was left unread, or its client reads nothing.
    #[must_use]
    pub fn closes_connection(&self) -> bool {
        matches!(self.code, ErrorCode::RequestTimeout | ErrorCode::PayloadTooLarge | ErrorCode::HeadersTooLarge)
            || self.cause.as_deref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<UnreadAnswers>)
    }

    /// A request that came too soon, by which limit, and how long until it succeeds.
    #[must_use]
    pub fn rate_limited(limit: &'static str, wait_millis: i64) -> Self {
        // Rounded up: waiting that long must be enough. A wait of more than a century is none that was meant.
        let seconds = u32::try_from((wait_millis.max(1) + 999) / 1_000).unwrap_or(u32::MAX);
        Self { retry_after: Some(seconds), ..Self::caused(ErrorCode::RateLimited, LimitReached(limit)) }
    }

    /// Seconds after which to try again; the failures of many at once are spread so that they do not return together.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        let spread = || getrandom::u32().unwrap_or_default();
        match self.code {
            ErrorCode::RateLimited => Some(self.retry_after.unwrap_or(1)),
            ErrorCode::MailUnavailable => Some(3_600),
            ErrorCode::Overloaded => Some(2 + spread() % 2),
            ErrorCode::Unavailable | ErrorCode::OutcomeUnknown => Some(4 + spread() % 3),
            ErrorCode::StorageFull => Some(60 + spread() % 13),
            _ => None,
        }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { code, advice: None, fields: BTreeMap::new(), allow: None, token_sent: false, retry_after: None, cause: None }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) => ErrorCode::Unavailable,
            StoreError::Overloaded => ErrorCode::Overloaded,
            StoreError::OutcomeUnknown(_) => ErrorCode::OutcomeUnknown,
            StoreError::Full(_) => ErrorCode::StorageFull,
            StoreError::Broken(_) => ErrorCode::Internal,
        };
        Self::caused(code, error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// An empty answer: the gateway renders the envelope, because only it knows the request's id.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_names() {
        let names: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }

    #[test]
    fn whatever_may_pass_says_when_to_try_again() {
        for &code in ErrorCode::ALL {
            let retry = ApiError::from(code).retry_after_seconds();
            let passes = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&code.status());
            assert_eq!(retry.is_some(), passes, "{code:?}");
        }
    }

    #[test]
    fn refusals_of_many_at_once_do_not_all_come_back_together() {
        for &code in ErrorCode::ALL.iter().filter(|code| code.status() == StatusCode::SERVICE_UNAVAILABLE) {
            let waits: std::collections::HashSet<_> = (0..200).map(|_| ApiError::from(code).retry_after_seconds()).collect();
            assert_eq!(waits.len() > 1, code != ErrorCode::MailUnavailable, "{code:?}");
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_that_are_enough() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (86_400_000, 86_400)] {
            assert_eq!(ApiError::rate_limited("login", millis).retry_after_seconds(), Some(seconds));
        }
    }
}
