//! A change of one's address: what it needs besides a token, and whom it is mailed to.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::auth::RegistrationPolicy;
use crate::domain::{Email, MailKind, MailPurpose, PasswordHash, Session};
use crate::http::{ApiError, ErrorCode};
use crate::identity::{Bearer, Confirmation};
use crate::mail::Mailer;
use crate::rate_limits::{ClientLimits, MailPermission};
use crate::store::{AddressMail, EmailChange, Store, User};

/// What a change of address is decided by.
pub(super) struct AddressRules {
    store: web::Data<dyn Store>,
    mailer: web::Data<Mailer>,
    registration: RegistrationPolicy,
    limits: ClientLimits,
    confirmation: Confirmation,
}

impl AddressRules {
    /// The hash that the password was checked against, if one is given. A new address needs it unless the session is fresh:
    /// whoever has got hold of a token must not be able to take the account.
    pub(super) async fn prove(
        &self,
        bearer: &Bearer,
        session: &Session,
        typed: Option<&str>,
        moves: bool,
    ) -> Result<Option<PasswordHash>, ApiError> {
        match typed {
            Some(typed) => Ok(Some(self.confirmation.confirm(bearer, typed).await?.password_hash)),
            None if moves && !session.is_fresh(bearer.now()) => Err(ErrorCode::PasswordRequired.into()),
            None => Ok(None),
        }
    }

    /// The change to an address that is not the present one. A verified account moves by a link where mail can be sent.
    pub(super) async fn change_to(&self, bearer: &Bearer, present: &User, address: Email) -> Result<EmailChange, ApiError> {
        let by_link = self.mailer.is_available();
        let moves_by_link = by_link && present.is_email_verified;
        let (purpose, kind) = if moves_by_link {
            (MailPurpose::NewAddress, MailKind::NewAddress)
        } else {
            (MailPurpose::Verification, MailKind::Verification)
        };
        let permission = self.limits.ask_for_mail(purpose, &address.key()).await?;
        if moves_by_link && self.registration == RegistrationPolicy::Open {
            self.refuse_taken(bearer, &address).await?;
        }
        let may_tell = self.mailer.order(MailKind::AddressChanged, &present.email, bearer.now()).is_some();
        let mail = match permission {
            MailPermission::Granted if self.mailer.order(kind, &address, bearer.now()).is_some() => AddressMail::ToBoth,
            _ if may_tell => AddressMail::ToPresent,
            _ => AddressMail::None,
        };
        Ok(EmailChange { address, is_proven: true, by_link, mail })
    }

    /// The address is only noted, so no index tells that somebody has it. Where registering does not tell it, this does not.
    async fn refuse_taken(&self, bearer: &Bearer, address: &Email) -> Result<(), ApiError> {
        match self.store.find_address_owner(&address.key(), bearer.now()).await? {
            Some((owner, _)) if owner != bearer.user() => Err(ErrorCode::EmailTaken.into()),
            _ => Ok(()),
        }
    }

    fn of(request: &HttpRequest, limits: ClientLimits, confirmation: Confirmation) -> Option<Self> {
        Some(Self {
            store: request.app_data::<web::Data<dyn Store>>()?.clone(),
            mailer: request.app_data::<web::Data<Mailer>>()?.clone(),
            registration: *request.app_data::<web::Data<RegistrationPolicy>>()?.get_ref(),
            limits,
            confirmation,
        })
    }
}

impl FromRequest for AddressRules {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let missing = || ApiError::caused(ErrorCode::Internal, "the application lacks a part that addresses need");
        let limits = ClientLimits::from_request(request, payload).into_inner();
        let confirmation = Confirmation::from_request(request, payload).into_inner();
        ready(limits.and_then(|limits| Self::of(request, limits, confirmation?).ok_or_else(missing)))
    }
}
