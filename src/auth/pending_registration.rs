//! Registering where addresses are verified first. A registration waits for its mail to be answered, and holds its name
//! meanwhile. Whoever registers again under that name with the same password is the same person: the address is replaced
//! and a new mail goes out, so that a mistyped address or a lost mail keeps nobody out.
//!
//! All of it does and answers the same whether or not the address is an account's: the difference is in the mail.

use actix_web::HttpResponse;

use super::parts::Parts;
use super::register::Applicant;
use crate::domain::{MailKind, PasswordHash, UserId};
use crate::http::{Accepted, ApiError, ErrorCode};
use crate::identity::{Actor, Confirmation};
use crate::store::{Registration, RegistrationOutcome};

/// Attempts to note a registration. One more is needed only when the one that holds the name ended meanwhile: its link was
/// used, or its time was over.
const ATTEMPTS: usize = 3;

pub(super) async fn note(
    parts: &Parts,
    confirmation: &Confirmation,
    applicant: Applicant,
    password_hash: PasswordHash,
) -> Result<HttpResponse, ApiError> {
    let Applicant { username, email, password } = applicant;
    // Without its mail a registration would hold the name for nothing.
    let mail = parts.mailer.order(MailKind::Verification, &email, parts.now);
    let mail = mail.ok_or_else(|| ApiError::caused(ErrorCode::Unavailable, "no mail can be ordered at present"))?;
    let registration = Registration { id: UserId::generate(), username, email, password_hash, created_at: parts.now, mail };
    for _ in 0..ATTEMPTS {
        match parts.store().create_registration(&registration).await? {
            RegistrationOutcome::Noted => return Ok(noted(parts, "registration_noted", registration.id)),
            RegistrationOutcome::UsernameTaken => return Err(ErrorCode::UsernameTaken.into()),
            RegistrationOutcome::Pending(pending) => {
                if !confirmation.is_right(pending.id, password.clone(), pending.password_hash.clone()).await? {
                    return Err(ErrorCode::UsernameTaken.into());
                }
                if parts.store().repeat_registration(&pending, &registration.mail).await? {
                    return Ok(noted(parts, "registration_repeated", pending.id));
                }
            }
        }
    }
    Err(ApiError::caused(ErrorCode::Unavailable, "the registration under this name changes all the time"))
}

fn noted(parts: &Parts, event: &'static str, registration: UserId) -> HttpResponse {
    parts.mailer.notify();
    parts.audit.note(event, &Actor::User(registration));
    Accepted::new("Open the link in the mail that is on its way to you; then log in").into_response()
}
