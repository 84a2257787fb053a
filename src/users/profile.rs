//! `/api/users/profile`: what a person sees and changes of themselves.

use actix_web::web;
use serde::{Deserialize, Serialize};

use crate::domain::{Email, Username};
use crate::http::{ApiError, ErrorCode, Fields, Json, OwnUser, RequestBody};
use crate::identity::Bearer;
use crate::store::{AddressMail, MessagesFrom, ProfileChange, ProfileUpdate, Store};

pub(super) async fn get_profile(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<OwnUser>, ApiError> {
    let (found, chats) =
        futures_util::try_join!(store.find_profile(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    let user = bearer.admit(found)?;
    Ok(web::Json(OwnUser::new(&user, &chats)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UpdateProfileBody {
    username: Option<String>,
    email: Option<String>,
    messages_from: Option<String>,
}

impl RequestBody for UpdateProfileBody {}

#[derive(Serialize)]
pub(super) struct UpdatedProfile {
    message: &'static str,
    user: OwnUser,
}

pub(super) async fn update_profile(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    Json(body): Json<UpdateProfileBody>,
) -> Result<web::Json<UpdatedProfile>, ApiError> {
    let change = check(body)?;
    let (found, chats) =
        futures_util::try_join!(store.find_session(bearer.session_key()), store.list_chat_ids(bearer.user(), OwnUser::MAX_CHATS))?;
    bearer.admit(found)?;
    match store.update_profile(bearer.user(), &change, bearer.now(), AddressMail::None).await? {
        ProfileUpdate::Updated(user) => {
            Ok(web::Json(UpdatedProfile { message: "Profile updated successfully", user: OwnUser::new(&user, &chats) }))
        }
        ProfileUpdate::UsernameTaken => Err(ErrorCode::UsernameTaken.into()),
        ProfileUpdate::EmailTaken => Err(ErrorCode::EmailTaken.into()),
        ProfileUpdate::NotFound => Err(ErrorCode::Unauthorized.into()),
    }
}

fn check(body: UpdateProfileBody) -> Result<ProfileChange, ApiError> {
    let mut fields = Fields::new();
    if body.username.is_none() && body.email.is_none() && body.messages_from.is_none() {
        for name in ["username", "email", "messagesFrom"] {
            fields.wrong(name, "at least one field is required");
        }
    }
    let change = ProfileChange {
        username: fields.optional("username", body.username, |text| Username::parse(&text)),
        email: fields.optional("email", body.email, |text| Email::parse(&text)),
        messages_from: fields
            .optional("messagesFrom", body.messages_from, |text| MessagesFrom::parse(&text).ok_or("must be everyone or friends")),
    };
    fields.finish().map(|()| change)
}
