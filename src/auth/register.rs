//! `POST /api/auth/register`: a new account with its first session; or, where addresses are verified first, a
//! registration that becomes an account when its mail is answered.

use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::parts::Parts;
use super::{NewSession, RegistrationPolicy, SessionBody, personal_words};
use crate::domain::{Email, MailKind, Password, PasswordHash, UserId, Username};
use crate::http::{Accepted, ApiError, ErrorCode, Fields, Json, Message, OwnUser, RequestBody};
use crate::identity::{Actor, PasswordHasher};
use crate::store::{Creation, MessagesFrom, NewAccount, Registration, User};

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

struct Applicant {
    username: Username,
    email: Email,
    password: Password,
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
    description = "Makes an account and begins its first session. A mail to the address verifies that it is its owner's.",
    request_body = RegisterBody,
    responses(
        (status = 201, description = "The account is there, and its first session has begun.", body = SessionBody),
        (status = 202, description = "Where addresses are verified first: a mail is on its way, whoever's address it is.", body = Message),
    )
)]
pub(super) async fn register(request: HttpRequest, parts: Parts, Json(body): Json<RegisterBody>) -> Result<HttpResponse, ApiError> {
    let Applicant { username, email, password } = Applicant::read(body, &parts.passwords)?;
    let counted = parts.limits.register().await?;
    let hash = match parts.passwords.hash(password, personal_words(&username, &email), parts.net()).await {
        Ok(hash) => hash,
        Err(refusal) => {
            // Whoever has to think of a better password has not registered yet.
            counted.give_back();
            return Err(refusal.into());
        }
    };
    match parts.registration {
        RegistrationPolicy::Open => create_account(&request, &parts, username, email, hash).await,
        RegistrationPolicy::Verified => note_registration(&parts, username, email, hash).await,
    }
}

async fn create_account(
    request: &HttpRequest,
    parts: &Parts,
    username: Username,
    email: Email,
    password_hash: PasswordHash,
) -> Result<HttpResponse, ApiError> {
    let mail = parts.mailer.order(MailKind::Verification, &email, parts.now);
    let user = User {
        id: UserId::generate(),
        username,
        email,
        is_email_verified: false,
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
            Ok(HttpResponse::Created().json(session.into_body("Registration successful", OwnUser::new(account.user, Vec::new()))))
        }
        Creation::UsernameTaken => Err(ErrorCode::UsernameTaken.into()),
        Creation::EmailTaken => Err(ErrorCode::EmailTaken.into()),
    }
}

/// Does and answers the same whether or not the address is an account's: the difference is in the mail.
async fn note_registration(parts: &Parts, username: Username, email: Email, password_hash: PasswordHash) -> Result<HttpResponse, ApiError> {
    // Without its mail a registration would hold the name for nothing.
    let mail = parts.mailer.order(MailKind::Verification, &email, parts.now);
    let mail = mail.ok_or_else(|| ApiError::caused(ErrorCode::Unavailable, "no mail can be ordered at present"))?;
    let registration = Registration { id: UserId::generate(), username, email, password_hash, created_at: parts.now, mail };
    if !parts.store().create_registration(&registration).await? {
        return Err(ErrorCode::UsernameTaken.into());
    }
    parts.mailer.notify();
    parts.audit.note("registration_noted", &Actor::User(registration.id));
    Ok(Accepted::new("Open the link in the mail that is on its way to you; then log in").into_response())
}
