//! `/api/users/profile`: what a person sees and changes of themselves.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::address::AddressRules;
use crate::domain::{Email, Username};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::{Actor, Audit, Bearer, Confirmation};
use crate::mail::Mailer;
use crate::store::{AddressMail, EmailChange, MessagesFrom, ProfileChange, ProfileUpdate, Store};

#[utoipa::path(
    get,
    path = "/api/users/profile",
    summary = "Get the profile",
    description = "The caller as they see themselves.",
    responses((status = 200, description = "The caller.", body = OwnUser))
)]
pub(super) async fn get_profile(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<OwnUser>, ApiError> {
    let (found, chats) =
        futures_util::try_join!(store.find_profile(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    let user = bearer.admit(found)?;
    Ok(web::Json(OwnUser::new(user, chats, bearer.now())))
}

/// One field to change at least.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UpdateProfileBody {
    #[schema(value_type = Option<Username>)]
    username: Option<String>,
    #[schema(value_type = Option<Email>)]
    email: Option<String>,
    #[schema(value_type = Option<MessagesFrom>)]
    messages_from: Option<String>,
    /// Needed for a new address unless the session began within the last ten minutes.
    #[schema(value_type = Option<String>, format = Password, examples("tulip-gravel-onion"))]
    current_password: Option<String>,
}

impl RequestBody for UpdateProfileBody {}

#[derive(Serialize, ToSchema)]
pub(super) struct UpdatedProfile {
    #[schema(examples("Profile updated successfully"))]
    message: &'static str,
    user: OwnUser,
}

#[utoipa::path(
    put,
    path = "/api/users/profile",
    summary = "Change the profile",
    description = "Changes what is given. Where the server sends mail a verified account moves to a new address when the link sent \
        there is used; until then that is `pendingEmail`, and giving the present address ends it. Otherwise the new address counts at \
        once and is to be verified.",
    request_body(content = UpdateProfileBody, example = json!({ "messagesFrom": "friends" })),
    responses((status = 200, description = "The profile is changed.", body = UpdatedProfile))
)]
pub(super) async fn update_profile(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    mailer: web::Data<Mailer>,
    rules: AddressRules,
    audit: Audit,
    Json(body): Json<UpdateProfileBody>,
) -> Result<web::Json<UpdatedProfile>, ApiError> {
    let asked = check(body)?;
    let (found, chats) =
        futures_util::try_join!(store.find_profile(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    let (session, present) = bearer.admit_with_session(found)?;
    let moves = asked.email.as_ref().is_some_and(|email| email.key() != present.email.key());
    let typed = asked.current_password.as_deref();
    let checked = rules.prove(&bearer, &session, typed, moves).await?;
    let email = match asked.email {
        Some(address) if moves => Some(rules.change_to(&bearer, &present, address).await?),
        Some(address) => Some(EmailChange { address, is_proven: false, by_link: true, mail: AddressMail::None }),
        None => None,
    };
    let mut change = ProfileChange { username: asked.username, email, messages_from: asked.messages_from, checked };
    for _ in 0..Confirmation::ATTEMPTS {
        match store.update_profile(bearer.session_key(), &change, bearer.now()).await? {
            ProfileUpdate::Updated(user) => {
                mailer.notify();
                if moves {
                    let event = if user.email.key() == present.email.key() { "address_change_asked" } else { "address_changed" };
                    audit.note(event, &Actor::User(user.id));
                }
                return Ok(web::Json(UpdatedProfile {
                    message: "Profile updated successfully",
                    user: OwnUser::new(user, chats, bearer.now()),
                }));
            }
            ProfileUpdate::NotFound if typed.is_some() => change.checked = rules.prove(&bearer, &session, typed, moves).await?,
            ProfileUpdate::UsernameTaken => return Err(ErrorCode::UsernameTaken.into()),
            ProfileUpdate::EmailTaken => return Err(ErrorCode::EmailTaken.into()),
            ProfileUpdate::OwnRecovery => return Err(ErrorCode::OwnRecoveryAddress.into()),
            ProfileUpdate::TooManyChanges => return Err(ErrorCode::TooManyChanges.into()),
            ProfileUpdate::Unproven => return Err(ErrorCode::PasswordRequired.into()),
            ProfileUpdate::NotFound => return Err(ErrorCode::Unauthorized.into()),
        }
    }
    Err(Confirmation::overtaken())
}

/// What a body asks for.
struct Asked {
    username: Option<Username>,
    email: Option<Email>,
    messages_from: Option<MessagesFrom>,
    current_password: Option<String>,
}

fn check(body: UpdateProfileBody) -> Result<Asked, ApiError> {
    let mut fields = Fields::new();
    if body.username.is_none() && body.email.is_none() && body.messages_from.is_none() {
        for name in ["username", "email", "messagesFrom"] {
            fields.wrong(name, "at least one field is required");
        }
    }
    let asked = Asked {
        username: fields.optional("username", body.username, |text| Username::parse(&text)),
        email: fields.optional("email", body.email, |text| Email::parse(&text)),
        messages_from: fields
            .optional("messagesFrom", body.messages_from, |text| MessagesFrom::parse(&text).ok_or("must be everyone or friends")),
        current_password: body.current_password,
    };
    fields.finish().map(|()| asked)
}
