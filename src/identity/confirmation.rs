//! The password once more, before what cannot be undone: a session alone must not be enough for it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::{Actor, Audit, Bearer, PasswordHasher, Verification};
use crate::domain::{Password, PasswordHash, UserId};
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
    /// How often a change is confirmed and tried. A write that is refused does not tell why: the session ended meanwhile, the
    /// password was changed, or only its hash was renewed by a log-in. To confirm once more does.
    pub const ATTEMPTS: usize = 3;

    /// The failure of a change that something came before each time.
    #[must_use]
    pub fn overtaken() -> ApiError {
        ApiError::caused(ErrorCode::Unavailable, "the credentials change all the time")
    }

    /// The caller's credentials, if the session is live and the password theirs. A wrong one counts as a guess, before it
    /// is checked; one that no account can have is refused without a check.
    pub async fn confirm(&self, bearer: &Bearer, typed: &str) -> Result<OwnCredentials, ApiError> {
        let store = self.store.get_ref();
        let own = bearer.admit(store.find_own_credentials(bearer.session_key()).await?)?;
        self.check(bearer.user(), &own.password_hash, typed).await.map(|()| own)
    }

    /// Whether a password is that of somebody with this hash. A wrong one counts as a guess at that account, as above.
    pub async fn check(&self, user: UserId, hash: &PasswordHash, typed: &str) -> Result<(), ApiError> {
        let Ok(password) = Password::parse(typed) else { return Err(ErrorCode::WrongPassword.into()) };
        if self.is_right(user, password, hash.clone()).await? { Ok(()) } else { Err(ErrorCode::WrongPassword.into()) }
    }

    /// Whether a password is the one of this hash. A wrong one counts as a guess at `whose`, be it an account or a
    /// registration that waits, before it is checked.
    pub async fn is_right(&self, whose: UserId, password: Password, hash: PasswordHash) -> Result<bool, ApiError> {
        let guess = self.limits.check_password(whose).await?;
        match self.passwords.verify(password, Some(hash), self.limits.net()).await {
            Ok(Verification::Wrong) => {
                self.audit.note("wrong_password", &Actor::User(whose));
                Ok(false)
            }
            Ok(Verification::Right(_)) => {
                guess.give_back();
                Ok(true)
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
