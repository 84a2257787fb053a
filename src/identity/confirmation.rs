//! The password once more, before what cannot be undone: a session alone must not be enough for it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::{Actor, Audit, Bearer, PasswordHasher, Verification};
use crate::domain::Password;
use crate::http::{ApiError, ErrorCode};
use crate::rate_limits::ClientLimits;
use crate::store::{OwnCredentials, Store};

/// Checks the password that somebody logged in gives again.
pub struct Confirmation {
    store: web::Data<dyn Store>,
    passwords: web::Data<PasswordHasher>,
    limits: ClientLimits,
    audit: Audit,
}

impl Confirmation {
    /// The caller's credentials, if the session is live and the password theirs. A wrong one counts as a guess, before it
    /// is checked; one that no account can have is refused without a check.
    pub async fn confirm(&self, bearer: &Bearer, typed: &str) -> Result<OwnCredentials, ApiError> {
        let store = self.store.get_ref();
        let own = bearer.admit(store.find_own_credentials(bearer.session_key()).await?)?;
        let Ok(password) = Password::parse(typed) else { return Err(ErrorCode::WrongPassword.into()) };
        let guess = self.limits.check_password(bearer.user()).await?;
        match self.passwords.verify(password, Some(own.password_hash.clone()), self.limits.net()).await {
            Ok(Verification::Wrong) => {
                self.audit.note("wrong_password", &Actor::User(bearer.user()));
                Err(ErrorCode::WrongPassword.into())
            }
            Ok(Verification::Right(_)) => {
                guess.give_back();
                Ok(own)
            }
            Err(failure) => {
                // Nothing was checked, so nothing was guessed.
                guess.give_back();
                Err(failure.into())
            }
        }
    }
}

impl FromRequest for Confirmation {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let missing = || ApiError::caused(ErrorCode::Internal, "the application lacks a part that passwords need");
        let parts = |limits| {
            let store = request.app_data::<web::Data<dyn Store>>()?.clone();
            let passwords = request.app_data::<web::Data<PasswordHasher>>()?.clone();
            Some(Self { store, passwords, limits, audit: Audit::of(request) })
        };
        let limits = ClientLimits::from_request(request, payload).into_inner();
        ready(limits.and_then(|limits| parts(limits).ok_or_else(missing)))
    }
}
