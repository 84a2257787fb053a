//! `POST /api/auth/register`: a new account with its first session; or, where addresses are verified first, a
//! registration that becomes an account when its mail is answered (see `pending_registration`).

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::parts::Parts;
use super::pending_registration;
use super::{NewSession, RegistrationPolicy, SessionBody, personal_words};
use crate::domain::{Email, MailKind, Password, PasswordHash, UserId, Username};
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, OwnUser, RequestBody};
use crate::identity::{Actor, Confirmation, PasswordHasher};
use crate::rate_limits::Counted;
use crate::store::{Creation, MessagesFrom, NewAccount, User};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    #[schema(required, value_type = Username)]
    username: Option<String>,
    #[schema(required, value_type = Email)]
    email: Option<String>,
    #[schema(required, value_type = Password)]
    password: Option<String>,
}

impl RequestBody for RegisterBody {}

pub(super) struct Applicant {
    pub(super) username: Username,
    pub(super) email: Email,
    pub(super) password: Password,
}

impl Applicant {
    fn read(body: RegisterBody, passwords: &PasswordHasher) -> Result<Self, ApiError> {
        let mut fields = Fields::new();
        let username = fields.required("username", body.username, |text| Username::parse(&text));
        let email = fields.required("email", body.email, |text| Email::parse(&text));
        let password = fields.required("password", body.password, |text| passwords.read_new(&text));
        fields.finish_with(|| Some(Self { username: username?, email: email?, password: password? }))
    }
}

#[utoipa::path(
    post,
    path = "/api/auth/register",
    summary = "Register",
    description = "Makes an account and begins its first session. A mail to the address verifies that it is its owner's. Where addresses are verified first, registering again with the same name and password replaces the address and sends a new mail.",
    request_body = RegisterBody,
    responses(
        (status = 201, description = "The account is there, and its first session has begun.", body = SessionBody),
        (status = 202, description = "Where addresses are verified first: a mail is on its way, whoever's address it is.", body = Message),
    )
)]
pub(super) async fn register(
    request: HttpRequest,
    parts: Parts,
    confirmation: Confirmation,
    Json(body): Json<RegisterBody>,
) -> Result<HttpResponse, ApiError> {
    let applicant = Applicant::read(body, &parts.passwords)?;
    let counted = parts.limits.register().await?;
    let prepared = match hash(&parts, &applicant).await {
        Ok(hash) => count_mail(&parts, &applicant.email).await.map(|mail| (hash, mail)),
        Err(refusal) => Err(refusal),
    };
    let (hash, mail) = match prepared {
        Ok(prepared) => prepared,
        Err(refusal) => {
            // Whoever has to think of a better password, or has to wait, has not registered yet.
            counted.give_back();
            return Err(refusal);
        }
    };
    let answer = match parts.registration {
        RegistrationPolicy::Open => create_account(&request, &parts, applicant, hash, mail.is_some()).await,
        RegistrationPolicy::Verified => pending_registration::note(&parts, &confirmation, applicant, hash).await,
    };
    if let (Err(failure), Some(mail)) = (&answer, mail)
        && failure.code != ErrorCode::OutcomeUnknown
    {
        // No mail was ordered.
        mail.give_back();
    }
    answer
}

async fn hash(parts: &Parts, applicant: &Applicant) -> Result<PasswordHash, ApiError> {
    let words = personal_words(&applicant.username, &applicant.email);
    Ok(parts.passwords.hash(applicant.password.clone(), words, parts.net()).await?)
}

/// Counts the mail to the address; `None` when there is to be none. An account comes into being without it. Where addresses
/// are verified first, a registration without its mail would hold the name for nothing.
async fn count_mail(parts: &Parts, address: &Email) -> Result<Option<Counted>, ApiError> {
    if !parts.mailer.is_available() {
        return Ok(None);
    }
    match parts.limits.mail_registration(&address.key()).await {
        Err(refusal) if refusal.code == ErrorCode::RateLimited && parts.registration == RegistrationPolicy::Open => Ok(None),
        counted => counted.map(Some),
    }
}

async fn create_account(
    request: &HttpRequest,
    parts: &Parts,
    applicant: Applicant,
    password_hash: PasswordHash,
    may_mail: bool,
) -> Result<HttpResponse, ApiError> {
    let Applicant { username, email, password: _ } = applicant;
    let mail = if may_mail { parts.mailer.order(MailKind::Verification, &email, parts.now) } else { None };
    let user = User {
        id: UserId::generate(),
        username,
        email,
        is_email_verified: false,
        pending_email: None,
        friends: Vec::new(),
        messages_from: MessagesFrom::default(),
        last_login: Some(parts.now),
        created_at: parts.now,
    };
    let session = NewSession::begin(user.id, &parts.tokens, request.headers(), parts.now)?;
    let account = NewAccount { user, password_hash, session: session.record.clone(), mail };
    match parts.store().create_account(&account).await? {
        Creation::Created => {
            parts.mailer.notify();
            parts.audit.note("registered", &Actor::User(account.user.id));
            Ok(HttpResponse::Created()
                .json(session.into_body("Registration successful", OwnUser::new(account.user, Vec::new(), parts.now))))
        }
        Creation::UsernameTaken => Err(ErrorCode::UsernameTaken.into()),
        Creation::EmailTaken => Err(ErrorCode::EmailTaken.into()),
    }
}
