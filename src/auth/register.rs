//! `POST /api/auth/register`: a new account with its first session.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::NewSession;
use crate::domain::{Clock, Email, Password, UserId, Username};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::{PasswordHasher, Tokens};
use crate::store::{Creation, MessagesFrom, NewAccount, Store, User};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

impl RequestBody for RegisterBody {}

struct Registration {
    username: Username,
    email: Email,
    password: Password,
}

impl Registration {
    fn read(body: RegisterBody, passwords: &PasswordHasher) -> Result<Self, ApiError> {
        let mut fields = Fields::new();
        let username = fields.required("username", body.username, |text| Username::parse(&text));
        let email = fields.required("email", body.email, |text| Email::parse(&text));
        let password = fields.required("password", body.password, |text| passwords.read_new(&text));
        fields.finish_with(|| Some(Self { username: username?, email: email?, password: password? }))
    }
}

pub(super) async fn register(
    request: HttpRequest,
    store: web::Data<dyn Store>,
    passwords: web::Data<PasswordHasher>,
    tokens: web::Data<Tokens>,
    clock: web::Data<Clock>,
    Json(body): Json<RegisterBody>,
) -> Result<HttpResponse, ApiError> {
    let Registration { username, email, password } = Registration::read(body, &passwords)?;
    let personal = vec![username.as_str().to_owned(), email.local_part().to_owned()];
    let password_hash = passwords.hash(password, personal).await?;
    let now = clock.now();
    let user = User {
        id: UserId::generate(),
        username,
        email,
        is_email_verified: false,
        friends: Vec::new(),
        messages_from: MessagesFrom::default(),
        last_login: Some(now),
        created_at: now,
    };
    let session = NewSession::begin(user.id, &tokens, request.headers(), now)?;
    let account = NewAccount { user, password_hash, session: session.record.clone(), mail: None };
    match store.create_account(&account).await? {
        Creation::Created => {
            log::info!(event = "registered", user:display = account.user.id; "a person registered");
            Ok(HttpResponse::Created().json(session.into_body("Registration successful", OwnUser::new(&account.user, &[]))))
        }
        Creation::UsernameTaken => Err(ErrorCode::UsernameTaken.into()),
        Creation::EmailTaken => Err(ErrorCode::EmailTaken.into()),
    }
}
