//! What the endpoints of the service work with.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::RegistrationPolicy;
use crate::domain::{Clock, EmailKey, Net, Timestamp};
use crate::http::{ApiError, ErrorCode};
use crate::identity::{Actor, Audit, PasswordHasher, Pseudonyms, Tokens};
use crate::mail::Mailer;
use crate::rate_limits::ClientLimits;
use crate::store::Store;

/// The parts of the application, and the facts of one request.
pub(super) struct Parts {
    shared: web::Data<dyn Store>,
    pub(super) passwords: web::Data<PasswordHasher>,
    pub(super) tokens: web::Data<Tokens>,
    pub(super) mailer: web::Data<Mailer>,
    pub(super) limits: ClientLimits,
    pub(super) registration: RegistrationPolicy,
    pseudonyms: web::Data<Pseudonyms>,
    pub(super) audit: Audit,
    pub(super) now: Timestamp,
}

impl Parts {
    pub(super) fn store(&self) -> &dyn Store {
        self.shared.get_ref()
    }

    /// The store for what goes on behind the answer.
    pub(super) fn shared_store(&self) -> web::Data<dyn Store> {
        self.shared.clone()
    }

    /// Where the request came from.
    pub(super) fn net(&self) -> Net {
        self.limits.net()
    }

    /// Whoever typed an address, for the log.
    pub(super) fn typist_of(&self, email: &EmailKey) -> Actor {
        Actor::Address(self.pseudonyms.of(email))
    }

    fn of(request: &HttpRequest, limits: ClientLimits) -> Option<Self> {
        Some(Self {
            shared: request.app_data::<web::Data<dyn Store>>()?.clone(),
            passwords: request.app_data::<web::Data<PasswordHasher>>()?.clone(),
            tokens: request.app_data::<web::Data<Tokens>>()?.clone(),
            mailer: request.app_data::<web::Data<Mailer>>()?.clone(),
            limits,
            registration: *request.app_data::<web::Data<RegistrationPolicy>>()?.get_ref(),
            pseudonyms: request.app_data::<web::Data<Pseudonyms>>()?.clone(),
            audit: Audit::of(request),
            now: request.app_data::<web::Data<Clock>>()?.now(),
        })
    }
}

impl FromRequest for Parts {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let missing = || ApiError::caused(ErrorCode::Internal, "the application lacks a part of this service");
        let limits = ClientLimits::from_request(request, payload).into_inner();
        ready(limits.and_then(|limits| Self::of(request, limits).ok_or_else(missing)))
    }
}
